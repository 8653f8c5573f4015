"""The report without a browser: its parts, its bytes, and what hostile text does to it."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_inputs import HOSTILE, NAMES, ROOT, SIZES, write_inputs

from pipeline.commands import show as show_segments
from pipeline.core.run.errors import InputError
from pipeline.render_report import __main__ as render_report
from pipeline.render_report.marks import COLOURS, mark_of
from pipeline.render_report.page import json_in_html
from pipeline.render_report.rows import anchor, spread_evenly

MEGABYTE = 1_000_000
FILES = ("segments.html", "method.html", "segments.csv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_inputs(folder)
        render_report.main()
    return folder


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, str]:
    return {name: (folder / "reports" / name).read_text(encoding="utf-8") for name in FILES}


@pytest.fixture(scope="module")
def html(pages: dict[str, str]) -> str:
    return pages["segments.html"]


@pytest.fixture(scope="module")
def data(html: str) -> dict:
    text = html.partition('id="customers">')[2].partition("</script>")[0]
    return json.loads(text)


class Elements(HTMLParser):
    """Every start tag of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_same_inputs_give_the_same_bytes_in_another_process(folder: Path) -> None:
    before = [(folder / "reports" / name).read_bytes() for name in FILES]
    subprocess.run(
        [sys.executable, "-m", "pipeline.render_report"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
        check=True,
        capture_output=True,
    )
    assert [(folder / "reports" / name).read_bytes() for name in FILES] == before


@pytest.mark.parametrize("name", ["segments.html", "method.html"])
def test_ids_are_unique_and_every_link_and_label_leads_somewhere(pages, name: str) -> None:
    tags = Elements(pages[name]).tags
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {a["href"] for tag, a in tags if tag == "a" and a.get("href")}
    inside = {t for t in targets if t and t.startswith("#")}
    assert targets - inside <= {"method.html", "segments.html"}
    assert {t[1:] for t in inside} <= set(ids)
    assert {a["aria-labelledby"] for _, a in tags if "aria-labelledby" in a} <= set(ids)


def test_a_segments_address_is_its_name_and_its_list_has_one_too(html: str) -> None:
    ids = {a["id"] for _, a in Elements(html).tags if "id" in a}
    for name in NAMES:
        assert {anchor(name), f"list-{anchor(name)}"} <= ids
    assert anchor("Near champions 2") == "near-champions-2"


@pytest.mark.parametrize("name", ["segments.html", "method.html"])
def test_no_address_of_anywhere_stands_in_a_tag(pages, name: str) -> None:
    for tag, attributes in Elements(pages[name]).tags:
        for key in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(key) or ""
            assert re.match(r"#|data:|(method|segments)\.html$|$", value), (tag, key, value)


@pytest.mark.parametrize(("name", "count"), [("segments.html", 1), ("method.html", 0)])
def test_the_policy_names_exactly_the_scripts_that_run(pages, name: str, count: int) -> None:
    tags = Elements(pages[name]).tags
    scripts = re.findall(r"<script>(.*?)</script>", pages[name], re.DOTALL)
    policy = next(a["content"] for t, a in tags if t == "meta" and a.get("http-equiv")) or ""
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert len(scripts) == policy.count("sha256-") == count
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy


def test_hostile_texts_stay_texts(pages) -> None:
    for name in ("segments.html", "method.html"):
        page = pages[name]
        assert HOSTILE not in page
        assert "<img src=x" not in page
        assert "window.hacked=1&lt;/script&gt;" in page  # it is shown, as text
        assert "{{7*7}}" in page  # and never calculated
    kinds = [a.get("type") for t, a in Elements(pages["segments.html"]).tags if t == "script"]
    assert kinds == ["application/json", "application/json", None]


@pytest.mark.parametrize("name", ["segments.html", "method.html"])
def test_every_table_has_a_caption_and_headers_with_a_scope(pages, name: str) -> None:
    tables = re.findall(r"<table.*?</table>", pages[name], re.DOTALL)
    assert len(tables) > 10
    for table in tables:
        assert "<caption>" in table
        heads = re.findall(r"<th\b[^>]*>", table)
        assert heads
        assert all('scope="' in head for head in heads), heads


def test_no_word_is_left_without_its_figure(pages) -> None:
    for name in ("segments.html", "method.html"):
        text = re.sub(r"<(script|style|pre).*?</\1>", "", pages[name], flags=re.DOTALL)
        text = re.sub(r"<[^>]+>", " ", text).replace("{{7*7}}", "")
        assert not re.findall(r"\{\w+\}|\bNone\b|\bnan\b|Undefined", text)


def test_the_total_row_is_the_sum_of_the_segments(html: str) -> None:
    table = html.partition('class="cards"')[2].partition("</table>")[0]
    cells = re.findall(r'data-label="(\w+)">[£]?([\d,]+)', table)
    *each, total = [int(text.replace(",", "")) for label, text in cells if label == "Customers"]
    assert sum(each) == total == sum(SIZES)
    *each, total = [int(text.replace(",", "")) for label, text in cells if label == "Revenue"]
    assert sum(each) == total == 100_000


def test_the_page_holds_every_customer_with_past_months_and_action(data) -> None:
    assert len(data["id"]) == sum(SIZES)
    columns = [k for k, v in data.items() if isinstance(v, list) and len(v) == sum(SIZES)]
    assert {"id", "segment", "before", "recency", "spend", "past", "months", "action"} <= set(
        columns
    )
    place = data["id"].index("C1005")
    assert data["segment"][place] == 1
    assert data["words"][data["before"][place]] == "loyal"
    assert data["past"][place] == [1, 1, 1, 1]
    assert data["months"][place][:2] == [1, 45]  # February: the second month of the shop
    assert "{offer_category}" in data["words"][data["action"][place]]


def test_with_more_customers_than_the_page_may_hold_it_says_so(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    params = Path("params.yaml")
    text = params.read_text()
    params.write_text(text.replace("listed_customers: 10000", "listed_customers: 7"))
    render_report.main()
    page = Path("reports/segments.html").read_text(encoding="utf-8")
    assert "7 of 100 customers are here" in page
    assert Path("reports/segments.csv").read_text().count("\n") == 101


def test_the_mailing_list_says_what_was_and_whose_play_is_another(pages) -> None:
    rows = list(csv.DictReader(pages["segments.csv"].splitlines()))
    assert len(rows) == sum(SIZES)
    found = {row["customer_id"]: row for row in rows}
    assert found["C1005"]["previous_segment"] == "loyal"
    assert found["C0001"]["play"] == "at_risk"
    assert found["C4000"]["recency_days"] == ""
    assert found["C1005"]["suggested_action"] == "Suggest “Lights & candles” to go with “Kitchen”."


def test_a_bare_shop_has_a_report_that_claims_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path, hostile=False, bare=True)
    render_report.main()
    page = Path("reports/segments.html").read_text(encoding="utf-8")
    assert "No forecast can be made yet" in page
    assert "Nothing to compare with" in page
    assert 'id="changes"' not in page
    method = Path("reports/method.html").read_text(encoding="utf-8")
    assert "No candidate passed every gate" in method
    assert "There is one snapshot" in method


def test_a_missing_table_or_parameter_file_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    Path("data/candidates.parquet").unlink()
    with pytest.raises(InputError, match=r"data/candidates\.parquet is missing; `dvc repro`"):
        render_report.main()
    Path("params.yaml").unlink()
    with pytest.raises(InputError, match=r"params\.yaml is missing"):
        show_segments.show()


def test_the_terminal_shows_each_segment_and_the_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")  # the runner's own width must not fold the sentences
    show_segments.show()
    shown = capsys.readouterr().out
    for name in NAMES[:4]:
        assert name.capitalize() in shown
    assert "52%" in shown
    assert "£9,000" in shown
    assert "Keep them first in line" in shown
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


def test_rows_are_taken_evenly_from_the_whole() -> None:
    rows = [{"n": n} for n in range(10)]
    assert [row["n"] for row in spread_evenly(rows, 3)] == [0, 3, 6]
    assert spread_evenly(rows, 10) == rows
