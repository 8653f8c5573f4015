"""All candidates measured, side by side on every core; those near the top once more, with care."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from pipeline.core.model.clusterings import sample_rows
from pipeline.core.model.transforms import fit_transform
from pipeline.core.run.stage import progress
from pipeline.core.run.unchanged import end_with
from pipeline.select_model.candidates import Family, Setting, measure_family, stability_figures
from pipeline.select_model.prediction import LaterFigures, reference_figures
from pipeline.select_model.selection import Rows
from pipeline.select_model.snapshots import Origin, Snapshot
from pipeline.select_model.stability import structure_of

Matrix = NDArray[np.float64]


def resample_weights(setting: Setting) -> Matrix:
    """How often each customer (columns) is drawn in each resample (rows)."""
    rng = np.random.default_rng((setting.seed, 0))
    even = np.full(setting.customers, 1 / setting.customers)
    draws = rng.multinomial(setting.customers, even, size=setting.effort.later_resamples)
    return draws.astype(np.float64)


def measure_all(
    families: Sequence[Family],
    now: Snapshot,
    past: Sequence[Snapshot],
    origins: Sequence[Origin],
    setting: Setting,
) -> tuple[pd.DataFrame, Matrix]:
    """The figures of every candidate, one row each, and its eta squared (origins, resamples)."""
    weights = resample_weights(setting)
    # The slowest first, so that no core waits long for the last.
    by_cost = sorted(families, key=lambda f: len(f.sizes) * (1 + 2 * (f.algorithm == "mixture")))
    jobs = [
        joblib.delayed(_single_threaded)(
            measure_family, f, now, past, origins, later_weights=weights, setting=setting
        )
        for f in reversed(by_cost)
    ]
    done = list(progress(_in_parallel(jobs), "comparing candidates", total=len(jobs)))
    of_family = dict(zip(reversed(by_cost), done, strict=True))
    results = [result for family in families for result in of_family[family]]
    return pd.DataFrame([row for row, _ in results]), np.array([spread for _, spread in results])


def measure_finalists(
    candidates: pd.DataFrame,
    rows: Rows,
    now: Snapshot,
    past: Sequence[Snapshot],
    setting: Setting,
) -> pd.DataFrame:
    """The candidates, with the stability of these `rows` taken from more resamples."""
    often = {"resamples": setting.effort.final_resamples, "splits": setting.effort.final_splits}
    by = candidates.loc[rows].groupby(["algorithm", "features", "transform"], sort=False)
    groups = [group for _, group in by]
    work = joblib.delayed(_single_threaded)
    jobs = [work(stability_figures, Family.of(g), now, past, setting, **often) for g in groups]
    table = candidates.copy()
    done = progress(_in_parallel(jobs), "comparing finalists", total=len(jobs))
    for group, figures in zip(groups, done, strict=True):
        found = pd.DataFrame(figures, index=group.index)
        table.loc[group.index, found.columns] = found
    return table.astype({"resamples": "int64"})


def measure_reference(origins: Sequence[Origin], seed: int) -> LaterFigures:
    """The mean over the origins of what the reference model reaches."""
    jobs = [joblib.delayed(_single_threaded)(reference_figures, o, seed) for o in origins]
    each = [vars(f) for f in progress(_in_parallel(jobs), "the reference model", len(jobs))]
    return LaterFigures(**{str(k): float(v) for k, v in pd.DataFrame(each).mean().items()})


def structure_among(now: Snapshot, setting: Setting) -> str:
    """Whether the customers fall into groups at all, by log recency, frequency and monetary."""
    values = now.rhythm[now.rows(None), :3]
    some = sample_rows(len(values), setting.effort.quadratic_sample, setting.seed)
    points = fit_transform("log", values).apply(values[some])
    return str(_single_threaded(structure_of, points, setting.seed))


def _in_parallel(jobs: Sequence[Any]) -> Iterator[Any]:
    """Results in the order of the jobs, over PIPELINE_THREADS processes (null: all cores)."""
    threads = int(os.environ.get("PIPELINE_THREADS", "0")) or joblib.cpu_count()
    # Workers whose stage was killed as it wrote to them would wait for the rest for ever.
    ends = {"initializer": end_with, "initargs": (os.getpid(),)}
    with joblib.parallel_config("loky", n_jobs=threads, inner_max_num_threads=1, **ends):
        yield from joblib.Parallel(return_as="generator")(jobs)


def _single_threaded(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    # One thread each: the work is spread over families, and a sum's bits depend on threads.
    # The tables were checked as they were read: scikit-learn need not look for NaN in each fit.
    sure = config_context(assume_finite=True, skip_parameter_validation=True)
    with threadpool_limits(1), sure, warnings.catch_warnings():
        # Fewer clusters than were asked for are no surprise where customers are alike.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return work(*arguments, **named)
