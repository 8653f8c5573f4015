"""What ingest writes: the one canonical schema of order lines, and what could not be read."""

from pipeline.core.tables.contract import Table, count, moment, money, text

INVOICE_LINES = Table(
    "invoice_lines",
    row="one line of an invoice, as it stands in the source",
    columns=(
        count("line_id", "position in the source, from 1", least=1),
        text("invoice_id", "the invoice (order, credit note) that the line is on"),
        text("stock_code", "the product's code, upper case, without outer spaces"),
        text("description", "the product's text on this line", null=True),
        count("quantity", "units; negative on a return", unit="units"),
        moment("sold_at", "when the invoice was written, the shop's time"),
        money("unit_price", "price of one unit"),
        text("customer_id", "the customer's name, not a number", null=True),
        text("country", "country of the customer", null=True),
    ),
    key=("line_id",),
    by_lines=True,
)

QUARANTINED_LINES = Table(
    "quarantined_lines",
    row="one line of the source that could not be read (source.on_bad_rows: quarantine)",
    columns=(
        text("file", "the file, with the archive's member or the sheet"),
        count("row", "row in that file, the header being row 1", least=1),
        count(
            "line_id",
            "position in the source; null where the line has not the header's number of cells",
            null=True,
        ),
        text("problem", "what cannot be read, column by column"),
        text("line", "the line as it stands there; cells as JSON where it has them"),
    ),
    key=("file", "row"),
)
