"""What exploration found in the sales: pictures with a finding each, and the products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.render_report import charts
from pipeline.render_report.inputs import Inputs
from pipeline.render_report.rows import Row, rows_of
from pipeline.render_report.sentences import Writer

FULL_SHADE = 2.0  # a category that sells twice its usual share has the darkest cell
BEST = 8  # products in a list
Found = dict[str, list[Row]]


def patterns(inputs: Inputs, writer: Writer, top_rows: int) -> list[Row]:
    """Each pattern as a figure: key, finding, picture or cells, and its table."""
    found: Found = {
        str(name): rows_of(rows.sort_values("position"))
        for name, rows in inputs.exploration.groupby("pattern", sort=False)
    }
    figures = inputs.metrics.get("explore", {})
    made = [
        _months(found, figures, inputs, writer),
        _week(found, figures, writer),
        _concentration(found, figures, writer),
        _countries(found, figures, writer, top_rows),
        _shares(
            "basket_value", found, writer, median=figures.get("baskets", {}).get("median_value")
        ),
        _shares(
            "orders_per_customer", found, writer,
            once=figures.get("customers", {}).get("share_with_one_order"),
        ),
        _cohorts(found, figures, inputs, writer),
    ]  # fmt: skip
    return [figure for figure in made if figure is not None]


def _part_months(inputs: Inputs) -> set[str]:
    """The months that the file does not cover whole, such as 2011-12."""
    months = inputs.segment_months
    return {f"{day:%Y-%m}" for day in months.loc[~months["is_whole"], "month"]}


def _months(found: Found, figures: Row, inputs: Inputs, writer: Writer) -> Row | None:
    rows, style = found.get("month", []), writer.style
    if not rows:
        return None
    parts = _part_months(inputs)
    data = [
        {
            "label": style.month(row["bucket"]),
            "value": float(row["amount"]),
            "text": writer.money(row["amount"]),
            "is_part": row["bucket"] in parts,
        }
        for row in rows
    ]
    season = figures.get("season", {})
    findings = [
        writer.language(
            "patterns.month",
            month=style.month(season["strongest_month"]) if season else None,
            times=style.number(season["strongest_month_to_mean"], 2) if season else None,
        ),
        writer.language("patterns.part") if any(row["is_part"] for row in data) else "",
    ]
    return {
        "key": "month",
        "finding": " ".join(filter(None, findings)),
        "picture": charts.columns(
            [row | {"label": str(row["label"]).split()[0]} for row in data], writer.tick
        ),
        "head": ("month", "revenue", "orders", "customers"),
        "rows": [
            (d["label"], d["text"], style.count(r["orders"]), style.count(r["customers"]))
            for d, r in zip(data, rows, strict=True)
        ],
    }


def _week(found: Found, figures: Row, writer: Writer) -> Row | None:
    rows, style = found.get("weekday_hour", []), writer.style
    if not rows:
        return None
    seen = {(int(r["bucket"]), int(r["sub_bucket"])): r["share"] for r in rows}
    hours = range(min(h for _, h in seen), max(h for _, h in seen) + 1)
    top = max(seen.values())
    season = figures.get("season", {})
    has_hours = len(hours) > 1  # else dates have no time of day
    names = writer.language.texts["weekdays"]
    busiest = season.get("busiest_weekday")
    finding = writer.language(
        "patterns.week" if has_hours else "patterns.day",
        weekday=busiest and writer.language(f"weekdays.{busiest}"),
        share=busiest and style.share(season["busiest_weekday_share_of_orders"]),
        hour=season.get("busiest_hour") if has_hours else None,
        hour_share=busiest and style.share(season["busiest_hour_share_of_orders"]),
    )
    return {
        "key": "week",
        "finding": finding,
        "is_heat": True,
        "head": ("weekday", *(f"{hour}" for hour in hours)) if has_hours else ("weekday", "orders"),
        "rows": [
            (
                writer.language(f"weekdays.{name}"),
                *(_cell(seen.get((n, hour)), top, writer, int(has_hours)) for hour in hours),
            )
            for n, name in enumerate(names, 1)
        ],
    }


def _cell(share: float | None, full: float, writer: Writer, digits: int = 0) -> Row:
    """A cell of a matrix, darkest at `full`; its caption says that it is in percent."""
    if share is None:
        return {"text": "", "shade": 0}
    text = writer.style.share(share, digits).removesuffix(writer.style.percent)
    return {"text": text, "shade": share / full}


def _concentration(found: Found, figures: Row, writer: Writer) -> Row | None:
    rows, style = found.get("concentration", []), writer.style
    if not rows:
        return None
    customers = figures.get("customers", {})
    points = [{"x": int(row["bucket"]) / 100, "y": row["share"]} for row in rows]
    ticks = [{"at": at, "text": style.share(at)} for at in (0.25, 0.5, 0.75, 1)]
    return {
        "key": "concentration",
        "finding": writer.language(
            "patterns.concentration",
            top=style.share(customers["share_of_revenue_of_top_20_percent"]) if customers else None,
            first=style.share(customers["share_of_revenue_of_top_1_percent"])
            if customers
            else None,
        ),
        "picture": charts.scatter(
            (), ticks, ticks, height=190, logs=(False, False), is_equal=True, curve=points
        ),
        "head": ("best_customers", "share_of_revenue"),
        "rows": [(style.share(p["x"]), style.share(p["y"])) for p in points],
    }


def _countries(found: Found, figures: Row, writer: Writer, top_rows: int) -> Row | None:
    rows, style = found.get("country", []), writer.style
    if len(rows) < 2:
        return None
    countries = figures.get("countries", {})
    home = countries.get("home")
    shown = [row for row in rows if row["bucket"] != home][:top_rows]
    return {
        "key": "country",
        "finding": writer.language(
            "patterns.country",
            home=home,
            share=home and style.share(countries["share_of_revenue_abroad"]),
            shown=style.count(len(shown)),
            n=style.count(len(rows)),
        ),
        "bars": [
            {
                "label": row["bucket"],
                "length": row["share"] / max(r["share"] for r in shown),
                "text": writer.money(row["amount"]),
            }
            for row in shown
        ],
        "head": ("country", "revenue", "share", "orders", "customers"),
        "rows": [
            (
                row["bucket"], writer.money(row["amount"]), style.share(row["share"], 1),
                style.count(row["orders"]), style.count(row["customers"]),
            )
            for row in rows
        ],
    }  # fmt: skip


def _shares(key: str, found: Found, writer: Writer, **figures: Any) -> Row | None:
    rows, style = found.get(key, []), writer.style
    if not rows:
        return None
    write: dict[str, Callable[[Any], str]] = {"median": writer.money, "once": style.share}
    told = {name: None if value is None else write[name](value) for name, value in figures.items()}
    data = [
        {
            "label": row["bucket"].replace("-", "–"),
            "value": row["share"],
            "text": style.share(row["share"], 1),
        }
        for row in rows
    ]
    return {
        "key": key,
        "finding": writer.language(f"patterns.{key}", **told),
        "picture": charts.columns(data, style.share),
        "head": (key, "share"),
        "rows": [(d["label"], d["text"]) for d in data],
    }


def _cohorts(found: Found, figures: Row, inputs: Inputs, writer: Writer) -> Row | None:
    """Months that the file does not cover whole are left out: as orders and as first orders.

    The customers of the file's first month are everybody who ordered in it, not newcomers.
    """
    rows, style = found.get("cohort", []), writer.style
    parts = _part_months(inputs)
    months = list(dict.fromkeys(row["bucket"] for row in rows))
    shown = [month for month in months[1:] if month not in parts]
    last = months.index(shown[-1]) if shown else 0
    rows = [
        row
        for row in rows
        if row["bucket"] in shown and months.index(row["bucket"]) + int(row["sub_bucket"]) <= last
    ]
    shares = {(r["bucket"], int(r["sub_bucket"])): r["share"] for r in rows}
    sizes = {r["bucket"]: r["customers"] for r in rows if int(r["sub_bucket"]) == 0}
    width = max((since for _, since in shares), default=0)
    if not width:
        return None
    most = max(share for (_, since), share in shares.items() if since)
    again = figures.get("retention", {})
    return {
        "key": "cohort",
        "finding": writer.language(
            "patterns.cohort",
            **{k: style.share(again[k]) if k in again else None for k in ("month_1", "month_3")},
        ),
        "is_heat": True,
        "is_wide": True,
        "head": ("first_order", "customers", *(f"+{n}" for n in range(1, width + 1))),
        "rows": [
            (
                style.month(month),
                style.count(sizes[month]),
                *(_cell(shares.get((month, n)), most, writer) for n in range(1, width + 1)),
            )
            for month in shown
        ],
    }


def goods(inputs: Inputs, writer: Writer) -> Row:
    """The categories with their season, and the best and most returned products."""
    style = writer.style
    ordered = inputs.categories.sort_values(["revenue", "category"], ascending=[False, True])
    category_of = inputs.product_categories.set_index("stock_code")["category_title"]
    tops = {
        name: [
            {
                "title": row["sub_bucket"] or row["bucket"],
                "category": category_of.get(row["bucket"]),
                "amount": writer.money(row[column]),
                "share": style.share(row["share"], 1),
            }
            for row in rows_of(inputs.exploration[inputs.exploration["pattern"] == name])[:BEST]
        ]
        for name, column in (
            ("product_by_revenue", "amount"), ("product_by_returns", "returned_amount"),
        )
    }  # fmt: skip
    return {
        "products": len(inputs.product_categories),
        "categories": rows_of(ordered),
        "seasons": seasons(inputs, writer),
        "top": tops,
        "returns": _returns(tops["product_by_returns"], inputs.metrics.get("explore", {}), writer),
    }


def _returns(rows: list[Row], figures: Row, writer: Writer) -> str:
    """How much was returned; where two products make up much of it, which."""
    if not (returned := figures.get("returns")):
        return ""
    named = dict(zip(("first", "second"), rows, strict=False))
    return writer.language(
        "products.returned",
        rate=returned["share_of_sold_money"],
        all=writer.style.share(returned["share_of_sold_money"]),
        two=writer.style.share(returned["share_of_two_products"]),
        two_share=returned["share_of_two_products"],
        **{name: row["title"] for name, row in named.items()},
        **{f"{name}_category": row["category"] for name, row in named.items()},
    )


def seasons(inputs: Inputs, writer: Writer) -> Row | None:
    """The season of each category, in the order of revenue; None where nothing can differ."""
    months = sorted(inputs.category_months["month"].unique())
    titles = inputs.categories.sort_values(["revenue", "category"], ascending=[False, True])
    if len(months) < 2 or len(titles) < 2:
        return None
    parts = _part_months(inputs)
    found = {
        (row["category"], row["month"]): row["season_index"]
        for row in rows_of(inputs.category_months)
    }
    return {
        "months": [
            {"short": writer.style.short_months[m.month - 1], "is_part": f"{m:%Y-%m}" in parts}
            for m in months
        ],
        "rows": [
            {
                "title": category["category_title"],
                "cells": [
                    {
                        "text": "" if index is None else writer.style.number(round(index, 1), 2),
                        "shade": min(max((index or 0) / FULL_SHADE, 0), 1),
                    }
                    for month in months
                    for index in [found.get((category["category"], month))]
                ],
            }
            for category in rows_of(titles)
        ],
    }
