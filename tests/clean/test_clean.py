"""The ledger of clean: every exit, their order, and that nothing is lost."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shops import paid

from pipeline.clean import __main__ as clean
from pipeline.clean.__main__ import PLACES, Params, facts_of, ledger_of
from pipeline.core.run.errors import InputError
from pipeline.core.run.params import parse_params
from pipeline.core.tables.clean import RETURNED_UNITS, SALES
from pipeline.core.tables.ingest import INVOICE_LINES

START = datetime(2011, 1, 3, 9, 0)  # noqa: DTZ001, the shop's own time, of no zone
PARAMS = {
    "not_goods_codes": {"POST": "", "M": ""},
    "not_goods_patterns": {"vouchers": "^GIFT_", "tests": "^TEST"},
}


def line(code: str = "CUP", units: int = 2, price: str = "2.50", **other: Any) -> dict[str, Any]:
    """A line of goods to customer A; `minute` counts from START."""
    minute = other.pop("minute", 0)
    return {
        "invoice_id": "1",
        "stock_code": code,
        "description": code.lower(),
        "quantity": units,
        "sold_at": START + timedelta(minutes=minute),
        "unit_price": Decimal(price),
        "customer_id": "A",
        "country": "Malta",
        **other,
    }


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder to run the stage in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.core.engines.duckdb.SLICE", 2)  # so that few lines are several
    Path("params.yaml").write_text(f"clean: {json.dumps(PARAMS)}\n", encoding="utf-8")
    Path("data").mkdir()
    return tmp_path


def cleaned(*lines: dict[str, Any]) -> dict[str, Any]:
    """Run the stage on these lines, numbered from 1; return its metrics."""
    rows = [paid({"line_id": n, **row}) for n, row in enumerate(lines, 1)]
    pq.write_table(pa.Table.from_pylist(rows, schema=INVOICE_LINES.schema), INVOICE_LINES.path)
    clean.main()
    metrics: dict[str, Any] = json.loads(Path("metrics/clean.json").read_text(encoding="utf-8"))[0]
    return metrics


def taken(metrics: dict[str, Any]) -> dict[str, int]:
    """Lines by place, but for the places that took none."""
    return {p: n["lines"] for p, n in metrics["ledger"].items() if n["lines"]}


def sales() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(SALES.path).to_pylist()
    return rows


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("row", "place"),
    [
        (line(), "kept_with_customer"),
        (line(customer_id=None), "kept_without_customer"),
        (line(description=None), "kept_with_customer"),
        (line(country=None), "kept_with_customer"),
        (line("DCGS0003"), "kept_with_customer"),
        (line(description=None, price="0", customer_id=None), "stock_adjustments"),
        (line("POST"), "not_goods"),
        (line("GIFT_0001_20"), "not_goods"),
        (line("TEST001"), "not_goods"),
        (line("CONTEST"), "kept_with_customer"),
        (line(price="0"), "no_price"),
        (line(price="-3.00"), "no_price"),
        (line(units=0), "no_quantity"),
        (line(units=-1, minute=-1), "returns_unmatched"),
        (line(units=-1, minute=1, code="HAT"), "returns_matched"),
        (line(units=-9, minute=1, code="HAT"), "returns_matched"),
        (line(units=-1, minute=1, code="HAT", customer_id=None), "returns_unmatched"),
        (line(units=-1, minute=1, code="HAT", customer_id="B"), "returns_unmatched"),
    ],
)
def test_each_line_gets_its_place_in_the_ledger(row, place):
    assert taken(cleaned(line("HAT"), row)) == Counter(["kept_with_customer", place])


@pytest.mark.usefixtures("shop")
def test_the_first_place_that_fits_wins():
    adjustment = line("POST", description=None, price="0", customer_id=None)
    free_postage = line("POST", price="0")
    free_nothing = line("BOX", units=0, price="0")
    returned_postage = line("POST", units=-1)
    metrics = cleaned(
        line(), line(), adjustment, adjustment, free_postage, free_nothing, returned_postage
    )
    assert taken(metrics) == {
        "duplicates": 2,
        "stock_adjustments": 1,
        "not_goods": 2,
        "no_price": 1,
        "kept_with_customer": 1,
    }


@pytest.mark.usefixtures("shop")
def test_a_repeat_is_equal_in_every_column():
    others = (
        {"invoice_id": "2"},
        {"stock_code": "BOX"},
        {"description": "cups"},
        {"description": None},
        {"quantity": 3},
        {"sold_at": START + timedelta(minutes=1)},
        {"unit_price": Decimal("2.5001")},
        {"customer_id": "B"},
        {"customer_id": None},
        {"country": None},
    )
    metrics = cleaned(line(), *({**line(), **other} for other in others))
    assert metrics["ledger"]["duplicates"]["lines"] == 0


@pytest.mark.usefixtures("shop")
def test_the_first_of_repeated_lines_stays_also_where_columns_are_empty():
    empty = line(description=None, customer_id=None, country=None)
    metrics = cleaned(empty, line(), empty, line(), line())
    assert taken(metrics)["duplicates"] == 3
    assert metrics["facts"]["duplicates_with_customer"] == 2
    assert [row["line_id"] for row in sales()] == [1, 2]


@pytest.mark.usefixtures("shop")
def test_returns_are_netted_and_priced_as_sold():
    metrics = cleaned(
        line(units=5, price="2.50"), line(units=-2, price="9.99", minute=1), line("BOX", units=1)
    )
    net = {row["line_id"]: (row["quantity_returned"], row["net_amount"]) for row in sales()}
    assert net == {1: (2, Decimal("7.50")), 3: (0, Decimal("2.50"))}
    assert pq.read_table(RETURNED_UNITS.path).to_pylist() == [
        {
            "line_id": 1,
            "return_line_id": 2,
            "returned_at": START + timedelta(minutes=1),
            "quantity": Decimal(2),
            "amount": Decimal("5.0000"),
        }
    ]
    assert metrics["returns"] == {"units": 2, "units_matched": 2, "units_unmatched": 0}


@pytest.mark.usefixtures("shop")
def test_units_beyond_what_was_held_are_unmatched():
    metrics = cleaned(line(units=2), line(units=-5, minute=1), line("BOX", units=-3))
    assert taken(metrics) == {"returns_matched": 1, "returns_unmatched": 1, "kept_with_customer": 1}
    assert metrics["returns"] == {"units": 8, "units_matched": 2, "units_unmatched": 6}


@pytest.mark.usefixtures("shop")
def test_a_repeated_return_takes_back_once():
    back = line(units=-1, minute=1)
    cleaned(line(units=3), back, back)
    assert [row["quantity_returned"] for row in sales()] == [1]


@pytest.mark.usefixtures("shop")
def test_a_shop_without_returns_has_an_empty_table_of_them():
    metrics = cleaned(line())
    assert pq.read_table(RETURNED_UNITS.path).num_rows == 0
    assert metrics["returns"] == {"units": 0, "units_matched": 0, "units_unmatched": 0}


@pytest.mark.usefixtures("shop")
def test_the_facts_count_what_people_check_a_file_by():
    metrics = cleaned(
        line(),
        line(),
        line("BOX", customer_id=None, country="Chile"),
        line("BOX", description=None, price="0", customer_id=None, country=None),
        line("POST", customer_id="B"),
        line("HAT", price="0"),
        line(units=-1, minute=1),
    )
    assert metrics["facts"] == {
        "lines_read": 7,
        "money_read": 17.5,
        "customers": 1,
        "countries": 2,
        "lines_without_customer": 2,
        "lines_without_description": 1,
        "with_customer_after_duplicates": 4,
        "with_customer_negative_quantity": 1,
        "with_customer_sold": 3,
        "with_customer_sold_not_goods": 1,
        "with_customer_sold_goods_at_price_0": 1,
        "duplicates_with_customer": 1,
        "with_customer_sold_goods": 1,
    }


some_lines = st.lists(
    st.builds(
        line,
        code=st.sampled_from(["CUP", "CUP", "BOX", "POST", "GIFT_1"]),
        units=st.integers(-4, 6),
        price=st.sampled_from(["2.50", "2.50", "0.0001", "0", "-1"]),
        minute=st.integers(0, 3),
        customer_id=st.sampled_from(["A", "A", "B", None]),
        description=st.sampled_from(["text", None]),
        country=st.sampled_from(["Malta", None]),
    ),
    max_size=12,
)


@pytest.mark.usefixtures("shop")
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lines=some_lines)
def test_every_line_and_all_money_is_in_exactly_one_place(lines):
    lines = [*lines, line("KEPT")]
    metrics = cleaned(*lines)
    ledger = metrics["ledger"]
    assert tuple(ledger) == PLACES
    assert sum(place["lines"] for place in ledger.values()) == len(lines)
    known = sum(row["customer_id"] is not None for row in lines)
    assert sum(place["lines_with_customer"] for place in ledger.values()) == known
    money = sum((row["quantity"] * row["unit_price"] for row in lines), Decimal(0))
    # Each of the nine figures is rounded to cents when written.
    assert sum(place["money"] for place in ledger.values()) == pytest.approx(float(money), abs=0.05)
    kept = ledger["kept_with_customer"]["lines"] + ledger["kept_without_customer"]["lines"]
    assert len(sales()) == kept
    back = sum(row["quantity_returned"] for row in sales())
    assert back == metrics["returns"]["units_matched"]
    assert back == sum(pq.read_table(RETURNED_UNITS.path)["quantity"].to_pylist())


@pytest.mark.usefixtures("shop")
def test_no_sale_at_all_is_an_error_that_leaves_the_old_tables_alone():
    cleaned(line())
    before = SALES.path.read_bytes()
    with pytest.raises(InputError, match=r"none of its lines is a sale of goods.*section clean"):
        cleaned(line("POST"), line(units=-1))
    assert SALES.path.read_bytes() == before


def test_a_ledger_that_does_not_add_up_is_never_written():
    groups = pd.DataFrame([{"place": "not_goods", "customer_id": "A", "lines": 1, "money": 5}])
    file = pd.DataFrame([{"lines": 2, "money": 5}])
    with pytest.raises(ArithmeticError, match=r"the ledger holds \(1, .*, the file \(2, "):
        facts_of(groups, file, ledger_of(groups))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"not_goods_patterns": {"good": "^OK", "bad": "(["}},
            r"clean\.not_goods_patterns.*'\(\['",
        ),
        ({"not_goods_patterns": {"x": "^(?!DCGS)"}}, r"DCGS.* is no regular expression of RE2"),
        ({"not_goods_codes": None}, r"clean\.not_goods_codes: None"),
    ],
)
def test_bad_parameters_are_errors_that_name_the_key(change, message):
    with pytest.raises(InputError, match=message):
        parse_params("clean", Params, {**PARAMS, **change})


@pytest.mark.usefixtures("shop")
def test_codes_and_patterns_match_whatever_their_case():
    Path("params.yaml").write_text(
        "clean: {not_goods_codes: {Shipping: fee}, not_goods_patterns: {x: ^Gift_}}\n",
        encoding="utf-8",
    )
    places = taken(cleaned(line("SHIPPING"), line("GIFT_1"), line("CUP")))
    assert places == {"not_goods": 2, "kept_with_customer": 1}


@pytest.mark.usefixtures("shop")
def test_empty_lists_let_every_code_be_goods():
    Path("params.yaml").write_text(
        "clean: {not_goods_codes: {}, not_goods_patterns: {}}\n", encoding="utf-8"
    )
    assert taken(cleaned(line("POST"), line("GIFT_1"))) == {"kept_with_customer": 2}
