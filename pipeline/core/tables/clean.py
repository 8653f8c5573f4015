"""What clean writes: genuine sales, and which return took back which sale, and when."""

from pipeline.core.tables.contract import Table, count, moment, money
from pipeline.core.tables.ingest import INVOICE_LINES

SALES = Table(
    "sales",
    row="one line of goods sold, known customer or not",
    columns=(
        *INVOICE_LINES.columns,
        count(
            "quantity_returned",
            "units that the same customer brought back by the end of the file",
            unit="units",
        ),
        money("net_amount", "(quantity - quantity_returned) x unit_price"),
    ),
    key=("line_id",),
    rules=(
        "quantity > 0",
        "unit_price > 0",
        "quantity_returned between 0 and quantity",
        "net_amount = (quantity - quantity_returned) * unit_price",
        "customer_id is not null or quantity_returned = 0",
    ),
    by_lines=True,
)

RETURNED_UNITS = Table(
    "returned_units",
    row="units of one sale line that one return line took back",
    columns=(
        count("line_id", "the line of `sales` that was (partly) taken back"),
        count("return_line_id", "the line of `invoice_lines` that took it back"),
        moment("returned_at", "when it was taken back"),
        count("quantity", "units taken back", least=1, unit="units"),
        money("amount", "quantity x the unit price of the sale", rule="amount > 0"),
    ),
    key=("line_id", "return_line_id"),
    order=("line_id", "returned_at", "return_line_id"),
    by_lines=True,
)
