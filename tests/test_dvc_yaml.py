"""dvc.yaml tells the truth: DVC cannot see imports, so this walks them."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

import pipeline
from pipeline.shared.recorded import used_file
from pipeline.tables.contract import Table

DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
STAGES = DVC["stages"]
WRITES = {"write_table", "write", "whole_file"}
A_DATA_FILE = re.compile(r"^(data|reports|metrics)/[\w./-]+\.\w+$")
# pipeline/__init__.py names the stages in the order of the design: its second paragraph.
IN_ORDER = tuple(re.findall(r"\w+", str(pipeline.__doc__).split("\n\n")[1]))


def paths(stage: str, *kinds: str) -> set[str]:
    """The paths that dvc.yaml lists for a stage under these keys, with parameters filled in."""
    listed: set[str] = set()
    for kind in kinds:
        for entry in STAGES[stage].get(kind, []):
            name = next(iter(entry)) if isinstance(entry, dict) else entry
            listed.add(name.replace("${source.path}", PARAMS["source"]["path"]))
    return listed


def covered(file: str, listed: set[str]) -> bool:
    """Whether a file is listed, itself or by a folder above it."""
    return any(file == name or file.startswith(name.rstrip("/") + "/") for name in listed)


@cache
def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def module_file(name: str) -> Path | None:
    base = ROOT / Path(*name.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


@cache
def imported(module: Path) -> frozenset[Path]:
    """The modules within pipeline/ that this one imports, directly or through others."""
    seen: set[Path] = set()
    todo = [module]
    while todo:
        for node in ast.walk(tree(todo.pop())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                if not name.startswith("pipeline"):
                    continue
                for length in range(1, name.count(".") + 2):
                    file = module_file(".".join(name.split(".")[:length]))
                    if file and file not in seen:
                        seen.add(file)
                        todo.append(file)
    return frozenset(seen)


def constants(module: Path) -> Iterator[str]:
    """The string constants of a module that are not docstrings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree(module)):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            yield node.value


def calls(module: Path) -> Iterator[tuple[str, Any]]:
    """Each call's function name and first argument."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call) and node.args:
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else ""
            yield (function.id if isinstance(function, ast.Name) else name), node.args[0]


def tables_of(module: Path) -> dict[str, Table]:
    """The contracts that a module has in hand, by the names it has for them."""
    dotted = ".".join(module.relative_to(ROOT).with_suffix("").parts)
    loaded = vars(importlib.import_module(dotted))
    return {name: value for name, value in loaded.items() if isinstance(value, Table)}


def stage_file(stage: str) -> Path:
    return ROOT / "pipeline" / f"{stage}.py"


def test_the_stages_are_those_of_the_design_in_its_order():
    assert IN_ORDER[:3] == ("make_sample", "ingest", "clean")
    assert tuple(STAGES) == IN_ORDER
    for stage, entry in STAGES.items():
        assert entry["cmd"] == f"exec python -m pipeline.{stage}"
        assert entry["desc"].strip()


@pytest.mark.parametrize("stage", IN_ORDER)
def test_every_imported_module_is_a_dependency(stage: str):
    dependencies = paths(stage, "deps")
    needed = {stage_file(stage), *imported(stage_file(stage))}
    # Package files hold a docstring and nothing else (tested below): no result depends on them.
    needed = {file for file in needed if file.name != "__init__.py"}
    missing = [str(f.relative_to(ROOT)) for f in needed]
    missing = sorted(f for f in missing if not covered(f, dependencies))
    assert not missing, f"dvc.yaml, {stage}: imported but not in deps: {', '.join(missing)}"


@pytest.mark.parametrize("stage", IN_ORDER)
def test_no_module_is_a_dependency_that_the_stage_does_not_import(stage: str):
    needed = {str(f.relative_to(ROOT)) for f in {stage_file(stage), *imported(stage_file(stage))}}
    listed = {d for d in paths(stage, "deps") if d.startswith("pipeline") and d.endswith(".py")}
    assert listed <= needed, f"dvc.yaml, {stage}: not imported: {sorted(listed - needed)}"


def touched(stage: str) -> Iterator[tuple[str, str]]:
    """What a stage touches, each with the dvc.yaml key under which it must stand.

    A table that is in hand and not written there is read, by whatever loop or helper.
    """
    file = stage_file(stage)
    for module in (file, *(m for m in imported(file) if m.parent.name == "report")):
        tables = tables_of(module)
        written = set()
        for name, argument in calls(module):
            constant = argument.value if isinstance(argument, ast.Constant) else None
            # write_table(SALES, …), engine.write(SALES, …) or whole_file(SALES.path)
            target = argument.value if isinstance(argument, ast.Attribute) else argument
            if name in WRITES and isinstance(target, ast.Name):
                written.add(target.id)
            elif name == "write_metrics":
                yield "metrics", f"metrics/{constant}.json"
            elif name == "read_metrics" and constant:
                yield "deps", f"metrics/{constant}.json"
            elif name == "load_params":
                yield "params", str(constant)
        for name, table in tables.items():
            yield ("outs" if name in written else "deps"), str(table.path)


@pytest.mark.parametrize("stage", IN_ORDER)
def test_every_table_metric_and_parameter_touched_is_declared(stage: str):
    declared = {kind: paths(stage, kind) for kind in ("deps", "outs", "metrics", "params")}
    problems = {
        f"{what} is not in {kind}"
        for kind, what in touched(stage)
        if not covered(what, declared[kind])
    }
    assert not problems, f"dvc.yaml, {stage}: " + "; ".join(sorted(problems))


@pytest.mark.parametrize("stage", IN_ORDER)
def test_every_data_file_named_in_the_code_is_declared(stage: str):
    modules = {stage_file(stage), *imported(stage_file(stage))}
    named = {c for f in modules if f.parent.name != "tables" for c in constants(f)}
    declared = paths(stage, "deps", "outs", "metrics", "plots")
    problems = sorted(n for n in named if A_DATA_FILE.match(n) and not covered(n, declared))
    assert not problems, f"dvc.yaml, {stage}: named in the code, not declared: {problems}"


@pytest.mark.parametrize("stage", IN_ORDER)
def test_every_resource_file_touched_is_a_dependency(stage: str):
    """A template or YAML file beside the code is a dependency of each stage that names it."""
    resources = [
        f
        for f in (ROOT / "pipeline").rglob("*")
        if f.is_file() and f.suffix not in {".py", ".pyc"} and "__pycache__" not in f.parts
    ]
    named = {c for f in {stage_file(stage), *imported(stage_file(stage))} for c in constants(f)}
    dependencies = paths(stage, "deps")
    missing = [
        str(f.relative_to(ROOT))
        for f in resources
        if any(f.name == c or f.name == c.rsplit("/", 1)[-1] for c in named)
        and not covered(str(f.relative_to(ROOT)), dependencies)
    ]
    assert not missing, f"dvc.yaml, {stage}: resource not in deps: {', '.join(missing)}"


@pytest.mark.parametrize("stage", IN_ORDER)
def test_a_stage_imports_no_other_stage(stage: str):
    others = {stage_file(other) for other in IN_ORDER} - {stage_file(stage)}
    assert not imported(stage_file(stage)) & others


def test_package_files_hold_only_a_docstring():
    """But the first that Python reads, which takes down how the code stood when the stage began."""
    for file in (ROOT / "pipeline").rglob("__init__.py"):
        if file != ROOT / "pipeline" / "__init__.py":
            assert len(tree(file).body) == 1, f"{file} must hold its docstring alone"


def test_every_listed_code_file_exists():
    for stage in IN_ORDER:
        for path in paths(stage, "deps"):
            if path.startswith("pipeline"):
                assert (ROOT / path).exists(), f"dvc.yaml, {stage}: {path} does not exist"


def test_metrics_and_plots_are_committed_and_not_cached():
    for stage, entry in STAGES.items():
        for listed in entry.get("metrics", []):
            assert isinstance(listed, dict), f"{stage}: {listed} needs cache: false"
            assert next(iter(listed.values()))["cache"] is False


def test_a_stage_that_has_parameters_says_which_it_used():
    for stage, entry in STAGES.items():
        assert (used_file(stage).as_posix() in paths(stage, "outs")) == ("params" in entry)


def test_every_parameter_section_belongs_to_a_stage_and_every_key_has_a_comment():
    used = {section for stage in IN_ORDER for section in paths(stage, "params")}
    assert set(PARAMS) == used
    text = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()
    bare = []
    for number, line in enumerate(text):
        is_key = re.match(r"^ +\w+: *[^ #]", line)  # a key with a value; a group speaks by its keys
        if is_key and "#" not in line and not text[number - 1].lstrip().startswith("#"):
            bare.append(line.strip())
    assert not bare, f"params.yaml: say what these do and why: {bare}"
