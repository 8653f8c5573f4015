"""Tables and metrics in, the two pages of the report out."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.core.text.words import is_missing
from pipeline.render_report.campaigns import campaigns
from pipeline.render_report.changes import changes
from pipeline.render_report.inputs import Inputs
from pipeline.render_report.lists import lists, mailing_list
from pipeline.render_report.method import method
from pipeline.render_report.patterns import goods, patterns
from pipeline.render_report.rows import Row, rows_of, segments_of
from pipeline.render_report.segment_pages import customer_map, plays_of, segment_pages
from pipeline.render_report.sentences import Writer
from pipeline.render_report.shop import decisions, how_it_is_doing, totals

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Look:
    """How the report is to look: section `report` of params.yaml."""

    shop: str
    listed_customers: int
    map_customers: int
    top_rows: int


@dataclass(frozen=True)
class Report:
    """The shop's page, the analyst's page and the mailing list, as texts."""

    segments: str
    method: str
    mailing_list: str


def report(inputs: Inputs, look: Look, writer: Writer) -> Report:
    """Return the report: pages that need nothing but themselves."""
    segments = segments_of(inputs.profiles, writer.language)
    selected = inputs.metrics.get("select", {})
    predicts = selected.get("predicts", True)
    plays = plays_of(inputs, segments, writer)
    shared: Row = {
        "look": look,
        "horizon": inputs.params["shop"]["horizon_days"],
        "as_of": segments[0]["snapshot_date"],
        "sales": inputs.metrics.get("explore", {}).get("sales", {}),
        "segments": segments,
        "notes": [writer.note(row) for row in rows_of(inputs.profile_notes)],
        "terms": writer.language.texts["glossary"],
    }
    shop: Row = {
        "doing": how_it_is_doing(inputs, writer),
        "predicts": predicts,
        "kept": selected.get("kept"),
        "decisions": decisions(inputs, segments, plays, writer) if predicts else [],
        "total": totals(inputs),
        "knows_costs": bool(inputs.profiles["margin"].notna().any()),
        "pages": segment_pages(inputs, segments, plays, writer),
        "campaigns": campaigns(inputs.campaigns, writer),
        "map": customer_map(inputs, segments, writer, look.map_customers),
        "changes": changes(inputs, writer),
        "lists": lists(inputs, segments, writer, look.listed_customers),
        "patterns": patterns(inputs, writer, look.top_rows),
        "goods": goods(inputs, writer),
        "next_category": inputs.metrics["profile"].get("next_category", {}),
        "shop_test": inputs.metrics["profile"].get("shop_test", {}),
    }
    environment, texts = _environment(writer), writer.language.texts
    analyst = {"terms": texts["glossary"] | texts["method_glossary"], "m": method(inputs, writer)}
    return Report(
        segments=_page(environment, "segments", shared | shop, ["script.js", "terms.js"]),
        method=_page(environment, "method", shared | analyst, ["terms.js"]),
        mailing_list=mailing_list(
            inputs.customer_forecasts.merge(inputs.held_out, "left", "customer_id"), writer
        ),
    )


def _page(environment: Environment, name: str, content: Row, scripts: Sequence[str]) -> str:
    code = [(HERE / script).read_text(encoding="utf-8") for script in scripts]
    styles = (HERE / "styles.css").read_text(encoding="utf-8")
    return environment.get_template(f"{name}.html.j2").render(
        content,
        page=name,
        styles=Markup(styles),  # noqa: S704 - ours  # nosec B704
        scripts=[Markup(script) for script in code],  # noqa: S704 - ours  # nosec B704
        policy=content_policy(*code),
    )


def content_policy(*scripts: str) -> str:
    """A policy under which nothing but these scripts runs and nothing is fetched from anywhere."""
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{h}'" for h in hashes) or "'none'"
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


def _environment(writer: Writer) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, currency = writer.style, writer.currency
    environment.filters.update(
        money=writer.money,
        whole_money=lambda value: style.money_exact(value, currency, 0),
        quantity=lambda value, unit: style.quantity(value, unit, currency),
        count=style.count,
        number=style.number,
        share=style.share,
        day=style.date,
        days=style.span,
        title=writer.language.title,
        json=json_in_html,
    )
    environment.tests["missing"] = is_missing
    environment.globals.update(
        t=writer.language,
        plural=writer.language.plural,
        term=lambda key: writer.language.terms.get(key, str(key).replace("_", " ")),
        money_between=lambda low, high: style.money_between(low, high, currency),
        share_between=style.share_between,
        style=style,
        language=writer.language.language,
        currency=currency,
        script_words={
            name: alternatives[0].say
            for name, alternatives in writer.language.texts["script"].items()
        },
    )
    return environment
