"""Which return took back which sale, and when: what a snapshot before the return must not know."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

RETURNED_UNITS = Table(
    name="returned_units",
    path=Path("data/returned_units.parquet"),
    row="units of one sale line that one return line took back",
    columns=(
        Column("line_id", pa.int64(), "the line of `sales` that was (partly) taken back"),
        Column("return_line_id", pa.int64(), "the line of `invoice_lines` that took it back"),
        Column("returned_at", pa.timestamp("us"), "when it was taken back"),
        Column("quantity", pa.int64(), "units taken back", unit="units", rule="quantity > 0"),
        Column(
            "amount",
            MONEY,
            "quantity x the unit price of the sale",
            unit="currency",
            rule="amount > 0",
        ),
    ),
    key=("line_id", "return_line_id"),
    order=("line_id", "returned_at", "return_line_id"),
    by_lines=True,
)
