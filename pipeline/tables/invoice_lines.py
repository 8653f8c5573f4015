"""The one canonical schema of order lines, whatever file they came from."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

INVOICE_LINES = Table(
    name="invoice_lines",
    path=Path("data/invoice_lines.parquet"),
    row="one line of an invoice, as it stands in the source",
    columns=(
        Column("line_id", pa.int64(), "position in the source, from 1", rule="line_id >= 1"),
        Column("invoice_id", pa.string(), "the invoice (order, credit note) that the line is on"),
        Column("stock_code", pa.string(), "the product's code, upper case, without outer spaces"),
        Column("description", pa.string(), "the product's text on this line", nullable=True),
        Column("quantity", pa.int64(), "units; negative on a return", unit="units"),
        Column("sold_at", pa.timestamp("us"), "when the invoice was written, the shop's time"),
        Column("unit_price", MONEY, "price of one unit", unit="currency"),
        Column("customer_id", pa.string(), "the customer's name, not a number", nullable=True),
        Column("country", pa.string(), "country of the customer", nullable=True),
    ),
    key=("line_id",),
    order=("line_id",),
    by_lines=True,
)
