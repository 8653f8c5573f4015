"""The report in a real browser: silent, self-contained, interactive, accessible, printable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_inputs import NAMES, write_inputs

from pipeline.render_report import __main__ as render_report

pytestmark = pytest.mark.browser

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_inputs(folder)
        render_report.main()
    return (folder / "reports/segments.html").as_uri()


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

    def see_all(self) -> None:
        """Open every fold and scroll through the page until every chart is alive."""
        self.open_all()
        for chart in self.page.locator("[data-chart]").all():
            chart.evaluate("e => e.scrollIntoView({ behavior: 'instant', block: 'center' })")
            self.page.wait_for_function("e => e.dataset.alive", arg=chart.element_handle())

    def open_all(self) -> None:
        self.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")

    def overflow(self) -> int:
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


@pytest.fixture
def desk(browser: Any, address: str) -> Iterator[Watched]:
    watched = Watched(browser, address, viewport=DESK)
    yield watched
    watched.context.close()


@pytest.fixture(scope="module")
def alive(browser: Any, address: str) -> Iterator[Watched]:
    """A page whose charts are all alive, for tests that leave it as they found it."""
    watched = Watched(browser, address, viewport=DESK)
    watched.see_all()
    yield watched
    watched.context.close()


@pytest.fixture
def phone(browser: Any, address: str) -> Iterator[Watched]:
    watched = Watched(browser, address, viewport=PHONE, has_touch=True, is_mobile=True)
    yield watched
    watched.context.close()


@pytest.fixture
def still(browser: Any, address: str) -> Iterator[Watched]:
    """The page with scripts off."""
    watched = Watched(browser, address, viewport=DESK, java_script_enabled=False)
    yield watched
    watched.context.close()


def test_the_page_says_nothing_asks_nobody_and_is_not_taken_over(
    alive: Watched, address: str
) -> None:
    assert alive.said == []
    assert [r for r in alive.requests if r != address and not r.startswith("data:")] == []
    assert alive.page.evaluate("window.hacked") is None


def test_the_first_screen_holds_the_shop_and_every_segment_with_its_action(desk: Watched) -> None:
    for name in NAMES:
        row = desk.page.locator("#glance tr", has_text=re.compile(name, re.IGNORECASE)).first
        box = row.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < DESK["height"], name
        assert "Write to the" in row.inner_text()
    assert "£123k of sales in 300 orders" in desk.page.locator(".lead").first.inner_text()


def test_choosing_a_segment_highlights_it_everywhere_and_escape_ends_it(alive: Watched) -> None:
    page = alive.page
    page.get_by_role("button", name="Loyal").click()
    assert page.get_by_role("button", name="Loyal").get_attribute("aria-pressed") == "true"
    assert (
        page.get_by_role("button", name="All", exact=True).get_attribute("aria-pressed") == "false"
    )
    assert page.locator("[data-segment='1'].is-faint").count() == 0
    assert page.locator("[data-segment='0']:not(.is-faint)").count() == 0
    assert page.locator("#said").inner_text() == "Loyal are highlighted"
    opacities = "els => new Set(els.map(e => e.getAttribute('opacity'))).size"
    marks = "[data-chart=map] .live .mark-symbol path"
    page.wait_for_function(f"() => ({opacities})([...document.querySelectorAll('{marks}')]) === 2")
    page.keyboard.press("Escape")
    assert page.locator(".is-faint").count() == 0
    page.wait_for_function(f"() => ({opacities})([...document.querySelectorAll('{marks}')]) === 1")


def test_choosing_twice_shows_all_again(desk: Watched) -> None:
    button = desk.page.get_by_role("button", name="At risk")
    button.click()
    assert desk.page.locator(".is-faint").count() > 0
    button.click()
    assert desk.page.locator(".is-faint").count() == 0


def test_a_chart_that_comes_alive_later_knows_the_choice(desk: Watched) -> None:
    desk.page.get_by_role("button", name="Champions").click()
    desk.page.locator("#map").scroll_into_view_if_needed()
    desk.page.locator("[data-chart=map][data-alive]").wait_for()
    opacities = desk.page.eval_on_selector_all(
        "[data-chart=map] .live .mark-symbol path", "e => e.map(x => x.getAttribute('opacity'))"
    )
    assert len(set(opacities)) == 2


def test_a_mark_tells_its_customer_when_pointed_at(alive: Watched) -> None:
    mark = alive.page.locator("[data-chart=map] .live .mark-symbol path").first
    mark.scroll_into_view_if_needed()
    mark.hover(force=True)
    tooltip = alive.page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    assert "spend so far" in tooltip.inner_text()
    assert alive.said == []


def test_candidates_sort_by_any_column(desk: Watched) -> None:
    page = desk.page
    desk.see_all()  # while a chart comes alive, what stands below it moves away from the mouse
    page.get_by_role("button", name="Segments", exact=True).click()
    head = page.locator("table.sortable th[aria-sort]")
    assert head.get_attribute("aria-sort") == "descending"
    cells = page.locator("table.sortable tbody td:nth-child(2)").all_inner_texts()
    assert [int(c) for c in cells] == sorted((int(c) for c in cells), reverse=True)
    page.get_by_role("button", name="Segments", exact=True).press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"


def test_the_keyboard_reaches_the_segments_first(desk: Watched) -> None:
    page = desk.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the segments"
    box = page.locator(".skip").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")


def test_a_narrow_screen_never_scrolls_sideways(phone: Watched) -> None:
    assert phone.overflow() <= 0
    phone.see_all()
    assert phone.overflow() <= 0
    assert phone.said == []


def test_a_phone_has_a_menu_and_no_endless_page(phone: Watched) -> None:
    page = phone.page
    assert page.evaluate("document.documentElement.scrollHeight") < 17 * PHONE["height"]
    menu = page.get_by_label("Contents, folded")
    menu.get_by_text("Contents").click()
    menu.get_by_role("link", name="What changed").click()
    page.wait_for_function(
        "() => document.getElementById('moves').getBoundingClientRect().top < 200"
    )
    assert menu.get_by_role("link", name="What changed").is_hidden()
    assert menu.get_by_text("Contents").is_visible()  # the menu stays at hand


def test_a_link_to_a_segment_unfolds_it(desk: Watched) -> None:
    body = desk.page.locator("#segment-2")
    assert body.is_hidden()
    desk.page.locator("#glance").get_by_role("link", name="At risk").click()
    body.wait_for(state="visible")
    assert body.get_by_text("What sets them apart").is_visible()


def test_a_fold_opens_by_keyboard_and_all_segments_by_one_button(desk: Watched) -> None:
    page = desk.page
    page.locator("article summary", has_text="Loyal").first.focus()
    page.keyboard.press("Enter")
    page.locator("#segment-1").wait_for(state="visible")
    page.get_by_role("button", name="Open all").click()
    assert all(page.locator(f"#segment-{n}").is_visible() for n in range(5))
    page.get_by_role("button", name="Close all").click()
    assert not any(page.locator(f"#segment-{n}").is_visible() for n in range(5))


@pytest.mark.parametrize("width", [320, 768, 1024, 1920])
def test_no_width_scrolls_sideways(browser: Any, address: str, width: int) -> None:
    watched = Watched(browser, address, viewport={"width": width, "height": 800})
    assert watched.overflow() <= 0
    watched.context.close()


def test_without_scripts_every_picture_and_table_is_there(still: Watched) -> None:
    page = still.page
    assert page.get_by_role("button", name="Open all").is_hidden()
    while (shut := page.locator("details:not([open]) > summary:visible")).count():
        shut.first.click()
    pictures = page.locator("[data-chart] svg.picture")
    assert pictures.count() > 15
    for picture in pictures.all():
        box = picture.bounding_box()
        assert box is not None
        assert box["width"] > 100
        assert box["height"] > 60
    assert page.locator(".chooser").is_hidden()
    for name in NAMES:
        assert page.locator("article h3", has_text=name.capitalize()).is_visible()
    assert page.locator("table.sortable").is_visible()
    assert still.said == []


def test_a_still_picture_and_its_living_one_stand_in_the_same_place(desk: Watched) -> None:
    desk.open_all()
    before = desk.page.evaluate("document.documentElement.scrollHeight")
    desk.see_all()
    after = desk.page.evaluate("document.documentElement.scrollHeight")
    assert abs(after - before) / before < 0.1


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_no_barrier(browser: Any, address: str, viewport: dict[str, int]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    # The page's own policy forbids scripts from elsewhere, and axe is one.
    watched = Watched(browser, address, viewport=viewport, bypass_csp=True)
    watched.see_all()
    results = axe.run(watched.page, options={"runOnly": {"type": "tag", "values": AXE_RULES}})
    found = [
        (v["id"], v["nodes"][0]["html"][:160], v["nodes"][0].get("failureSummary", "")[:200])
        for v in results.response["violations"]
    ]
    assert found == []
    watched.context.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_it_prints_every_segment_unfolded_and_no_appendix(
    browser: Any, address: str, tmp_path: Path, *, scripts: bool
) -> None:
    watched = Watched(browser, address, viewport=DESK, java_script_enabled=scripts)
    content = watched.page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert content.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", content))
    assert len(NAMES) + 3 <= pages <= 40
    watched.page.emulate_media(media="print")
    assert watched.page.locator("#chooser").is_hidden()
    assert watched.page.locator("#glance table").is_visible()
    assert watched.page.locator("#segment-2 .strategy").is_visible()
    assert watched.page.locator("#segment-2 .features").is_visible()
    assert watched.page.locator("table.sortable").is_hidden()
    watched.context.close()


def test_the_policy_in_the_page_stops_foreign_scripts(desk: Watched) -> None:
    desk.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.foreign = 1';"
        " document.body.append(s); }"
    )
    assert desk.page.evaluate("window.foreign") is None


def test_it_opens_at_once(browser: Any, address: str) -> None:
    watched = Watched(browser, address, viewport=DESK)
    timing = watched.page.evaluate(
        "() => performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
    )
    assert timing < 5_000  # milliseconds, on a busy machine; about 300 on a quiet one
    watched.context.close()
