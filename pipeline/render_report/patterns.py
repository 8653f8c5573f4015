"""What exploration found in the sales, and the map of products."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.core.text import words
from pipeline.render_report import charts
from pipeline.render_report.charts import draw
from pipeline.render_report.inputs import Inputs
from pipeline.render_report.rows import Row, rows_of, spread_evenly

FULL_SHADE = 2.0  # a category that sells twice its usual share has the darkest cell
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def patterns(inputs: Inputs, currency: str, top_rows: int) -> list[Row]:
    """Each key pattern as a figure: a heading, what it says, the picture and its table."""
    found = {
        str(name): rows_of(rows.sort_values("position"))
        for name, rows in inputs.exploration.groupby("pattern", sort=False)
    }
    figures = inputs.metrics.get("explore", {})
    makers = (_months, _week, _concentration, _countries, _baskets, _orders, _returns, _cohorts)
    made = [maker(found, figures, inputs, currency, top_rows) for maker in makers]
    return [figure for figure in made if figure is not None]


def _months(
    found: dict[str, list[Row]], figures: Row, inputs: Inputs, currency: str, _top: int
) -> Row | None:
    rows = found.get("month", [])
    if not rows:
        return None
    months = inputs.segment_months
    parts = {f"{day:%Y-%m}" for day in months.loc[~months["is_whole"], "month"]}
    data = [
        {
            "label": words.month(row["bucket"]),
            "value": float(row["amount"]),
            "text": words.money(row["amount"], currency),
            "is_part": row["bucket"] in parts,
        }
        for row in rows
    ]
    season = figures.get("season", {})
    finding = ""
    if "strongest_month" in season:
        finding = (
            f"{words.month(season['strongest_month'])} was the strongest month, "
            f"{words.number(season['strongest_month_to_mean'])} times the mean of the whole months."
        )
    if parts & {row["bucket"] for row in rows}:
        finding += " Pale columns are months that the data does not cover whole."
    return {
        "key": "months",
        "title": "Revenue by month",
        "finding": finding,
        "picture": draw("months", charts.columns(data, "revenue", "~s", sign=currency), 640),
        "head": ("Month", "Revenue", "Orders", "Customers"),
        "rows": [
            (d["label"], d["text"], words.count(r["orders"]), words.count(r["customers"]))
            for d, r in zip(data, rows, strict=True)
        ],
        "alt": "Columns: revenue of each month.",
    }


def _week(
    found: dict[str, list[Row]], figures: Row, _inputs: Inputs, _currency: str, _top: int
) -> Row | None:
    rows = found.get("weekday_hour", [])
    if not rows:
        return None
    seen = {(int(r["bucket"]), int(r["sub_bucket"])): r for r in rows}
    hours = range(min(h for _, h in seen), max(h for _, h in seen) + 1)
    top = max(row["share"] for row in rows)
    data = [
        {
            "x": f"{hour}",
            "y": WEEKDAYS[weekday - 1],
            "value": cell["share"],
            "text": f"{words.share(cell['share'])} of orders",
            "is_dark": cell["share"] > 0.62 * top,
        }
        for weekday in range(1, 8)
        for hour in hours
        if (cell := seen.get((weekday, hour), {"share": 0.0}))
    ]
    season = figures.get("season", {})
    finding = ""
    if "busiest_weekday" in season:
        finding = (
            f"{season['busiest_weekday']} is the busiest day "
            f"({words.share(season['busiest_weekday_share_of_orders'])} of the orders)"
        )
        if len(hours) > 1:
            finding += (
                f", {season['busiest_hour']}:00 to {season['busiest_hour'] + 1}:00 the busiest "
                f"hour ({words.share(season['busiest_hour_share_of_orders'])})"
            )
        finding += "."
    if len(hours) == 1:  # dates without a time of day
        days = [{"label": row["y"], "value": row["value"], "text": row["text"]} for row in data]
        picture = draw("week", charts.columns(days, "share of the orders", ".0%"), 640)
        head: tuple[str, ...] = ("Day", "Orders")
    else:
        picture = draw("week", charts.heat(data, "hour of the day", "", "share", step=30), 640)
        head = ("Day", *(f"{hour}:00" for hour in hours))
    table = [
        (
            WEEKDAYS[d - 1],
            *(words.share(seen[d, h]["share"]) if (d, h) in seen else "" for h in hours),
        )
        for d in range(1, 8)
    ]
    return {
        "key": "week",
        "title": "When orders come in",
        "finding": finding,
        "picture": picture,
        "head": head,
        "rows": table,
        "alt": "Share of the orders by weekday" + (" and hour." if len(hours) > 1 else "."),
    }


def _concentration(
    found: dict[str, list[Row]], figures: Row, _inputs: Inputs, _currency: str, _top: int
) -> Row | None:
    rows = found.get("concentration", [])
    if not rows:
        return None
    data = [
        {
            "label": f"{int(row['bucket'])} %",
            "value": int(row["bucket"]) / 100,
            "amount": row["share"],
            "text": words.share(row["share"]),
        }
        for row in rows
    ]
    customers = figures.get("customers", {})
    finding = ""
    if "share_of_revenue_of_top_20_percent" in customers:
        finding = (
            f"The best 20 % of the customers bring "
            f"{words.share(customers['share_of_revenue_of_top_20_percent'])} of the revenue, "
            f"the best 1 % alone {words.share(customers['share_of_revenue_of_top_1_percent'])}."
        )
    return {
        "key": "concentration",
        "title": "How much hangs on few customers",
        "finding": finding,
        "picture": draw("concentration", charts.concentration(data), 420),
        "head": ("Best customers", "Share of revenue"),
        "rows": [(d["label"], d["text"]) for d in data],
        "alt": "A curve: the share of revenue that the best so many percent of customers bring.",
    }


def _countries(
    found: dict[str, list[Row]], figures: Row, _inputs: Inputs, currency: str, top_rows: int
) -> Row | None:
    rows = found.get("country", [])
    if len(rows) < 2:
        return None
    countries = figures.get("countries", {})
    home = countries.get("home")
    shown = [row for row in rows if row["bucket"] != home][:top_rows]
    finding = ""
    if home:
        finding = (
            f"{words.share(countries['share_of_revenue_abroad'])} of the revenue comes from "
            f"outside {home}; the largest of {words.count(len(rows) - 1)} countries are shown."
        )
    return {
        "key": "countries",
        "title": "Where the money comes from abroad",
        "finding": finding,
        "picture": draw(
            "countries", charts.bars(_bars(shown), "revenue, with its share", currency), 420
        ),
        "head": ("Country", "Revenue", "Share", "Orders", "Customers"),
        "rows": [
            (
                row["bucket"],
                words.money(row["amount"], currency),
                words.share(row["share"]),
                words.count(row["orders"]),
                words.count(row["customers"]),
            )
            for row in rows
        ],
        "alt": "Bars: revenue of the countries outside the home country.",
    }


def _bars(rows: list[Row]) -> list[Row]:
    return [
        {"label": row["bucket"], "value": float(row["amount"]), "text": words.share(row["share"])}
        for row in rows
    ]


def _shares(rows: list[Row], label: str = "{}") -> list[Row]:
    return [
        {
            "label": label.format(row["bucket"].replace("-", "–")),
            "value": row["share"],
            "text": words.share(row["share"]),
            "is_part": False,
        }
        for row in rows
    ]


def _column_figure(key: str, heading: str, what: str, rows: list[Row], **more: Any) -> Row:
    data = _shares(rows)
    return {
        "key": key,
        "title": heading,
        "finding": more.get("finding", ""),
        "picture": draw(key, charts.columns(data, more["share_of"], ".0%", height=180), 420),
        "head": (what, more["share_of"].capitalize()),
        "rows": [(d["label"], d["text"]) for d in data],
        "alt": f"Columns: {heading.lower()}.",
    }


def _baskets(
    found: dict[str, list[Row]], figures: Row, _inputs: Inputs, currency: str, _top: int
) -> Row | None:
    rows = found.get("basket_value", [])
    if not rows:
        return None
    median = figures.get("baskets", {}).get("median_value")
    finding = (
        f"Half of the orders are worth {words.money(median, currency)} or more." if median else ""
    )
    return _column_figure(
        "baskets", f"Value of an order ({currency})", "Value", rows,
        share_of="share of orders", finding=finding,
    )  # fmt: skip


def _orders(
    found: dict[str, list[Row]], figures: Row, _inputs: Inputs, _currency: str, _top: int
) -> Row | None:
    rows = found.get("orders_per_customer", [])
    if not rows:
        return None
    once = figures.get("customers", {}).get("share_with_one_order")
    finding = (
        f"{words.share(once)} of the customers who kept anything ordered once." if once else ""
    )
    return _column_figure(
        "orders", "Orders of a customer", "Orders", rows,
        share_of="share of customers", finding=finding,
    )  # fmt: skip


def _returns(
    found: dict[str, list[Row]], figures: Row, _inputs: Inputs, _currency: str, _top: int
) -> Row | None:
    rows = found.get("return_delay", [])
    if not rows:
        return None
    share = figures.get("returns", {}).get("share_of_sold_money")
    finding = f"{words.share(share)} of the money sold was taken back." if share is not None else ""
    return _column_figure(
        "returns", "How soon goods come back (days)", "Days after the sale", rows,
        share_of="share of returned money", finding=finding,
    )  # fmt: skip


def _cohorts(
    found: dict[str, list[Row]], figures: Row, _inputs: Inputs, _currency: str, _top: int
) -> Row | None:
    rows = found.get("cohort", [])
    later = [row for row in rows if int(row["sub_bucket"] or 0) > 0]
    if not later:
        return None
    top = max(row["share"] for row in later)
    data = [
        {
            "x": f"+{int(row['sub_bucket'])}",
            "y": words.month(row["bucket"]),
            "value": row["share"],
            "text": f"{round(100 * row['share'])}",
            "is_dark": row["share"] > 0.62 * top,
        }
        for row in later
    ]
    data.sort(key=lambda cell: int(cell["x"]))  # columns in order of time, also for sparse cohorts
    months = list(dict.fromkeys(row["bucket"] for row in rows))
    data.sort(key=lambda cell: [words.month(m) for m in months].index(cell["y"]))
    again = figures.get("retention", {})
    finding = ""
    if "month_1" in again:
        finding = (
            f"{words.share(again['month_1'])} of new customers order again one month later"
            + (
                f", {words.share(again['month_3'])} three months later."
                if "month_3" in again
                else "."
            )
        )
    width = max(int(row["sub_bucket"]) for row in rows)
    cells = {(row["bucket"], int(row["sub_bucket"])): words.share(row["share"]) for row in rows}
    return {
        "key": "cohorts",
        "title": "Who comes back: percent of a month's new customers who order so many months on",
        "finding": finding,
        "picture": draw(
            "cohorts",
            charts.heat(
                data, "months since the first order", "first order", "percent who order", write=True
            ),
            640,
        ),
        "head": ("First order", *(f"+{n}" for n in range(1, width + 1))),
        "rows": [
            (words.month(m), *(cells.get((m, n), "") for n in range(1, width + 1))) for m in months
        ],
        "alt": "A table of shades: share of a month's new customers who ordered in later months.",
        "is_wide": True,
    }


def goods(inputs: Inputs, limit: int) -> Row:
    """The categories, the map of products, and how sure they are."""
    products = inputs.product_categories.sort_values(["category", "stock_code"])
    drawn = spread_evenly(rows_of(products), limit)
    points = [
        {
            "x": round(row["map_x"], 3),
            "y": round(row["map_y"], 3),
            "category": row["category_title"],
            "description": row["description"][:80],
            "confidence": words.share(row["confidence"]),
        }
        for row in drawn
    ]
    return {
        "picture": draw("products", charts.product_map(points, _labels(products)))
        if len({(point["x"], point["y"]) for point in points}) > 1
        else None,
        "drawn": len(drawn),
        "all": len(products),
        "categories": rows_of(
            inputs.categories.sort_values(["revenue", "category"], ascending=[False, True])
        ),
        "seasons": seasons(inputs),
        "top": {
            name: rows_of(inputs.exploration[inputs.exploration["pattern"] == name])[:10]
            for name in ("product_by_revenue", "product_by_returns")
        },
    }


def seasons(inputs: Inputs) -> Row | None:
    """The season of each category, in the order of revenue; None where nothing can differ."""
    months = sorted(inputs.category_months["month"].unique())
    titles = inputs.categories.sort_values(["revenue", "category"], ascending=[False, True])
    if len(months) < 2 or len(titles) < 2:
        return None
    parts = set(inputs.segment_months.loc[~inputs.segment_months["is_whole"], "month"])
    found = {
        (row["category"], row["month"]): row["season_index"]
        for row in rows_of(inputs.category_months)
    }
    rows = []
    for category in rows_of(titles):
        cells = [found.get((category["category"], month)) for month in months]
        whole = [
            (index, month)
            for index, month in zip(cells, months, strict=True)
            if index is not None and month not in parts
        ]
        rows.append(
            {
                "title": category["category_title"],
                "cells": [
                    {"index": index, "shade": min(max((index or 0) / FULL_SHADE, 0), 1)}
                    for index in cells
                ],
                "strongest": words.month(max(whole, key=lambda each: each[0])[1])
                if whole
                else words.NOTHING,
            }
        )
    return {
        "months": [{"short": words.month(m), "is_part": m in parts} for m in months],
        "rows": rows,
    }


def _labels(products: pd.DataFrame) -> list[Row]:
    """Where to write each category's name: in the middle of its products."""
    middle = products.groupby("category_title", sort=True)[["map_x", "map_y"]].median()
    return [
        {"category": title, "x": round(row["map_x"], 3), "y": round(row["map_y"], 3)}
        for title, row in middle.iterrows()
    ]
