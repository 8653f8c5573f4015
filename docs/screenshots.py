"""Take pictures of the report as it is: each section at four widths, light and dark, and on paper.

They are kept out of git, but for docs/images/report.png, the first screen for the README, and
report.txt, what can be read in it: a test holds that on the real shop it is what the page says now.

Example: make screenshots
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "reports" / f"{name}.html" for name in ("segments", "method")]
FOLDER = ROOT / "reports" / "screenshots"
README_PICTURE = ROOT / "docs" / "images" / "report.png"
WIDTHS = (390, 768, 1024, 1280)
READ = """() => [...document.querySelectorAll("h1, h2, h3, dt, dd, main p")]
  .filter(e => { const box = e.getBoundingClientRect(); return box.height && box.bottom < 900 })
  .map(e => e.innerText.replace(/\\s+/g, " ")).join("\\n")"""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]


def main() -> None:
    """Open both pages in Chromium, take the pictures, print them."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for page in PAGES:
            for scheme in ("light", "dark"):
                for width in WIDTHS:
                    take(browser, page, scheme, width)
            print_page(browser, page)
        browser.close()
    print(FOLDER)


def take(browser: Any, page: Path, scheme: str, width: int) -> None:
    """Take the first screen and every section of one page."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(page.as_uri())
    folder = FOLDER / f"{page.stem}-{width}-{scheme}"
    tab.screenshot(path=folder / "first-screen.png")
    if (page, scheme, width) == (PAGES[0], "light", WIDTHS[-1]):
        shutil.copy(folder / "first-screen.png", README_PICTURE)
        README_PICTURE.with_suffix(".txt").write_text(first_screen(tab), encoding="utf-8")
    for section in tab.locator("main section").all():
        if section.get_attribute("id") == "each":
            tab.evaluate("document.querySelector('details.page').open = true")
        section.screenshot(path=folder / f"{section.get_attribute('id')}.png")
    context.close()


def first_screen(tab: Any) -> str:
    """Return what can be read on the first screen of 1,280 by 900 pixels, a line each."""
    return f"{tab.evaluate(READ)}\n"


def print_page(browser: Any, page: Path) -> None:
    """Print one page as it would come out of a printer."""
    tab = browser.new_page()
    tab.goto(page.as_uri())
    tab.pdf(path=FOLDER / f"{page.stem}.pdf", format="A4", prefer_css_page_size=True)
    tab.close()


if __name__ == "__main__":
    main()
