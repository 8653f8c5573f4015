"""A definition is kept with one command, which says what it renames and leaves the comments."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from core.test_definition import customers, defined

from pipeline.commands import keep as command
from pipeline.core.model.definition import assign, load_definition, save_definition
from pipeline.core.run.params import load_params
from pipeline.select_model.__main__ import CHALLENGER, Params


@pytest.fixture
def challenger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    found = defined()
    save_definition(found, CHALLENGER)
    return found


@pytest.mark.usefixtures("challenger")
def test_the_first_time_the_names_are_told_and_the_definition_is_named_in_params():
    text = Path("params.yaml").read_text(encoding="utf-8")
    said = "\n".join(command.keep(dry_run=False))
    assert "champions: a condition" not in said  # five names, and champions is none of them
    assert "lost: a condition" in said
    assert command.KEPT.read_bytes() == CHALLENGER.read_bytes()
    assert load_params("select", Params).definition == command.KEPT
    changed = set(Path("params.yaml").read_text(encoding="utf-8").splitlines()) ^ set(
        text.splitlines()
    )
    assert changed == {"  definition:", f"  definition: {command.KEPT}"}


def test_a_switch_says_who_gets_which_new_name(challenger, monkeypatch):
    command.keep(dry_run=False)
    grid = replace(challenger.clustering, recent_days=250, lapsed_days=290)
    after = replace(challenger, clustering=grid)
    save_definition(after, CHALLENGER)
    rows = customers()
    monkeypatch.setattr(command, "last_customers", lambda: rows)
    said = command.keep(dry_run=True)
    old, new = (
        np.array([s.play for s in d.segments])[assign(d, rows)["segment_id"]]
        for d in (challenger, after)
    )
    assert f"  {(old == new).sum()} of 200 customers keep their name" in said
    went = ((old == "lost") & (new == "loyal")).sum()
    assert any(line.startswith("  lost -> ") and f"loyal {went}" in line for line in said)
    assert load_definition(command.KEPT).clustering.recent_days == challenger.clustering.recent_days
    command.keep(dry_run=False)
    assert load_definition(command.KEPT).clustering.recent_days == 250
