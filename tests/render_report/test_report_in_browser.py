"""The report in a real browser: silent, self-contained, accessible, printable."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_shop import LOOK

from pipeline.render_report.changes import move_anchor
from pipeline.render_report.inputs import Inputs
from pipeline.render_report.language import read_language
from pipeline.render_report.page import Report, report
from pipeline.render_report.rows import anchor
from pipeline.render_report.sentences import Writer

pytestmark = pytest.mark.browser

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
PAPER = {"width": 710, "height": 1035}  # what A4 holds between its margins
WIDTHS = (390, 768, 1024, 1280, 1920)
# Words of a picture that lie on each other.
OVERLAPPING = """() => [...document.querySelectorAll('svg.picture')].flatMap(svg => {
  const texts = [...svg.querySelectorAll('text:not(.halo)')];
  const boxes = texts.map(text => text.getBoundingClientRect());
  return texts.flatMap((text, i) => texts.slice(i + 1).filter((_, j) => {
    const [a, b] = [boxes[i], boxes[i + 1 + j]];
    return a.width && b.width && a.left < b.right - 1 && b.left < a.right - 1
      && a.top < b.bottom - 3 && b.top < a.bottom - 3;
  }).map(other => text.textContent + ' on ' + other.textContent));
})"""
# Elements whose words do not fit and that nobody can scroll.
CUT = """() => [...document.querySelectorAll('main *')].filter(e => e.clientWidth
  && e.scrollWidth > e.clientWidth + 2 && !e.children.length
  && !e.closest('.scroll, .said, pre, svg')).map(e => e.outerHTML.slice(0, 90))"""
# Figures of the table of segments that a narrow screen leaves out.
HIDDEN_FIGURES = """() => [...document.querySelectorAll('.cards td:not(.none)')]
  .filter(e => !e.getBoundingClientRect().width).map(e => e.outerHTML.slice(0, 90))"""
# All words that are to be translated, and those of the labels.
WORDS = """() => {
  document.querySelectorAll('.term').forEach(link => link.replaceWith(link.textContent));
  document.body.normalize();
  const read = (e) => !e.closest('style, script, [translate=no]');
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walk.nextNode())
    if (read(walk.currentNode.parentElement)) found.push(walk.currentNode.data);
  for (const e of document.querySelectorAll('[aria-label], [placeholder]'))
    if (read(e)) found.push(e.ariaLabel ?? e.placeholder);
  return found;
}"""
SAME = {
    "Jan", "Feb", "Apr", "Jun", "Jul", "Aug", "Sep", "Nov", "Champions", "Segment", "Median",
    "Jaccard", "Silhouette", "Index", "AUC",
}  # fmt: skip
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def addresses(made: Report, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    files = [tmp_path_factory.mktemp("shop") / f"{name}.html" for name in ("segments", "method")]
    for file in files:
        file.write_text(getattr(made, file.stem), encoding="utf-8")
    return [file.as_uri() for file in files]


@pytest.fixture(scope="module")
def address(addresses: list[str]) -> str:
    return addresses[0]


class Watched:
    """A page together with all that it said and asked for."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)

    def open_all(self) -> None:
        self.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")

    def overflow(self) -> int:
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


@pytest.fixture
def desk(browser: Any, address: str) -> Iterator[Watched]:
    watched = Watched(browser, address, viewport=DESK)
    yield watched
    watched.context.close()


@pytest.fixture
def phone(browser: Any, address: str) -> Iterator[Watched]:
    watched = Watched(browser, address, viewport=PHONE, has_touch=True, is_mobile=True)
    yield watched
    watched.context.close()


def test_the_page_says_nothing_asks_nobody_and_is_not_taken_over(
    desk: Watched, address: str
) -> None:
    desk.open_all()
    assert desk.said == []
    assert [r for r in desk.requests if r != address and not r.startswith("data:")] == []
    assert desk.page.evaluate("window.hacked") is None
    desk.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.foreign = 1';"
        " document.body.append(s); }"
    )
    assert desk.page.evaluate("window.foreign") is None  # the page's own policy stops it


def test_the_first_screen_says_how_the_shop_does_and_what_to_do_first(
    desk: Watched, inputs: Inputs, writer: Writer
) -> None:
    tiles = desk.page.locator(".tiles").inner_text().replace("\u00a0", " ")
    periods = inputs.shop_periods.set_index("period")["revenue"]
    style = writer.style
    for now, was, words in (
        ("latest", "before", "against the 90 days before"),
        ("comparable", "comparable_year_before", "in the last 9 days against those of last year"),
    ):
        change = style.change(periods[now], periods[was])
        assert f"{change} {words} ({writer.money(periods[was])})" in tiles
    decisions = desk.page.locator(".decisions li")
    box = decisions.first.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < DESK["height"]
    stakes = inputs.strategies.dropna(subset="decision").sort_values("decision")
    for place, row in enumerate(stakes.itertuples()):
        text = decisions.nth(place).inner_text()
        assert f"{style.count(row.customers)}\u00a0" in text
        assert writer.language.title(row.segment) in text
        assert writer.money(row.value_at_stake) in text


def test_a_list_is_one_click_from_a_decision_and_is_searched_and_sorted(
    desk: Watched, inputs: Inputs
) -> None:
    page, customers = desk.page, inputs.customer_forecasts
    second = inputs.strategies.set_index("decision").loc[2]
    page.locator(".decisions li").nth(1).locator(".whom a").click()
    rows = page.locator("#finder tbody tr")
    shown = min(second["customers"], 50)
    assert rows.count() == shown
    title = second["segment"].capitalize()
    assert page.locator("#finder caption").inner_text() == (
        f"{title}: {shown} of {second['customers']}"
    )
    page.get_by_role("button", name="Spend", exact=True).press("Enter")
    head = page.locator("#finder th[aria-sort]")
    assert head.get_attribute("aria-sort") == "descending"
    spends = [float(t.strip("£").replace(",", "")) for t in _column(page, 7)]
    assert spends == sorted(spends, reverse=True)
    page.get_by_role("button", name="Spend", exact=True).press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    someone = customers.loc[customers["segment"] == second["segment"], "customer_id"].iloc[-1]
    page.get_by_role("searchbox").fill(someone)
    assert _column(page, 0) == [someone]
    assert _column(page, 13)[0].endswith(".")
    page.get_by_role("searchbox").fill("nobody of that name")
    assert page.get_by_text("No customer found.").first.is_visible()


def _column(page: Any, number: int) -> list[str]:
    return [row.locator("th, td").nth(number).inner_text() for row in
            page.locator("#finder tbody tr").all()]  # fmt: skip


def test_a_list_is_downloaded_and_no_cell_of_it_executes(desk: Watched, inputs: Inputs) -> None:
    page, moves = desk.page, inputs.latest_moves
    move = moves[moves["direction"] == "fell"].iloc[0]
    list_name = move_anchor(move["from_segment"], move["to_segment"])
    page.evaluate(f"location.hash = 'list-{list_name}'")
    page.locator("#finder caption", has_text=" → ").wait_for()
    with page.expect_download() as waited:
        page.get_by_role("button", name="Download CSV").click()
    text = Path(waited.value.path()).read_text(encoding="utf-8-sig")
    head, *rows = csv.reader(text.splitlines())
    assert waited.value.suggested_filename == f"{list_name}.csv"
    assert head[:3] == ["Customer", "Segment", "Segment before"]
    assert len(rows) == move["customers"]
    assert {(row[1], row[2]) for row in rows} == {
        (move["to_segment"].capitalize(), move["from_segment"].capitalize())
    }
    page.get_by_role("button", name="Copy IDs").click()
    page.get_by_role("button", name=f"{len(rows)} IDs copied").wait_for()
    page.evaluate("location.hash = 'list-all'")
    page.get_by_role("searchbox").fill("window.hacked")
    page.locator("#finder tbody th", has_text="{{7*7}}").wait_for()
    assert page.evaluate("window.hacked") is None


def test_a_list_that_is_cut_says_so_and_names_the_file_that_is_not(
    browser: Any, inputs: Inputs, writer: Writer, tmp_path: Path
) -> None:
    file = tmp_path / "segments.html"
    file.write_text(report(inputs, replace(LOOK, listed_customers=7), writer).segments, "utf-8")
    watched = Watched(
        browser, f"{file.as_uri()}#list-{anchor(inputs.profiles['segment'].iloc[-1])}"
    )
    text = watched.page.locator("#finder .finding").inner_text()
    assert f"of its {inputs.profiles['customers'].iloc[-1]} customers" in text
    assert "reports/segments.csv" in text
    watched.context.close()


def test_one_customer_has_an_address_with_past_and_months(desk: Watched, inputs: Inputs) -> None:
    someone = inputs.customer_forecasts.iloc[-1]
    desk.page.evaluate(f"location.hash = 'customer-{someone['customer_id']}'")
    finder = desk.page.locator("#finder")
    finder.get_by_role("heading", name=f"Customer {someone['customer_id']}").wait_for()
    past = inputs.segments[inputs.segments["customer_id"] == someone["customer_id"]]
    assert f": {past['segment'].iloc[-1].capitalize()}" in finder.inner_text()
    assert "Nov 2011" in finder.inner_text()
    finder.get_by_role("link", name="Back to the list").click()
    desk.page.locator("#finder caption").wait_for()


def test_a_segments_address_unfolds_it_and_one_button_opens_all(
    desk: Watched, inputs: Inputs
) -> None:
    page, names = desk.page, inputs.profiles["segment"]
    body = page.locator(f"#{anchor(names.iloc[-1])} .body")
    assert body.is_hidden()
    page.locator("#overview").get_by_role("link", name=names.iloc[-1].capitalize()).click()
    body.wait_for(state="visible")
    page.get_by_role("button", name="Open all").click()
    assert all(each.is_visible() for each in page.locator("article .body").all())
    page.get_by_role("button", name="Close all").click()
    page.locator("article summary").first.focus()
    page.keyboard.press("Enter")
    page.locator(f"#{anchor(names.iloc[0])} .body").wait_for(state="visible")


def test_the_keyboard_reaches_the_content_first(desk: Watched) -> None:
    desk.page.keyboard.press("Tab")
    assert desk.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    box = desk.page.locator(".skip").bounding_box()
    assert box is not None
    assert box["x"] >= 0


def test_a_phone_has_a_folded_menu_that_stays_at_hand(phone: Watched) -> None:
    page = phone.page
    menu = page.locator(".toc")
    menu.get_by_text("Contents").click()
    menu.get_by_role("link", name="Patterns in the sales").click()
    page.wait_for_function(
        "() => document.getElementById('patterns').getBoundingClientRect().top < 200"
    )
    assert menu.get_by_role("link", name="Patterns in the sales").is_hidden()
    assert menu.get_by_text("Contents").is_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_or_lies_on_other_words_at_any_width(
    browser: Any, addresses: list[str], width: int
) -> None:
    for address in addresses:
        watched = Watched(browser, address, viewport={"width": width, "height": 800})
        watched.open_all()
        assert watched.overflow() <= 0
        assert watched.page.evaluate(OVERLAPPING) == []
        assert watched.page.evaluate(CUT) == []
        assert watched.page.evaluate(HIDDEN_FIGURES) == []
        watched.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_no_barrier(
    browser: Any, addresses: list[str], viewport: dict[str, int], scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for address in addresses:
        # The page's own policy forbids scripts from elsewhere, and axe is one.
        watched = Watched(browser, address, viewport=viewport, bypass_csp=True, color_scheme=scheme)
        watched.open_all()
        results = axe.run(watched.page, options={"runOnly": {"type": "tag", "values": AXE_RULES}})
        found = [
            (v["id"], v["nodes"][0]["html"][:160], v["nodes"][0].get("failureSummary", "")[:200])
            for v in results.response["violations"]
        ]
        assert found == []
        watched.context.close()


def test_the_first_use_of_a_term_leads_to_what_it_means(browser: Any, addresses: list[str]) -> None:
    for address, term in zip(addresses, ("Retention", "Jaccard"), strict=True):
        watched = Watched(browser, address)
        link = watched.page.locator(".term", has_text=term)
        assert link.count() == 1
        name = watched.page.locator(f"dt{link.get_attribute('href')}")
        assert name.inner_text() == term
        assert name.locator("~ dd").inner_text() == link.get_attribute("title")
        watched.context.close()


def test_no_words_of_the_german_page_are_english(
    browser: Any, inputs: Inputs, tmp_path: Path
) -> None:
    found: dict[str, list[str]] = {"en": [], "de": []}
    for name in found:
        made = report(inputs, LOOK, Writer(read_language(name), "£"))
        for page in ("segments", "method"):
            file = tmp_path / f"{page}.html"
            file.write_text(getattr(made, page), encoding="utf-8")
            someone = f"#customer-{inputs.customer_forecasts['customer_id'].iloc[0]}"
            for place in ("", someone) if page == "segments" else ("",):
                size = {"width": 1024, "height": 800}
                watched = Watched(browser, file.as_uri() + place, viewport=size)
                assert watched.overflow() <= 0
                found[name] += watched.page.evaluate(WORDS)
                watched.context.close()
    same = [a for a, b in zip(found["en"], found["de"], strict=True) if a == b]
    assert sorted(set(re.findall(r"[^\W\d_]{3,}", " ".join(same))) - SAME) == []


def test_without_scripts_all_but_the_lists_is_there(
    browser: Any, address: str, inputs: Inputs
) -> None:
    watched = Watched(browser, address, viewport=DESK, java_script_enabled=False)
    page = watched.page
    assert page.get_by_role("button", name="Open all").is_hidden()
    assert page.get_by_text("The lists need scripts").is_visible()
    while (shut := page.locator("main details:not([open]) > summary:visible")).count():
        shut.first.click()
    for name in inputs.profiles["segment"]:
        assert page.locator("article h3", has_text=name.capitalize()).is_visible()
    for picture in page.locator("main .picture").all():
        box = picture.bounding_box()
        assert box is not None
        assert box["width"] > 100
        assert box["height"] > 60
    watched.context.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_paper_has_one_page_for_the_boss_and_at_most_twenty(
    browser: Any, address: str, tmp_path: Path, *, scripts: bool
) -> None:
    watched = Watched(
        browser, address, viewport=PAPER, java_script_enabled=scripts, color_scheme="dark"
    )
    content = watched.page.pdf(path=tmp_path / "report.pdf", format="A4", prefer_css_page_size=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", content))
    assert 4 <= pages <= 20
    watched.page.emulate_media(media="print")
    box = watched.page.locator(".boss").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < PAPER["height"]
    assert watched.page.locator("#overview table").is_visible()
    assert watched.page.locator("article .strategy").last.is_visible()
    assert watched.page.locator("#lists").is_hidden()
    watched.context.close()
