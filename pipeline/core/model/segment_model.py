"""The kept model: a customer row gets the same segment in assign_segments and in scoring."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray

from pipeline.core.model.partitions import Partition, assign_parts, confidence_of
from pipeline.core.model.transforms import Transform, apply_transform, feature_matrix
from pipeline.core.run.errors import InputError
from pipeline.core.run.outputs import whole_file

MODEL = Path("data/model.skops")
KEPT_NOTHING = "kept_nothing"
WHOLESALE = "wholesale"
# What may be rebuilt from the file; anything else in it is refused, and nothing is ever unpickled.
TRUSTED = [
    "pipeline.core.model.partitions.Partition",
    "pipeline.core.model.segment_model.SegmentModel",
    "pipeline.core.model.segment_model.Wholesale",
    "pipeline.core.model.transforms.Transform",
    "sklearn.tree._tree.Tree",
]


@dataclass(frozen=True)
class Wholesale:
    """Who is a wholesaler: so many units on a line, in so many orders; 0 units = nobody."""

    minimum_units_per_line: float
    minimum_orders: int


@dataclass(frozen=True)
class SegmentModel:
    """A fitted segmentation.

    `columns` are the features, with money in units of `money_unit`;
    `groups` maps a declared group to its part's number, after those of the partition; `order`
    (parts,) is the segment_id of each part; `levels` has one row per segment_id with the medians
    of recency, frequency, monetary over its members at the snapshot of the fit; `training` has
    the quantile edges and shares of each feature there, for drift.
    """

    candidate: str
    snapshot_date: str
    columns: list[str]
    money_unit: float
    transform: Transform
    partition: Partition
    groups: dict[str, int]
    wholesale: Wholesale
    order: Any
    levels: dict[str, Any]
    training: dict[str, Any]

    @property
    def size(self) -> int:
        """How many segments there are, declared groups included."""
        return self.partition.size + len(self.groups)


def parts_of(model: SegmentModel, customers: pd.DataFrame) -> NDArray[np.int64]:
    """The part (n,) of each row of `customers`, declared groups first, then the partition."""
    parts, _ = _parts_and_confidence(model, customers)
    return parts


def assign(model: SegmentModel, customers: pd.DataFrame) -> pd.DataFrame:
    """Return segment_id and confidence for each row of `customers`, in its order and index."""
    parts, confidence = _parts_and_confidence(model, customers)
    return pd.DataFrame(
        {
            "segment_id": np.asarray(model.order)[parts].astype("int32"),
            "confidence": np.round(np.clip(confidence, 0.0, 1.0), 6),
        },
        index=customers.index,
    )


def declared_group(customers: pd.DataFrame, wholesale: Wholesale) -> NDArray[np.str_]:
    """The declared group of each row, or an empty text where a model decides."""
    group = np.full(len(customers), "", dtype="<U12")
    orders = customers["frequency"].to_numpy()
    if wholesale.minimum_units_per_line > 0:
        boxes = customers["units_per_line"].to_numpy(float) >= wholesale.minimum_units_per_line
        group[boxes & (orders >= wholesale.minimum_orders)] = WHOLESALE
    group[orders == 0] = KEPT_NOTHING
    return group


def _parts_and_confidence(
    model: SegmentModel, customers: pd.DataFrame
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    parts = np.empty(len(customers), dtype=np.int64)
    confidence = np.ones(len(customers))
    group = declared_group(customers, model.wholesale)
    for name, part in model.groups.items():
        parts[group == name] = part
    free = ~np.isin(group, list(model.groups))
    if free.any():
        rows = customers.loc[free]
        features = feature_matrix(rows, model.columns, model.money_unit)
        points = apply_transform(model.transform, features)
        parts[free] = assign_parts(model.partition, points)
        confidence[free] = confidence_of(model.partition, points)
    return parts, confidence


def save_model(model: SegmentModel, path: Path = MODEL) -> None:
    """Write the model, whole, the same bytes for the same model.

    skops numbers the parts by memory address and stamps the time; both are taken out here.
    """
    with whole_file(path) as unfinished:
        unfinished.write_bytes(_same_bytes(skops.io.dumps(model)))


def load_model(path: Path = MODEL) -> SegmentModel:
    """Return the kept model; InputError where it is missing or holds what is not trusted."""
    if not path.exists():
        raise InputError(f"{path} is missing; `dvc repro select_model` makes it")
    try:
        unknown = [t for t in skops.io.get_untrusted_types(file=path) if t not in TRUSTED]
        if unknown:
            raise InputError(f"{path} holds types that are not trusted: {', '.join(unknown)}")
        model = skops.io.load(path, trusted=TRUSTED)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise InputError(f"{path} is no model ({error}); `dvc repro` makes it anew") from None
    if not isinstance(model, SegmentModel):
        raise InputError(f"{path} is no model but a {type(model).__name__}")
    return model


def _same_bytes(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = archive.read("schema.json").decode("utf-8")
        files = {n: archive.read(n) for n in archive.namelist() if n != "schema.json"}
    numbers: dict[str, str] = {}

    def numbered(match: re.Match[str]) -> str:
        return str(numbers.setdefault(match.group(), str(len(numbers) + 1)))

    # Addresses are the only runs of nine digits or more that start no decimal.
    schema = re.sub(r"(?<![\d.])\d{9,}(?![\d.]*e)", numbered, schema)
    renamed = {re.sub(r"\d{9,}", numbered, name): data for name, data in files.items()}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {
            "schema.json": json.dumps(json.loads(schema)).encode(),
            **renamed,
        }.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return made.getvalue()
