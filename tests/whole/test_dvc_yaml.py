"""dvc.yaml tells the truth: DVC cannot see imports, so this walks them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import PARAMS, ROOT, STAGES

import pipeline
from pipeline.core.run.params import ShopParams
from pipeline.core.tables import __main__ as data_dictionary

A_DATA_FILE = re.compile(r"^(data|reports|metrics)/[\w./-]+\.\w+$")
# pipeline/__init__.py names the stages in the order of the design: its second paragraph.
IN_ORDER = tuple(re.findall(r"\w+", str(pipeline.__doc__).split("\n\n")[1]))


def paths(stage: str, *kinds: str) -> set[str]:
    """The paths that dvc.yaml lists for a stage under these keys, with parameters filled in."""
    listed: set[str] = set()
    for kind in kinds:
        for entry in STAGES[stage].get(kind, []):
            name = next(iter(entry)) if isinstance(entry, dict) else entry
            if name == "params.yaml":  # the whole file
                listed |= set(PARAMS)
                continue
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
def imported_directly(module: Path) -> frozenset[Path]:
    """The modules within pipeline/ that this one imports."""
    names: list[str] = []
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    files = (module_file(name) for name in names if name.startswith("pipeline"))
    return frozenset(file for file in files if file)


@cache
def imported(module: Path) -> frozenset[Path]:
    """The modules within pipeline/ that this one imports, directly or through others."""
    seen: set[Path] = set()
    todo = [module]
    while todo:
        new = imported_directly(todo.pop()) - seen
        seen |= new
        todo += new
    return frozenset(seen)


def calls(module: Path) -> Iterator[tuple[str, Any]]:
    """Each call's function name and first argument."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call) and node.args:
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else ""
            yield (function.id if isinstance(function, ast.Name) else name), node.args[0]


def stage_folder(stage: str) -> Path:
    return ROOT / "pipeline" / stage


def modules_of(stage: str) -> set[Path]:
    """Every module that the stage's folder holds or imports."""
    own = set(stage_folder(stage).rglob("*.py"))
    return own.union(*(imported(module) for module in own))


def relative(files: set[Path]) -> set[str]:
    return {str(file.relative_to(ROOT)) for file in files}


def test_the_stages_are_those_of_the_design_in_its_order():
    assert IN_ORDER[:3] == ("make_sample", "ingest", "clean")
    assert tuple(STAGES) == IN_ORDER
    for stage, entry in STAGES.items():
        assert entry["cmd"] == f"exec python -m pipeline.{stage}"
        assert entry["desc"].strip()


@pytest.mark.parametrize("stage", IN_ORDER)
def test_every_imported_module_is_a_dependency(stage: str):
    # Package files hold a docstring and nothing else (tested below): no result depends on them.
    needed = {file for file in modules_of(stage) if file.name != "__init__.py"}
    missing = sorted(f for f in relative(needed) if not covered(f, paths(stage, "deps")))
    assert not missing, f"dvc.yaml, {stage}: imported but not in deps: {', '.join(missing)}"


@pytest.mark.parametrize("stage", IN_ORDER)
def test_no_code_is_a_dependency_that_the_stage_does_not_import(stage: str):
    needed = relative({f for f in modules_of(stage) if f.name != "__init__.py"})
    listed = {d for d in paths(stage, "deps") if d.startswith("pipeline")}
    listed = {d for d in listed if d.endswith(".py") or (ROOT / d / "__init__.py").exists()}
    unused = sorted(d for d in listed if not any(covered(file, {d}) for file in needed))
    assert not unused, f"dvc.yaml, {stage}: not imported: {unused}"


def layer(file: str) -> str:
    """The room of a module: a stage's name, `commands` or `core/<room>`."""
    parts = file.split("/")[1:]
    return "/".join(parts[:2]) if parts[0] == "core" and len(parts) > 2 else parts[0]


# What each room may import beside itself; stages may import every room of core, commands all.
BELOW = {
    "core/text": set(),
    "core/run": {"core/text"},
    "core/tables": {"core/run", "core/text"},
    "core/engines": {"core/run", "core/tables", "core/text"},
    "core/model": {"core/run", "core/tables", "core/text"},
}


def test_imports_follow_the_layers():
    """Stages import core and no other stage; rooms of core import those below them."""
    wrong = []
    for file in (ROOT / "pipeline").rglob("*.py"):
        here = layer(str(file.relative_to(ROOT)))
        allowed = BELOW.get(here, set(BELOW)) | {here}
        for other in imported_directly(file):
            if other.name == "__init__.py" or here == "commands" or here.endswith(".py"):
                continue
            if layer(str(other.relative_to(ROOT))) not in allowed:
                wrong.append(f"{file.relative_to(ROOT)} imports {other.relative_to(ROOT)}")
    assert not wrong, wrong


def keys_of_shop(module: Path) -> set[str]:
    """The keys of section `shop` that a module takes, as in `load_params("shop", …).currency`."""
    nodes = list(ast.walk(tree(module)))
    loads = [n for n in nodes if isinstance(n, ast.Call) and "load_params('shop'" in ast.unparse(n)]
    loads = [n for n in loads if isinstance(n.func, ast.Name) and n.func.id == "load_params"]
    keys = [n.attr for n in nodes if isinstance(n, ast.Attribute) and n.value in loads]
    return set(keys) if len(keys) == len(loads) else set(ShopParams.model_fields)


TABLES = {t.name.upper(): t for t in data_dictionary.tables()}


@pytest.mark.parametrize("stage", IN_ORDER)
def test_every_table_metric_and_parameter_touched_is_declared(stage: str):
    """A table that is named in a stage's code and not written by it is read."""
    has_tables = (ROOT / f"pipeline/core/tables/{stage}.py").exists()
    own = {t.name.upper() for t in data_dictionary.tables_of(stage)} if has_tables else set()
    touched: set[tuple[str, str]] = set()
    for module in stage_folder(stage).rglob("*.py"):
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Name) and node.id in TABLES:
                kind = "outs" if node.id in own else "deps"
                touched.add((kind, str(TABLES[node.id].path)))
        for name, argument in calls(module):
            constant = argument.value if isinstance(argument, ast.Constant) else None
            if name == "write_metrics":
                touched.add(("metrics", f"metrics/{constant}.json"))
            elif name == "read_metrics" and constant:
                touched.add(("deps", f"metrics/{constant}.json"))
            elif name == "load_params" and constant != "shop":
                touched.add(("params", str(constant)))
        touched |= {("params", f"shop/{key}") for key in keys_of_shop(module)}
    assert {kind for kind, _ in touched} & {"outs", "metrics"} or stage == "render_report"
    declared = {kind: paths(stage, kind) for kind in ("deps", "outs", "metrics")}
    declared["params"] = {key.replace(".", "/") for key in paths(stage, "params")}
    problems = {
        f"{what} is not in {kind}" for kind, what in touched if not covered(what, declared[kind])
    }
    assert not problems, f"dvc.yaml, {stage}: " + "; ".join(sorted(problems))


@pytest.mark.parametrize("stage", IN_ORDER)
def test_every_file_named_in_the_code_is_declared(stage: str):
    """Data files by their path; settings by their name."""
    named = {
        node.value
        for module in modules_of(stage) - set((ROOT / "pipeline/core/tables").glob("*.py"))
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    declared = paths(stage, "deps", "outs", "metrics", "plots")
    data = {n for n in named if A_DATA_FILE.match(n)}
    settings = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "pipeline/settings").iterdir()
        if file.name in named
    }
    problems = sorted(n for n in data | settings if not covered(n, declared))
    assert not problems, f"dvc.yaml, {stage}: named in the code, not declared: {problems}"


def test_package_files_hold_only_a_docstring():
    """But the first that Python reads, which says what to do where packages are missing."""
    for file in (ROOT / "pipeline").rglob("__init__.py"):
        if file != ROOT / "pipeline" / "__init__.py":
            assert len(tree(file).body) == 1, f"{file} must hold its docstring alone"


@pytest.mark.parametrize("stage", IN_ORDER)
def test_every_stage_can_use_the_run_cache(stage: str):
    """DVC admits a stage to its run cache if all its uncached outputs are metrics or plots."""
    entry = STAGES[stage]
    assert all(isinstance(out, str) for out in entry.get("outs", []))  # cached, and not in git
    for listed in (*entry.get("metrics", []), *entry.get("plots", [])):
        ((file, settings),) = listed.items()
        assert file.startswith("metrics/")
        assert settings["cache"] is False
        assert (ROOT / file).exists()


def test_every_parameter_section_belongs_to_a_stage():
    used = {key.split(".")[0] for stage in IN_ORDER for key in paths(stage, "params")}
    assert set(PARAMS) == used | {"alerts"}  # of the command `show`
