"""After a fault, the next `dvc repro` gives the bytes of an undisturbed run.

Real DVC on the first three stages of a small sample; `python -m bench faults` does the same to
every stage, many times.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import run, skip_unless

from bench import faults
from pipeline.shared.limits import limit_reached

pytestmark = pytest.mark.dvc

LINES = {"sample": {"lines": 1000}}
IS_ROOT = os.getuid() == 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> faults.Shop:
    return faults.made_shop(tmp_path_factory.mktemp("faults") / "shop", "clean", LINES)


@pytest.fixture
def shop(undisturbed: faults.Shop, tmp_path: Path) -> faults.Shop:
    return undisturbed.copy(tmp_path / "shop")


def disturbed(shop: faults.Shop, stage: str, fault) -> str:
    """What the fault brought about, once the next `dvc repro` has given the same bytes."""
    verdict = faults.trial(shop, stage, fault)
    assert not verdict.wrong, verdict
    assert verdict.struck
    assert "TRACEBACK" not in verdict.fault
    return verdict.fault


@pytest.mark.parametrize("kind", faults.KINDS)
def test_a_killed_run_leaves_nothing_that_the_next_one_minds(shop, kind):
    """Killed in the stage, where its scratch folder is there: after the imports."""

    def killed() -> str:
        process = shop.start("--single-item", "clean")
        while not list(shop.spill.iterdir()):
            assert process.poll() is None
        return faults.struck_down(process, kind)

    assert disturbed(shop, "clean", killed) == f"kill -9 of {kind}"


def test_a_parameter_edited_while_its_stage_runs_is_not_recorded(shop):
    params = shop.folder / "params.yaml"
    before = params.read_text(encoding="utf-8")
    assert "- POST\n" in before

    def edited() -> str:
        process = shop.start("--single-item", "clean")
        while not list(shop.spill.iterdir()):
            assert process.poll() is None
        params.write_text(before.replace("- POST\n", "- POSTED\n"), encoding="utf-8")
        said, _ = process.communicate()
        assert process.returncode
        assert (
            "clean" not in faults.yaml.safe_load((shop.folder / "dvc.lock").read_text())["stages"]
        )
        params.write_text(before, encoding="utf-8")
        return said

    said = disturbed(shop, "clean", edited)
    assert "error: params.yaml: clean: edited while clean ran" in said


def test_a_full_disk_is_one_line_and_no_half_output(undisturbed, tmp_path):
    skip_unless(IS_ROOT, "root, to mount a small disk")
    with faults.small_disk(tmp_path / "disk", "300m") as disk:
        shop = undisturbed.copy(disk / "shop")
        said = disturbed(shop, "make_sample", lambda: faults.no_room(shop, "make_sample", 60_000))
    assert "no room is left on the disk" in said


def test_no_room_to_spill_is_one_line(shop, tmp_path):
    skip_unless(IS_ROOT, "root, to mount a small disk")
    with faults.small_disk(tmp_path / "spill", "4k") as spill:
        done = run("python", "-m", "pipeline.clean", cwd=shop.folder, check=False,
                   PIPELINE_SPILL=str(spill))  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: no room is left on the disk")
    assert done.stderr.count("\n") == 1


def test_a_thread_that_finds_no_memory_is_told_as_missing_memory():
    said = "Unknown error: Failed to launch worker thread: Resource temporarily unavailable"
    assert limit_reached(pa.ArrowException(said)).startswith("memory ran out")
    assert limit_reached(pa.ArrowInvalid("a column is missing")) is None


@pytest.mark.parametrize("bounds", [{"PIPELINE_MEMORY": "3MB"}, {}])
def test_no_memory_is_one_line(shop, bounds):
    limit = [] if bounds else ["prlimit", f"--as={1_500_000_000}"]
    done = run(*limit, "python", "-m", "pipeline.clean", cwd=shop.folder, check=False, **bounds)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("error: memory ran out")
    assert done.stderr.count("\n") == 1


def test_a_read_only_folder_is_one_line_that_names_the_file(shop):
    skip_unless(IS_ROOT, "root, to make a folder read-only for root too")
    said = disturbed(shop, "clean", lambda: faults.read_only(shop, "clean", "metrics"))
    assert "ERROR" in said or "error" in said


def test_two_runs_at_once_end_as_one(shop):
    disturbed(shop, "clean", lambda: faults.two_at_once(shop, "clean", 1.0))


def test_the_clock_changes_nothing(shop):
    skip_unless(faults.faketime(), "libfaketime (Debian: faketime)")
    said = disturbed(shop, "clean", lambda: faults.other_clock(shop, "clean", "-4000d"))
    assert said == "went through"


@pytest.mark.parametrize("rest", [0, 8192])
def test_make_goes_on_where_dvc_was_killed_as_it_wrote_its_own_files(shop, rest):
    lock = shop.folder / "dvc.lock"
    lock.write_bytes(lock.read_bytes()[:rest])
    (shop.folder / ".dvc" / "tmp" / "rwlock").write_text("")
    made = subprocess.run(
        ["make", "--old-file", ".venv/.run", "--dry-run", "run"],
        cwd=shop.folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    guard = next(line for line in made.stdout.splitlines() if line.startswith("find "))
    subprocess.run(guard, shell=True, cwd=shop.folder, check=True)
    verdict = faults.Verdict(struck=True, fault="")
    faults.settle(shop, verdict)
    assert not verdict.wrong
