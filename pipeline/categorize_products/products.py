"""The products of the sales."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd

from pipeline.core.tables.contract import parquet_glob


def read_products(database: duckdb.DuckDBPyConnection, sales: Path) -> pd.DataFrame:
    """One row per stock code: most frequent description, median price, revenue.

    In the order of these, so that with other codes every draw takes the same products.
    """
    products: pd.DataFrame = database.execute(
        """
        with texts as (
            select stock_code, trim(coalesce(description, '')) as description, count(*) as lines
            from read_parquet($sales) group by all
        ),
        canonical as (
            select stock_code, description from texts
            qualify row_number() over (
                partition by stock_code order by description = '', lines desc, description
            ) = 1
        ),
        prices as (
            select stock_code, cast(quantile_disc(unit_price, 0.5) as double) as unit_price,
                sum(net_amount) as revenue
            from read_parquet($sales) group by stock_code
        )
        select stock_code, description, unit_price, revenue
        from canonical join prices using (stock_code)
        order by description, unit_price, revenue, stock_code
        """,
        {"sales": parquet_glob(sales)},
    ).df()
    return products
