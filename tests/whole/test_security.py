"""The checks for insecure code are on in `make check`; and what no rule of theirs knows."""

from __future__ import annotations

import re
import tomllib

from conftest import ROOT


def test_ruffs_rules_of_security_are_on_for_the_pipeline():
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
    assert ruff["lint"]["select"] == ["ALL"]
    assert not [rule for rule in ruff["lint"]["ignore"] if re.match(r"S\d", rule)]
    by_file = ruff["lint"]["per-file-ignores"]
    off = {p: [r for r in rules if re.match(r"S(\d|$)", r)] for p, rules in by_file.items()}
    assert {pattern: rules for pattern, rules in off.items() if rules} == {
        "tests/**": ["S"],
        "bench/**": ["S"],
        "pipeline/core/tables/contract.py": ["S608"],
    }


def test_make_check_runs_every_check():
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").split("\ncheck:")[1].split("\n\n")[0]
    for tool in ("ruff check .", "ruff format --check .", "mypy", "bandit"):
        assert f"@$(BIN)/{tool}" in recipe


def test_nothing_is_unpickled_evaluated_or_told_to_a_shell():
    """Also what no rule knows: joblib, pandas and numpy unpickle too."""
    loaders = re.compile(
        r"\b(joblib\.load|read_pickle|to_pickle|cloudpickle|dill|marshal|shelve)\b"
        r"|allow_pickle=True|yaml\.(load|full_load|unsafe_load|Loader|FullLoader|UnsafeLoader)\b"
        r"|typ=.unsafe"
        r"|\b(os\.(system|popen)|shell=True|import pickle)\b|(?<![.\w])(eval|exec)\("
    )
    found = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for folder in ("pipeline", "bench")
        for file in (ROOT / folder).rglob("*.py")
        for match in loaders.finditer(file.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_every_pinned_package_is_checked_by_its_hash():
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text(encoding="utf-8")
        pinned = re.split(r"\n(?=\S)", text.strip())
        wanted = [entry for entry in pinned if not entry.startswith("#")]
        assert len(wanted) > 1
        assert [e.split()[0] for e in wanted if "--hash=sha256:" not in e] == []
    assert "--require-hashes" in (ROOT / "Makefile").read_text(encoding="utf-8")
