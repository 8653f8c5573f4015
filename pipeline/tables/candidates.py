"""Every candidate segmentation with its figures, the chosen one and why not the others."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table


def _share(name: str, doc: str, *, nullable: bool = False) -> Column:
    return Column(name, pa.float64(), doc, nullable=nullable, rule=f"{name} between 0 and 1")


CANDIDATES = Table(
    name="candidates",
    path=Path("data/candidates.parquet"),
    row="one candidate segmentation",
    columns=(
        Column("candidate", pa.string(), "algorithm/feature set/transform/k"),
        Column("algorithm", pa.string(), "how customers are parted"),
        Column("features", pa.string(), "the feature set, of params select.feature_sets"),
        Column("transform", pa.string(), "how features become coordinates"),
        Column("k", pa.int32(), "parts asked for", rule="k >= 1"),
        Column("is_baseline", pa.bool_(), "only for comparison, never chosen"),
        Column("segments", pa.int32(), "parts found, declared groups not counted"),
        _share("smallest_share", "share of customers in the smallest part"),
        _share("largest_share", "share of customers in the largest part"),
        Column("silhouette", pa.float64(), "mean silhouette, on a sample", nullable=True),
        Column("silhouette_se", pa.float64(), "its standard error", nullable=True),
        Column("calinski_harabasz", pa.float64(), "Calinski-Harabasz index", nullable=True),
        Column("davies_bouldin", pa.float64(), "Davies-Bouldin index, low = good", nullable=True),
        Column("bic", pa.float64(), "Bayesian information criterion of a mixture", nullable=True),
        Column("gap", pa.float64(), "gap statistic", nullable=True),
        Column("gap_se", pa.float64(), "its standard error s(k)", nullable=True),
        _share("jaccard", "bootstrapped Jaccard of the least stable part"),
        Column("jaccard_se", pa.float64(), "its standard error over resamples"),
        _share("jaccard_mean", "mean of the parts' bootstrapped Jaccard"),
        _share("prediction_strength", "mean prediction strength over splits in halves"),
        Column("prediction_strength_se", pa.float64(), "its standard error over splits"),
        Column("eta_squared", pa.float64(), "share of the variance of log1p later spend explained"),
        Column("eta_squared_se", pa.float64(), "its standard error over customers"),
        Column("eta_squared_of_ceiling", pa.float64(), "as a share of the boosted model's"),
        Column("gini", pa.float64(), "Gini of later spend by the segments' order"),
        Column("gini_se", pa.float64(), "its standard error over customers"),
        Column("gini_of_ceiling", pa.float64(), "as a share of the boosted model's"),
        Column("top20_capture", pa.float64(), "later spend of the best-ranked 20 % of customers"),
        Column("top20_capture_se", pa.float64(), "its standard error over customers"),
        Column("top20_capture_of_ceiling", pa.float64(), "as a share of the boosted model's"),
        Column("auc", pa.float64(), "area under the curve of buying again"),
        Column("auc_se", pa.float64(), "its standard error over customers"),
        Column("auc_of_ceiling", pa.float64(), "as a share of the boosted model's"),
        Column("failed_gates", pa.string(), "gates that it fails, empty where it passes all"),
        Column("is_chosen", pa.bool_(), "the choice"),
        Column("is_runner_up", pa.bool_(), "the next best"),
    ),
    key=("candidate",),
    order=("candidate",),
)
