"""What is edited while DVC runs a stage is noticed; nothing else is."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from conftest import run as call

import pipeline
from pipeline.shared import recorded as recorded_as
from pipeline.shared import unchanged
from pipeline.shared.errors import InputError
from pipeline.shared.recorded import refuse_misrecorded
from pipeline.shared.unchanged import unchanged_meanwhile

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


def ended(used: str, recorded: str) -> None:
    """The stage has run, then DVC recorded these parameters, and what was left behind looked."""
    sections = {"clean": recorded_as.as_text(yaml.safe_load(used))}
    outs = "outs: [{path: out.parquet, md5: 1}]"
    entry = f"{{params: {{params.yaml: {{clean: {recorded}}}}}, {outs}}}"
    write("dvc.lock", f"stages: {{clean: {entry}}}\n")()
    recorded_as.main("clean", sections, dvc=os.getpid(), stamp="")


def test_an_edit_between_the_end_of_a_stage_and_dvcs_look_is_noticed_by_what_comes_next(
    monkeypatch,
):
    ended("{fee: 1}", recorded="{fee: 2}")
    with pytest.raises(InputError) as raised:
        refuse_misrecorded()
    assert str(raised.value) == (
        "params.yaml: clean: edited in the moment when clean ended: dvc.lock holds the new values "
        "beside outputs made with the old; run `dvc repro --force --single-item clean`, then "
        "`dvc repro`"
    )
    run(lambda: None)  # the remedy runs the stage itself
    write("dvc.yaml", f"{DAG}  next: {{deps: [out.parquet]}}\n  other: {{deps: [lines.csv]}}\n")()
    monkeypatch.setenv("DVC_STAGE", "../dvc.yaml:other")
    run(lambda: None)
    monkeypatch.setenv("DVC_STAGE", "../dvc.yaml:next")
    with pytest.raises(InputError, match="edited in the moment when clean ended"):
        run(lambda: None)


@pytest.mark.parametrize(
    ("used", "recorded"),
    [("{fee: 1}", "{fee: 1.0}"), ("{fee: 3e-2}", "{fee: 0.03}"), ("{of: [a, 1]}", "{of: [a, 1]}")],
)
def test_what_dvc_recorded_as_it_was_used_is_right_however_it_is_written(used, recorded):
    ended("{fee: 7}", recorded)
    with pytest.raises(InputError):
        refuse_misrecorded()
    ended(used, recorded)
    refuse_misrecorded()


def test_a_record_from_elsewhere_is_not_held_to_what_was_used_here():
    ended("{fee: 1}", recorded="{fee: 2}")
    lock = Path("dvc.lock").read_text(encoding="utf-8")
    write("dvc.lock", lock.replace("md5: 1", "md5: 2"))()  # checked out
    refuse_misrecorded()
    Path("dvc.lock").unlink()
    refuse_misrecorded()


def test_where_dvc_ended_without_a_record_there_is_nothing_to_compare():
    ended_process = subprocess.Popen([sys.executable, "-c", ""])
    ended_process.wait()
    recorded_as.main("clean", {"clean": "{}"}, dvc=ended_process.pid, stamp="")
    write("dvc.lock", "stages: {")()
    recorded_as.main("clean", {"clean": "{}"}, dvc=ended_process.pid, stamp="")
    assert not list(recorded_as.MISRECORDED.glob("*"))


LATE = """
from pathlib import Path
from pipeline.shared.unchanged import unchanged_meanwhile
with unchanged_meanwhile():
    Path("out.parquet").write_text("whole")
params = Path("params.yaml")
params.write_text(params.read_text().replace("fee: 1", "fee: 2"))
"""


@pytest.mark.dvc
def test_real_dvc_records_what_was_edited_late_and_the_next_command_says_so(project, monkeypatch):
    stage = "{cmd: python late.py, params: [clean], outs: [out.parquet]}"
    (project / "dvc.yaml").write_text(f"stages: {{clean: {stage}}}", encoding="utf-8")
    (project / "late.py").write_text(LATE, encoding="utf-8")
    monkeypatch.delenv("DVC_STAGE")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    call("git", "init", "--quiet", cwd=project)
    call("dvc", "init", "--quiet", cwd=project)
    call("dvc", "repro", cwd=project)
    lock = yaml.safe_load((project / "dvc.lock").read_text(encoding="utf-8"))
    assert lock["stages"]["clean"]["params"]["params.yaml"] == {"clean": {"fee": 2}}
    late = time.monotonic() + 20
    while not list(recorded_as.MISRECORDED.glob("*.json")) and time.monotonic() < late:
        time.sleep(0.05)
    with pytest.raises(InputError, match="edited in the moment when clean ended"):
        refuse_misrecorded()
