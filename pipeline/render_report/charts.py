"""Every chart of the report: data in, an Altair chart out; and how a chart becomes a picture."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert

from pipeline.render_report.marks import COLOURS, SHAPES

INK = "#1d2433"
SOFT = "#5b6475"
GRID = "#e4e7ec"
ACCENT = "#1b3a73"
REST = "#b9c0cc"
COLOUR_OF_CHOICE = "#b4520a"
RAMP = ("#f1f4f9", "#c5d3e8", "#8eabd2", "#5280b7", "#27549a", "#142f66")
# The renderer carries this font, so that a picture has the same bytes on every machine.
FONT = "Liberation Sans, Arimo, Helvetica, Arial, sans-serif"
WIDTH = 720

Rows = Sequence[Mapping[str, Any]]

# One choice for the whole page: script.js sets this parameter in every chart.
CHOSEN = "chosen"
NOBODY = -1
IS_SHOWN = f"{CHOSEN} < 0 || datum.segment_id === {CHOSEN}"


@dataclass(frozen=True)
class Picture:
    """A chart as a still picture for everyone and as a specification that scripts bring to life."""

    key: str
    svg: str
    spec: dict[str, Any]


def draw(key: str, chart: alt.TopLevelMixin, width: int = WIDTH) -> Picture:
    """Return `chart` as a picture; `key` makes the ids in it unique on the page."""
    styled = chart.configure(**_style())
    still = styled.properties(width=width).to_dict()
    alive = styled.properties(width="container").to_dict()
    for spec in (still, alive):
        spec.pop("$schema", None)  # an address, and nothing reads it
    return Picture(key, tidy_svg(vl_convert.vegalite_to_svg(still), key), alive)


def tidy_svg(svg: str, key: str) -> str:
    """Make a picture's ids unique and the same on every run, and the picture small."""
    names = {found: f"{key}-{n}" for n, found in enumerate(re.findall(r'\bid="([^"]+)"', svg))}
    for old, new in names.items():
        svg = svg.replace(f'id="{old}"', f'id="{new}"').replace(f"(#{old})", f"(#{new})")
    svg = re.sub(r"<text [^>]*opacity=\"0\">[^<]*</text>", "", svg)  # labels left out for room
    svg = re.sub(r' (xmlns:xlink|version|role|aria-[a-z]+|class|pointer-events)="[^"]*"', "", svg)
    svg = re.sub(r' (opacity|fill-opacity|stroke-opacity)="1"|' + f' font-family="{FONT}"', "", svg)
    svg = re.sub(r'<path d="(M0,0h0v0h0Z)?"( display="none")?/>', "", svg)
    svg = re.sub(r"-?\d+\.\d{3,}", _rounded, svg)
    svg = re.sub(
        r'<path transform="[^"]*" d="[^"]*" fill="[^"]*" stroke-width="2"', _unstroked, svg
    )
    return _shared_shapes(svg, key).replace(
        "<svg ", f'<svg class="picture" focusable="false" font-family="{FONT}" ', 1
    )


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")


def _unstroked(found: re.Match[str]) -> str:
    return found[0].removesuffix(' stroke-width="2"')


def _shared_shapes(svg: str, key: str) -> str:
    """Draw what is drawn many times once, and use it where it stands."""
    marks = Counter(re.findall(r'<path transform="[^"]*" d="([^"]*)"', svg))
    often = [shape for shape, times in sorted(marks.items()) if times > 9]
    for number, shape in enumerate(often):
        used = rf'<path transform="([^"]*)" d="{re.escape(shape)}"'
        svg = re.sub(used, rf'<use transform="\1" href="#{key}-m{number}"', svg)
    shapes = "".join(f'<path id="{key}-m{n}" d="{shape}"/>' for n, shape in enumerate(often))
    return svg.replace("</svg>", f"<defs>{shapes}</defs></svg>") if often else svg


def _style() -> dict[str, Any]:
    axis = {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "domain": False,
        "ticks": False,
        "gridColor": GRID,
        "labelPadding": 6,
        "titlePadding": 8,
    }
    return {
        "font": FONT,
        "aria": False,  # the figure around it has the words; a thousand marks would drown them
        "background": "transparent",
        "view": {"stroke": None},
        "axis": axis,
        "legend": {"labelColor": INK, "titleColor": SOFT, "titleFontWeight": "normal"},
        "text": {"color": INK, "fontSize": 12},
    }


def _data(rows: Rows) -> alt.Data:
    return alt.Data(values=[dict(row) for row in rows])


def _tooltip(**titles: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip(field=field, type="nominal", title=title) for field, title in titles.items()
    ]


def _chosen() -> alt.Parameter:
    return alt.param(name=CHOSEN, value=NOBODY)


def _dimmed(faint: float, full: float) -> Any:
    return alt.when(IS_SHOWN).then(alt.value(full)).otherwise(alt.value(faint))


def _segment_scales(segments: Rows) -> tuple[alt.Color, alt.Shape]:
    """Colour and shape by segment, with no legend: the page's own bar of segments is one."""
    ids = [s["segment_id"] for s in segments]
    return (
        alt.Color(
            "segment_id:N",
            scale=alt.Scale(domain=ids, range=[s["colour"] for s in segments]),
            legend=None,
        ),
        alt.Shape(
            "segment_id:N",
            scale=alt.Scale(domain=ids, range=[s["shape"] for s in segments]),
            legend=None,
        ),
    )


def customer_map(points: Rows, segments: Rows, currency: str) -> alt.TopLevelMixin:
    """Customers by days since the last order and by spend, both on a logarithmic scale."""
    colour, shape = _segment_scales(segments)
    return (
        alt.Chart(_data(points))
        .mark_point(filled=True, size=30, opacity=0.75)
        .encode(
            x=alt.X(
                "recency_days:Q",
                title="days since the last order (right = lately)",
                scale=alt.Scale(type="symlog", reverse=True, nice=False, zero=False),
                axis=alt.Axis(values=[1, 3, 7, 14, 30, 60, 90, 180, 365, 730], format="d"),
            ),
            y=alt.Y(
                "monetary:Q",
                title="spend so far",
                scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(
                    values=[10**n for n in range(8)],
                    labelExpr=f"{json.dumps(currency)} + format(datum.value, ',')",
                ),
            ),
            color=colour,
            shape=shape,
            opacity=_dimmed(0.05, 0.75),
            tooltip=_tooltip(
                customer="customer",
                segment="segment",
                recency="last order",
                orders="orders",
                spend="spend so far",
                expected="expected next",
            ),
        )
        .add_params(_chosen())
        .properties(height=420)
    )


def columns(
    rows: Rows, y_title: str, y_format: str = "~s", *, sign: str = "", height: int = 200
) -> alt.TopLevelMixin:
    """Columns in the order of the rows: `label`, `value`, `text`, and `note` for the pale ones."""
    return (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            x=alt.X(
                "label:N",
                sort=None,
                title=None,
                axis=alt.Axis(labelAngle=0, grid=False, labelOverlap=True),
            ),
            y=alt.Y(
                "value:Q",
                title=y_title,
                axis=alt.Axis(
                    tickCount=4, labelExpr=f"{json.dumps(sign)} + format(datum.value, '{y_format}')"
                ),
            ),
            color=alt.condition("datum.is_part", alt.value(REST), alt.value(ACCENT)),
            tooltip=_tooltip(label=" ", text=y_title),
        )
        .properties(height=height)
    )


def bars(rows: Rows, title: str, sign: str = "") -> alt.TopLevelMixin:
    """Horizontal bars with their figures written at the end."""
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=190, grid=False)),
        x=alt.X(
            "value:Q",
            title=title,
            axis=alt.Axis(tickCount=4, labelExpr=f"{json.dumps(sign)} + format(datum.value, '~s')"),
            scale=alt.Scale(zero=True),
        ),
        tooltip=_tooltip(label=" ", text=title),
    )
    return alt.layer(
        base.mark_bar(color=ACCENT, height={"band": 0.7}),
        base.mark_text(align="left", dx=5).encode(text="text:N"),
    ).properties(height=22 * max(len(rows), 1))


def heat(
    rows: Rows, x_title: str, y_title: str, value_title: str, *, step: int = 24, write: bool = False
) -> alt.TopLevelMixin:
    """A table of shades: `x`, `y`, `value` and its `text`."""
    base = alt.Chart(_data(rows)).encode(
        x=alt.X(
            "x:N",
            sort=None,
            title=x_title,
            axis=alt.Axis(labelAngle=0, grid=False, labelOverlap=True),
        ),
        y=alt.Y("y:N", sort=None, title=y_title, axis=alt.Axis(grid=False)),
        tooltip=_tooltip(y=y_title or " ", x=x_title, text=value_title),
    )
    cells = base.mark_rect(stroke="white", strokeWidth=1).encode(
        color=alt.Color("value:Q", scale=alt.Scale(range=list(RAMP)), legend=None)
    )
    height = step * len({row["y"] for row in rows})
    if not write:
        return cells.properties(height=height)
    texts = base.mark_text(fontSize=10).encode(
        text="text:N",
        color=alt.condition("datum.is_dark", alt.value("white"), alt.value(INK)),
    )
    return alt.layer(cells, texts).properties(height=height)


def concentration(rows: Rows) -> alt.TopLevelMixin:
    """How much of the revenue the best so many percent of the customers bring."""
    base = alt.Chart(_data(rows)).encode(
        x=alt.X(
            "value:Q",
            title="best customers, from the top",
            axis=alt.Axis(format="%", grid=False, tickCount=5),
        ),
        y=alt.Y("amount:Q", title="share of revenue", axis=alt.Axis(format="%", tickCount=5)),
    )
    even = alt.Chart(alt.Data(values=[{"a": 0}, {"a": 1}])).mark_line(color=REST, strokeDash=[4, 4])
    return alt.layer(
        even.encode(x="a:Q", y="a:Q"),
        base.mark_line(color=ACCENT, strokeWidth=2.5),
        base.mark_point(filled=True, color=ACCENT, size=45).encode(
            tooltip=_tooltip(label="the best", text="bring of the revenue")
        ),
    ).properties(height=240)


def product_map(points: Rows, titles: Rows) -> alt.TopLevelMixin:
    """Products, near where they are bought together or sound alike; each category by its name."""
    axis = alt.Axis(labels=False, grid=False, title=None)
    base = alt.Chart(_data(points)).encode(
        x=alt.X("x:Q", axis=axis, scale=alt.Scale(zero=False)),
        y=alt.Y("y:Q", axis=axis, scale=alt.Scale(zero=False)),
    )
    names = alt.Chart(_data(titles)).encode(x="x:Q", y="y:Q", text="category:N")
    categories = [row["category"] for row in titles]
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(categories))]
    shapes = [SHAPES[i % len(SHAPES)] for i in range(len(categories))]
    return alt.layer(
        base.mark_point(filled=True, size=18, opacity=0.6).encode(
            color=alt.Color(
                "category:N", legend=None, scale=alt.Scale(domain=categories, range=colours)
            ),
            shape=alt.Shape(
                "category:N", legend=None, scale=alt.Scale(domain=categories, range=shapes)
            ),
            tooltip=_tooltip(description="product", category="category", confidence="how sure"),
        ),
        names.mark_text(
            fontWeight="bold", fontSize=13, stroke="white", strokeWidth=5, strokeJoin="round"
        ),
        names.mark_text(fontWeight="bold", fontSize=13),
    ).properties(height=460)


def season(rows: Rows, mark: Mapping[str, str]) -> alt.TopLevelMixin:
    """A segment's share of spend month by month, the other customers' as a line."""
    base = alt.Chart(_data(rows)).encode(
        x=alt.X(
            "label:N",
            sort=None,
            title=None,
            axis=alt.Axis(labelAngle=0, grid=False, labelOverlap=True),
        )
    )
    tips = _tooltip(month="month", text="share of its spend", rest_text="other customers")
    axis = alt.Axis(format="%", tickCount=3, title=None)
    return alt.layer(
        base.mark_bar(color=mark["colour"], opacity=0.85).encode(
            y=alt.Y("share:Q", axis=axis), tooltip=tips
        ),
        base.mark_line(color=INK, strokeDash=[4, 3], strokeWidth=1.5).encode(y="rest:Q"),
        base.mark_point(color=INK, filled=True, size=18).encode(y="rest:Q", tooltip=tips),
    ).properties(height=150)


def sweep(rows: Rows, gate: float | None, chosen_k: int) -> alt.TopLevelMixin:
    """One figure over the number of segments, with its gate and the chosen number."""
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("k:O", title="segments", axis=alt.Axis(labelAngle=0, grid=False)),
        y=alt.Y(
            "value:Q",
            title=None,
            axis=alt.Axis(tickCount=4),
            scale=alt.Scale(zero=False, nice=True),
        ),
        tooltip=_tooltip(k="segments", text="figure"),
    )
    layers = [
        base.mark_line(color=ACCENT, strokeWidth=2),
        base.mark_point(filled=True, color=ACCENT, size=36),
        base.transform_filter(f"datum.k === {chosen_k}").mark_point(
            color=COLOUR_OF_CHOICE, size=180, strokeWidth=2.5
        ),
    ]
    if gate is not None:
        rule = alt.Chart(alt.Data(values=[{"gate": gate}])).mark_rule(color=INK, strokeDash=[4, 3])
        layers.append(rule.encode(y="gate:Q"))
    return alt.layer(*layers).properties(height=150)


def candidate_field(rows: Rows) -> alt.TopLevelMixin:
    """Candidates by stability and by what they foretell."""
    kinds = ["failed a gate", "passed", "baseline", "chosen"]
    return (
        alt.Chart(_data(rows))
        .mark_point(filled=True, opacity=0.85)
        .encode(
            x=alt.X(
                "jaccard:Q",
                title="stability: Jaccard of the least stable segment",
                scale=alt.Scale(zero=False),
                axis=alt.Axis(tickCount=6),
            ),
            y=alt.Y(
                "eta:Q",
                title="share of the reference model: later spend predicted",
                axis=alt.Axis(format="%", tickCount=5),
                scale=alt.Scale(zero=False),
            ),
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=kinds, range=[REST, "#2f86c1", SOFT, COLOUR_OF_CHOICE]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            shape=alt.Shape(
                "kind:N",
                scale=alt.Scale(domain=kinds, range=["cross", "circle", "square", "diamond"]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            size=alt.condition("datum.kind === 'chosen'", alt.value(260), alt.value(50)),
            order=alt.Order("rank:Q"),
            tooltip=_tooltip(
                candidate="candidate",
                jaccard_text="Jaccard",
                eta_text="of the reference",
                failed="fails",
            ),
        )
        .properties(height=300)
    )


def calibration(rows: Rows, currency: str) -> alt.TopLevelMixin:
    """Expected against true spend of groups of customers, on a held-out snapshot."""
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("expected:Q", title="expected spend per customer", axis=_money_axis(currency)),
        tooltip=_tooltip(
            label="group", expected_text="expected", actual_text="actual", verdict="95 % interval"
        ),
    )
    top = max((max(row["high"], row["expected"]) for row in rows), default=1)
    even = alt.Chart(alt.Data(values=[{"a": 0}, {"a": top}])).mark_line(
        color=REST, strokeDash=[4, 4]
    )
    return alt.layer(
        even.encode(x="a:Q", y="a:Q"),
        base.mark_rule(color=SOFT, strokeWidth=1.5).encode(
            y=alt.Y("low:Q", title="actual spend and 95 % interval", axis=_money_axis(currency)),
            y2="high:Q",
        ),
        base.mark_point(filled=True, color=ACCENT, size=60).encode(y="actual:Q"),
    ).properties(height=280)


def _money_axis(currency: str) -> alt.Axis:
    return alt.Axis(tickCount=5, labelExpr=f"{json.dumps(currency)} + format(datum.value, '~s')")
