"""The look at a file before it is used."""

from __future__ import annotations

import json

import pytest
import yaml
from conftest import ROOT
from shops import Shop

from pipeline.commands import check as check_source
from pipeline.core.tables.contract import read_table
from pipeline.core.tables.ingest import INVOICE_LINES
from pipeline.ingest import __main__ as ingest

GOOD = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,HEART,6,12/1/2010 8:26,2.55,17850,France
536365,85123A,HEART,6,12/1/2010 8:26,2.55,17850,France
536366,71053,,6,12/13/2010 8:28,0.00,,France
536367,71054,LAMP,1,12/14/2010 8:28,3.39,,France
"""


TABLES = [f"pipeline/settings/{name}.csv" for name in ("currency_rates", "customer_aliases")]


@pytest.fixture
def shop(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """With the project's parameters."""
    for name in ("params.yaml", *TABLES):
        shop.write((ROOT / name).read_bytes(), name)
    monkeypatch.setenv("COLUMNS", "200")
    return shop


def look(capsys, *arguments: str) -> str:
    check_source.main([*arguments])
    return capsys.readouterr().out


def test_a_file_is_described_and_nothing_is_written(shop, capsys):
    shop.write(GOOD)
    before = sorted(shop.folder.rglob("*"))
    out = look(capsys, "x.csv")
    assert sorted(shop.folder.rglob("*")) == before
    assert "x.csv as online_retail" in out
    assert "4 lines in 1 part" in out
    assert "18.69 paid for goods" in out
    assert "in 2 orders of 1 customer, 1 December 2010 to 14 December 2010" in out
    assert "all rows are readable" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["customer_id", "CustomerID"] in rows
    assert ["2010-12", "18.69", "2"] in rows
    assert ["duplicates", "1", "25.0%", "15.30"] in rows
    assert ["stock", "adjustments", "1", "25.0%", "0.00"] in rows
    assert "13 days of sales; the run needs about 270" in out


def test_the_printed_params_are_those_that_read_the_file(shop, capsys):
    shop.write(
        GOOD.replace(",", ";")
        .replace("2.55", "2,55")
        .replace("3.39", "3,39")
        .replace("0.00", "0,00")
    )
    out = look(capsys, "x.csv", "--set", 'decimal=","', "--set", "columns={country: Country}")
    pasted = yaml.safe_load(out[out.rindex("\nsource:\n") :])["source"]
    assert pasted["decimal"] == ","
    assert len(shop.read(**pasted)) == 4


GERMAN = """\
InvoiceNo;StockCode;Description;Quantity;InvoiceDate;UnitPrice;CustomerID;Country
R1;K7;Gläser;2;31.01.2011 09:15;1.019,90;4711;AT
R2;K8;Vase;1;01.02.2011 10:00;5,00;4711;AT
"""


def test_prices_that_are_all_above_a_thousand_show_their_commas_too(shop, capsys):
    shop.write(GERMAN.replace("5,00", "1.005,00"), encoding="cp1252")
    assert "3,044.80 paid for goods" in look(capsys, "x.csv")


def test_encoding_commas_and_dates_are_found_and_the_lines_are_a_whole_section(shop, capsys):
    shop.write(GERMAN, encoding="cp1252")
    out = look(capsys, "x.csv")
    assert "2 lines in 1 part" in out
    section = out[out.rindex("\nsource:\n") :]
    told = {"decimal": ",", "thousands": "."}
    assert yaml.safe_load(section)["source"].items() >= told.items()
    (shop.folder / "params.yaml").write_text(section, encoding="utf-8")
    ingest.main()
    rows = read_table(INVOICE_LINES)
    assert rows["description"].tolist() == ["Gläser", "Vase"]
    assert [str(price) for price in rows["unit_price"]] == ["1019.9000", "5.0000"]
    assert rows["sold_at"].dt.month.tolist() == [1, 2]


def test_what_must_be_said_is_said_with_its_form_on_the_command_line(shop, capsys):
    shop.write(GOOD.replace("CustomerID", "Wer"))
    with pytest.raises(SystemExit):
        look(capsys, "x.csv")
    message = capsys.readouterr().err
    assert "x.csv does not fit the layout online_retail: no column CustomerID" in message
    assert "--set 'columns={customer_id: Client}'" in message
    assert "4 lines in 1 part" in look(capsys, "x.csv", "--set", "columns={customer_id: Wer}")


def test_the_layout_that_fits_best_is_found(shop, capsys):
    shop.write("customer,date,amount\nann,2011-01-25,10\n")
    out = look(capsys, "x.csv")
    assert "as order_log" in out
    assert "no products in this layout" in out
    # A log of orders too, but that would leave columns unused.
    shop.write("Order-No,Ordered on,Buyer,SKU,Item,Qty,Price\n1,2011-01-25,ann,A,CUP,2,3\n")
    assert "as order_lines" in look(capsys, "x.csv")
    shop.write(GOOD.replace("InvoiceNo", "Invoice").replace("UnitPrice", "Price"))
    assert "as online_retail_ii" in look(capsys, "x.csv")


def test_rows_with_problems_are_shown_and_the_params_set_them_apart(shop, capsys):
    shop.write(GOOD.replace("3.39", "x"))
    out = look(capsys, "x.csv")
    assert "1 row cannot be read" in out
    assert "x.csv, row 5, column UnitPrice: 'x' is not a number" in out
    assert "on_bad_rows: quarantine" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv"], "none.csv is missing; give a file or a folder"),
        (["x.csv", "--layout", "nope"], "'nope' is no layout"),
        (["x.csv", "--set", "decimal"], "--set decimal: expected KEY=VALUE"),
        (["x.csv", "--set", "colour=1"], "source.colour: unknown key"),
        (["x.csv", "--set", "overlapping=2011-02-31"], "source.overlapping"),
        (["x.csv", "--set", "path=y.csv"], "--set path=y.csv: expected KEY=VALUE"),
        (["x.csv", "--set", "sheets={"], "source.sheets"),
    ],
)
def test_mistakes_are_one_message(shop, capsys, arguments, message):
    shop.write(GOOD)
    with pytest.raises(SystemExit) as exit_:
        look(capsys, *arguments)
    assert exit_.value.code == 1
    assert message in capsys.readouterr().err


def test_commas_without_points_say_nothing_of_thousands(shop, capsys):
    shop.write(GERMAN.replace("1.019,90", "19,90"), encoding="cp1252")
    out = look(capsys, "x.csv")
    assert "decimal: ','" in out
    assert "thousands" not in out


SNAKE = "invoice_no,stock_code,description,quantity,invoice_date,unit_price,customer_id,country\n"


def refused(capsys, shop: Shop, text: str) -> str:
    shop.write(text)
    with pytest.raises(SystemExit):
        look(capsys, "x.csv")
    return capsys.readouterr().err


def test_a_layout_that_knows_less_does_not_decide_what_another_cannot_tell(capsys, shop):
    dates = "1,A,CUP,1,05/03/2011 10:00,1,k,UK\n2,A,CUP,1,06/04/2011 10:00,1,k,UK\n"
    assert "they mean two days" in refused(capsys, shop, SNAKE + dates)
    twice = "Order,Product,Product,Qty,Date,Price,Customer\n1,A,CUP,10,2011-01-31,2.5,k\n"
    assert "stands there 2 times" in refused(capsys, shop, twice)
    assert "stands there 2 times" in refused(capsys, shop, twice.lower())
    shop.write(GOOD.replace("12/13", "12/3").replace("12/14", "12/4"))
    assert "x.csv as online_retail" in look(capsys, "x.csv")  # whose dates are known


LINES = "Order ID;Order Date;Customer;SKU;Item;Qty;Price\n" + "".join(
    f"{n};{n % 28 + 1:02d}.03.2011;K{n % 7};S{n % 5};Thing {n % 5};2;1,5\n" for n in range(3000)
)


def test_a_few_bad_cells_do_not_make_it_another_kind_of_file(capsys, shop):
    bad = "1;2;3\n" + "1;" * 10 + "1\n" + "\n9;A\n" + f"{'x' * 30_000};" * 7 + "1\n"
    shop.write(LINES.replace(";2;1,5", ";six;1,5", 1) + bad)
    out = look(capsys, "x.csv")
    assert "x.csv as order_lines" in out
    assert "5 rows cannot be read" in out
    assert "row 2, column Qty: 'six' is not a number below 10^10" in out
    assert "row 3002, column (row): fewer cells than the header's 7" in out
    assert "row 3003, column (row): more cells than the header's 7" in out


def test_line_ends_that_change_far_down_are_made_one(capsys, shop):
    crlf = "".join(f"{line}\r\n" for line in LINES.splitlines()[1:])
    for text in (LINES + crlf, LINES.splitlines()[0] + "\r\n" + crlf + "\n"):
        shop.write(text)
        out = look(capsys, "x.csv")
        assert "all rows are readable" in out
        assert "x.csv as order_lines" in out


ORDERS = "order_id,created_at,client_no,product_name,quantity,price,status,Zone\n" + "".join(
    f"{n},2024-0{1 + n % 9}-05,k{n},cup,2,2.50,{'cancelled' if n % 5 == 0 else 'paid'},N\n"
    for n in range(20)
)


def test_states_and_doubts_are_shown_in_money_and_for_programs(capsys, shop):
    shop.write(ORDERS + "21,2024-02-02,k1,Delivery fee,1,4.00,paid,N\n")
    out = look(capsys, "x.csv")
    rows = [line.split() for line in out.splitlines()]
    assert ["paid", "yes", "17", "84.00"] in rows
    assert ["cancelled", "no", "4", "20.00"] in rows
    assert "possibly not products (lines): DELIVERY FEE (1)" in out
    assert "not used: Zone" in out
    found = json.loads(look(capsys, "x.csv", "--json"))
    assert (found["layout"], found["money"]["net"]) == ("order_lines", "84.0000")
    assert found["columns"]["status"] == "status"


def test_a_doubt_about_prices_is_told_only_where_there_is_reason(capsys, shop):
    head = GOOD.splitlines()[0]
    line = "{n},{code},THING,{units},12/13/2010 8:28,{price},17850,France\n"
    units = [{"n": n, "code": n % 3, "units": 1 + n % 4} for n in range(60)]
    steady = [line.format(**of, price=2.5) for of in units]
    growing = [line.format(**of, price=2.50001 * of["units"]) for of in units]
    shop.write(f"{head}\n{''.join(steady)}")
    out = look(capsys, "x.csv", "--layout", "online_retail")
    assert "grows with the quantity" not in out
    assert "decimals" not in out
    shop.write(f"{head}\n{''.join(growing)}")
    out = look(capsys, "x.csv", "--layout", "online_retail")
    assert "the price of one unit grows with the quantity for most products" in out
    assert "60 prices have more than four decimals: " in out
    assert "which makes at most 0.01 in all" in out


def test_a_state_that_nobody_knows_is_an_error_with_its_money_and_the_line_to_paste(capsys, shop):
    message = refused(capsys, shop, ORDERS.replace("paid,N", "zu prüfen,N"))
    assert "zu prüfen: 16 lines, 80.00" in message
    assert "source.states: {zu prüfen: sale}" in message


def test_the_section_is_written_and_comments_stay(capsys, shop):
    shop.write(ORDERS)
    for state in ("lost", "late"):  # twice: what was written is replaced
        look(capsys, "x.csv", "--set", f"states={{{state}: no_sale}}", "--write")
    text = (shop.folder / "params.yaml").read_text(encoding="utf-8")
    section = yaml.safe_load(text)["source"]
    assert section["layout"] == "order_lines"
    assert [section["currency_rates"], section["customer_aliases"]] == TABLES  # inputs of dvc.yaml
    assert "# a column layout of pipeline/settings/layouts.yaml" in text
    assert text.count("#") == (ROOT / "params.yaml").read_text(encoding="utf-8").count("#")


def test_tables_that_must_be_joined_are_named_with_the_join(capsys, shop):
    shop.write("order_id,sku,qty,price\n1,A,1,2\n", "t/items.csv")
    shop.write("order_id,customer_id,order_date\n1,k,2024-01-05\n", "t/orders.csv")
    with pytest.raises(SystemExit):
        look(capsys, "t")
    message = capsys.readouterr().err
    assert "'items.csv' join 'orders.csv' using (order_id)" in message
