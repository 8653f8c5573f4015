"""The text model of categories as a table: it categorises products that were never sold."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

CATEGORY_WORDS = Table(
    name="category_words",
    path=Path("data/category_words.parquet"),
    row="the weight of a word, or of two neighbouring words, for a category",
    columns=(
        Column("feature", pa.string(), "the word or two words; empty for the constant"),
        Column("rarity", pa.float64(), "inverse document frequency, damped where it is pattern"),
        Column("category", pa.string(), "the category's key"),
        Column("weight", pa.float64(), "coefficient of the logistic regression", unit="log odds"),
    ),
    key=("feature", "category"),
    order=("feature", "category"),
)
