"""Print the JSON schema of params.yaml, by which editors complete and check it.

`make docs` writes it to params.schema.json.

Example: python -m pipeline schema > params.schema.json
"""

from __future__ import annotations

import json
import sys

from pydantic import BaseModel, ConfigDict, create_model

from pipeline.aggregate_rfm.__main__ import Params as RfmParams
from pipeline.categorize_products.__main__ import Params as CategorizeParams
from pipeline.clean.__main__ import Params as CleanParams
from pipeline.commands.show import AlertParams
from pipeline.core.run.params import ShopParams, StageParams
from pipeline.core.run.stage import run_stage
from pipeline.explore.__main__ import Params as ExploreParams
from pipeline.ingest.__main__ import Params as SourceParams
from pipeline.make_sample.__main__ import Params as SampleParams
from pipeline.measure_prices.__main__ import Params as PricesParams
from pipeline.profile_segments.__main__ import Params as ProfileParams
from pipeline.render_report.__main__ import Params as ReportParams
from pipeline.select_model.__main__ import Params as SelectParams

SECTIONS: dict[str, type[StageParams]] = {
    "shop": ShopParams,
    "alerts": AlertParams,
    "sample": SampleParams,
    "source": SourceParams,
    "clean": CleanParams,
    "categorize": CategorizeParams,
    "rfm": RfmParams,
    "prices": PricesParams,
    "profile": ProfileParams,
    "report": ReportParams,
    "explore": ExploreParams,
    "select": SelectParams,
}


def main() -> None:
    """Print the schema."""
    sys.stdout.write(schema())


def parameters() -> type[BaseModel]:
    """Return the whole of params.yaml as one class."""
    fields: dict[str, tuple[type[StageParams], object]] = {
        name: (section, ...) for name, section in SECTIONS.items()
    }
    config = ConfigDict(extra="forbid", title="params.yaml")
    model: type[BaseModel] = create_model("Parameters", __config__=config, **fields)  # type: ignore[call-overload]
    return model


def schema() -> str:
    """Return the schema as text."""
    return json.dumps(parameters().model_json_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    run_stage(main, __doc__)
