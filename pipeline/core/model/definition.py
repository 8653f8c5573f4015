"""The definition of the segments: a customer row gets the same one in a run and in scoring.

It is one YAML file that people can read and git can compare: borders, transforms, names, order,
declared groups and money unit. Reading it builds the classes below and nothing else.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from pipeline.core.model import clusterings, transforms
from pipeline.core.model.clusterings import Clustering
from pipeline.core.model.grid import COLUMNS, Grid
from pipeline.core.model.groups import Wholesale, declared_group
from pipeline.core.model.transforms import Transform, feature_matrix
from pipeline.core.run.errors import InputError
from pipeline.core.run.outputs import write_text
from pipeline.core.run.yaml_text import YAMLError, load_yaml

DEFINITION = Path("data/definition.yaml")
HEAD = """\
# The definition of the segments, from the most valuable to the least: which customers are in which.
# `python -m pipeline keep` keeps it for the runs to come (docs/new_month.md).
"""


@dataclasses.dataclass(frozen=True)
class Segment:
    """One segment: its play in the playbook, which names it, and the number of its cluster.

    `group` is its key if it is declared and not found by the clustering; `condition` is
    what it asks of a customer (recency_days <= 60, frequency >= 4), empty where that is not said
    so; `name` is the shop's own, empty where the playbook names it.
    """

    play: str
    cluster: int
    group: str = ""
    condition: str = ""
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Definition:
    """A fitted segmentation.

    `columns` are the features, with money in units of `money_unit`; `segments` stand in the order
    of segment_id, groups after the clustering's clusters by number; `names` gives each customer's
    own play.
    """

    candidate: str
    snapshot_date: str
    money_unit: float
    wholesale: Wholesale
    segments: list[Segment]
    columns: list[str]
    names: Grid
    transform: Transform
    clustering: Clustering

    @property
    def size(self) -> int:
        """How many segments there are, declared groups included."""
        return len(self.segments)

    @property
    def order(self) -> NDArray[np.int64]:
        """The segment_id of each cluster."""
        order = np.empty(self.size, dtype=np.int64)
        order[[segment.cluster for segment in self.segments]] = np.arange(self.size)
        return order


def assign(definition: Definition, customers: pd.DataFrame) -> pd.DataFrame:
    """Return segment_id, play and confidence for each row of `customers`, in its order and index.

    The play is the segment's; where the segment does not say how lately its members ordered, the
    customer's own by the grid of names.
    """
    groups = {s.group: number for number, s in enumerate(definition.segments) if s.group}
    group = declared_group(customers, definition.wholesale)
    segment_id = np.array([groups.get(name, -1) for name in group], dtype=np.int64)
    confidence = np.ones(len(customers))
    plays = np.array([s.play for s in definition.segments], dtype=object)
    free = segment_id < 0
    rows = customers.loc[free]
    if free.any():
        features = feature_matrix(rows, definition.columns, definition.money_unit)
        points = definition.transform.apply(features)
        segment_id[free] = definition.order[definition.clustering.assign(points)]
        confidence[free] = definition.clustering.confidence(points)
    play = plays[segment_id]
    if free.any() and not all(s.group or s.condition for s in definition.segments):
        play[free] = own_names(definition.names, rows, definition.money_unit)
    return pd.DataFrame(
        {
            "segment_id": segment_id.astype("int32"),
            "play": play,
            "confidence": np.round(np.clip(confidence, 0.0, 1.0), 6),
        },
        index=customers.index,
    )


def own_names(names: Grid, customers: pd.DataFrame, money_unit: float) -> NDArray[np.object_]:
    """The key of each customer's name by the grid."""
    found = names.assign(feature_matrix(customers, COLUMNS, money_unit))
    return np.array(names.names, dtype=object)[found]


def aged(customers: pd.DataFrame, days: int) -> pd.DataFrame:
    """The customers so many days later if they neither order nor return anything."""
    moved = {n: customers[n] + days for n in ("recency_days", "tenure_days") if n in customers}
    return customers.assign(**moved)


def save_definition(definition: Definition, path: Path = DEFINITION) -> None:
    """Write the definition, whole; equal definitions give equal bytes."""
    write_text(path, HEAD + "\n".join(_lines(_plain(definition))) + "\n")


def load_definition(path: Path = DEFINITION) -> Definition:
    """Return the definition at `path`; InputError where it is missing or is none."""
    try:
        return parse_definition(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; `dvc repro select_model` makes it") from None


def parse_definition(text: str, path: Path = DEFINITION) -> Definition:
    """Return the definition that a text is; InputError, with its `path`, where it is none."""
    try:
        content = load_yaml(text)
    except YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {error}") from None
    try:
        found = _rebuilt(content)
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise InputError(
            f"{path} is no definition of segments ({error}); where an earlier version made it, set "
            "select.definition to null, run `dvc repro`, then `python -m pipeline keep`"
        ) from None
    if not isinstance(found, Definition):
        raise InputError(f"{path} is no definition of segments but {type(found).__name__}")
    return found


KINDS: Mapping[str, Any] = {
    kind.__name__: kind
    for kind in (
        Definition, Segment, Wholesale, Grid, clusterings.Centroids, clusterings.Boxes,
        clusterings.Mixture, clusterings.RfmRules, transforms.Raw, transforms.Logged,
        transforms.Turned, transforms.Power, transforms.Scores, transforms.Expected,
    )
}  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {"kind": type(value).__name__, **value.model_dump()}
    if dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **_plain(fields)}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _rebuilt(value: Any) -> Any:
    if isinstance(value, dict):
        fields = {key: _rebuilt(each) for key, each in value.items() if key != "kind"}
        return KINDS[value["kind"]](**fields) if "kind" in value else fields
    if isinstance(value, list):
        each = [_rebuilt(item) for item in value]
        numbers = all(isinstance(item, int | float | np.ndarray) for item in each)
        return np.array(each) if numbers else each
    return value


def _lines(value: Mapping[str, Any], indent: str = "") -> list[str]:
    """YAML lines: a mapping in blocks, lists of mappings by the line, arrays in brackets."""
    found = []
    for key, each in value.items():
        if isinstance(each, Mapping) and each:
            found += [f"{indent}{key}:", *_lines(each, indent + "  ")]
        elif isinstance(each, list) and each and isinstance(each[0], Mapping):
            found += [f"{indent}{key}:", *(f"{indent}  - {_flow(item)}" for item in each)]
        else:
            found.append(f"{indent}{key}: {_flow(each)}")
    return found


def _flow(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
