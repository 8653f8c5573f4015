"""The report without a browser: its parts, its bytes, and what hostile text does to it."""

from __future__ import annotations

import base64
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
from report_inputs import HOSTILE, NAMES, ROOT, write_inputs

from pipeline.commands import show as show_segments
from pipeline.core.model.clusterings import ALGORITHMS, MIXTURES
from pipeline.core.model.transforms import TRANSFORMS
from pipeline.core.run.errors import InputError
from pipeline.core.text import words
from pipeline.render_report import __main__ as render_report
from pipeline.render_report.charts import tidy_svg
from pipeline.render_report.flow import Column, Flow, Stop, flow_picture
from pipeline.render_report.marks import COLOURS, mark_of
from pipeline.render_report.page import json_in_html
from pipeline.render_report.rows import spread_evenly
from pipeline.render_report.trust import CUT, LAID_OUT, in_words

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_inputs(folder)
        render_report.main()
    return folder


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / "reports/segments.html").read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Every start tag of a page with its attributes, and the text of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script &= tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)


@pytest.mark.usefixtures("html")
def test_the_same_inputs_give_the_same_bytes_in_another_process(folder: Path) -> None:
    before = (folder / "reports/segments.html").read_bytes()
    subprocess.run(
        [sys.executable, "-m", "pipeline.render_report"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
        check=True,
        capture_output=True,
    )
    assert (folder / "reports/segments.html").read_bytes() == before


def test_the_page_is_light(html: str) -> None:
    assert len(html.encode()) < 1.5 * MEGABYTE


def test_ids_are_unique_and_every_link_and_label_leads_somewhere(html: str) -> None:
    tags = Elements(html).tags
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    targets = [a["href"] for tag, a in tags if tag in ("a", "use") and a.get("href")]
    assert targets
    assert [t for t in targets if not (t.startswith("#") and t[1:] in ids)] == []
    labels = [a["aria-labelledby"] for _, a in tags if "aria-labelledby" in a]
    assert set(labels) <= set(ids)
    clips = [a["clip-path"] for _, a in tags if "clip-path" in a]
    assert {(c or "")[5:-1] for c in clips} <= set(ids)


def test_no_address_of_anywhere_stands_in_a_tag(html: str) -> None:
    for tag, attributes in Elements(html).tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:")) or not value, (tag, name, value)


def test_the_policy_names_exactly_the_scripts_that_run(html: str) -> None:
    tags, scripts = Elements(html).tags, re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    policy = next(a["content"] for t, a in tags if t == "meta" and a.get("http-equiv"))
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in (policy or "")
    assert len(scripts) == (policy or "").count("sha256-") == 2
    assert "default-src 'none'" in (policy or "")
    assert "unsafe-eval" not in (policy or "")


def test_hostile_texts_stay_texts(html: str) -> None:
    assert HOSTILE not in html
    assert "<img src=x" not in html
    elements = Elements(html)
    kinds = {a.get("type") for t, a in elements.tags if t == "script"}
    assert kinds == {None, "application/json"}
    assert sum(t == "script" and "type" not in a for t, a in elements.tags) == 2
    assert "window.hacked=1&lt;/script&gt;" in html  # it is shown, as text
    assert "{{7*7}}" in html  # and never calculated


def test_every_table_has_a_caption_and_headers_with_a_scope(html: str) -> None:
    body = html.partition("<script>")[0]
    tables = re.findall(r"<table.*?</table>", body, re.DOTALL)
    assert len(tables) > 30
    for table in tables:
        assert "<caption>" in table
        heads = re.findall(r"<th\b[^>]*>", table)
        assert heads
        assert all('scope="' in head for head in heads), heads


def test_every_chart_is_there_as_a_picture_with_words_and_as_data(html: str) -> None:
    tags = Elements(html).tags
    charts = [a for _, a in tags if "data-chart" in a]
    assert len(charts) == html.count('type="application/json"') > 15
    assert all(a["role"] == "img" and len(a["aria-label"] or "") > 20 for a in charts)
    specs = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert all("layer" in s or "mark" in s for s in map(json.loads, specs))
    assert len(re.findall(r'<svg class="picture"', html)) >= len(charts)


def test_the_choice_and_every_rejected_family_have_their_reasons(html: str) -> None:
    trust = html.partition('id="trust"')[2].partition("</section>")[0]
    assert "<b>Chosen.</b> kmeans/rfm/log/4: 74% of the reference model" in trust
    assert "Why not the others: 2 families" in trust
    assert "The customers are a continuum, not islands" in trust


def test_each_segment_has_its_section_with_its_strategy(html: str) -> None:
    for number, name in enumerate(NAMES):
        section = html.partition(f'id="segment-{number}"')[2].partition("</article>")[0]
        assert name.capitalize() in section
        for part in ("Goal", "Offer", "Channel", "Watch", "Proof", "At stake", "Do not"):
            assert f"<dt>{part}</dt>" in section


def test_a_report_without_values_categories_and_moves_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path, hostile=False, bare=True)
    render_report.main()
    html = (tmp_path / "reports/segments.html").read_text(encoding="utf-8")
    assert "not known" in html
    assert "With one snapshot alone nobody can be seen to move." in html
    assert 'class="news"' not in html
    assert "What they buy" not in html
    assert "The season of each category" not in html
    assert "No candidate passed every gate; this is the least bad." in html
    assert "nan" not in re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL).lower().split()


def test_a_missing_table_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    Path("data/profiles/profiles.parquet").unlink()
    for command in (render_report.main, show_segments.main):
        with pytest.raises(
            InputError, match=r"data/profiles/profiles\.parquet is missing; `dvc repro`"
        ):
            command()


def test_missing_params_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    Path("params.yaml").unlink()
    with pytest.raises(InputError, match=r"params\.yaml is missing"):
        show_segments.main()


def test_the_terminal_shows_each_segment_and_the_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")  # the runner's own width must not fold the sentences
    show_segments.main()
    shown = capsys.readouterr().out
    for name in NAMES:
        assert name.capitalize() in shown
    assert "52%" in shown
    assert "£9,000" in shown
    assert "Write to the champions on Monday." in shown
    assert "reports/segments.html" in shown


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_a_number_written_is_the_number(value: float) -> None:
    written = float(words.number(value, 6).replace(",", "").replace("−", "-"))
    assert written == pytest.approx(value, rel=1e-5, abs=1e-300)


@given(st.recursive(st.text() | st.none() | st.integers(), st.lists))
def test_json_in_html_has_no_markup_and_loses_nothing(value: object) -> None:
    text = str(json_in_html(value))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_segments_differ_in_colour_or_shape_and_neighbours_in_both() -> None:
    marks = [mark_of(number) for number in range(24)]
    assert len({(m.colour, m.shape) for m in marks}) == 24
    for a, b in pairwise(marks):
        assert a.colour != b.colour
        assert a.shape != b.shape


@pytest.mark.parametrize("colour", COLOURS)
def test_marks_stand_out_from_white(colour: str) -> None:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    assert 1.05 / (luminance + 0.05) >= 3  # WCAG 1.4.11


def test_pictures_keep_their_ids_apart_and_small() -> None:
    svg = '<svg ><g clip-path="url(#clip7)"/><defs><clipPath id="clip7"/></defs></svg>'
    assert 'clip-path="url(#a-0)"' in tidy_svg(svg, "a")
    assert 'id="b-0"' in tidy_svg(svg, "b")
    dots = (
        "<svg >" + '<path transform="translate(1.23456,2)" d="M0,1Z" fill="red"/>' * 20 + "</svg>"
    )
    tidy = tidy_svg(dots, "c")
    assert tidy.count("<use ") == 20
    assert 'transform="translate(1.23,2)"' in tidy


def test_flows_fill_the_segments_that_they_join_and_growth_shows() -> None:
    stops = [Stop(0, "<b>", "#000"), Stop(1, "other", "#111")]
    came = [Flow(0, 1, 3, "x"), Flow(1, 1, 2, "y"), Flow(0, 0, 5, "z"), Flow(-1, 1, 6, "new")]
    svg = flow_picture(stops, [Column("Jan", []), Column("Feb", came)], came[:3])
    assert svg.count("<path") == 3  # who is new comes from nowhere
    assert "<b>" not in svg
    assert "&lt;b&gt;" in svg
    heights = [float(h) for h in re.findall(r'<rect[^>]* height="([\d.]+)"', svg)]
    assert [h / heights[1] for h in heights] == pytest.approx([8 / 2, 1, 5 / 2, 11 / 2], rel=1e-2)
    assert [name for name in ("Jan", "Feb") if f">{name}</text>" in svg] == ["Jan", "Feb"]
    assert ">other<tspan" in svg


def test_what_changed_stands_on_the_first_screen_and_in_its_section(html: str) -> None:
    news = html.partition('class="news"')[2].partition("</p>")[0]
    assert "Since 30 November 2011</b> (10\u00a0days)" in news
    assert "31\u00a0customers ordered, £4,200 in all; 3 of them for the first time." in news
    assert "7 rose to a better segment, 5 fell, 85 stayed." in news
    assert "Most rose from at risk to loyal (5)." in news
    assert (
        "Look after 1\u00a0customer who fell from champions to loyal: they have spent £7,500."
    ) in news
    section = html.partition('id="moves"')[2].partition("</section>")[0]
    assert "Grew from 39 to 40." in section
    tables = section.split("<table")
    by_count = next(t for t in tables if "largest moves by number" in t)
    by_money = next(t for t in tables if "largest moves by their money" in t)
    first = '<tbody><tr><th scope="row">'
    assert f"{first}↑ At risk → loyal</th>" in by_count
    assert f"{first}↑ Loyal → champions</th>" in by_money
    assert by_count.count("Champions → champions") == 0  # who stays has not moved


def test_every_month_and_the_whole_span_have_their_matrix(html: str) -> None:
    section = html.partition('id="moves"')[2].partition("</section>")[0]
    assert "31 October 2011 to 30 November 2011; framed = stayed" in section
    assert section.count('class="matrix"') == 4


def test_each_category_has_its_season_in_figures_and_shades(html: str) -> None:
    goods = html.partition('id="goods"')[2].partition("</section>")[0]
    season = goods.partition('<table class="matrix season">')[2].partition("</table>")[0]
    _, usual, most, late = season.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr>")
    assert 'scope="col">Nov 2011</th><th scope="col">Dec 2011*</th>' in season
    assert usual.count('<td style="--share:0.50">1.0</td>') == 12
    assert '<td class="plain">Nov 2011</td>' in most
    assert most.count('<td style="--share:1.00">2.2</td>') == 1
    assert '<td style="--share:0.00"><span aria-label="none">·</span></td>' in late


def test_features_show_their_distributions_on_one_scale(html: str) -> None:
    section = html.partition('id="segment-0"')[2].partition("</article>")[0]
    places = re.search(r"--a:([\d.]+)%;--b:([\d.]+)%;--m:([\d.]+)%;--c:([\d.]+)%", section)
    assert places
    numbers = [float(n) for n in places.groups()]
    assert numbers == sorted(numbers)
    assert 0 <= numbers[0] <= numbers[-1] <= 100


@given(st.integers(0, 300), st.integers(1, 50))
def test_a_sample_is_even_ordered_and_of_the_declared_size(size: int, limit: int) -> None:
    rows = [{"n": n} for n in range(size)]
    taken = [row["n"] for row in spread_evenly(rows, limit)]
    assert len(taken) == min(size, limit)
    assert taken == sorted(set(taken))


def test_how_a_candidate_makes_segments_is_said_in_words() -> None:
    assert {*ALGORITHMS, *MIXTURES} <= CUT.keys()
    assert set(TRANSFORMS) <= LAID_OUT.keys()
    sets = {"rfm": ["recency_days", "frequency", "monetary"], "spend": ["monetary"]}
    name = {"algorithm": "steps", "features": "rfm", "transform": "expected_curve"}
    assert in_words(name, sets) == (
        "recency, frequency and monetary, joined into one figure, the spend they let expect "
        "(a curve each), cut into steps of equal width between two outer groups."
    )
    own = {"algorithm": "spectral", "features": "spend", "transform": "cube"}
    assert in_words(own, sets) == "monetary, laid out by cube, grouped by spectral."
