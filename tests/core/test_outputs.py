"""Outputs appear whole or not at all."""

import pytest

from pipeline.core.run.errors import InputError
from pipeline.core.run.outputs import whole_file, write_text


def test_a_failed_write_leaves_the_old_file_and_no_leftovers(tmp_path):
    target = tmp_path / "data" / "table.txt"
    write_text(target, "before\n")

    def fail() -> None:
        with whole_file(target) as unfinished:
            unfinished.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert target.read_text() == "before\n"
    assert [f.name for f in target.parent.iterdir()] == ["table.txt"]


def test_a_read_only_link_to_the_cache_is_replaced_and_not_written_through(tmp_path):
    cached = tmp_path / "cached"
    cached.write_text("kept\n")
    cached.chmod(0o444)
    target = tmp_path / "output"
    target.hardlink_to(cached)
    write_text(target, "new\n")
    assert (cached.read_text(), target.read_text()) == ("kept\n", "new\n")


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    for remains in (".a[1].csv.4711.unfinished", ".a[1].csv.unfinished"):
        (tmp_path / remains).write_text("half")
    (tmp_path / ".ab.csv.4711.unfinished").write_text("of another")
    write_text(tmp_path / "a[1].csv", "whole\n")
    assert {f.name for f in tmp_path.iterdir()} == {"a[1].csv", ".ab.csv.4711.unfinished"}


def test_two_processes_that_write_one_file_never_publish_half_of_it(tmp_path, monkeypatch):
    target = tmp_path / "table.txt"

    def first() -> None:
        with whole_file(target) as mine:
            mine.write_text("the first's\n")
            monkeypatch.setattr("os.getpid", lambda: 4711)
            with whole_file(target) as other:
                other.write_text("the second's\n")

    with pytest.raises(InputError, match=r"table\.txt: another process began to write it"):
        first()
    assert target.read_text() == "the second's\n"
    assert [f.name for f in tmp_path.iterdir()] == ["table.txt"]
