"""Genuine sales of goods, with what was returned of each line."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table
from pipeline.tables.invoice_lines import INVOICE_LINES

SALES = Table(
    name="sales",
    path=Path("data/sales.parquet"),
    row="one line of goods sold, known customer or not",
    columns=(
        *INVOICE_LINES.columns,
        Column(
            "quantity_returned",
            pa.int64(),
            "units that the same customer brought back by the end of the file",
            unit="units",
        ),
        Column("net_amount", MONEY, "(quantity - quantity_returned) x unit_price", unit="currency"),
    ),
    key=("line_id",),
    order=("line_id",),
    rules=(
        "quantity > 0",
        "unit_price > 0",
        "quantity_returned between 0 and quantity",
        "net_amount = (quantity - quantity_returned) * unit_price",
        "customer_id is not null or quantity_returned = 0",
    ),
    by_lines=True,
)
