import numpy as np
import pandas as pd

from pipeline.select_model.selection import Gates, choose, failed_gates, reasons

GATES = Gates(
    minimum_share=0.03,
    jaccard=0.75,
    prediction_strength=0.5,
    maximum_segments=8,
    same_stage=0.9,
    rises_by_ageing=0,
)


def table(*rows):
    """Rows of (segments, smallest share, Jaccard, eta squared[, is_baseline])."""
    return pd.DataFrame(
        [
            {
                "candidate": f"kmeans/rfm/log{n}/{row[0]}",
                "algorithm": "kmeans",
                "features": "rfm",
                "transform": f"log{n}",
                "segments": row[0],
                "smallest_share": row[1],
                "jaccard": row[2],
                "jaccard_se": 0.0,
                "prediction_strength": 0.9,
                "prediction_strength_se": 0.0,
                "same_stage": 1.0,
                "rises_by_ageing": 0.0,
                "eta_squared": row[3],
                "share_of_reference": row[3] / 0.3,
                "is_baseline": len(row) > 4,
                "failed_gates": "",
            }
            for n, row in enumerate(rows)
        ]
    )


def spreads(candidates, error=0.001):
    """Resampled figures around each figure, their difference between candidates about `error`."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=200) * 0.05
    own = rng.normal(size=(len(candidates), 200)) * error
    return candidates["eta_squared"].to_numpy()[:, None] + common + own


def test_prediction_counts_only_behind_the_gates():
    candidates = table((5, 0.1, 0.9, 0.20), (5, 0.01, 0.9, 0.28), (5, 0.1, 0.6, 0.29))
    assert choose(candidates, spreads(candidates), GATES).chosen == 0


def test_of_equals_within_a_standard_error_the_fewer_segments_win():
    candidates = table((8, 0.1, 0.9, 0.2805), (5, 0.1, 0.9, 0.2800), (3, 0.1, 0.9, 0.25))
    choice = choose(candidates, spreads(candidates), GATES)
    assert (choice.best, choice.chosen, choice.runner_up) == (0, 1, 0)


def test_the_luck_that_candidates_share_is_no_error_of_their_difference():
    candidates = table((8, 0.1, 0.9, 0.28), (5, 0.1, 0.9, 0.26))
    assert choose(candidates, spreads(candidates), GATES).chosen == 0


def test_a_baseline_is_never_chosen():
    candidates = table((5, 0.1, 0.9, 0.20), (5, 0.1, 0.9, 0.30, True))
    assert choose(candidates, spreads(candidates), GATES).chosen == 0


def test_where_nothing_passes_the_nearest_is_taken_and_it_is_said():
    candidates = table((5, 0.1, 0.70, 0.20), (5, 0.1, 0.40, 0.30))
    choice = choose(candidates, spreads(candidates), GATES)
    assert choice.chosen == 0
    assert not choice.passed
    candidates["failed_gates"] = failed_gates(candidates, GATES)
    why = reasons(candidates, spreads(candidates), choice, GATES).set_index("verdict")
    assert why.loc["chosen", "failed_gates"] == "jaccard 0.700 - 0.000 < 0.75"


def test_failed_gates_say_what_was_found_and_what_was_asked():
    candidates = table((12, 0.01, 0.6, 0.2), (1, 0.5, 1.0, 0.1), (4, 0.1, 0.8, 0.2))
    words = list(failed_gates(candidates, GATES))
    assert words[0] == (
        "segments 12 > 8; smallest_share 0.0100 < 0.03; jaccard 0.600 - 0.000 < 0.75"
    )
    assert words[1] == "segments 1 < 2"
    assert words[2] == ""


def test_every_family_gets_one_verdict_with_its_numbers():
    candidates = table(
        (5, 0.1, 0.9, 0.28), (5, 0.1, 0.9, 0.25), (5, 0.1, 0.5, 0.29), (3, 0.1, 0.9, 0.2, True)
    )
    candidates["failed_gates"] = failed_gates(candidates, GATES)
    choice = choose(candidates, spreads(candidates), GATES)
    why = reasons(candidates, spreads(candidates), choice, GATES)
    assert list(why["verdict"]) == ["chosen", "runner-up", "rejected", "baseline"]
    assert why["lead"][1] == -0.03
    assert why["failed_gates"][2] == "jaccard 0.500 - 0.000 < 0.75"


def test_two_segments_and_the_very_limits_pass_every_gate():
    candidates = table((2, 0.03, 0.75, 0.2), (8, 0.03, 0.75, 0.2))
    assert list(failed_gates(candidates, GATES)) == ["", ""]
    weak = candidates.assign(prediction_strength=0.456)
    assert failed_gates(weak, GATES)[0] == "prediction_strength 0.456 - 0.000 < 0.5"
