"""Where line-scale work runs: DuckDB by default, pandas in unit tests, Spark on a cluster."""
