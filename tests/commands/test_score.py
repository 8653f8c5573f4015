"""Scoring: the same lines get the same segments as in the run, and new ones sensible ones."""

from __future__ import annotations

import csv
import io
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT

from pipeline.aggregate_rfm import __main__ as aggregate_rfm
from pipeline.assign_segments import __main__ as assign_segments
from pipeline.categorize_products import __main__ as categorize_products
from pipeline.clean import __main__ as clean
from pipeline.commands.score import __main__ as score_lines
from pipeline.commands.score.__main__ import read_lines, read_trained
from pipeline.commands.score.scoring import (
    SCORED,
    DriftCounts,
    categorize_new,
    those_who_bought_within,
)
from pipeline.core.engines.duckdb import open_duckdb
from pipeline.core.model.definition import load_definition
from pipeline.core.run.errors import InputError
from pipeline.core.tables.assign_segments import SEGMENT_NAMES
from pipeline.core.tables.contract import read_table, write_table
from pipeline.ingest import __main__ as ingest
from pipeline.ingest.canonical_lines import Reading
from pipeline.make_sample import __main__ as make_sample
from pipeline.profile_segments import __main__ as profile_segments
from pipeline.render_report.lists import mailing_list
from pipeline.render_report.sentences import read_writer
from pipeline.select_model import __main__ as select_model

SAMPLE = "data/sample/sample.csv"
Score = Callable[..., tuple[int, pd.DataFrame, str]]


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a small sample went through the stages, with few candidates."""
    folder = tmp_path_factory.mktemp("trained")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["sample"] = {"lines": 8000, "seed": 7}
    params["categorize"]["overrides"] = None  # a file of the project's top folder
    params["select"] |= {
        "k_from": 3,
        "k_to": 4,
        "origins": 3,
        "candidates": ["kmeans/rfm/log"],
        "baselines": [],
    }
    params["select"]["effort"] |= {"resamples": 4, "splits": 2, "later_resamples": 20}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    stages = (
        make_sample, ingest, clean, categorize_products, aggregate_rfm, select_model,
        assign_segments, profile_segments,
    )  # fmt: skip
    with inside(folder):
        for stage in stages:
            stage.main()
    return folder


@pytest.fixture
def score(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Score:
    """Run the command in the trained folder: its exit code, the rows on stdout, the messages."""
    monkeypatch.chdir(trained)

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


def header_and_lines(trained: Path) -> tuple[str, list[str]]:
    text = (trained / SAMPLE).read_text(encoding="iso-8859-1")
    header, *lines = text.splitlines()
    return header, lines


def write_csv(path: Path, header: str, lines: list[str]) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", encoding="iso-8859-1")
    return path


def last_segments(trained: Path) -> pd.DataFrame:
    rows = pd.read_parquet(trained / "data/segments.parquet")
    last: pd.DataFrame = rows[rows["snapshot_date"] == rows["snapshot_date"].max()]
    return last.reset_index(drop=True)


def test_the_whole_sample_gets_exactly_the_segments_of_the_runs_last_snapshot(
    trained: Path, score: Score, tmp_path: Path
) -> None:
    out = tmp_path / "scored.parquet"
    code, _, _ = score(SAMPLE, "--out", out)
    scored, run = pd.read_parquet(out), last_segments(trained)
    assert code == 0
    assert len(scored) > 50
    assert pq.read_schema(out) == SCORED
    columns = ["customer_id", "segment_id", "segment", "confidence"]
    pd.testing.assert_frame_equal(scored[columns], run[columns])
    assert set(scored["as_of"]) == set(run["snapshot_date"])
    assert list(scored["segment_before"]) == list(run["segment"])


def test_categories_and_actions_are_those_of_the_run_too(
    trained: Path, score: Score, tmp_path: Path
) -> None:
    out = tmp_path / "scored.parquet"
    score(SAMPLE, "--out", out)
    scored = pd.read_parquet(out)
    outlook = pd.read_parquet(trained / "data/profiles/customer_forecasts.parquet")
    assert list(scored["next_best_category"]) == list(outlook["next_category_title"])
    tops = outlook["top_category_title"]
    assert list(scored["top_category"].fillna("")) == list(tops.fillna(""))
    params = yaml.safe_load((trained / "params.yaml").read_text(encoding="utf-8"))
    listed = mailing_list(outlook, read_writer(params))
    mailed = pd.read_csv(io.StringIO(listed), dtype={"customer_id": str})
    assert list(scored["customer_id"]) == list(mailed["customer_id"])
    assert list(scored["suggested_action"]) == list(mailed["suggested_action"])
    strategies = pd.read_parquet(trained / "data/profiles/strategies.parquet")
    assert strategies["exceptions"].any()  # some have a play of their own


def test_an_earlier_date_gets_the_segments_of_that_snapshot_and_knows_nothing_later(
    trained: Path, score: Score
) -> None:
    segments = pd.read_parquet(trained / "data/segments.parquet")
    day = sorted(segments["snapshot_date"].unique())[-3]
    run = segments[segments["snapshot_date"] == day].set_index("customer_id")["segment"]
    code, rows, _ = score(SAMPLE, "--as-of", str(day))
    scored = rows.set_index("customer_id")["segment"]
    # New products have come since, so only the model of rfm can be the same: it is here.
    assert code == 0
    assert scored.to_dict() == run.to_dict()


def test_pieces_of_a_table_are_scored_as_the_whole(
    score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, whole, _ = score(SAMPLE)
    monkeypatch.setattr(score_lines, "CUSTOMERS_AT_ONCE", 7)
    _, pieces, _ = score(SAMPLE)
    pd.testing.assert_frame_equal(whole, pieces)


def test_with_history_late_lines_get_what_the_whole_file_says(
    trained: Path, score: Score, tmp_path: Path
) -> None:
    header, lines = header_and_lines(trained)
    late = write_csv(tmp_path / "late.csv", header, lines[-600:])
    run = last_segments(trained).set_index("customer_id")
    _, alone, _ = score(late)
    _, joined, _ = score(late, "--with-history", "--as-of", str(run["snapshot_date"].iloc[0]))
    assert 5 < len(joined) < len(run)
    assert len(alone) <= len(joined)
    assert joined.set_index("customer_id")["segment"].to_dict() == {
        name: run["segment"][name] for name in joined["customer_id"]
    }
    before = alone.set_index("customer_id")["frequency"]
    assert (joined.set_index("customer_id")["frequency"].loc[before.index] >= before).all()
    assert (joined.set_index("customer_id")["frequency"].loc[before.index] > before).any()


def test_a_new_customer_and_a_product_never_sold_get_a_segment_and_a_category(
    trained: Path, score: Score, tmp_path: Path
) -> None:
    header, _ = header_and_lines(trained)
    products = pd.read_parquet(trained / "data/product_categories.parquet")
    surest = products.sort_values("confidence").iloc[-1]
    lines = [
        f"900001,NEW1,{surest['description']},6,12/8/2011 9:00,2.5,NOBODY,France",
        f"900001,NEW2,SMALL {surest['description']},12,12/8/2011 9:00,1.25,NOBODY,France",
    ]
    code, rows, messages = score(write_csv(tmp_path / "new.csv", header, lines))
    (row,) = rows.to_dict("records")
    assert code == 0
    assert (row["customer_id"], row["frequency"], row["monetary"]) == ("NOBODY", 1, 30.0)
    assert row["top_category"] == surest["category_title"]
    assert pd.isna(row["segment_before"])
    assert row["segment"] in set(last_segments(trained)["segment"])
    assert row["next_best_category"] in set(products["category_title"]) - {row["top_category"]}
    assert "2 products are new" in messages
    assert "too few customers to tell" in messages


def test_what_was_taken_back_whole_leaves_a_customer_who_returned_everything(
    trained: Path, score: Score, tmp_path: Path
) -> None:
    header, lines = header_and_lines(trained)
    code = next(line.split(",")[1] for line in lines)
    bought = f"900001,{code},THING,6,12/8/2011 9:00,2.5,NOBODY,France"
    back = f"C900002,{code},THING,-6,12/9/2011 9:00,2.5,NOBODY,France"
    only_back = f"C900003,{code},THING,-6,12/9/2011 9:00,2.5,STRANGER,France"
    file = write_csv(tmp_path / "back.csv", header, [bought, back, only_back])
    _, rows, messages = score(file)
    (row,) = rows.to_dict("records")
    assert (row["customer_id"], row["segment"], row["confidence"]) == (
        "NOBODY",
        "returned everything",
        1,
    )
    assert pd.isna(row["recency_days"])
    assert "1 customer of the file is not scored" in messages
    _, rows, _ = score(file, "--as-of", "2011-12-08")
    assert rows["frequency"].tolist() == [1]


def test_with_history_a_return_takes_back_what_was_bought_before_the_file(
    trained: Path, score: Score, tmp_path: Path
) -> None:
    header, _ = header_and_lines(trained)
    sales = pd.read_parquet(trained / "data/sales.parquet").dropna(subset="customer_id")
    bought_once = sales[~sales.duplicated(["customer_id", "stock_code"], keep=False)]
    sale = bought_once[bought_once["quantity_returned"] == 0].iloc[0]
    lines = [
        (
            f"C900001,{sale['stock_code']},,-{sale['quantity']},12/20/2011 9:00,"
            f"{sale['unit_price']},{sale['customer_id']},France"
        ),
        f"900002,{sale['stock_code']},,1,12/21/2011 9:00,7,{sale['customer_id']},France",
    ]
    file = write_csv(tmp_path / "back.csv", header, lines)
    spent = sales.loc[sales["customer_id"] == sale["customer_id"], "net_amount"].sum()
    _, joined, _ = score(file, "--with-history")
    _, alone, _ = score(file)
    assert joined["monetary"].tolist() == [pytest.approx(float(spent - sale["net_amount"]) + 7)]
    assert alone["monetary"].tolist() == [7]
    assert joined["as_of"].tolist() == ["2011-12-22"]


def test_a_shop_of_other_customers_is_called_drift(
    trained: Path, score: Score, tmp_path: Path
) -> None:
    header, lines = header_and_lines(trained)
    code = next(line.split(",")[1] for line in lines)
    others = [
        f"9{n:05},{code},THING,1,12/{1 + n % 8}/2011 9:00,{n % 7 + 1},N{n // 3},France"
        for n in range(1200)
    ]
    file = write_csv(tmp_path / "others.csv", header, others)
    code_plain, _, messages = score(file)
    code_strict, _, _ = score(file, "--fail-on-drift")
    assert (code_plain, code_strict) == (0, 3)
    assert "drift: monetary: drifted" in messages
    code_same, _, messages = score(SAMPLE, "--fail-on-drift")
    assert code_same == 0
    assert "they look like the customers that the model was fitted on" in messages


def test_a_month_of_the_same_shop_is_no_drift_for_holding_late_buyers_alone(
    trained: Path, score: Score, tmp_path: Path
) -> None:
    header, lines = header_and_lines(trained)
    late = [line for line in lines if re.search(r",(11/2\d|11/30|12/\d+)/2011 ", line)]
    assert 50 < len(late) < len(lines) / 3
    file = write_csv(tmp_path / "late.csv", header, late)
    code, _, messages = score(file, "--with-history", "--fail-on-drift")
    assert (code, "drift:" in messages) == (0, False)


def test_customers_scored_before_the_run_are_held_against_its_own_as_young_as_then(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with inside(trained):
        run, _ = read_trained()
    seen: list[pd.DataFrame] = []
    monkeypatch.setattr(DriftCounts, "add", lambda _self, customers, _id: seen.append(customers))
    for later in (0, 30, -30):
        those_who_bought_within(10_000, run, later)
    same, later, young = (found.set_index("customer_id")["tenure_days"] for found in seen)
    assert (later == same).all()
    assert set(young.index) == set(same.index[same >= 30]) != set(same.index)
    assert (young == same[same >= 30] - 30).all()


def test_a_day_written_otherwise_is_refused_with_how_to_write_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["score_lines", "x.csv", "--as-of", "30.11.2011"])
    with pytest.raises(SystemExit) as ended:
        score_lines.main()
    assert ended.value.code == 2
    assert "'30.11.2011' is no day written as 2011-11-30" in capsys.readouterr().err


def test_the_training_customers_have_not_drifted_from_themselves(trained: Path) -> None:
    with inside(trained):
        definition = load_definition()
    customers = pd.read_parquet(trained / "data/customers.parquet")
    last = customers[customers["snapshot_date"] == date.fromisoformat(definition.snapshot_date)]
    counts, halves = DriftCounts(definition), DriftCounts(definition)
    counts.add(last, np.zeros(len(last), dtype=int))
    halves.add(last.iloc[::2], np.zeros(len(last.iloc[::2]), dtype=int))
    halves.add(last.iloc[1::2], np.zeros(len(last.iloc[1::2]), dtype=int))
    for name, found in counts.features.items():
        shares = np.asarray(definition.training[name]["shares"])
        np.testing.assert_allclose(found / len(last), shares)
        np.testing.assert_array_equal(found, halves.features[name])


def test_a_misspelt_new_product_is_read_as_the_word_that_is_meant() -> None:
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


def test_a_cell_that_a_spreadsheet_would_execute_is_guarded(
    trained: Path, score: Score, tmp_path: Path
) -> None:
    header, lines = header_and_lines(trained)
    code = next(line.split(",")[1] for line in lines)
    line = f'900001,{code},THING,6,12/8/2011 9:00,2.5,"=HYPERLINK(""x"")",France'
    out = tmp_path / "scored.csv"
    score(write_csv(tmp_path / "bad.csv", header, [line]), "--out", out)
    (row,) = csv.DictReader(out.read_text(encoding="utf-8").splitlines())
    assert row["customer_id"] == '\'=HYPERLINK("x")'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.csv"], "missing.csv is missing"),
        ([SAMPLE, "--layout", "onlin_retail"], "did you mean online_retail"),
        ([SAMPLE, "--as-of", "1999-01-01"], "--as-of 1999-01-01 is outside the data"),
        ([SAMPLE, "--as-of", "2031-01-01"], "--as-of 2031-01-01 is outside the data"),
        ([SAMPLE, "--out", "scored.xlsx"], "ends in .csv or .parquet"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_1(
    score: Score, arguments: list[str], message: str
) -> None:
    code, rows, messages = score(*arguments)
    assert code == 1
    assert rows.empty
    assert message in messages
    assert "Traceback" not in messages


def test_nothing_is_written_where_a_line_cannot_be_read(
    trained: Path, score: Score, tmp_path: Path
) -> None:
    header, lines = header_and_lines(trained)
    broken = "900001,1,THING,six,12/8/2011 9:00,2.5,NOBODY,France"
    out = tmp_path / "scored.csv"
    code, _, messages = score(
        write_csv(tmp_path / "bad.csv", header, [*lines[:5], broken]), "--out", out
    )
    assert code == 1
    assert "row 7" in messages
    assert "'six'" in messages
    assert not out.exists()


def test_fees_alone_are_nobody_to_score(trained: Path, score: Score, tmp_path: Path) -> None:
    header, _ = header_and_lines(trained)
    fee = "900001,POST,POSTAGE,1,12/8/2011 9:00,18,NOBODY,France"
    code, _, messages = score(write_csv(tmp_path / "fee.csv", header, [fee]))
    assert code == 1
    assert "none of the file's lines is a sale of goods" in messages


def test_sales_without_customers_are_nobody_to_score(
    trained: Path, score: Score, tmp_path: Path
) -> None:
    header, lines = header_and_lines(trained)
    code = next(line.split(",")[1] for line in lines)
    line = f"900001,{code},THING,1,12/8/2011 9:00,18,,France"
    exit_code, _, messages = score(write_csv(tmp_path / "nobody.csv", header, [line]))
    assert exit_code == 1
    assert "no sale of the file has a customer" in messages


def test_without_a_trained_run_the_message_says_what_makes_one(
    tmp_path: Path, trained: Path, score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "params.yaml").write_bytes((trained / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    code, _, messages = score(trained / SAMPLE)
    assert code == 1
    assert "data/definition.yaml is missing; `dvc repro select_model` makes it" in messages


HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
LINE = "536365,85123A,HEART,6,12/1/2010 8:26,2.55,17850,France"


def test_lines_that_cannot_be_read_are_left_out_and_told_where_that_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [LINE, LINE.replace(",6,", ",six,")]
    file = write_csv(tmp_path / "x.csv", HEADER, lines)
    reading = Reading(path=file, layout="online_retail", on_bad_rows="quarantine")
    log = logging.getLogger("score")
    with caplog.at_level(logging.INFO), open_duckdb() as engine:
        read = engine.collect(read_lines(engine, reading, tmp_path, log))
    assert read["invoice_id"].tolist() == ["536365"]
    assert [r.message for r in caplog.records if r.levelno == logging.WARNING] == [
        f"left out: {file}, row 3, column Quantity: 'six' is not a number below 10^10",
        "1 lines cannot be read and are left out (source.on_bad_rows)",
    ]


def test_a_file_without_a_line_is_nobody_to_score(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "x.csv", HEADER, [])
    reading = Reading(path=file, layout="online_retail")
    with pytest.raises(InputError) as error, open_duckdb() as engine:
        read_lines(engine, reading, tmp_path, logging.getLogger("score"))
    assert str(error.value) == f"{file}: a header and no line that can be read"


def test_parts_of_two_runs_are_not_scored_with(
    tmp_path: Path, trained: Path, score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    shutil.copytree(trained, other)
    monkeypatch.chdir(other)
    names = read_table(SEGMENT_NAMES)
    SEGMENT_NAMES.path.unlink()
    write_table(SEGMENT_NAMES, names.iloc[1:])
    code, rows, messages = score(SAMPLE)
    assert (code, len(rows)) == (1, 0)
    assert (
        "error: data/definition.yaml, data/segment_names.parquet and data/customers.parquet are "
        "not of one run; `dvc repro profile_segments` makes them anew"
    ) in messages


def test_a_file_that_is_written_otherwise_is_read_as_is_said(
    trained: Path, score: Score, tmp_path: Path
) -> None:
    header, lines = header_and_lines(trained)
    plain = [line for line in lines if line.count(",") == 7 and '"' not in line][:200]
    file = write_csv(tmp_path / "plain.csv", header, plain)
    said = [line.replace(".", "_").replace(",", ";").replace("_", ",") for line in plain]
    other = write_csv(tmp_path / "other.csv", header.replace(",", ";"), said)
    _, expected, _ = score(file)
    code, found, _ = score(other, "--set", "decimal=,", "--set", "thousands=")
    assert code == 0
    pd.testing.assert_frame_equal(found, expected)
    code, _, messages = score(other, "--set", "decimals=,")
    assert code == 1
    assert "--set: source.decimals: unknown key" in messages
