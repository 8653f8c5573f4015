"""docs/performance.md is what the last run of the benchmark of lines measured."""

from __future__ import annotations

import json

from bench.lines import PAGE, RESULTS, RIVALS, page


def test_the_page_is_the_last_run():
    run = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == page(run)
    assert {row["stage"] for row in run["rows"]} == set(RIVALS)
