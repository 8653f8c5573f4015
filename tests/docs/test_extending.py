"""docs/extending.md, applied block by block to a clone in which the pipeline then runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from conftest import ROOT, run

pytestmark = [pytest.mark.dvc, pytest.mark.slow]

A_BLOCK = re.compile(
    r"^```(?P<kind>\w+)(?: (?P<path>\S+))?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
# As `make docs`, but for the environment that it would make first.
MAKE_DOCS = """python -m pipeline.core.tables > docs/data_dictionary.md
python -m pipeline schema > params.schema.json"""


class Block(NamedTuple):
    """A fenced block: a `diff` of a file, a whole file, a `sh` to run or the `text` it prints."""

    kind: str
    path: str
    body: str


def blocks(page: str) -> list[Block]:
    return [Block(m["kind"], m["path"] or "", m["body"]) for m in A_BLOCK.finditer(page)]


def patched(text: str, diff: str) -> str:
    """`text` with the diff applied, whose old lines must occur in it exactly once."""
    lines = diff.splitlines()
    old = [line[1:] for line in lines if line[:1] != "+"]
    pattern = "".join(
        re.escape(line.removesuffix("…")) + (".*" if line.endswith("…") else "") + "\n"
        for line in old
    )
    found = re.findall(f"^{pattern}", text, re.MULTILINE)
    assert len(found) == 1, f"found {len(found)} times, expected once:\n{diff}"
    there = iter(found[0].splitlines())
    new = []
    for line in lines:
        here = line[1:] if line[:1] == "+" else next(there)
        new += [] if line[:1] == "-" else [here]
    return text.replace(found[0], "\n".join(new) + "\n")


def apply(block: Block, clone: Path) -> None:
    """Write what the block says."""
    file = clone / block.path
    if block.kind == "diff":
        file.write_text(patched(file.read_text(encoding="utf-8"), block.body), encoding="utf-8")
    else:
        assert not file.exists(), f"{block.path} should be new, but exists"
        file.parent.mkdir(exist_ok=True)
        file.write_text(block.body, encoding="utf-8")


@pytest.fixture(scope="module")
def page() -> list[Block]:
    return blocks((ROOT / "docs/extending.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def extended(page, small_shop) -> Path:
    """The small shop with every block in it."""
    for block in page:
        if block.path:
            apply(block, small_shop)
    return small_shop


@pytest.fixture(scope="module")
def said(page, extended) -> str:
    """What its commands say, run in their order; each is to succeed."""
    told = ""
    for block in page:
        for command in block.body.splitlines() if block.kind == "sh" else []:
            quiet = f"{command} -q -p no:cacheprovider" if command[:7] == "pytest " else command
            quiet = MAKE_DOCS if command == "make docs" else quiet
            told += run("sh", "-ec", quiet, cwd=extended).stdout
    return told


@pytest.mark.usefixtures("said")
def test_the_added_parts_appear_in_the_outputs(extended):
    candidates = pd.read_parquet(extended / "data/candidates.parquet").set_index("candidate")
    assert candidates.loc["birch/rfm/log/3", "segments"] > 1
    assert "kmeans/breadth/log/3" in candidates.index
    customers = pd.read_parquet(extended / "data/customers.parquet")
    assert (customers["products_per_order"] > 1).any()
    assert (customers["spend_share_jars"] > 0).any()
    products = pd.read_parquet(extended / "data/product_categories.parquet")
    jars = products[products["category"] == "jars"]
    assert len(jars)
    assert jars["description"].str.contains("JAR").all()
    bundles = pd.read_parquet(extended / "data/bundles.parquet")
    figures = json.loads((extended / "metrics/bundles.json").read_text(encoding="utf-8"))[0]
    assert figures == {"pairs": len(bundles)}


def test_commands_print_what_the_page_shows(page, said):
    printed = [line for block in page if block.kind == "text" for line in block.body.splitlines()]
    assert len(printed) == 2
    for line in printed:
        assert line in said
