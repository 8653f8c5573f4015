"""Plans: what was drawn, from whom and when; campaigns/NAME.yaml and its list NAME.csv keep it."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from pipeline.core.run.errors import InputError
from pipeline.core.run.outputs import write_text
from pipeline.core.run.params import StageParams, parse_params
from pipeline.core.run.yaml_text import dump_yaml, read_yaml

CAMPAIGNS_FOLDER = Path("campaigns")
SHOP_HOLD_OUT = "shop_hold_out"
TREATED, HELD_OUT = "treated", "held out"
LIST_COLUMNS = ("customer_id", "group", "stratum")

Measure = Literal["buyers", "spend"]


class Power(StageParams):
    """What the test can show, measured on the same segments over the last such span that is over.

    `base` is the KPI untreated, `chance` that of seeing `lift`, `detectable_lift` what is seen in
    `wanted` of cases; `narrowed` by how much earlier orders narrowed the interval there.
    """

    lift: float = Field(gt=0)
    alpha: float = Field(gt=0, lt=0.5)
    wanted: float = Field(gt=0.5, lt=1)
    base: float | None = None
    chance: float | None = None
    detectable_lift: float | None = None
    narrowed: float | None = None


class Plan(StageParams):
    """One campaign: who was drawn, from how many, when it counts, and what it costs.

    `snapshot` and `segments_md5` name the run: `git log -S<md5> dvc.lock` finds its commit.
    """

    name: str
    segments: tuple[str, ...]
    play: str | None
    kpi: Measure
    start: date
    length_days: int = Field(ge=1, le=3660)
    cost_per_contact: float = Field(ge=0)
    fixed_cost: float = Field(ge=0)
    members: int
    left_out: dict[str, int]
    treated: int = Field(ge=1)
    held_out: int = Field(ge=1)
    power: Power
    seed: int
    snapshot: date
    segments_md5: str
    list_sha256: str

    @property
    def end(self) -> date:
        """The last day on which an order counts."""
        return self.start + timedelta(days=self.length_days - 1)

    @property
    def total_cost(self) -> float:
        """Of addressing every treated customer."""
        return self.fixed_cost + self.cost_per_contact * self.treated


class ShopHoldOut(StageParams):
    """Customers who are never addressed: those whose number drawn from seed and id is below."""

    share: float = Field(gt=0, lt=1)
    seed: int

    def holds(self, customer_id: str) -> bool:
        """Whether the customer is one of them: for ever the same, new customers too."""
        return draw_number(self.seed, SHOP_HOLD_OUT, customer_id) < self.share


@dataclass(frozen=True)
class Campaign:
    """A plan with its list (columns customer_id, group, stratum), and whether they still fit."""

    plan: Plan
    members: pd.DataFrame
    is_list_as_drawn: bool


def draw_number(seed: int, name: str, customer_id: str) -> float:
    """A number in [0, 1) that follows from these alone, as good as drawn by chance."""
    digest = hashlib.sha256(f"{seed}/{name}/{customer_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def plan_file(name: str) -> Path:
    """Where the campaign's plan is."""
    return CAMPAIGNS_FOLDER / f"{name}.yaml"


def read_campaigns() -> list[Campaign]:
    """Every campaign by name; none where the folder is empty or missing."""
    return list(map(read_campaign, _names()))


def _names() -> list[str]:
    names = sorted(file.stem for file in CAMPAIGNS_FOLDER.glob("*.yaml"))
    return [name for name in names if name != SHOP_HOLD_OUT]


def read_campaign(name: str) -> Campaign:
    """The campaign of this name. Raises InputError that names the file and what is wrong there."""
    file = plan_file(name)
    plan = parse_params("campaign", Plan, _content(file), file)
    if plan.name != name:
        raise InputError(f"{file}: name: {plan.name!r}: the file must be called {plan.name}.yaml")
    listed = file.with_suffix(".csv")
    if not listed.exists():
        raise InputError(f"{listed} is missing: `git checkout {listed}` brings the list back")
    data = listed.read_bytes()
    members = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)
    if tuple(members.columns) != LIST_COLUMNS:
        raise InputError(
            f"{listed}: columns {', '.join(members.columns)}; expected {', '.join(LIST_COLUMNS)}"
        )
    return Campaign(plan, members, hashlib.sha256(data).hexdigest() == plan.list_sha256)


def read_shop_hold_out() -> ShopHoldOut | None:
    """The customers who are never addressed, where some are declared."""
    file = plan_file(SHOP_HOLD_OUT)
    return parse_params(SHOP_HOLD_OUT, ShopHoldOut, _content(file), file) if file.exists() else None


def write_plan(plan: StageParams, file: Path) -> None:
    """Write a plan as YAML."""
    write_text(file, dump_yaml(plan.model_dump(mode="python", exclude_none=False)))


def list_text(rows: Sequence[tuple[str, str, str]]) -> str:
    """The list of a campaign as CSV, by customer."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([LIST_COLUMNS, *sorted(rows)])
    return text.getvalue()


def _content(file: Path) -> object:
    try:
        return read_yaml(file)
    except FileNotFoundError:
        there = f"there are {', '.join(_names())}" if _names() else "none was drawn yet"
        raise InputError(f"{file} is missing: no campaign of this name; {there}") from None
