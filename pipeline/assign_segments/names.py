"""The segments of a definition by their names in the playbook."""

from __future__ import annotations

import pandas as pd

from pipeline.core.model.definition import Definition
from pipeline.core.model.naming import Playbook
from pipeline.core.run.errors import InputError


def segment_names(definition: Definition, playbook: Playbook) -> pd.DataFrame:
    """Return segment_id, segment (its unique name), group, play and condition of each segment.

    The most valuable segment of a play takes the first of its names, the next the second; beyond
    the list names are numbered. Raises InputError where the playbook lacks the play.
    """
    rows = []
    seen: dict[str, int] = {}
    for number, segment in enumerate(definition.segments):
        if segment.play not in playbook.plays:
            raise InputError(
                f"playbook.yaml: the definition has a segment {segment.play!r}, which is none of "
                f"its plays: {', '.join(playbook.plays)}"
            )
        if segment.name:
            rows.append((number, segment.name, segment.group, segment.play, segment.condition))
            continue
        seen[segment.play] = rank = seen.get(segment.play, 0) + 1
        names = playbook.plays[segment.play].names
        name = names[rank - 1] if rank <= len(names) else f"{names[0]} {rank}"
        rows.append((number, name, segment.group, segment.play, segment.condition))
    return pd.DataFrame(rows, columns=["segment_id", "segment", "group", "play", "condition"])
