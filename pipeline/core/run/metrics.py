"""metrics/<stage>.json: committed figures that two versions can be compared by without noise.

The file is a list of one mapping, because DVC shows the figures of mappings alone. So it is a
metric to DVC, and a stage whose outputs are cached files and metrics enters the run cache; and
`dvc metrics diff` shows metrics/summary.json, the figures that people decide by, and no other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipeline.core.run.outputs import write_text

METRICS = Path("metrics")
SIGNIFICANT_DIGITS = 5


def write_metrics(stage: str, figures: Mapping[str, Any]) -> None:
    """Write `figures` (nested mappings of numbers, strings and booleans) to metrics/<stage>.json.

    Floats are rounded to five significant digits, money (Decimal) to cents, so that a diff shows
    changes and not noise. Raises ValueError for lists, None, NaN and infinities: a diff cannot
    show them.
    """
    tidy = _tidy(figures, stage)
    write_text(METRICS / f"{stage}.json", json.dumps([tidy], indent=1, ensure_ascii=False) + "\n")


def write_summary(figures: Mapping[str, Any]) -> None:
    """Write metrics/summary.json, which DVC shows."""
    tidy = _tidy(figures, "summary")
    write_text(METRICS / "summary.json", json.dumps(tidy, indent=1, ensure_ascii=False) + "\n")


def read_metrics(stage: str) -> dict[str, Any]:
    """Return the figures that `stage` wrote."""
    return parse_metrics((METRICS / f"{stage}.json").read_text(encoding="utf-8"))


def parse_metrics(text: str) -> dict[str, Any]:
    """Return the figures of a file of metrics."""
    content: list[dict[str, Any]] = json.loads(text)
    return content[0]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested figures or parameters as one mapping, with dotted keys."""
    pairs: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            pairs |= flat(value, f"{prefix}{key}.")
        else:
            pairs[f"{prefix}{key}"] = value
    return pairs


def _tidy(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _tidy(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, bool | str):
        return value
    if hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    if isinstance(value, bool | int):
        return value
    if isinstance(value, Decimal):
        return float(round(value, 2))
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0  # + 0.0 turns -0.0 into 0.0
    raise ValueError(f"metric {where} is {value!r}: only numbers, strings and booleans can be kept")
