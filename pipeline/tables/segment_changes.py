"""Each segment's size at the last month end and now, and how the change came about."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

SEGMENT_CHANGES = Table(
    name="segment_changes",
    path=Path("data/segment_changes.parquet"),
    row="one segment, with or without customers; empty where there is one snapshot",
    columns=(
        Column("segment_id", pa.int32(), "0 = the most valuable", rule="segment_id >= 0"),
        Column("segment", pa.string(), "the segment's name"),
        Column("from_date", pa.date32(), "the same as in latest_moves"),
        Column("to_date", pa.date32(), "the last snapshot"),
        Column("customers_before", pa.int64(), "members at from_date"),
        Column("share_before", pa.float64(), "of all customers at from_date"),
        Column("customers", pa.int64(), "members at to_date"),
        Column("share", pa.float64(), "of all customers at to_date"),
        Column("newcomers", pa.int64(), "members who were no customers at from_date"),
        Column("rose_in", pa.int64(), "members who came from a less valuable segment"),
        Column("fell_in", pa.int64(), "members who came from a more valuable segment"),
        Column("rose_out", pa.int64(), "former members now in a more valuable segment"),
        Column("fell_out", pa.int64(), "former members now in a less valuable segment"),
        Column(
            "spend_since", MONEY, "what the members of now spent since from_date", unit="currency"
        ),
        Column("sentence", pa.string(), "the change in words"),
    ),
    key=("segment_id",),
    order=("segment_id",),
    rules=("customers_before + newcomers + rose_in + fell_in - rose_out - fell_out = customers",),
)
