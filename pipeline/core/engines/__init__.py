"""Where line-scale work runs: DuckDB by default, Spark on a cluster."""
