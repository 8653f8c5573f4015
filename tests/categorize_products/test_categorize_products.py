"""The stage as a whole, on a small shop and, where it is present, on the real one."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT
from scipy import sparse
from shops import paid_lines
from sklearn.metrics import adjusted_mutual_info_score

from pipeline.categorize_products import __main__ as categorize_products
from pipeline.categorize_products.__main__ import Params
from pipeline.categorize_products.fit import Fit, fit_categories
from pipeline.core.run.metrics import read_metrics
from pipeline.core.run.params import load_params
from pipeline.core.tables.categorize_products import CATEGORY_MONTHS, PRODUCT_CATEGORIES
from pipeline.core.tables.clean import SALES
from pipeline.core.tables.contract import write_table

THINGS = ("MUG", "LUNCH BAG", "NECKLACE", "CUSHION COVER", "CAKE TIN", "NOTEBOOK")
COLOURS = ("RED", "BLUE", "PINK", "GREEN")
# Below what was measured on the half `final`; they catch a loss and are not the goals (0.70, 0.40).
GUIDED_FLOOR, DISCOVERED_FLOOR = 0.75, 0.38


def small_shop():
    """Twenty-five products in eighty baskets; one has no description, one is a formula."""
    texts = [f"{colour} {thing}" for thing in THINGS for colour in COLOURS]
    texts = [*texts, "=CMD MUG", None]
    chance = np.random.default_rng(1)
    rows = []
    for invoice in range(80):
        kind = invoice % len(THINGS)
        likely = [*range(4 * kind, 4 * kind + 4), *chance.integers(0, len(texts), 3)]
        rows += [(f"I{invoice}", f"P{p:02d}", texts[p]) for p in sorted(set(likely))]
    lines = pd.DataFrame(rows, columns=["invoice_id", "stock_code", "description"])
    lines["line_id"] = np.arange(1, len(lines) + 1)
    lines["quantity"] = Decimal("2.0000")
    lines["sold_at"] = pd.Timestamp("2011-01-01") + pd.to_timedelta(lines["line_id"], unit="h")
    lines["unit_price"] = Decimal("1.5000")
    lines["customer_id"] = "C1"
    lines["country"] = "France"
    lines["quantity_returned"] = Decimal("0.0000")
    lines["net_amount"] = Decimal("3.0000")
    return paid_lines(lines)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A working directory with the small shop's sales and the project's params."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    write_table(SALES, small_shop())
    set_params(tmp_path)
    return tmp_path


def set_params(folder, **changes):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["categorize"] |= {"overrides": None, "discovered_categories": 4, "embedding": None}
    params["categorize"] |= changes
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def category_of(code):
    rows = pq.read_table(PRODUCT_CATEGORIES.path).to_pandas().set_index("stock_code")
    return rows.loc[code]


@pytest.mark.usefixtures("shop")
def test_every_product_is_in_one_category_by_what_it_is():
    categorize_products.main()
    assert category_of("P00")["category"] == "dining"
    assert category_of("P04")["category"] == "bags_lunch"
    assert category_of("P25")["description"] == ""
    rows = pq.read_table(PRODUCT_CATEGORIES.path).to_pandas()
    assert rows["stock_code"].is_unique
    assert read_metrics("categorize")["products"] == 26


@pytest.mark.usefixtures("shop")
def test_the_season_index_compares_a_months_share_with_the_whole_years():
    sales = small_shop()
    sales.loc[sales["description"] == "RED MUG", "sold_at"] += pd.Timedelta(days=31)
    write_table(SALES, sales)
    categorize_products.main()
    months = pq.read_table(CATEGORY_MONTHS.path).to_pandas()
    assert sorted(months["month"].astype(str).unique()) == ["2011-01-01", "2011-02-01"]
    revenue = months["revenue"].astype(float)
    of_month = revenue / revenue.groupby(months["month"]).transform("sum")
    of_all = revenue.groupby(months["category"]).transform("sum") / revenue.sum()
    np.testing.assert_allclose(months["season_index"], of_month / of_all, atol=1e-4)
    dining = months[months["category"] == "dining"].set_index("month")["season_index"]
    assert dining[date(2011, 2, 1)] > 2
    assert dining[date(2011, 1, 1)] < 1


@pytest.mark.usefixtures("shop")
def test_a_taxonomy_of_other_goods_is_noticed(caplog):
    categorize_products.main()
    assert "taxonomy" not in caplog.text
    tea = [f"Tee Sorte {code}" for code in small_shop()["stock_code"]]
    write_table(SALES, small_shop().assign(description=tea))
    categorize_products.main()
    assert "the taxonomy gifts does not have the words of this shop" in caplog.text


def test_a_manual_correction_wins(shop):
    (shop / "own.csv").write_text("stock_code,category\nP00,garden\n")
    set_params(shop, overrides="own.csv")
    categorize_products.main()
    row = category_of("P00")
    assert (row["category"], row["decided_by"], row["confidence"]) == ("garden", "override", 1.0)
    assert row["runner_up"] == "dining"


@pytest.mark.parametrize("embedding", [None, "minilm"])
def test_without_a_taxonomy_groups_get_names_of_their_own(shop, embedding):
    if embedding:
        pytest.importorskip("safetensors")
    set_params(shop, taxonomy=None, embedding=embedding)
    categorize_products.main()
    rows = pq.read_table(PRODUCT_CATEGORIES.path).to_pandas()
    assert set(rows["decided_by"]) == {"cluster"}
    assert 2 <= rows["category"].nunique() <= 4
    assert read_metrics("categorize")["way"] == "discovered"


def test_products_beyond_the_training_sample_join_the_groups():
    settings = load_params("categorize", Params, ROOT / "params.yaml")
    things = ["mug", "clock", "ribbon", "doll"]
    looks = ["red", "blue", "old", "new", "big", "hot", "odd", "shy"]
    names = [f"{look} {thing}" for thing in things for look in looks]
    products = pd.DataFrame(
        {"description": names, "unit_price": np.repeat([1.0, 9.0, 0.5, 4.0], 8)}
    )
    few = {"most_training_products": 24, "discovered_categories": 4, "embedding": None}
    fewer = settings.model_copy(update=few)
    pairs = sparse.csr_array(np.kron(np.eye(4), np.ones((8, 8)) - np.eye(8)))
    found = fit_categories(products, pairs, None, fewer)
    assert len(found.labels) == 32
    assert adjusted_mutual_info_score(np.repeat(things, 8), found.labels) > 0.5


def test_the_review_list_holds_no_formula(shop):
    categorize_products.main()
    review = (shop / "reports/products_to_review.csv").read_text()
    assert "'=CMD MUG" in review
    assert ",=" not in review


@pytest.mark.real_data
@pytest.mark.parametrize(("guided", "floor"), [(True, GUIDED_FLOOR), (False, DISCOVERED_FLOOR)])
def test_categories_of_the_real_shop_agree_with_labels_by_reading(real_data, guided, floor):
    from bench.categories import LABELS, read, sales_of_real_shop
    from pipeline.categorize_products.copurchase import pair_weights
    from pipeline.categorize_products.taxonomy import find_taxonomy, read_taxonomy

    if not guided:
        pytest.importorskip("safetensors")
    params = load_params("categorize", Params, ROOT / "params.yaml")
    assert real_data.exists()
    with sales_of_real_shop(None) as sales:
        products, baskets = read(sales, params)
    taxonomy = read_taxonomy(find_taxonomy("gifts")) if guided else None
    fit: Fit = fit_categories(products, pair_weights(baskets), taxonomy, params)
    labels = pd.read_csv(LABELS, dtype=str).query("half == 'final'")
    rows = pd.Index(products["stock_code"]).get_indexer(pd.Index(labels["stock_code"]))
    assert adjusted_mutual_info_score(labels["category"], fit.labels[rows]) >= floor
