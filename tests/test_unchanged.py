"""What is edited while DVC runs a stage is noticed; nothing else is."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

import pipeline
from pipeline.shared import unchanged
from pipeline.shared.errors import InputError
from pipeline.shared.unchanged import refuse_misrecorded, unchanged_meanwhile

DAG = """
stages:
  clean:
    deps: ["${source.path}", code, pipeline/clean.py]
    params: [clean]
"""


pytestmark = pytest.mark.usefixtures("project")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "../dvc.yaml:clean")
    files = {
        "dvc.yaml": DAG,
        "params.yaml": "source: {path: lines.csv}\nclean: {fee: 1}\nreport: {shop: a}\n",
        "lines.csv": "1\n",
        "code/a.py": "1\n",
        "other.py": "1\n",
    }
    for name, text in files.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    return tmp_path


def run(edit: Callable[[], object]) -> None:
    with unchanged_meanwhile():
        edit()


def write(name: str, text: str) -> Callable[[], object]:
    return lambda: Path(name).write_text(text, encoding="utf-8")


def params(clean: str, shop: str = "a", path: str = "lines.csv") -> Callable[[], object]:
    text = f"source: {{path: {path}}}\nclean: {clean}\nreport: {{shop: {shop}}}\n"
    return write("params.yaml", text)


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (params("{fee: 2}"), "params.yaml: clean: edited while clean ran"),
        (params("{}"), "params.yaml: clean: edited"),
        (write("params.yaml", "clean: ["), "lines.csv, params.yaml: clean: edited"),
        (write("lines.csv", "1\n2\n"), "lines.csv: edited"),
        (lambda: Path("lines.csv").unlink(), "lines.csv: edited"),
        (write("code/a.py", "2 \n"), "code/a.py: edited"),
        (write("code/new.py", "2\n"), "code/new.py: edited"),
    ],
)
def test_an_edit_of_what_dvc_records_is_an_error_that_names_it(edit, named):
    with pytest.raises(InputError) as raised:
        run(edit)
    assert str(raised.value).startswith(named)
    assert "run `dvc repro` again" in str(raised.value)


@pytest.mark.parametrize(
    "edit",
    [
        params("{fee: 1}  # a comment"),
        params("{fee: 1}", shop="b"),
        write("other.py", "2\n"),
        write("code/made.unlisted/../../made.txt", "2\n"),
        write("dvc.yaml", "stages: {}\n"),
    ],
)
def test_an_edit_of_what_the_stage_does_not_depend_on_is_nobodys_business(edit):
    Path("code/made.unlisted").mkdir()
    run(edit)


def test_by_hand_nothing_is_recorded_so_nothing_is_checked(monkeypatch):
    monkeypatch.delenv("DVC_STAGE")
    run(params("{fee: 2}"))


def test_code_edited_between_its_import_and_the_start_of_the_stage_is_noticed(project, monkeypatch):
    file = project / "code" / "a.py"
    stood = {file: (file.stat().st_size, file.stat().st_mtime_ns - 1)}
    monkeypatch.setattr(unchanged, "FILES_AT_START", stood)
    with pytest.raises(InputError, match=r"code/a\.py: edited"):
        run(lambda: None)


def test_the_code_is_taken_down_before_any_of_it_is_read():
    assert Path(pipeline.__file__).with_name("clean.py") in pipeline.FILES_AT_START
    assert pipeline.PARENT_AT_START > 0


STAGE = """
import time
from pipeline.shared.stage import run_stage
run_stage(lambda: (print("on", flush=True), time.sleep(60)), "", [])
"""
RUNNER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1]])
time.sleep(60)
"""


def test_a_stage_ends_when_the_dvc_that_ran_it_is_killed():
    started = subprocess.Popen(
        [sys.executable, "-c", RUNNER, STAGE],
        cwd=ROOT,
        env={**os.environ, "DVC_STAGE": "clean"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout.readline() == "on\n"
    started.kill()
    started.wait()
    # The pipe that both hold ends when the last of them has.
    assert started.stdout.read() == ""


def ended(name: str, recorded: str) -> None:
    """The stage has run with the parameters as they stand; then DVC recorded these."""
    Path("out.parquet").write_text("whole", encoding="utf-8")
    run(lambda: None)
    entry = f"{{params: {{params.yaml: {{clean: {recorded}}}}}}}"
    write("dvc.lock", f"stages: {{{name}: {entry}}}\n")()


@pytest.fixture
def with_output(project):
    dag = f"{DAG}    outs: [out.parquet]\n  next: {{deps: [out.parquet]}}\n"
    (project / "dvc.yaml").write_text(dag, encoding="utf-8")


@pytest.mark.usefixtures("with_output")
def test_an_edit_between_the_end_of_a_stage_and_dvcs_look_is_noticed_by_what_comes_next(
    monkeypatch,
):
    ended("clean", recorded="{fee: 2}")
    with pytest.raises(InputError) as raised:
        refuse_misrecorded()
    assert str(raised.value) == (
        "params.yaml: clean: edited in the moment when clean ended: dvc.lock holds the new values "
        "beside outputs made with the old; run `dvc repro --force --single-item clean`, then "
        "`dvc repro`"
    )
    run(lambda: None)  # the remedy runs the stage itself
    monkeypatch.setenv("DVC_STAGE", "../dvc.yaml:next")
    with pytest.raises(InputError, match="edited in the moment when clean ended"):
        run(lambda: None)


@pytest.mark.usefixtures("with_output")
@pytest.mark.parametrize(
    ("used", "recorded"),
    [("{fee: 1}", "{fee: 1.0}"), ("{fee: 3e-2}", "{fee: 0.03}"), ("{of: [a, 1]}", "{of: [a, 1]}")],
)
def test_what_dvc_recorded_as_it_was_used_is_right_however_it_is_written(used, recorded):
    params(used)()
    ended("clean", recorded)
    refuse_misrecorded()


@pytest.mark.usefixtures("with_output")
def test_outputs_from_elsewhere_are_not_held_to_what_was_used_here():
    ended("clean", recorded="{fee: 2}")
    Path("out.parquet").write_text("brought by dvc checkout", encoding="utf-8")
    refuse_misrecorded()
    ended("another", recorded="{fee: 2}")
    refuse_misrecorded()
