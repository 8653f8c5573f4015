"""What select_model writes: every candidate with its figures, and why one was chosen."""

from pipeline.core.tables.contract import Table, flag, integer, number, share, text

CANDIDATES = Table(
    "candidates",
    row="one candidate segmentation",
    columns=(
        text("candidate", "algorithm/feature set/transform/k"),
        text("algorithm", "how customers are clustered"),
        text("features", "the feature set, of params select.feature_sets"),
        text("transform", "how features become coordinates"),
        integer("k", "segments asked for", least=1),
        flag("is_baseline", "only for comparison, never chosen"),
        integer("segments", "segments found, declared groups not counted"),
        share("smallest_share", "share of customers in the smallest segment"),
        share("largest_share", "share of customers in the largest segment"),
        share(
            "same_stage",
            "share of customers in the stage of life (new, recent, slowing, lapsed) that most of "
            "their segment are in: of whom its name is true",
        ),
        share(
            "rises_by_ageing",
            "share of customers who would rise to a more valuable segment by doing nothing",
        ),
        number("silhouette", "mean silhouette, on a sample", null=True),
        number("silhouette_se", "its standard error", null=True),
        number("calinski_harabasz", "Calinski-Harabasz index", null=True),
        number("davies_bouldin", "Davies-Bouldin index, low = good", null=True),
        number("bic", "Bayesian information criterion of a mixture", null=True),
        number("gap", "gap statistic", null=True),
        number("gap_se", "its standard error s(k)", null=True),
        integer("resamples", "bootstrap resamples behind the stability", least=1),
        share("jaccard", "bootstrapped Jaccard of the least stable segment"),
        number("jaccard_se", "its standard error over resamples"),
        share("jaccard_mean", "mean of the segments' bootstrapped Jaccard"),
        share("prediction_strength", "mean prediction strength over splits in halves"),
        number("prediction_strength_se", "its standard error over splits"),
        number("eta_squared", "share of the variance of log1p later spend explained"),
        number("eta_squared_se", "its standard error over customers"),
        number(
            "correlation_squared",
            "of log1p later spend with the forecast by segment, learnt from the past alone",
        ),
        number("share_of_reference", "the same over the reference model's", null=True),
        number("r_squared", "R squared of that forecast; below 0 where its level is wrong"),
        number("gini", "Gini of later spend by the segments' order"),
        number("gini_se", "its standard error over customers"),
        number("top20_capture", "later spend of the best-ranked 20% of customers"),
        number("top20_capture_se", "its standard error over customers"),
        number("auc", "area under the curve of buying again"),
        number("auc_se", "its standard error over customers"),
        text("failed_gates", "gates that it fails, empty where it passes all"),
        flag("is_chosen", "the choice"),
        flag("is_runner_up", "the next best"),
    ),
    key=("candidate",),
)

SELECTION_REASONS = Table(
    "selection_reasons",
    row="one family of candidates: algorithm x feature set x transform",
    columns=(
        text("family", "algorithm/feature set/transform"),
        text("best_candidate", "its best, or nearest to passing"),
        flag("is_baseline", "only for comparison"),
        integer("passed", "candidates that pass every gate", least=0),
        integer("tried", "candidates in the family", least=1),
        number("share_of_reference", "of the best candidate, as in `candidates`", null=True),
        text(
            "verdict",
            "chosen, runner-up, rejected or baseline",
            among=("chosen", "runner-up", "rejected", "baseline"),
        ),
        text("failed_gates", "of the best candidate, as in `candidates`"),
        text("compared_with", "the choice is held against the best figure, others against it"),
        integer("segments", "of the candidate that the lead is of", least=1),
        number("lead", "what that explains of later spend beyond the choice"),
        number("lead_se", "its standard error"),
        share("support", "resamples of customers that choose the choice", null=True),
    ),
    key=("family",),
)
