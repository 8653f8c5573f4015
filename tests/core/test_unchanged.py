"""What is edited while DVC runs a stage is noticed; nothing else is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.core.run.errors import InputError
from pipeline.core.run.unchanged import unchanged_meanwhile

DAG = """
stages:
  clean:
    deps: ["${source.path}", code, pipeline/clean/__main__.py]
    params: [clean]
    outs: [out.parquet]
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


def params(clean: str, shop: str = "a") -> Callable[[], object]:
    text = f"source: {{path: lines.csv}}\nclean: {clean}\nreport: {{shop: {shop}}}\n"
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
def test_edits_that_the_stage_does_not_depend_on_are_ignored(edit):
    Path("code/made.unlisted").mkdir()
    run(edit)
