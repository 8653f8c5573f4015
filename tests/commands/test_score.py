"""Scoring: the same lines get the same segments as in the run, and new ones sensible ones."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from whole_dag import HEADER

from pipeline.commands import score as score_lines
from pipeline.commands.score import (
    COLUMNS,
    canonical,
    categorize_new,
    drift_from,
    those_who_bought_within,
)
from pipeline.core.engines.duckdb import open_duckdb
from pipeline.core.model.definition import load_definition
from pipeline.core.tables.assign_segments import SEGMENT_NAMES
from pipeline.core.tables.contract import read_table, write_table
from pipeline.ingest.layouts import Reading
from pipeline.render_report.lists import mailing_list
from pipeline.render_report.sentences import read_writer

SAMPLE = "data/sample/sample.csv"
Score = Callable[..., tuple[int, pd.DataFrame, str]]


@pytest.fixture
def score(
    small_shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Score:
    """Run the command in the small shop: its exit code, the rows on stdout, the messages."""
    monkeypatch.chdir(small_shop)

    def command(*arguments: str | Path) -> tuple[int, pd.DataFrame, str]:
        monkeypatch.setattr("sys.argv", ["score_lines", *map(str, arguments)])
        monkeypatch.setattr("logging.root.handlers", [])
        code = 0
        try:
            score_lines.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        rows = pd.read_csv(io.StringIO(out), dtype={"customer_id": str}) if out else pd.DataFrame()
        return code, rows, err

    return command


def lines_of(small_shop: Path) -> list[str]:
    return (small_shop / SAMPLE).read_text(encoding="iso-8859-1").splitlines()[1:]


@pytest.fixture
def a_code(small_shop: Path) -> str:
    return next(line.split(",")[1] for line in lines_of(small_shop))


def write_csv(path: Path, *lines: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", encoding="iso-8859-1")
    return path


def last_segments(small_shop: Path) -> pd.DataFrame:
    rows = pd.read_parquet(small_shop / "data/segments.parquet")
    last: pd.DataFrame = rows[rows["snapshot_date"] == rows["snapshot_date"].max()]
    return last.reset_index(drop=True)


def test_scoring_the_whole_sample_matches_the_last_snapshot(small_shop, score, tmp_path):
    out = tmp_path / "scored.csv"
    code, printed, _ = score(SAMPLE, "--out", out)
    assert (code, len(printed)) == (0, 0)
    scored, run = pd.read_csv(out, dtype={"customer_id": str}), last_segments(small_shop)
    assert tuple(scored.columns) == COLUMNS
    columns = ["customer_id", "segment", "confidence"]
    pd.testing.assert_frame_equal(scored[columns], run[columns])
    assert list(scored["segment_id"]) == list(run["segment_id"])
    assert set(scored["as_of"]) == set(run["snapshot_date"].astype(str))
    assert list(scored["segment_before"]) == list(run["segment"])
    outlook = pd.read_parquet(small_shop / "data/profiles/customer_forecasts.parquet")
    assert list(scored["next_best_category"]) == list(outlook["next_category_title"])
    tops = outlook["top_category_title"]
    assert list(scored["top_category"].fillna("")) == list(tops.fillna(""))
    listed = mailing_list(outlook, read_writer())
    mailed = pd.read_csv(io.StringIO(listed), dtype={"customer_id": str})
    assert list(scored["suggested_action"]) == list(mailed["suggested_action"])
    strategies = pd.read_parquet(small_shop / "data/profiles/strategies.parquet")
    assert strategies["exceptions"].any()  # some have a play of their own


def test_scoring_as_of_an_earlier_date_matches_that_snapshot(small_shop, score):
    segments = pd.read_parquet(small_shop / "data/segments.parquet")
    day = sorted(segments["snapshot_date"].unique())[-3]
    run = segments[segments["snapshot_date"] == day].set_index("customer_id")["segment"]
    code, rows, _ = score(SAMPLE, "--as-of", str(day))
    scored = rows.set_index("customer_id")["segment"]
    # New products have come since, so only the model of rfm can be the same: it is here.
    assert code == 0
    assert scored.to_dict() == run.to_dict()


def test_late_lines_with_history_match_the_whole_file(small_shop, score, tmp_path):
    late = write_csv(tmp_path / "late.csv", *lines_of(small_shop)[-600:])
    run = last_segments(small_shop).set_index("customer_id")
    _, alone, _ = score(late)
    _, joined, _ = score(late, "--with-history", "--as-of", str(run["snapshot_date"].iloc[0]))
    assert 5 < len(joined) < len(run)
    assert joined.set_index("customer_id")["segment"].to_dict() == {
        name: run["segment"][name] for name in joined["customer_id"]
    }
    before = alone.set_index("customer_id")["frequency"]
    now = joined.set_index("customer_id")["frequency"].loc[before.index]
    assert (now >= before).all()
    assert (now > before).any()


def test_a_new_customer_and_a_product_never_sold_get_a_segment_and_a_category(
    small_shop, score, tmp_path
):
    products = pd.read_parquet(small_shop / "data/product_categories.parquet")
    surest = products.sort_values("confidence").iloc[-1]
    lines = [
        f"900001,NEW1,{surest['description']},6,12/8/2011 9:00,2.5,NOBODY,France",
        f"900001,NEW2,SMALL {surest['description']},12,12/8/2011 9:00,1.25,NOBODY,France",
    ]
    code, rows, messages = score(write_csv(tmp_path / "new.csv", *lines))
    (row,) = rows.to_dict("records")
    assert code == 0
    assert (row["customer_id"], row["frequency"], row["monetary"]) == ("NOBODY", 1, 30.0)
    assert row["top_category"] == surest["category_title"]
    assert pd.isna(row["segment_before"])
    assert row["segment"] in set(last_segments(small_shop)["segment"])
    assert row["next_best_category"] in set(products["category_title"]) - {row["top_category"]}
    assert "2 products are new" in messages
    assert "too few customers to tell" in messages


def test_a_customer_who_returned_everything_is_scored_as_such(score, tmp_path, a_code):
    bought = f"900001,{a_code},THING,6,12/8/2011 9:00,2.5,NOBODY,France"
    back = f"C900002,{a_code},THING,-6,12/9/2011 9:00,2.5,NOBODY,France"
    only_back = f"C900003,{a_code},THING,-6,12/9/2011 9:00,2.5,STRANGER,France"
    file = write_csv(tmp_path / "back.csv", bought, back, only_back)
    _, rows, messages = score(file)
    (row,) = rows.to_dict("records")
    expected = ("NOBODY", "returned everything", 1)
    assert (row["customer_id"], row["segment"], row["confidence"]) == expected
    assert pd.isna(row["recency_days"])
    assert "1 customer of the file is not scored" in messages
    _, rows, _ = score(file, "--as-of", "2011-12-08")
    assert rows["frequency"].tolist() == [1]


def test_with_history_a_return_is_netted_against_earlier_purchases(small_shop, score, tmp_path):
    sales = pd.read_parquet(small_shop / "data/sales.parquet").dropna(subset="customer_id")
    bought_once = sales[~sales.duplicated(["customer_id", "stock_code"], keep=False)]
    sale = bought_once[bought_once["quantity_returned"] == 0].iloc[0]
    code, who, price = sale["stock_code"], sale["customer_id"], sale["unit_price"]
    file = write_csv(
        tmp_path / "back.csv",
        f"C900001,{code},,-{sale['quantity']},12/20/2011 9:00,{price},{who},France",
        f"900002,{code},,1,12/21/2011 9:00,7,{who},France",
    )
    spent = sales.loc[sales["customer_id"] == who, "net_amount"].sum()
    _, joined, _ = score(file, "--with-history")
    _, alone, _ = score(file)
    assert joined["monetary"].tolist() == [pytest.approx(float(spent - sale["net_amount"]) + 7)]
    assert alone["monetary"].tolist() == [7]
    assert joined["as_of"].tolist() == ["2011-12-22"]


def test_different_customers_are_reported_as_drift(score, tmp_path, a_code):
    others = [
        f"9{n:05},{a_code},THING,1,12/{1 + n % 8}/2011 9:00,{n % 7 + 1},N{n // 3},France"
        for n in range(1200)
    ]
    file = write_csv(tmp_path / "others.csv", *others)
    code_plain, _, messages = score(file)
    code_strict, _, _ = score(file, "--fail-on-drift")
    assert (code_plain, code_strict) == (0, 3)
    assert "drift: monetary: drifted" in messages
    code_same, _, messages = score(SAMPLE, "--fail-on-drift")
    assert code_same == 0
    assert "they look like the customers that the model was fitted on" in messages


def test_one_month_of_the_same_shop_is_no_drift(small_shop, score, tmp_path):
    lines = lines_of(small_shop)
    late = [line for line in lines if re.search(r",(11/2\d|11/30|12/\d+)/2011 ", line)]
    assert 50 < len(late) < len(lines) / 3
    file = write_csv(tmp_path / "late.csv", *late)
    code, _, messages = score(file, "--with-history", "--fail-on-drift")
    assert (code, "drift:" in messages) == (0, False)


def test_drift_compares_customers_of_the_same_age(small_shop):
    customers = pd.read_parquet(small_shop / "data/customers.parquet")
    last = customers[customers["snapshot_date"] == customers["snapshot_date"].max()]
    last = last.assign(segment_id=np.arange(len(last)) % 3)
    found = drift_from(load_definition(small_shop / "data/definition.yaml"), last, last)
    assert (found["psi"] == 0).all()
    assert found["is_stable"].all()
    nobody = drift_from(load_definition(small_shop / "data/definition.yaml"), last, last.iloc[:0])
    assert set(nobody["verdict"]) == {"too few to tell"}
    same, later, young = (
        those_who_bought_within(10_000, last, days)["tenure_days"] for days in (0, 30, -30)
    )
    assert same.tolist() == later.tolist() == last["tenure_days"].tolist()
    assert 0 < len(young) < len(same)
    assert young.tolist() == (same[same >= 30] - 30).tolist()


def test_a_misspelt_new_product_is_corrected():
    categories = pd.DataFrame(
        {"stock_code": [*"abcdef"], "description": ["GARDEN SPADE", "GARDEN PARTY CANDLE"] * 3}
    )
    words = pd.DataFrame(
        {
            "feature": ["", "", "candle", "spade", "umbrella"],
            "rarity": [1.0] * 5,
            "category": ["lights", "garden", "lights", "garden", "garden"],
            "weight": [0.0, 0.1, 3.0, 3.0, 3.0],
        }
    )
    new = pd.DataFrame({"stock_code": ["x", "y", "z"], "description": ["UMBRELA", "CANDLES", ""]})
    found = categorize_new(new, categories, words)
    assert dict(found.to_numpy().tolist()) == {"x": "garden", "y": "lights", "z": "garden"}


def test_a_cell_that_a_spreadsheet_would_execute_is_guarded(score, tmp_path, a_code):
    line = f'900001,{a_code},THING,6,12/8/2011 9:00,2.5,"=HYPERLINK(""x"")",France'
    out = tmp_path / "scored.csv"
    score(write_csv(tmp_path / "bad.csv", line), "--out", out)
    (row,) = csv.DictReader(out.read_text(encoding="utf-8").splitlines())
    assert row["customer_id"] == '\'=HYPERLINK("x")'


FEE = "900001,POST,POSTAGE,1,12/8/2011 9:00,18,NOBODY,France"
TO_NOBODY = "900001,85123A,THING,1,12/8/2011 9:00,18,,France"
UNREADABLE = "900001,1,THING,six,12/8/2011 9:00,2.5,NOBODY,France"


@pytest.mark.parametrize(
    ("lines", "arguments", "message"),
    [
        (None, ["missing.csv"], "missing.csv is missing"),
        (None, [SAMPLE, "--set", "layout=onlin_retail"], "did you mean online_retail"),
        (None, [SAMPLE, "--set", "decimals=,"], "--set: source.decimals: unknown key"),
        (None, [SAMPLE, "--as-of", "1999-01-01"], "--as-of 1999-01-01 is outside the data"),
        (None, [SAMPLE, "--as-of", "2031-01-01"], "--as-of 2031-01-01 is outside the data"),
        ([FEE], [], "none of the file's lines is a sale of goods"),
        ([TO_NOBODY], [], "no sale of the file has a customer"),
        ([], [], "x.csv: a header and no line that can be read"),
        ([FEE, UNREADABLE], [], "row 3, column Quantity: 'six'"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_1_and_nothing_is_written(
    score, tmp_path, lines, arguments, message
):
    file = [] if lines is None else [write_csv(tmp_path / "x.csv", *lines)]
    out = tmp_path / "out.csv"
    code, rows, messages = score(*file, *arguments, "--out", out)
    assert code == 1
    assert rows.empty
    assert message in messages
    assert "Traceback" not in messages
    assert not out.exists()


def test_unreadable_lines_are_skipped_and_reported_under_quarantine(tmp_path, caplog):
    file = write_csv(tmp_path / "x.csv", TO_NOBODY, UNREADABLE)
    reading = Reading(path=file, layout="online_retail", on_bad_rows="quarantine")
    log = logging.getLogger("score")
    with caplog.at_level(logging.INFO), open_duckdb() as engine:
        read = engine.collect(canonical(engine, reading, tmp_path, log))
    assert read["stock_code"].tolist() == ["85123A"]
    assert [r.message for r in caplog.records if r.levelno == logging.WARNING] == [
        f"left out: {file}, row 3, column Quantity: 'six' is not a number below 10^10",
        "1 lines cannot be read and are left out (source.on_bad_rows)",
    ]


def test_a_file_in_another_format_is_read_by_set_options(small_shop, score, tmp_path):
    lines = lines_of(small_shop)[:220]
    plain = [line for line in lines if line.count(",") == 7 and '"' not in line]
    file = write_csv(tmp_path / "plain.csv", *plain)
    said = [line.replace(".", "_").replace(",", ";").replace("_", ",") for line in plain]
    other = write_csv(tmp_path / "other.csv", *said, header=HEADER.replace(",", ";"))
    _, expected, _ = score(file)
    code, found, _ = score(other, "--set", "decimal=,", "--set", "thousands=")
    assert code == 0
    pd.testing.assert_frame_equal(found, expected)


def test_a_missing_or_mixed_run_is_an_error_with_the_remedy(
    tmp_path, small_shop, score, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((small_shop / "params.yaml").read_bytes())
    code, _, messages = score(small_shop / SAMPLE)
    assert code == 1
    assert "data/definition.yaml is missing; `dvc repro select_model` makes it" in messages
    for name in ("definition.yaml", "customers.parquet", "segment_names.parquet"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes((small_shop / "data" / name).read_bytes())
    write_table(SEGMENT_NAMES, read_table(SEGMENT_NAMES).iloc[1:])
    code, rows, messages = score(small_shop / SAMPLE)
    assert (code, len(rows)) == (1, 0)
    assert (
        "error: data/definition.yaml, data/segment_names.parquet and data/customers.parquet are "
        "not of one run; `dvc repro profile_segments` makes them anew"
    ) in messages
