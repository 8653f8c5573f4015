"""One line, one customer, one product: a plain answer, or one message that says what is needed."""

from __future__ import annotations

import pytest
from whole_dag import refusal, rows_of_a_shop

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("shop", "answer"),
    [
        ({"count": 1}, "select_model: data/customers.parquet: 1 customer on 2010-12-02"),
        ({"count": 60}, "select_model: data/customers.parquet: 1 customer on"),
        ({"count": 60, "customers": 5}, "give lines of more customers, or lower select.k_to"),
        ({"count": 60, "customers": 50, "days": 30}, "which do not span two horizons of 90 days"),
        ({"count": 60, "customers": 0}, "aggregate_rfm: data/sales.parquet: no sale has a"),
        ({"count": 9, "quantities": [0]}, "clean: data/invoice_lines.parquet: none of its lines"),
        ({"count": 9, "quantities": [-1]}, "clean: data/invoice_lines.parquet: none of its lines"),
        ({"count": 9, "product": ("POST", "POSTAGE")}, "clean: data/invoice_lines.parquet: none"),
        ({"count": 8, "quantities": [3, -3]}, "explore: data/sales.parquet: every order in it was"),
    ],
    ids=[
        "one line", "one customer", "five customers", "one month", "nobody known", "no units",
        "returns only", "fees only", "all taken back",
    ],
)  # fmt: skip
def test_a_shop_too_small_is_told_at_which_stage_and_what_is_needed(tmp_path, shop, answer):
    assert answer in (refusal(tmp_path, rows_of_a_shop(**shop)) or "whole")
    assert not (tmp_path / "reports/segments.html").exists()


def test_a_shop_of_one_product_gets_its_segments_and_its_report(tmp_path):
    assert refusal(tmp_path, rows_of_a_shop(1500, 211)) is None
    customers = (tmp_path / "reports/segments.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(customers) == len({row[6] for row in rows_of_a_shop(1500, 211)})
    assert "WHITE HEART MUG" in (tmp_path / "reports/segments.html").read_text(encoding="utf-8")
