"""The report without a browser: its parts, its bytes, and what hostile text does to it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from report_shop import LOOK

from pipeline.commands import show as show_segments
from pipeline.core.run.errors import InputError
from pipeline.core.text.words import ENGLISH
from pipeline.render_report import __main__ as render_report
from pipeline.render_report.changes import move_anchor
from pipeline.render_report.inputs import Inputs
from pipeline.render_report.lists import mailing_list
from pipeline.render_report.marks import COLOURS, mark_of
from pipeline.render_report.page import Look, Report, json_in_html, report
from pipeline.render_report.rows import anchor
from pipeline.render_report.sentences import Writer

PAGES = ("segments", "method")


@pytest.fixture(scope="module")
def data(made: Report) -> dict:
    text = made.segments.partition('id="customers">')[2].partition("</script>")[0]
    return json.loads(text)


class Elements(HTMLParser):
    """Every start tag of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("name", PAGES)
def test_ids_are_unique_and_every_link_and_label_leads_somewhere(made: Report, name: str) -> None:
    tags = Elements(getattr(made, name)).tags
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {a["href"] for tag, a in tags if tag == "a" and a.get("href")}
    inside = {t for t in targets if t and t.startswith("#")}
    assert targets - inside <= {"method.html", "segments.html"}
    assert {t[1:] for t in inside} <= set(ids)
    assert {a["aria-labelledby"] for _, a in tags if "aria-labelledby" in a} <= set(ids)


def test_a_segments_address_is_its_name_and_its_list_has_one_too(
    made: Report, inputs: Inputs
) -> None:
    ids = {a["id"] for _, a in Elements(made.segments).tags if "id" in a}
    for name in inputs.profiles["segment"]:
        assert {anchor(name), f"list-{anchor(name)}"} <= ids
    assert anchor("Near champions 2") == "near-champions-2"


@pytest.mark.parametrize("name", PAGES)
def test_no_address_of_anywhere_stands_in_a_tag(made: Report, name: str) -> None:
    for tag, attributes in Elements(getattr(made, name)).tags:
        for key in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(key) or ""
            assert re.match(r"#|data:|(method|segments)\.html$|$", value), (tag, key, value)


@pytest.mark.parametrize(("name", "count"), [("segments", 2), ("method", 1)])
def test_the_policy_names_exactly_the_scripts_that_run(made: Report, name: str, count: int) -> None:
    page = getattr(made, name)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    tags = Elements(page).tags
    policy = next(a["content"] for t, a in tags if t == "meta" and a.get("http-equiv")) or ""
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert len(scripts) == policy.count("sha256-") == count
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy


@pytest.mark.parametrize("name", PAGES)
def test_hostile_texts_stay_texts(made: Report, name: str) -> None:
    page = getattr(made, name)
    assert "<script>window.hacked" not in page
    assert "<img src=x" not in page
    assert "window.hacked=1&lt;/script&gt;" in page  # it is shown, as text
    assert "{{7*7}}" in page  # and never calculated
    kinds = [a.get("type") for t, a in Elements(made.segments).tags if t == "script"]
    assert kinds == ["application/json", "application/json", None, None]


@pytest.mark.parametrize("name", PAGES)
def test_every_table_has_a_caption_and_headers_with_a_scope(made: Report, name: str) -> None:
    tables = re.findall(r"<table.*?</table>", getattr(made, name), re.DOTALL)
    assert len(tables) > 10
    for table in tables:
        assert "<caption>" in table
        heads = re.findall(r"<th\b[^>]*>", table)
        assert heads
        assert all('scope="' in head for head in heads), heads


@pytest.mark.parametrize("name", PAGES)
def test_no_word_is_left_without_its_figure(made: Report, name: str) -> None:
    text = re.sub(r"<(script|style|pre).*?</\1>", "", getattr(made, name), flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", " ", text).replace("{{7*7}}", "")
    assert not re.findall(r"\{\w+\}|\bNone\b(?! of)|\bnan\b|Undefined", text)


def test_the_total_row_is_the_sum_of_the_segments(made: Report, inputs: Inputs) -> None:
    table = made.segments.partition('class="cards"')[2].partition("</table>")[0]
    cells = re.findall(r'data-label="(\w+)">[£]?([\d,]+)', table)
    for label, column in (("Customers", "customers"), ("Revenue", "revenue")):
        *each, total = [int(text.replace(",", "")) for name, text in cells if name == label]
        assert total == round(inputs.profiles[column].sum())
        assert abs(sum(each) - total) <= len(each) / 2  # each is rounded


def test_the_page_holds_every_customer_with_past_months_and_action(
    data: dict, inputs: Inputs
) -> None:
    everyone = inputs.customer_forecasts.set_index("customer_id")
    assert len(data["id"]) == len(everyone)
    assert {len(data[k]) for k in ("before", "recency", "past", "months", "action")} == {
        len(everyone)
    }
    known = everyone[everyone["previous_segment"].notna()].index[-1]
    place, row = data["id"].index(known), everyone.loc[known]
    assert data["segment"][place] == row["segment_id"]
    assert data["words"][data["previous"][place]] == row["previous_segment"]
    assert data["past"][place][-1] == row["segment_id"]
    months = inputs.customer_months
    spent = months.loc[months["customer_id"] == known, "spend"].astype(float).round()
    assert data["months"][place][1::2] == list(spent)
    assert any("{offer_category}" in data["words"][action] for action in data["action"])


def test_with_more_customers_than_the_page_may_hold_it_says_so(
    inputs: Inputs, writer: Writer
) -> None:
    made = report(inputs, Look("", 7, 100, 10), writer)
    everyone = len(inputs.customer_forecasts)
    assert f"7 of {everyone} customers are here" in made.segments
    assert made.mailing_list.count("\n") == everyone + 1


def test_the_mailing_list_says_what_was_and_whose_play_is_another(
    inputs: Inputs, writer: Writer
) -> None:
    rows = pd.read_csv(io.StringIO(mailing_list(inputs.customer_forecasts, writer)), dtype=str)
    customers = inputs.customer_forecasts.sort_values("customer_id", ignore_index=True)
    for column in ("customer_id", "segment", "previous_segment", "play"):
        assert rows[column].equals(customers[column].astype("str"))
    assert rows["recency_days"].astype(float).equals(customers["recency_days"])
    assert rows["suggested_action"].notna().all()
    own = customers["segment"].map(inputs.profiles.set_index("segment")["play"]) != rows["play"]
    assert own.sum() == inputs.strategies["exceptions"].sum() > 0


def test_who_fell_stands_among_the_decisions_by_the_money(inputs: Inputs, writer: Writer) -> None:
    moves = inputs.latest_moves.copy()
    place = moves.index[moves["value_at_stake"].notna()][-1]
    worth = {"customers": 40, "value_at_stake": 900_000.0, "fall_loss": 120.0}
    moves.loc[place, list(worth)] = list(worth.values())
    page = report(replace(inputs, latest_moves=moves), LOOK, writer).segments
    first = page.partition('class="decisions"')[2].partition("</li>")[0].replace("\xa0", " ")
    fall = moves.loc[place]
    assert f'#list-{move_anchor(fall["from_segment"], fall["to_segment"])}">40 customers' in first
    assert "<b>£900k</b>" in first
    assert "spent £120 less each" in first


def test_a_bare_shop_has_a_report_that_claims_nothing(bare: Inputs, writer: Writer) -> None:
    made = report(bare, Look("", 100, 100, 10), writer)
    assert "No forecast can be made yet" in made.segments
    assert "Nothing to compare with" in made.segments
    assert 'id="changes"' not in made.segments
    assert "No candidate passed every gate" in made.method
    assert "There is one snapshot" in made.method


def page_with(inputs: Inputs, writer: Writer, stage: str, **figures: Any) -> str:
    """The shop's page where the stage measured these figures besides."""
    metrics = inputs.metrics | {stage: inputs.metrics[stage] | figures}
    return report(replace(inputs, metrics=metrics), Look("", 9, 9, 9), writer).segments


def test_where_nothing_is_predicted_the_report_says_so_first(
    inputs: Inputs, writer: Writer
) -> None:
    assert "Nothing in these lines predicts" not in page_with(inputs, writer, "select")
    page = page_with(inputs, writer, "select", predicts=False)
    assert page.index("Nothing in these lines predicts") < page.index("<dl")
    assert not re.search(r'<li data-segment="\d+"', page)


def test_a_kept_definition_that_has_aged_is_told_with_how_to_switch(
    inputs: Inputs, writer: Writer
) -> None:
    kept = {"since": "2011-09-30", "share_of_challenger": 0.87, "challenger_would_move_share": 0.2}
    page = page_with(inputs, writer, "select", kept=kept | {"switch_is_recommended": True})
    assert "defined on 30 September 2011 and have aged: they explain 87% of what" in page
    assert "20% of the customers would get another name" in page


def test_one_test_of_all_is_told_where_no_segment_can_be_tested_alone(
    inputs: Inputs, writer: Writer
) -> None:
    together = {"is_proposed": True, "customers": 729, "holdout_customers": 363, "power": 0.58}
    together |= {"baseline_rate": 0.38, "target_rate": 0.45}
    page = page_with(inputs, writer, "profile", shop_test=together)
    assert "leave out 363, half of every segment at random" in page
    assert "rises from 38% to 45%, the test shows it with a chance of 58%" in page


def test_a_missing_table_or_parameter_file_is_named(
    small_shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_shop)
    Path("data/candidates.parquet").unlink()
    with pytest.raises(InputError, match=r"data/candidates\.parquet is missing; `dvc repro`"):
        render_report.main()
    Path("params.yaml").unlink()
    with pytest.raises(InputError, match=r"params\.yaml is missing"):
        show_segments.show(is_digest=False)


def test_the_terminal_shows_each_segment_and_the_report(
    prepared: Path,
    inputs: Inputs,
    writer: Writer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(prepared)
    show_segments.show(is_digest=False)
    shown = capsys.readouterr().out
    for row in inputs.profiles.itertuples():
        assert row.segment.capitalize() in shown
        assert ENGLISH.share(row.revenue_share) in shown
        assert ENGLISH.money(row.expected_spend, "£") in shown
        assert writer.language.play(row.play, row.segment).action in shown
    assert "reports/segments.html" in shown


@given(st.recursive(st.text() | st.none() | st.integers(), st.lists))
def test_json_in_html_has_no_markup_and_loses_nothing(value: object) -> None:
    text = str(json_in_html(value))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_segments_differ_and_stand_out_in_light_and_dark() -> None:
    marks = [mark_of(number) for number in range(24)]
    assert len({(m.colour, m.shape) for m in marks}) == 24
    for a, b in pairwise(marks):
        assert a.colour != b.colour
        assert a.shape != b.shape
    styles = (ROOT / "pipeline/render_report/styles.css").read_text()
    light, dark = styles.partition("@media print")[0].split("@media (prefers-color-scheme: dark)")
    for theme in (light, dark):
        page = re.findall(r"--page: (#\w+)", theme)[0]
        page = "#ffffff" if page == "#fff" else page
        colours = dict(re.findall(r"--(c\d+): (#\w{6})", theme))
        assert len(colours) >= COLOURS
        for number in range(COLOURS):
            ends = sorted((_luminance(colours[f"c{number}"]), _luminance(page)))
            assert (ends[1] + 0.05) / (ends[0] + 0.05) >= 3, (number, page)
