"""Every layout, on a file as its shop's software writes it; and workbooks."""

from __future__ import annotations

import datetime as dt
import zipfile
from decimal import Decimal

import pytest
from pydantic import ValidationError
from shops import FIRST
from workbooks import write_workbook

from pipeline.core.run.errors import InputError
from pipeline.ingest.layouts import FIELDS, load_layouts

moment = dt.datetime  # as Parquet has them: the shop's time, without a zone
II = ["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID",
      "Country"]  # fmt: skip
HEART = ["489434", "85048", "HEART", 12, moment(2010, 12, 1, 7, 45), 6.95, 13085, "Norway"]
LIGHT = [489435, 79323, "LIGHT", 24, moment(2010, 12, 2, 9, 6), 2.1, None, "Norway"]
LATER = [489436, "C22041", "RECORD", 48, moment(2011, 1, 4, 10, 0), 2.1, 13085.0, "Norway"]
DEBT = ["A506401", "B", "Adjust bad debt", 1, moment(2010, 12, 3, 9, 0), -53594.36, None, "Norway"]


@pytest.mark.parametrize("layout", load_layouts().values(), ids=lambda y: y.name)
def test_layouts_name_only_known_columns(layout):
    for fields in (layout.optional, layout.order_level, layout.constants, layout.fallbacks):
        assert set(fields) <= set(FIELDS)
    assert set(layout.optional) <= set(layout.columns)


def test_a_layout_may_not_name_a_column_of_its_own(tmp_path):
    file = tmp_path / "layouts.yaml"
    file.write_text(
        "shop: {title: Shop, columns: {colour: Colour}, encodings: [utf-8], dates: [iso]}\n"
    )
    with pytest.raises(ValidationError, match=r"\['colour'\] are no columns; there are invoice_id"):
        load_layouts(file)


# online_retail_ii, and workbooks


def test_lines_that_both_sheets_carry_are_one_line_and_repeats_within_a_sheet_stay(shop):
    first = [II, HEART, HEART, LIGHT, DEBT]
    second = [II, HEART, LIGHT, LIGHT, LATER]
    write_workbook(shop.folder / "x.xlsx", {"Year 2009-2010": first, "Year 2010-2011": second})
    rows = shop.read("x.xlsx", layout="online_retail_ii")
    ids = "489434 489434 489435 A506401 489435 489436"
    assert " ".join(row["invoice_id"] for row in rows) == ids
    assert [row["line_id"] for row in rows] == [1, 2, 3, 4, 7, 8]
    figures = shop.figures()
    assert (figures["lines_read"], figures["lines_kept"]) == (8, 6)
    assert figures["lines_delivered_twice"] == 2


def test_cells_of_a_workbook_are_read_as_what_they_are(shop):
    truth = [*LIGHT[:2], '<c t="b"><v>1</v></c>', *LIGHT[3:]]
    write_workbook(shop.folder / "x.xlsx", {"Lines": [II, LIGHT, LATER, truth], "Empty": []})
    row, later, truth = shop.read("x.xlsx", layout="online_retail_ii")
    values = (1, "489435", "79323", "LIGHT", 24, moment(2010, 12, 2, 9, 6), Decimal("2.1"), None,
              "Norway")  # fmt: skip
    assert row == dict(zip(FIRST, values, strict=True))
    assert (later["customer_id"], truth["description"]) == ("13085", "TRUE")


def test_adjustments_carry_a_code_that_is_no_product(shop):
    write_workbook(shop.folder / "x.xlsx", {"Lines": [II, LIGHT, [*DEBT[:1], "85048", *DEBT[2:]]]})
    assert shop.read("x.xlsx", layout="online_retail_ii")[1]["stock_code"] == "B"


@pytest.mark.parametrize("first_row", [1, 4])
def test_a_bad_cell_of_a_sheet_is_named_with_the_row_that_excel_shows(shop, first_row):
    rows = [II, LIGHT, [None] * 8, [*LATER[:3], "many", *LATER[4:]]]
    rows = [[None, None, *row] for row in rows]  # a table may stand anywhere on its sheet
    write_workbook(shop.folder / "x.xlsx", {"Lines": rows}, first_row)
    with pytest.raises(InputError, match=rf"x.xlsx/Lines, row {first_row + 3}, column Quantity"):
        shop.read("x.xlsx", layout="online_retail_ii")


@pytest.mark.parametrize("cell", ["<c><f>20+4</f></c>", '<c t="e"><f>1/0</f><v>#DIV/0!</v></c>'])
def test_a_formula_counts_as_what_it_last_gave_and_is_named_where_it_gave_none(shop, cell):
    formula = [*LIGHT[:3], "<c><f>20+4</f><v>24</v></c>", *LIGHT[4:]]
    write_workbook(shop.folder / "x.xlsx", {"Lines": [II, formula]})
    assert shop.read("x.xlsx", layout="online_retail_ii")[0]["quantity"] == 24
    write_workbook(shop.folder / "x.xlsx", {"Lines": [II, LIGHT, [*LATER[:3], cell, *LATER[4:]]]})
    with pytest.raises(InputError, match=r"x.xlsx/Lines, row 3, column Quantity"):
        shop.read("x.xlsx", layout="online_retail_ii")


def test_dates_that_are_partly_text_are_not_guessed(shop):
    text = [*LATER[:4], "13/01/2011 10:00", *LATER[5:]]
    write_workbook(shop.folder / "x.xlsx", {"Lines": [II, LIGHT, HEART, text]})
    with pytest.raises(InputError, match="row 4, column InvoiceDate: '13/01/2011 10:00' is not"):
        shop.read("x.xlsx", layout="online_retail_ii")


def test_sheets_are_chosen_by_name_and_others_must_fit(shop):
    write_workbook(shop.folder / "x.xlsx", {"Notes": [["about"], ["x"]], "Lines": [II, LIGHT]})
    with pytest.raises(InputError, match=r"x.xlsx/Notes does not fit the layout online_retail_ii"):
        shop.read("x.xlsx", layout="online_retail_ii")
    assert len(shop.read("x.xlsx", layout="online_retail_ii", sheets=["Lines"])) == 1
    with pytest.raises(InputError, match=r"no sheet 'Line' .* it has Notes, Lines"):
        shop.read("x.xlsx", layout="online_retail_ii", sheets=["Line"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "x.xlsx is empty: no sheet has a cell; export it again"),
        ([["", ""], [None, ""]], "x.xlsx/Lines is empty: not even a header; export it again"),
    ],
)
def test_a_sheet_of_no_cells_or_of_empty_texts_alone_has_no_header(shop, rows, message):
    write_workbook(shop.folder / "x.xlsx", {"Lines": rows})
    with pytest.raises(InputError) as error:
        shop.read("x.xlsx", layout="online_retail_ii")
    assert str(error.value) == message


def test_a_chart_is_no_sheet_of_lines_and_a_torn_sheet_is_named(shop):
    write_workbook(shop.folder / "x.xlsx", {"Plot": [["a"]], "Lines": [II, LIGHT]})
    with zipfile.ZipFile(shop.folder / "x.xlsx") as book:
        members = {name: book.read(name) for name in book.namelist()}
    sheet, links = "xl/worksheets/sheet1.xml", "xl/_rels/workbook.xml.rels"
    torn = {**members, sheet: members[sheet][:150]}
    chart = {name: content for name, content in members.items() if name != sheet}
    chart["xl/chartsheets/sheet1.xml"] = (
        members[sheet].split(b"<sheetData>")[0].replace(b"<worksheet", b"<chartsheet")
        + b"</chartsheet>"
    )
    chart[links] = members[links].replace(
        b'worksheet" Target="worksheets/sheet1', b'chartsheet" Target="chartsheets/sheet1'
    )
    assert chart[links] != members[links]
    for name, content in (("chart.xlsx", chart), ("torn.xlsx", torn)):
        with zipfile.ZipFile(shop.folder / name, "w") as book:
            for member, text in content.items():
                book.writestr(member, text)
    assert len(shop.read("chart.xlsx", layout="online_retail_ii")) == 1
    assert len(shop.read("torn.xlsx", layout="online_retail_ii", sheets=["Lines"])) == 1
    with pytest.raises(
        InputError,
        match=r"^torn\.xlsx/Plot cannot be read: .*; save the workbook again, or name the sheets",
    ):
        shop.read("torn.xlsx", layout="online_retail_ii")


def test_files_that_overlap_are_once_for_any_layout_that_is_told_so(shop):
    for name in ("a", "b"):
        shop.write(
            f"customer,date,amount\nann,2011-01-01,10\n{name},2011-01-02,5\n", f"m/{name}.csv"
        )
    assert len(shop.read("m", layout="order_log")) == 4
    assert len(shop.read("m", layout="order_log", overlapping=True)) == 3
    assert shop.figures()["lines_delivered_twice"] == 1


# shopify_orders


SHOPIFY = """\
Name,Email,Financial Status,Paid at,Created at,Lineitem quantity,Lineitem name,Lineitem price,\
Lineitem sku,Shipping Country,Refunded Amount,Cancelled at
#1001,ann@x.org,paid,2023-05-01 10:12:40 -0400,2023-05-01 10:12:33 -0400,2,Mug,8.50,MUG-1,US,0.00,
#1001,ann@x.org,,,2023-05-01 10:12:33 -0400,1,Gift card,25.00,,,,
#1002,bob@x.org,refunded,2023-05-02 09:00:00 -0400,2023-05-02 08:59:00 -0400,3,Mug,8.50,MUG-1,CA,\
25.50,2023-05-04 12:00:00 -0400
#1003,eve@x.org,partially_refunded,,2023-05-03 09:00:00 -0400,3,Mug,8.50,MUG-1,US,8.50,
"""


def test_a_refunded_shopify_order_is_no_sale_and_a_partial_refund_takes_its_money(shop):
    shop.write(SHOPIFY)
    rows = shop.read_all(layout="shopify_orders")
    assert [(row["quantity"], row["amount"], row["is_sale"]) for row in rows] == [
        (2, Decimal("17.00"), True),
        (1, Decimal("25.00"), True),
        (3, Decimal("25.50"), False),
        (3, Decimal("25.50"), True),
        (0, Decimal("-8.50"), True),
    ]
    figures = shop.figures()
    assert (figures["lines_read"], figures["lines_kept"]) == (4, 5)
    assert (figures["lines_of_refunds"], figures["lines_not_sold"]) == (1, 1)


# woocommerce_order_items


WOO_LINE = "17,2024-02-03 14:05:06,ann@x.org,S-1,Soap"
WOO_HEAD = "order_id,order_date,customer_email,item_sku,item_name,item_quantity"


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ("2,,ten", "item_total: 'ten' is not a number below 10^10"),
        ("2,,", "item_total: it is empty"),
        ("0,,10.00", "item_total: '10.00' for '0' units gives no price"),
        ("x,,10.00", "item_quantity: 'x' is not a number below 10^10"),
        (
            "x,,t",
            (
                "item_quantity: 'x' is not a number below 10^10; "
                "item_total: 't' is not a number below 10^10"
            ),
        ),
    ],
)
def test_a_price_that_does_not_follow_from_a_total_is_told_by_what_keeps_it(shop, cells, problem):
    shop.write(f"{WOO_HEAD},item_price,item_total\n{WOO_LINE},{cells}\n")
    with pytest.raises(InputError) as error:
        shop.read(layout="woocommerce_order_items")
    assert str(error.value).splitlines()[0] == f"x.csv, row 2, column {problem}"


# order_log


def test_an_order_log_becomes_lines_of_one_product(shop):
    shop.write("customer,date,amount\nann,19970101,29.33\nbob,19970118,-9.99\n")
    ann, bob = shop.read(layout="order_log")
    values = (1, "1", "ORDER", "Order", 1, moment(1997, 1, 1), Decimal("29.33"), "ann", None)
    assert ann == dict(zip(FIRST, values, strict=True))
    assert (bob["quantity"], bob["unit_price"]) == (0, Decimal("9.9900"))


# order_lines


@pytest.mark.parametrize(
    "header",
    [
        "invoice_id,stock_code,description,quantity,sold_at,unit_price,customer_id,country",
        "OrderID,SKU,Item,Qty,Ordered at,Price,Customer Email,Ship Country",
        "Order #,Product Code,Product-Name,units,PURCHASE DATE,price_per_unit,Client No.,Country",
        "Bestellnr.,Art.-Nr.,Bezeichnung,Menge,Bestelldatum,Einzelpreis,Kundennr.,Land",
        "N° commande,Référence,Libellé,Qté,Date d'achat,Prix unitaire,N° client,Pays",
        "Pedido,Código,Artículo,Cantidad,Fecha de compra,Precio,Cliente,País",
    ],
)
def test_order_lines_go_by_the_usual_names_of_their_columns(shop, header):
    shop.write(f"{header}\n7,AB-1,CUP,-2,2011-02-01 10:00,4.50,ann,France\n")
    values = (1, "7", "AB-1", "CUP", -2, moment(2011, 2, 1, 10), Decimal("4.5"), "ann", "France")
    assert shop.read(layout="order_lines") == [dict(zip(FIRST, values, strict=True))]


def test_a_discount_of_one_unit_of_money_is_no_share_of_the_price(shop):
    rows = "".join(f"{n};A;CAMISA;1;0{n}/03/2024;20,00;1,00;ana\n" for n in range(1, 9))
    shop.write(f"Pedido;Código;Artículo;Cantidad;Fecha;Precio;Descuento;Cliente\n{rows}")
    for row in shop.read_all(layout="order_lines", decimal=",", date_format="%d/%m/%Y"):
        assert (row["amount"], row["discount"]) == (Decimal(19), Decimal(1))


@pytest.mark.parametrize(("header", "state"), [("Statut", "Livrée"), ("État", "Expédiée")])
def test_states_with_accents_are_known_and_a_status_of_unknown_words_is_asked_for(
    shop, header, state
):
    text = f"commande,sku,qté,date,prix,client,{header}\n" + "".join(
        f"{n},A,1,2024-01-0{n},10,k,{state if n > 1 else 'Remboursée'}\n" for n in range(1, 5)
    )
    shop.write(text)
    assert sum(row["is_sale"] for row in shop.read_all(layout="order_lines")) == 3
    shop.write(text.replace(state, "Zrealizowane").replace("Remboursée", "Anulowane"))
    if header == "État":  # may be a part of the country
        assert len(shop.read(layout="order_lines")) == 4
        return
    with pytest.raises(InputError, match=r"Zrealizowane: 3 lines, 30.00(.|\n)*Anulowane: sale"):
        shop.read(layout="order_lines")


def test_a_discount_that_is_called_percent_is_no_money(shop):
    shop.write(
        "Ordine;Codice prodotto;Quantità;Data;Prezzo;Sconto %;Cliente\n1;A;2;2024-01-05;10;10;k\n"
    )
    assert shop.read_all(layout="order_lines")[0]["amount"] == Decimal(18)


def test_order_lines_may_know_a_product_by_code_or_name_and_a_price_by_the_line(shop):
    shop.write("order,product,qty,date,line total,customer\n7,cup,2,2011-02-01,9,ann\n")
    (row,) = shop.read(layout="order_lines")
    assert (row["stock_code"], row["description"]) == ("CUP", "cup")
    assert row["unit_price"] == Decimal("4.5000")
    shop.write("order,sku,qty,date,price,customer\n7,A1,2,2011-02-01,9,ann\n")
    assert shop.read(layout="order_lines")[0]["description"] == "A1"
    shop.write("order,qty,date,price,customer\n7,2,2011-02-01,9,ann\n")
    with pytest.raises(InputError, match="no column description or product name or "):
        shop.read(layout="order_lines")


USUAL = "sku,product,quantity,order_date,unit_price,customer_id,order_id"


@pytest.mark.parametrize(
    ("header", "field", "column"),
    [
        (f"{USUAL},price", "unit_price", "unit_price"),
        ("price,unit_price", "unit_price", "unit_price"),
        ("Customer,CustomerID", "customer_id", "CustomerID"),
        ("Customer,Customer #", "customer_id", "Customer #"),
        ("customer-id,customer id", "customer_id", "customer id"),
        ("email,customer_id", "customer_id", "customer_id"),
        ("# Units,Items", "quantity", "# Units"),
        ("#Order,SKU", "invoice_id", "#Order"),
        ("Title,Product name", "description", "Product name"),
        ("SKU,Title", "description", "Title"),
        ("date,order_date", "sold_at", "order_date"),
        ("order,order_id", "invoice_id", "order_id"),
        ("item_id,item_sku", "stock_code", "item_sku"),
        ("Quantite,Reference,Libelle", "quantity", "Quantite"),
        ("Stu\u0308ck", "quantity", "Stu\u0308ck"),
        ("N\u00ba pedido,n\u00b0 commande", "invoice_id", "n\u00b0 commande"),
    ],
)
def test_the_first_name_that_a_file_has_counts_however_it_is_written(header, field, column):
    columns = header.split(",")
    assert columns[load_layouts()["order_lines"].positions(columns)[field]] == column


def test_a_column_that_is_named_for_one_thing_is_not_another_one_too(shop):
    text = "Order,SKU,Qty,Date,Price,Customer\n1,A,10,2011-01-31,25,k\n"
    shop.write(text)
    named = {"layout": "order_lines", "columns": {"amount": "Price"}}
    assert shop.read(**named)[0]["unit_price"] == Decimal("2.5000")
    assert shop.read(layout="order_lines")[0]["unit_price"] == Decimal(25)
    shop.write("InvoiceNo,StockCode,Description,Quantity,InvoiceDate,Price,CustomerID,Country\n"
               "1,A,CUP,10,2011-01-31,25,k,UK\n")  # fmt: skip
    named["layout"] = "online_retail"
    assert shop.read(**named)[0]["unit_price"] == Decimal("2.5000")
    # A needed one keeps its column: two names for one thing are right here.
    shop.write(text)
    twice = shop.read(layout="order_lines", columns={"invoice_id": "Order", "description": "Order"})
    assert (twice[0]["invoice_id"], twice[0]["description"]) == ("1", "1")


def test_two_columns_that_are_one_name_are_not_chosen_from(shop):
    shop.write("order-id,order_id,SKU,Qty,Date,Price,Customer\n1,77,A,10,2011-01-31,25,k\n")
    with pytest.raises(InputError, match=r"'order-id' and 'order_id' \(invoice_id\) stands there"):
        shop.read(layout="order_lines")


def test_where_no_column_describes_the_products_their_codes_do_but_not_for_an_empty_cell(shop):
    shop.write("Order,SKU,Qty,Date,Price,Customer\n1,a1,1,2011-01-31,25,k\n")
    assert shop.read(layout="order_lines")[0]["description"] == "a1"
    shop.write("Order,SKU,Item,Qty,Date,Price,Customer\n1,a1,,1,2011-01-31,25,k\n")
    assert shop.read(layout="order_lines")[0]["description"] is None


@pytest.mark.parametrize(
    ("header", "own", "says", "says_not"),
    [
        ("Bestellnr,Artikel,Menge,Bestelldatum,Einzelpreis", {}, "customer_id: …", "shopify"),
        ("Order,SKU,Item,Qty,Date,Price,Customer", {"customer_id": "Client"},
         "customer_id: Customer}", "closest layout"),
        ("Order,SKU,Item,Qty,Date,Line total,Custmer", {}, "{customer_id: Custmer}", "unit_price:"),
        ("a,b,c", {}, "or delete what stands above the header, if row 1 is none", "closest"),
    ],
)  # fmt: skip
def test_what_a_header_lacks_is_said_with_what_may_be_meant(shop, header, own, says, says_not):
    shop.write(f"{header}\n")
    with pytest.raises(InputError) as error:
        shop.read(layout="order_lines", columns=own)
    assert says in str(error.value)
    assert says_not not in str(error.value)
