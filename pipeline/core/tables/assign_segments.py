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
            "0 = the most valuable; the same number means the same segment in every snapshot",
            least=0,
        ),
        text("segment", "the segment's name"),
        share(
            "confidence",
            "how clearly the customer belongs here rather than in the next best segment",
        ),
    ),
    key=("snapshot_date", "customer_id"),
)

SEGMENT_NAMES = Table(
    "segment_names",
    row="one segment of the kept model",
    columns=(
        integer("segment_id", "0 = the most valuable", least=0),
        text("segment", "the segment's name"),
        text("group", "the declared group, empty where the model decides"),
        number("recency_days", "median at the snapshot of the fit", null=True),
        number("frequency", "median at the snapshot of the fit", null=True),
        number("monetary", "median at the snapshot of the fit", null=True),
        text(
            "recency_level",
            "where the median recency stands among all customers; high recency = bought lately",
            among=("low", "mid", "high"),
        ),
        text(
            "frequency_level",
            "where the median frequency stands among all customers; high recency = bought lately",
            among=("low", "mid", "high"),
        ),
        text(
            "monetary_level",
            "where the median monetary stands among all customers; high recency = bought lately",
            among=("low", "mid", "high"),
        ),
        text("play", "the rule or group of playbook.yaml that it is named by"),
        count("customers", "members at the snapshot of the fit"),
    ),
    key=("segment_id",),
)
