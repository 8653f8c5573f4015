"""What ingest writes: the one canonical schema of order lines, and what could not be read."""

from pipeline.core.tables.contract import Table, count, flag, moment, money, text, units

INVOICE_LINES = Table(
    "invoice_lines",
    row="one line of an invoice, as in the source",
    columns=(
        count("line_id", "position in the source, from 1", least=1),
        text("invoice_id", "the invoice (order, credit note) that the line is on"),
        text("stock_code", "the product's code, upper case, without outer spaces"),
        text("description", "the product's text on this line", null=True),
        units("quantity", "units; negative on a return, 0 on a refund of money alone"),
        moment("sold_at", "when the invoice was written, the shop's time"),
        money("unit_price", "list price of one unit"),
        money(
            "amount", "what was paid for the line after discounts; negative where money went back"
        ),
        text("customer_id", "the customer's name, not a number; one person has one", null=True),
        text("country", "country of the customer", null=True),
        money("discount", "what was taken off the list price of the line", null=True),
        money("unit_cost", "what one unit cost the shop", null=True),
        text("shop_category", "the product's category in the shop", null=True),
        text("channel", "where it was sold: web, marketplace, till", null=True),
        text("store", "the store or account that sold it", null=True),
        text("email", "the customer's e-mail, lower case", null=True),
        text("consent", "whether the customer may be written to, as the source says", null=True),
        text("status", "the order's state, as the source says", null=True),
        flag("is_sale", "false where the state says that nothing was sold: cancelled, not paid"),
        count("source_key", "tells lines apart that are alike in all other columns", null=True),
        text(
            "repeats",
            "what becomes of a line that repeats another, where clean.repeats is null",
            among=("drop", "keep"),
        ),
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
        text("line", "the line as it is in the file; cells as JSON where it has them"),
    ),
    key=("file", "row"),
)
