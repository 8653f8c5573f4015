"""Make the sample: a deterministic gift shop with every quirk of a real one, and its truth.

Reads   nothing
Writes  data/sample/sample.csv; the truth, which no stage reads: data/sample/sample_truth.parquet,
        data/sample/sample_later.parquet

Example: python -m pipeline.make_sample
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.core.run.outputs import whole_file
from pipeline.core.run.params import StageParams, load_params
from pipeline.core.run.stage import progress, run_stage, stage
from pipeline.core.tables.contract import write_table
from pipeline.core.tables.make_sample import SAMPLE_LATER, SAMPLE_TRUTH
from pipeline.make_sample.catalogue import MILLS
from pipeline.make_sample.customers import COUNTRIES, DAY, FIRST_DAY, TYPES
from pipeline.make_sample.lines import FIRST_INVOICE, NO_TEXT, Lines, Shop, invoice_numbers

SAMPLE = Path("data/sample/sample.csv")
COLUMNS = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
ENCODING = "iso-8859-1"  # as the real file
DOUBLE = '"'
NEEDS_QUOTES = {",", DOUBLE, "\r", "\n"}


class Params(StageParams):
    """How large a shop, and which."""

    lines: int = Field(ge=100, le=2_000_000_000)
    seed: int = Field(ge=0, le=2**63 - 1)


def main() -> None:
    """Write the sample, what was planted in it, and what its customers do after its end."""
    params = load_params("sample", Params)
    with stage("make_sample") as log:
        shop = Shop(params.lines, params.seed)
        truth = write_lines(SAMPLE, shop)
        write_table(SAMPLE_TRUTH, truth)
        write_table(SAMPLE_LATER, later_purchases(shop, truth))
        kinds = truth["kind"].value_counts()
        log.info("made %d customers and %d products", kinds["customer"], kinds["product"])


def write_sample(path: Path, lines: int, seed: int) -> pd.DataFrame:
    """Write about `lines` invoice lines to `path`; return the truth, see `write_lines`."""
    return write_lines(path, Shop(lines, seed))


def later_purchases(shop: Shop, truth: pd.DataFrame) -> pd.DataFrame:
    """Return as SAMPLE_LATER what the customers in the file buy after its end."""
    orders, spend = shop.after_the_end()
    frame = pd.DataFrame(
        {
            "customer_id": np.array(shop.customers.ids)[orders.customer],
            "day": pd.Timestamp(FIRST_DAY) + pd.to_timedelta(orders.minute // DAY, unit="D"),
            "spend": spend,
        }
    )
    known = truth.loc[truth["kind"] == "customer", "id"]
    frame = frame[frame["customer_id"].isin(known) & (frame["spend"] > 0)]
    days = frame.groupby(["customer_id", "day"], as_index=False).agg(
        orders=("spend", "size"), spend=("spend", "sum")
    )
    return days.assign(day=days["day"].dt.date, spend=days["spend"].round(2))


def write_lines(path: Path, shop: Shop) -> pd.DataFrame:
    """Write the shop's invoice lines to `path` as CSV, laid out as the real file; return the truth.

    The file appears whole, a block of days at a time; the same shop gives the same bytes. The
    truth is as SAMPLE_TRUTH: every customer and every product in the file.
    """
    blocks = shop.day_blocks()
    cells = Cells(shop)
    codes = np.zeros(len(shop.codes), dtype=np.bool_)
    customers = np.zeros(len(shop.customers) + 1, dtype=np.bool_)
    with whole_file(path) as unfinished, unfinished.open("wb") as file:
        first_number = FIRST_INVOICE
        file.write(f"{COLUMNS}\r\n".encode(ENCODING))
        for block in progress(shop.blocks(), "making the sample", total=len(blocks)):
            numbers, first_number = invoice_numbers(block, first_number)
            file.write(cells.rows(block, numbers))
            codes[block.code] = True
            customers[block.customer] = True
    return _truth(shop, codes, customers[:-1])


class Cells:
    """The shop's texts as CSV cells in Arrow arrays, from which rows are put together."""

    def __init__(self, shop: Shop) -> None:
        self.codes, self.texts, self.customers = (
            _cells(texts) for texts in (shop.codes, shop.texts, shop.customers.ids)
        )
        self.countries = _cells(list(COUNTRIES), end="\r\n")

    def rows(self, lines: Lines, numbers: np.ndarray) -> pa.Buffer:
        """Return the lines in the real file's columns, joined by Arrow: its CSV writer would quote.

        A cell that is null is empty.
        """
        midnight = datetime.combine(FIRST_DAY, time())
        minutes, minute = np.unique(lines.minute, return_inverse=True)
        moments = [midnight + timedelta(minutes=int(m)) for m in minutes]
        mills, price = np.unique(lines.price, return_inverse=True)
        keys, invoice = np.unique(numbers * 3 + lines.invoice, return_inverse=True)
        invoices = [("", "C", "A")[k % 3] + str(k // 3) for k in keys.tolist()]
        dates = [f"{m.month}/{m.day}/{m.year} {m.hour}:{m:%M}" for m in moments]
        prices = [f"{m / MILLS:.3f}".rstrip("0").rstrip(".") for m in mills.tolist()]
        nobody = lines.customer == len(self.customers)
        columns = (
            _cells(invoices).take(invoice),
            self.codes.take(lines.code),
            self.texts.take(pa.array(lines.text, mask=lines.text == NO_TEXT)),
            pa.array(lines.quantity).cast(pa.string()).cast(pa.binary()),
            _cells(dates).take(minute),
            _cells(prices).take(price),
            self.customers.take(pa.array(lines.customer, mask=nobody)),
            self.countries.take(lines.country),
        )
        empty = {"null_handling": "replace", "null_replacement": b""}
        return pc.binary_join_element_wise(*columns, b",", **empty).buffers()[2]


def _cells(texts: Sequence[str], end: str = "") -> pa.Array:
    """Return texts as they stand in the file: quoted where they must be, encoded."""
    quoted = [
        f'"{text.replace(DOUBLE, DOUBLE * 2)}"' if NEEDS_QUOTES & set(text) else text
        for text in texts
    ]
    return pa.array([(text + end).encode(ENCODING) for text in quoted], pa.binary())


def _truth(shop: Shop, codes: np.ndarray, customers: np.ndarray) -> pd.DataFrame:
    """What was planted in the customers and products that are in the file."""
    count = len(shop.catalogue)
    sold = np.flatnonzero(codes[:count] | codes[count : 2 * count])
    for place, code in enumerate(shop.codes[2 * count :], start=2 * count):
        if codes[place] and code in shop.catalogue.codes:
            sold = np.append(sold, shop.catalogue.codes.index(code))
    types = list(TYPES)
    seen = np.flatnonzero(customers)
    names = shop.catalogue.categories
    return pd.DataFrame(
        {
            "kind": ["customer"] * len(seen) + ["product"] * len(sold),
            "id": [shop.customers.ids[i] for i in seen] + [shop.catalogue.codes[i] for i in sold],
            "truth": [types[shop.customers.type[i]] for i in seen]
            + [names[shop.catalogue.category[i]] for i in sold],
        }
    ).drop_duplicates(ignore_index=True)


if __name__ == "__main__":
    run_stage(main, __doc__)
