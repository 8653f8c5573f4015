"""What goods each segment buys more and less than the other customers."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

SEGMENT_CATEGORIES = Table(
    name="segment_categories",
    path=Path("data/segment_categories.parquet"),
    row="one category in one segment with spend; empty where the shop's lines know no products",
    columns=(
        Column("segment_id", pa.int32(), "0 = the most valuable", rule="segment_id >= 0"),
        Column("segment", pa.string(), "the segment's name"),
        Column("category", pa.string(), "the category's key"),
        Column("category_title", pa.string(), "its name"),
        Column("spend", MONEY, "what members spent on it and kept", unit="currency"),
        Column("spend_share", pa.float64(), "of the segment's spend"),
        Column("rest_share", pa.float64(), "of the other customers' spend"),
        Column("buyer_share", pa.float64(), "share of members who bought any of it"),
        Column("rest_buyer_share", pa.float64(), "share of other customers who did"),
        Column(
            "lift",
            pa.float64(),
            "mean share of a member's spend over that of another customer; null where no other "
            "customer spends on it",
            nullable=True,
        ),
        Column(
            "lift_low",
            pa.float64(),
            "95 % interval over customers (ratio of two means)",
            nullable=True,
        ),
        Column(
            "lift_high",
            pa.float64(),
            "95 % interval over customers (ratio of two means)",
            nullable=True,
        ),
        Column(
            "verdict",
            pa.string(),
            "over or under where the interval leaves out 1, like the rest where not",
            rule="verdict in ('over', 'under', 'like the rest')",
        ),
        Column("rank", pa.int32(), "1 = takes most of the segment's spend", rule="rank >= 1"),
    ),
    key=("segment_id", "category"),
    order=("segment_id", "rank"),
)
