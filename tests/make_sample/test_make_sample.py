from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.make_sample import lines as gift_lines
from pipeline.make_sample.__main__ import write_sample
from pipeline.make_sample.catalogue import CATEGORY_SHARES
from pipeline.make_sample.customers import COUNTRIES, TYPES
from pipeline.make_sample.lines import RARE_LINES, STOCK_NOTES

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def read(path: Path) -> pd.DataFrame:
    """The sample as anyone would read the real file."""
    text = dict.fromkeys(("InvoiceNo", "StockCode", "Description", "CustomerID", "Country"), "str")
    lines = pd.read_csv(path, encoding="iso-8859-1", dtype=text, keep_default_na=False)
    lines["time"] = pd.to_datetime(lines["InvoiceDate"], format="%m/%d/%Y %H:%M")
    lines["is_credit"] = lines["InvoiceNo"].str.startswith("C")
    lines["is_known"] = lines["CustomerID"] != ""
    lines["is_goods"] = lines["StockCode"].str.match(r"^(\d{5}[A-Za-z]?|DCGS\w+)$")
    return lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sample")


@pytest.fixture(scope="module")
def truths(folder: Path) -> dict[int, pd.DataFrame]:
    return {size: write_sample(folder / f"{size}.csv", size, 352) for size in (3_000, 60_000)}


@pytest.fixture(scope="module")
def samples(folder: Path, truths: dict[int, pd.DataFrame]) -> dict[int, pd.DataFrame]:
    return {size: read(folder / f"{size}.csv") for size in truths}


@pytest.fixture(scope="module")
def shop(samples: dict[int, pd.DataFrame]) -> pd.DataFrame:
    return samples[60_000]


def held(lines: pd.DataFrame) -> pd.Series:
    """Units of each known customer and product after each of its lines."""
    ours = lines[lines["is_known"] & lines["is_goods"]]
    return ours["Quantity"].groupby([ours["CustomerID"], ours["StockCode"].str.upper()]).cumsum()


def kept_units(lines: pd.DataFrame) -> pd.Series:
    ours = lines[lines["is_known"] & lines["is_goods"]]
    return ours.groupby("CustomerID")["Quantity"].sum()


def matches(lines: pd.DataFrame) -> pd.DataFrame:
    """Returns beside earlier sales of the same product to the same customer."""
    ours = lines[lines["is_known"] & lines["is_goods"] & (lines["UnitPrice"] > 0)]
    keys = ["CustomerID", "StockCode"]
    both = ours[~ours["is_credit"]].merge(ours[ours["is_credit"]], on=keys, suffixes=("", "_back"))
    return both[both["time_back"] >= both["time"]]


def has(mask: pd.Series | np.ndarray) -> bool:
    return bool(np.any(mask))


QUIRKS = {
    "cancellations": lambda x: has(x.is_credit & x.is_goods & x.is_known & (x.Quantity < 0)),
    "part returns": lambda x: has(-matches(x).Quantity_back < matches(x).Quantity),
    "full returns": lambda x: has(-matches(x).Quantity_back == matches(x).Quantity),
    "returns in the minute of the sale": lambda x: has(matches(x).time == matches(x).time_back),
    "returns of purchases before the file begins": lambda x: has(held(x) < 0),
    "customers who kept nothing": lambda x: has(kept_units(x) == 0),
    "customers known by returns alone": lambda x: has(
        x[x.is_known].groupby("CustomerID").Quantity.max() < 0
    ),
    "lines without a customer": lambda x: 0.2 < 1 - x.is_known.mean() < 0.3,
    "large web baskets with DOT postage": lambda x: has(
        x[~x.is_known].groupby("InvoiceNo").StockCode.agg(lambda s: len(s) > 50 and "DOT" in set(s))
    ),
    "missing descriptions at price 0": lambda x: has(
        (x.Description == "") & (x.UnitPrice == 0) & ~x.is_known
    ),
    "stock notes at price 0": lambda x: has(
        x.Description.isin([note for note, _ in STOCK_NOTES]) & (x.UnitPrice == 0)
    ),
    "negative quantities that are no credit notes": lambda x: has((x.Quantity < 0) & ~x.is_credit),
    "exact repeats": lambda x: has(x.duplicated()),
    "goods given away": lambda x: has(x.is_known & x.is_goods & (x.UnitPrice == 0)),
    "a bad debt at a negative price": lambda x: has(
        (x.StockCode == "B") & (x.UnitPrice < 0) & x.InvoiceNo.str.startswith("A")
    ),
    "gift vouchers": lambda x: set(x.StockCode[x.StockCode.str.startswith("gift_0001_")])
    == {f"gift_0001_{n}0" for n in range(1, 6)},
    "pads at a tenth of a penny": lambda x: has((x.StockCode == "PADS") & (x.UnitPrice == 0.001)),
    "goods with letter codes": lambda x: has(x.StockCode.str.startswith("DCGS")),
    "codes in lower and upper case": lambda x: bool(
        {c.upper() for c in x.StockCode if c[:5].isdigit() and c != c.upper()} & set(x.StockCode)
    ),
    "several texts of one product": lambda x: has(
        x[x.is_goods & (x.UnitPrice > 0)].groupby("StockCode").Description.agg(set).str.len() > 1
    ),
    "texts that CSV must quote": lambda x: has(x.Description.str.contains(",")),
    "texts that end in a space": lambda x: has(x.Description.str.endswith(" ")),
    "a text beyond ASCII": lambda x: has(x.Description.str.contains("£")),
    "a product on several lines of an invoice": lambda x: has(
        ~x.is_credit & x.duplicated(["InvoiceNo", "StockCode"]) & ~x.duplicated()
    ),
    "wholesalers": lambda x: has(x[x.is_known & (x.UnitPrice > 0)].Quantity >= 144),
    "customers from abroad": lambda x: 0.85 < (x.Country == "United Kingdom").mean() < 0.97,
    "closed on Saturdays": lambda x: not has(x.time.dt.day_of_week == 5),
    "open from Sunday to Friday": lambda x: set(x.time.dt.day_of_week) == {0, 1, 2, 3, 4, 6},
    "whole orders taken back": lambda x: has(
        matches(x)
        .assign(whole=lambda m: -m.Quantity_back == m.Quantity)
        .groupby("InvoiceNo").whole.sum()
        .reindex(x.InvoiceNo.unique(), fill_value=0)
        .eq(x[x.is_goods].groupby("InvoiceNo").size().reindex(x.InvoiceNo.unique()))
    ),
}  # fmt: skip


@pytest.mark.parametrize("size", [3_000, 60_000])
@pytest.mark.parametrize("quirk", QUIRKS)
def test_the_sample_has_every_quirk_of_the_real_shop(samples, size, quirk):
    assert QUIRKS[quirk](samples[size]), f"no {quirk} in {size} lines"


@pytest.mark.parametrize("size", [3_000, 60_000])
@pytest.mark.parametrize("code", sorted({r.code for r in RARE_LINES if r.code} | {"POST", "DOT"}))
def test_the_sample_has_every_fee_and_special_code(samples, size, code):
    assert (samples[size]["StockCode"] == code).any()


def test_the_sample_has_every_country_type_and_category(shop, truths):
    assert set(shop["Country"]) == set(COUNTRIES)
    assert len(COUNTRIES) == 38
    planted = truths[60_000].groupby("kind")["truth"].unique()
    assert set(planted["customer"]) == set(TYPES)
    assert set(planted["product"]) == set(CATEGORY_SHARES)


@pytest.mark.parametrize("size", [3_000, 60_000])
def test_the_truth_names_each_customer_and_each_product_once(samples, truths, size):
    lines, truth = samples[size], truths[size]
    assert not truth.duplicated(["kind", "id"]).any()
    ids = truth.groupby("kind")["id"].agg(set)
    assert ids["customer"] == set(lines["CustomerID"]) - {""}
    assert ids["product"] == set(lines.loc[lines["is_goods"], "StockCode"].str.upper())


@pytest.mark.parametrize("size", [1_000, 3_000, 60_000, 300_000])
def test_the_number_of_lines_is_about_as_asked(tmp_path, size):
    path = tmp_path / "sample.csv"
    write_sample(path, size, 7)
    assert path.read_bytes().count(b"\r\n") - 1 == pytest.approx(size, rel=0.05)


def test_the_shop_is_of_the_real_one_s_proportions(shop):
    sales = shop[~shop["is_credit"] & (shop["UnitPrice"] > 0)]
    per_invoice = sales.groupby("InvoiceNo").size()
    assert 8 <= per_invoice.median() <= 18
    assert 15 <= per_invoice.mean() <= 30
    assert 1.6 <= sales["UnitPrice"].median() <= 2.6
    assert 3 <= sales["Quantity"].median() <= 4
    assert 0.012 < (shop["is_credit"] & shop["is_known"]).mean() < 0.022
    assert 0.005 < shop.duplicated().mean() < 0.02
    assert 850 <= shop["CustomerID"].nunique() <= 1_200
    month = sales["time"].dt.month
    revenue = sales["Quantity"] * sales["UnitPrice"]
    assert revenue[month == 11].sum() > 1.4 * revenue[month == 7].sum()


def test_christmas_goods_sell_before_christmas(shop, truths):
    truth = truths[60_000].query("kind == 'product'").set_index("id")["truth"]
    is_christmas = shop["StockCode"].str.upper().map(truth) == "christmas"
    share = is_christmas.groupby(shop["time"].dt.month).mean()
    assert share[[10, 11]].min() > 4 * share[[2, 3, 4, 5, 6]].max()


def test_the_layout_is_exactly_the_real_one(folder, samples):
    content = (folder / "3000.csv").read_bytes()
    assert content.startswith(HEADER.encode() + b"\r\n")
    assert content.endswith(b"\r\n")
    assert content.count(b"\n") == content.count(b"\r\n") == len(samples[3_000]) + 1
    assert "£".encode("iso-8859-1") in content
    dates = samples[3_000]["InvoiceDate"]
    assert dates.str.fullmatch(r"1?\d/[1-3]?\d/201[01] [12]?\d:\d\d").all()


def test_invoices_are_numbered_in_time_order_and_belong_to_one_customer(shop):
    numbers = shop["InvoiceNo"].str.lstrip("AC").astype(int)
    assert numbers.is_monotonic_increasing
    assert shop["time"].is_monotonic_increasing
    one = shop.groupby("InvoiceNo")[["CustomerID", "Country", "InvoiceDate"]].nunique()
    assert (one == 1).all(axis=None)
    assert shop["time"].min() >= pd.Timestamp("2010-12-01 08:26")
    assert shop["time"].max() <= pd.Timestamp("2011-12-09 12:50")


@given(size=st.integers(100, 800), seed=st.integers(0, 2**63 - 1))
@settings(max_examples=15, deadline=None)
def test_a_tiny_shop_is_the_same_again_and_another_by_seed(tmp_path_factory, size, seed):
    folder = tmp_path_factory.mktemp("tiny")
    truth = write_sample(folder / "a.csv", size, seed)
    again = write_sample(folder / "b.csv", size, seed)
    write_sample(folder / "c.csv", size, seed - 1 if seed else 1)
    pd.testing.assert_frame_equal(truth, again)
    content = (folder / "a.csv").read_bytes()
    assert content == (folder / "b.csv").read_bytes() != (folder / "c.csv").read_bytes()
    assert 0.5 * size < content.count(b"\n") - 1 < 1.6 * size


def test_a_shop_of_many_blocks_keeps_its_promises(tmp_path, monkeypatch):
    monkeypatch.setattr(gift_lines, "BLOCK_LINES", 500)
    write_sample(tmp_path / "blocks.csv", 6_000, 5)
    lines = read(tmp_path / "blocks.csv")
    assert len(lines) == pytest.approx(6_000, rel=0.05)
    assert lines["InvoiceNo"].str.lstrip("AC").astype(int).is_monotonic_increasing
    assert QUIRKS["part returns"](lines)  # the sale and its return lie in two blocks, mostly
