"""Scratch folders go when their process does, however it ends."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from conftest import ROOT

from pipeline.core.run.scratch import PREFIX, scratch_folder

HOLD = """
import sys, time
from pathlib import Path
from pipeline.core.run.scratch import scratch_folder
with scratch_folder(sys.argv[1]) as folder:
    (folder / "spilled").write_bytes(b"x" * 1000)
    print(folder, flush=True)
    time.sleep(60)
"""


def holding(parent: Path) -> tuple[subprocess.Popen, Path]:
    """A process that holds a scratch folder in `parent`, and the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parent)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    return process, Path(process.stdout.readline().strip())


def test_a_folder_is_removed_at_the_end(tmp_path):
    with scratch_folder(tmp_path) as folder:
        (folder / "deeper").mkdir()
        (folder / "deeper" / "spilled").write_text("x")
    assert not list(tmp_path.iterdir())


def test_a_folder_taken_for_remains_before_it_was_locked_is_made_anew(tmp_path, monkeypatch):
    made = []

    def mkdtemp(**named):
        made.append(real(**named))
        if len(made) == 1:
            Path(made[0]).rmdir()
        return made[-1]

    real = tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with scratch_folder(tmp_path) as folder:
        assert [folder.exists(), len(made)] == [True, 2]


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_holds_is_not(tmp_path):
    killed, left = holding(tmp_path)
    alive, held = holding(tmp_path)
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert (left / "spilled").exists()
        with scratch_folder(tmp_path) as mine:
            assert not left.exists()
            assert (held / "spilled").exists()
            assert mine.exists()
    finally:
        alive.kill()
        alive.wait()


def test_other_folders_and_links_are_left_alone(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "spill").mkdir()
    (tmp_path / "spill" / f"{PREFIX}link").symlink_to(elsewhere)
    (tmp_path / "spill" / "customers").mkdir()
    with scratch_folder(tmp_path / "spill"):
        pass
    assert elsewhere.exists()
    assert sorted(f.name for f in (tmp_path / "spill").iterdir()) == [f"{PREFIX}link", "customers"]


def test_the_folder_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("PIPELINE_SPILL", str(tmp_path))
    with scratch_folder() as folder:
        assert folder.parent == tmp_path
        assert os.access(folder, os.W_OK)
