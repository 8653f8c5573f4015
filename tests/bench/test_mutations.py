"""Hundreds of bad and odd files: each ends as was declared before it was read."""

from __future__ import annotations

from bench.inputs.mutations import made_up_shop, outcomes, quiet


def test_every_mutation_of_a_file_ends_as_declared(tmp_path, monkeypatch):
    monkeypatch.setenv("PIPELINE_THREADS", "1")
    with quiet():
        found = list(outcomes(made_up_shop(tmp_path), tmp_path))
    assert [f"{m.name}: {o.text}: {o.wrong}" for m, o in found if o.wrong] == []
    assert len(found) >= 300
    assert len({m.name for m, _ in found}) == len(found)
    assert sum(bool(m.refused) for m, _ in found) >= 100
    assert sum(not m.refused for m, _ in found) >= 100
