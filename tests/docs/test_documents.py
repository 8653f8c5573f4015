"""What README and docs name exists: files, parameters, commands, make's targets, links."""

from __future__ import annotations

import re
import shlex
import sys
from functools import cache
from pathlib import Path

import pytest
from conftest import PARAMS, ROOT, run
from dvc.cli.parser import get_main_parser

from pipeline.__main__ import COMMANDS

PAGES = sorted({ROOT / "README.md", *(ROOT / "docs").rglob("*.md")})
TARGETS = set(re.findall(r"(?m)^([a-z_-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
FOLDERS = "pipeline|tests|docs|bench|metrics"
MADE = {"pipeline/settings/definitions/kept.yaml"}  # by `python -m pipeline keep`


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path):
    text = page.read_text(encoding="utf-8")
    missing = [
        link
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
        if not (page.parent / link).exists()
    ]
    prose = re.sub(r"(?ms)^```(?:diff|python|text|csv).*?^```", "", text)
    missing += [
        name
        for name in re.findall(rf"(?<![\w./-])((?:{FOLDERS})/[\w./-]*\.(?:py|md|yaml))", prose)
        if not (ROOT / name).exists() and name not in MADE
    ]
    missing += [f"make {n}" for n in re.findall(r"`make ([a-z_-]+)", text) if n not in TARGETS]
    named = re.findall(r"python -m pipeline ([a-z]\w*)", text)
    missing += [f"python -m pipeline {name}" for name in named if name not in COMMANDS]
    sections = "|".join(PARAMS)
    for key in re.findall(rf"`((?:{sections})\.[\w.]+)(?:[:=][^`]*)?`", text):
        at, found = PARAMS, True
        for part in key.split("."):
            found = isinstance(at, dict) and part in at
            at = at[part] if found else None
        missing += [] if found or page.name == "metrics.md" else [key]
    assert not missing


def commands() -> list[str]:
    """Each command line of a block for the shell, as it is typed."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    blocks = "".join(re.findall(r"(?ms)^```(?:sh|console)\n(.*?)^```", text))
    lines = blocks.replace("\\\n", " ").splitlines()
    typed = [part for line in lines for part in line.removeprefix("$ ").split(" && ")]
    return sorted({line for line in typed if line.startswith(("dvc ", "python -m pipeline "))})


@cache
def help_of(*command: str) -> str:
    return run(sys.executable, "-m", *command, "--help", cwd=ROOT).stdout


@pytest.mark.parametrize("command", commands())
def test_documented_commands_are_accepted_by_their_programs(command: str):
    program, *words = shlex.split(command, comments=True)
    if program == "dvc":
        assert get_main_parser().parse_args(words)
        return
    called = words[1 : 4 if words[2] == "campaign" else 3]
    told = help_of(*called)
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"{option}\b", told), f"{' '.join(called)} has no {option}"
