"""What assign_segments writes: every customer of every snapshot in one segment."""

from pipeline.core.tables.contract import Table, count, day, integer, number, share, text

SEGMENTS = Table(
    "segments",
    row="one row of `customers`",
    columns=(
        day("snapshot_date", "the snapshot"),
        text("customer_id", "the customer"),
        integer(
            "segment_id",
            "0 = whose customers spent most later; the same segment in every snapshot",
            least=0,
        ),
        text("segment", "the segment's name"),
        text("play", "the play of playbook.yaml for this customer"),
        share(
            "confidence",
            "how clearly the customer belongs here rather than in the next best segment",
        ),
        text("previous_segment", "the segment before this one; null where none", null=True),
        day("since", "the first snapshot in this segment"),
        integer("months_in_segment", "months from it to this snapshot", least=0, unit="months"),
        text(
            "moved_by",
            "why the segment is not that of the snapshot before: time (no order and no return "
            "needed) or behaviour; null where it is the same or there was none",
            among=("time", "behaviour"),
            null=True,
        ),
    ),
    key=("snapshot_date", "customer_id"),
    rules=("(moved_by is null) or (previous_segment is not null)",),
)

SEGMENT_NAMES = Table(
    "segment_names",
    row="one segment of the definition in use",
    columns=(
        integer("segment_id", "0 = whose customers spent most later", least=0),
        text("segment", "the segment's name"),
        text("group", "the declared group, empty where the model decides"),
        text("play", "the play of playbook.yaml that it is named by"),
        text("condition", "what it asks, such as: recency_days <= 60, rank <= 0.1"),
        number("recency_days", "median at the last snapshot", null=True),
        number("frequency", "median at the last snapshot", null=True),
        number("monetary", "median at the last snapshot", null=True),
        count("customers", "members at the last snapshot"),
        text("klaviyo_group", "the nearest of Klaviyo's RFM groups", null=True),
        text("shopify_group", "the nearest of Shopify's RFM groups", null=True),
    ),
    key=("segment_id",),
)
