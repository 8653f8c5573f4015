"""From order lines to customer segments: the stages, in the order in which data flows.

make_sample → ingest → clean → explore, categorize_products → aggregate_rfm
→ select_model → assign_segments
→ measure_prices, read_campaigns → profile_segments → render_report

Beside the DAG: `python -m pipeline` lists what people call.
"""

import sys
from importlib.util import find_spec

# As `python -m pipeline.…` begins, before anything is imported that may be missing.
if sys.argv[0] == "-m" and not all(map(find_spec, ("duckdb", "narwhals", "sklearn"))):
    sys.exit(
        f"error: {sys.executable} lacks the packages of this project: run `make` once, then "
        "`source .venv/bin/activate`"
    )
