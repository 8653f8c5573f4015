"""A folder in which ingest runs, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import PARAMS

from pipeline.core.run.metrics import parse_metrics
from pipeline.core.tables.contract import check
from pipeline.core.tables.ingest import INVOICE_LINES, QUARANTINED_LINES
from pipeline.ingest import __main__ as ingest
from pipeline.ingest.layouts import CANONICAL

BESIDE = (
    "discount", "unit_cost", "shop_category", "channel", "store", "email", "consent", "status",
    "source_key",
)  # fmt: skip
FIRST = ("line_id", *CANONICAL)
DEFAULTS = PARAMS["source"]


def paid(row: dict[str, Any]) -> dict[str, Any]:
    """The line with what ingest says of a plain sale besides: paid as priced."""
    plain = {"amount": row["quantity"] * row["unit_price"], "is_sale": True, "repeats": "drop"}
    return {**plain, **row}


def paid_lines(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines with all columns that ingest writes, each paid as priced."""
    amount = lines["quantity"] * lines["unit_price"]
    return lines.assign(**dict.fromkeys(BESIDE), amount=amount, is_sale=True, repeats="drop")


class Shop:
    """A folder in which ingest runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, content: str | bytes, name: str = "x.csv", encoding: str = "utf-8") -> str:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return name

    def read(self, path: str = "x.csv", **source: Any) -> list[dict[str, Any]]:
        """The lines by their first columns."""
        return [{k: row[k] for k in FIRST} for row in self.read_all(path, **source)]

    def read_all(self, path: str = "x.csv", **source: Any) -> list[dict[str, Any]]:
        params = {"source": {**DEFAULTS, "path": path, **source}}
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        ingest.main()
        check(INVOICE_LINES, full=True)
        return pq.read_table(INVOICE_LINES.path).to_pylist()

    def figures(self) -> dict[str, Any]:
        return parse_metrics((self.folder / "metrics/ingest.json").read_text(encoding="utf-8"))

    def quarantined(self) -> list[dict[str, Any]]:
        check(QUARANTINED_LINES, full=True)
        return pq.read_table(QUARANTINED_LINES.path).to_pylist()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A folder of its own in which ingest runs, on two threads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIPELINE_THREADS", "2")
    return Shop(tmp_path)
