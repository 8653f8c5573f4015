"""Outputs appear whole or not at all."""

import pytest

from pipeline.shared.outputs import whole_file, write_text


def test_a_failed_write_leaves_what_was_there_and_no_remains(tmp_path):
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
