"""What the checks for insecure code find, and that the checks run: held by `make check`."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
from conftest import ROOT, run

INSECURE = {
    "import pickle": "B403",
    "pickle.loads(x)": "B301",
    "eval(x)": "B307",
    "exec(x)": "B102",
    "yaml.load(x)": "B506",
    "subprocess.run(x, shell=True)": "B602",
    "os.system(x)": "B605",
    "tarfile.open(x).extractall()": "B202",
}


def bandit(*paths: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "bandit", "--quiet", "--configfile", "pyproject.toml")
    return run(*command, "--recursive", *paths, cwd=ROOT, check=False)


@pytest.mark.parametrize(("line", "finding"), INSECURE.items())
def test_bandit_as_it_is_set_up_finds_what_is_insecure(tmp_path, line, finding):
    names = "import os, subprocess, tarfile, yaml\n" + (
        "import pickle\n" if "pickle" in line else ""
    )
    (tmp_path / "x.py").write_text(f"{names}x = input()\n{line}\n", encoding="utf-8")
    done = bandit(str(tmp_path))
    assert done.returncode == 1
    assert finding in done.stdout


def test_bandit_finds_nothing_in_the_pipeline():
    done = bandit("pipeline")
    assert (done.returncode, done.stdout) == (0, "")


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
