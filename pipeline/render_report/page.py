"""Tables and metrics in, the report's page out."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.core.text import words
from pipeline.render_report.inputs import Inputs
from pipeline.render_report.moves import changes, moves
from pipeline.render_report.overview import glance, shop_facts
from pipeline.render_report.patterns import goods, patterns
from pipeline.render_report.rows import segments_of
from pipeline.render_report.segment_pages import customer_map, segment_pages
from pipeline.render_report.trust import ledger, settings, trust

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Look:
    """How the report is to look: section `report` of params.yaml, and the currency of profiles."""

    shop: str
    currency: str
    map_customers: int
    map_products: int
    top_rows: int


def page(inputs: Inputs, look: Look) -> str:
    """Return the report as one HTML document that needs nothing but itself."""
    segments = segments_of(inputs.profiles)
    styles = (HERE / "styles.css").read_text(encoding="utf-8")
    script = (HERE / "script.js").read_text(encoding="utf-8")
    vega = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    content = {
        "look": look,
        "segments": segments,
        "horizon": inputs.params["shop"]["horizon_days"],
        "facts": shop_facts(inputs),
        "glance": glance(inputs, segments),
        "map": customer_map(inputs, segments, look.currency, look.map_customers),
        "pages": segment_pages(inputs, segments, look.currency),
        "patterns": patterns(inputs, look.currency, look.top_rows),
        "goods": goods(inputs, look.map_products),
        "changes": changes(inputs, look.currency),
        "moves": moves(inputs, segments),
        "trust": trust(inputs, look.currency),
        "ledger": ledger(inputs),
        "settings": settings(inputs),
        "styles": Markup(styles),  # noqa: S704 - ours  # nosec B704
        "script": Markup(script),  # noqa: S704 - ours  # nosec B704
        "vega": Markup(vega),  # noqa: S704 - the library's code, no data  # nosec B704
        "policy": content_policy(vega, script),
    }
    return _environment(look.currency).get_template("template.html.j2").render(content)


def content_policy(*scripts: str) -> str:
    """A policy under which nothing but these scripts runs and nothing is fetched from anywhere."""
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{h}'" for h in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def json_in_html(value: Any) -> Markup:
    """Return `value` as JSON that no browser takes for markup, whatever texts are in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - no character of markup is left  # nosec B704


def _environment(currency: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Any] = {
        "money": partial(words.money, currency=currency),
        "money_exact": partial(words.money_exact, currency=currency),
        "quantity": partial(words.quantity, currency=currency),
        "count": words.count,
        "number": words.number,
        "share": words.share,
        "day": words.day,
        "days": words.days,
        "plain": words.plain,
        "json": json_in_html,
        "picture": Markup,
        "sentence": sentence,
    }
    environment.filters.update(filters)
    environment.tests["missing"] = words.is_missing
    environment.globals["money_between"] = partial(words.money_between, currency=currency)
    environment.globals["share_between"] = words.share_between
    return environment


def sentence(text: str) -> str:
    """The text with a capital at the front and a stop at the end."""
    text = text.strip()
    if not text:
        return text
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?:" else ".")
