"""What clean writes: genuine sales, and which return took back which sale, and when."""

from pipeline.core.tables.contract import Table, count, moment, money, units
from pipeline.core.tables.ingest import INVOICE_LINES

SALES = Table(
    "sales",
    row="one line of goods sold, known customer or not",
    columns=(
        *INVOICE_LINES.columns,
        units(
            "quantity_returned", "units that the same customer brought back by the end of the file"
        ),
        money("net_amount", "amount less what was paid back for returned units and as refunds"),
    ),
    key=("line_id",),
    rules=(
        "quantity > 0",
        "amount > 0",
        "quantity_returned between 0 and quantity",
        "net_amount between 0 and amount",
        "customer_id is not null or quantity_returned = 0",
    ),
    by_lines=True,
)

RETURNED_UNITS = Table(
    "returned_units",
    row="units or money of one sale line that one return or refund took back",
    columns=(
        count("line_id", "the line of `sales` that was (partly) returned"),
        count("return_line_id", "the line of `invoice_lines` that took it back"),
        moment("returned_at", "when it was returned"),
        units("quantity", "units returned; 0 where only money was refunded", least=0),
        money("amount", "what was paid for them, or was paid back", least=0),
    ),
    key=("line_id", "return_line_id"),
    order=("line_id", "returned_at", "return_line_id"),
    by_lines=True,
)
