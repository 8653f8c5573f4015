"""Scratch folders lie where the environment says, and go at the end."""

from pipeline.core.run.scratch import scratch_folder


def test_the_folder_is_where_the_environment_says_and_is_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("PIPELINE_SPILL", str(tmp_path))
    with scratch_folder() as folder:
        assert folder.parent == tmp_path
        (folder / "deeper").mkdir()
        (folder / "deeper" / "spilled").write_text("x")
    assert not list(tmp_path.iterdir())
