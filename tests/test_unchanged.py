"""What is edited while DVC runs a stage is noticed; nothing else is."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from conftest import run as call
from dvc.utils.serialize import dump_yaml, parse_yaml

import pipeline
from pipeline.shared import unchanged
from pipeline.shared.errors import InputError
from pipeline.shared.recorded import refuse_misrecorded, used_file
from pipeline.shared.unchanged import unchanged_meanwhile

DAG = """
stages:
  clean:
    deps: ["${source.path}", code, pipeline/clean.py]
    params: [clean]
    outs: [out.parquet, data/clean_parameters.yaml]
"""
USED = used_file("clean")


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


def ended(used: str, recorded: str) -> None:
    """The stage has run with what it used, then DVC recorded these parameters."""
    params(used)()
    run(lambda: None)
    made = [{"path": "out.parquet"}, {"path": str(USED), "md5": md5(USED)}]
    values = parse_yaml(recorded, "params.yaml")
    entry = {"params": {"params.yaml": {"clean": values}}, "outs": made}
    dump_yaml("dvc.lock", {"stages": {"clean": entry}})


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def test_a_stage_writes_down_which_parameters_it_used():
    run(lambda: None)
    assert yaml.safe_load(USED.read_text(encoding="utf-8")) == {"clean": {"fee": 1}}
    USED.unlink()
    with pytest.raises(InputError, match="edited while clean ran"):
        run(params("{fee: 2}"))
    assert not USED.exists()
    write("dvc.yaml", DAG.replace(USED.as_posix(), "another.yaml"))()
    run(lambda: None)
    assert not USED.exists()  # a stage that does not list it


def test_a_stage_may_name_single_parameters():
    write("dvc.yaml", DAG.replace("[clean]", "[clean.fee, source.path]"))()
    with pytest.raises(InputError, match=r"params\.yaml: clean\.fee: edited while clean ran"):
        run(params("{fee: 2, note: b}"))
    run(params("{fee: 2, note: c}"))
    used = yaml.safe_load(USED.read_text(encoding="utf-8"))
    assert used == {"clean.fee": 2, "source.path": "lines.csv"}


def test_an_edit_between_the_end_of_a_stage_and_dvcs_look_is_noticed_by_what_comes_next(
    monkeypatch,
):
    ended("{fee: 1}", recorded="{fee: 2}")
    with pytest.raises(InputError) as raised:
        refuse_misrecorded()
    assert str(raised.value) == (
        "params.yaml: clean: edited in the moment when clean ended (or put down by `dvc commit`): "
        "dvc.lock holds the new values beside outputs made with the old; run "
        '`rm -rf "$(dvc cache dir)/runs"` (it remembers them so), '
        "`dvc repro --force --single-item clean`, then `dvc repro`"
    )
    run(lambda: None)  # the remedy runs the stage itself
    write("dvc.yaml", f"{DAG}  next: {{deps: [out.parquet]}}\n  other: {{deps: [lines.csv]}}\n")()
    monkeypatch.setenv("DVC_STAGE", "../dvc.yaml:other")
    run(lambda: None)
    monkeypatch.setenv("DVC_STAGE", "../dvc.yaml:next")
    with pytest.raises(InputError, match="edited in the moment when clean ended"):
        run(lambda: pytest.fail("before the stage does anything"))


@pytest.mark.parametrize(
    ("used", "recorded"),
    [
        ("{fee: 1}", "{fee: 1.0}"),
        ("{fee: 3e-2}", "{fee: 0.03}"),
        ("{of: [a, 1], to: null}", "{to: null, of: [a, 1]}"),
        ("{from: 2011-09-10, NO: é}", "{from: 2011-09-10, NO: é}"),
        ("['NO', 'on', '12:30', '010', '3e-2', ~]", "['NO', 'on', '12:30', '010', '3e-2', ~]"),
        ("[NO, on, 12:30, 010, 0o17, 1_000]", "['NO', 'on', '12:30', 10, 15, 1000]"),
    ],
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
    write("dvc.lock", lock.replace("md5: ", "md5: 0"))()  # checked out
    refuse_misrecorded()
    for other in ("stages: {clean: {cmd: a}}", "stages: {", ""):
        write("dvc.lock", other)()
        refuse_misrecorded()
    write("dvc.lock", lock)()
    USED.unlink()  # not pulled yet
    refuse_misrecorded()


LATE = """
from pathlib import Path
from pipeline.shared.unchanged import unchanged_meanwhile
with unchanged_meanwhile():
    Path("out.parquet").write_text("whole")
params = Path("params.yaml")
params.write_text(params.read_text().replace("fee: 1", "fee: 2"))
"""
SLOW = """
import time
from pipeline.shared.stage import run_stage
run_stage(lambda: (print("on", flush=True), time.sleep(30), print("off")), "", [])
"""
SHELLS = pytest.mark.parametrize("shell", ["sh", "bash"])


@pytest.fixture
def repository(project, monkeypatch, shell):
    """Where DVC runs late.py as its stage by this shell; sh may not replace itself by a command."""
    outs = f"[out.parquet, {USED.as_posix()}]"
    stage = f"{{cmd: exec python late.py, params: [clean], outs: {outs}}}"
    (project / "dvc.yaml").write_text(f"stages: {{clean: {stage}}}", encoding="utf-8")
    monkeypatch.delenv("DVC_STAGE")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SHELL", shutil.which(shell))
    call("git", "init", "--quiet", cwd=project)
    call("dvc", "init", "--quiet", cwd=project)
    return project


@pytest.mark.dvc
@SHELLS
def test_real_dvc_records_what_was_edited_late_and_the_next_command_says_so(repository):
    (repository / "late.py").write_text(LATE, encoding="utf-8")
    for fee in (2, 1):
        params(f"{{fee: {fee}}}")()
        call("dvc", "repro", cwd=repository)
    lock = yaml.safe_load((repository / "dvc.lock").read_text(encoding="utf-8"))
    assert lock["stages"]["clean"]["params"]["params.yaml"] == {"clean": {"fee": 2}}
    with pytest.raises(InputError, match="edited in the moment when clean ended"):
        refuse_misrecorded()
    # DVC's cache of runs holds the wrong record too: it must not come back from there.
    shutil.rmtree(call("dvc", "cache", "dir", cwd=repository).stdout.strip() + "/runs")
    call("dvc", "repro", "--force", "--single-item", "clean", cwd=repository)
    refuse_misrecorded()
    for fee in (3, 2):
        params(f"{{fee: {fee}}}")()
        said = call("dvc", "repro", cwd=repository).stdout
        assert ("is cached" in said) == (fee == 2)
        refuse_misrecorded()


@pytest.mark.dvc
@SHELLS
def test_a_stage_ends_when_real_dvc_is_killed(repository):
    (repository / "late.py").write_text(SLOW, encoding="utf-8")
    started = subprocess.Popen(
        ["dvc", "repro"],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "on\n" in iter(started.stdout.readline, "")
    started.kill()
    started.wait()
    assert "off" not in started.stdout.read()  # which ends when the last that holds it does
