"""Every sentence and column of the table `explanation_metrics`, word by word, from rows written by hand: for each answer a verdict has."""

import numpy as np
import pandas as pd
import pytest

from plumbline.causal.registry import METRICS
from plumbline.tables import (
    explanation_metrics,
)

nan = float("nan")
STABLE = ("lipschitz", "max_sensitivity")
FAITHFUL = ("faithfulness_correlation", "irof")
AXES = (
    dict.fromkeys(STABLE, "robustness")
    | dict.fromkeys(FAITHFUL, "faithfulness")
    | {"sparseness": "complexity"}
)


def explained(verdicts, random="not told apart", testable=True):
    """Rows of causal maps, two gradient methods and two controls; verdicts: metric -> verdict on (saliency, gradient_shap,
    random, input)."""
    names = ("causal", "saliency", "gradient_shap", "random", "input")
    rows = []
    for metric, axis in AXES.items():
        of = dict(zip(names[1:], verdicts.get(metric, ["not told apart"] * 4), strict=True))
        for name in names:
            word = random if metric == "lipschitz" else "better"
            rows.append(
                {
                    "metric": metric,
                    "method": name,
                    "axis": axis,
                    "causal_verdict": of.get(name),
                    "verdict": word,
                    "testable": testable,
                    "seeds": "0 1 2",
                }
            )
    return pd.DataFrame(rows)


B, W, N = "better", "worse", "not told apart"


@pytest.mark.parametrize(
    ("stable", "said"),
    [
        ({"lipschitz": (B, B, W, W), "max_sensitivity": (B, B, W, W)}, "holds"),
        (
            {"lipschitz": (B, B, W, W), "max_sensitivity": (B, N, W, W)},
            "holds by local Lipschitz estimate alone",
        ),
        ({"lipschitz": (B, W, W, W), "max_sensitivity": (N, W, W, W)}, "does not hold"),
        ({"lipschitz": (B, W, B, B), "max_sensitivity": (N, N, B, B)}, "is not told"),
        ({"lipschitz": (W, W, B, B), "max_sensitivity": (B, B, B, B)}, "holds by max-sensitivity alone"),
        ({}, "is not told"),
    ],
)
def test_claims_of_causal_maps_word_by_word(stable, said):
    def counted(metric, places):
        words = stable.get(metric, (N,) * 4)
        chosen = [words[place] for place in places]
        return f"better than {chosen.count(B)}, worse than {chosen.count(W)}, not told apart from {chosen.count(N)}"

    frame = explained({**stable, "irof": (B, W, W, N), "faithfulness_correlation": (B, B, B, N)})
    assert explanation_metrics.summary(frame) == (
        f"Causal, as released: stability against 2 gradient methods: {counted('lipschitz', (0, 1))} by local Lipschitz estimate, "
        f"{counted('max_sensitivity', (0, 1))} by max-sensitivity; faithfulness against 2 gradient methods: better than 2, worse "
        "than 0, not told apart from 0 by faithfulness correlation, better than 1, worse than 1, not told apart from 0 by IROF; "
        "faithfulness against 2 controls: better than 1, worse than 0, not told apart from 1 by faithfulness correlation, better "
        "than 0, worse than 1, not told apart from 1 by IROF. By these tests, that it is more stable than the gradients "
        f"{said} and that it is more faithful than the gradients holds by faithfulness correlation alone."
    )


def test_the_rest_of_the_summary_on_explanations():
    frame = explained({}, random="worse", testable=False)
    first = explanation_metrics.summary(explained({}))
    assert explanation_metrics.summary(frame) == first + (
        " A fixed random map beats every explanation in local Lipschitz estimate: stability alone says nothing, and counts together "
        "with faithfulness above the controls. 3 seeds are too few to tell the best of so many explanations apart."
    )
    # One that is no worse, and it is not said any more; what a control does is of no account.
    for name, beaten in (("saliency", False), ("input", True)):
        other = frame.assign(verdict=frame["verdict"].where(frame["method"] != name, "better"), testable=True)
        assert ("A fixed random map beats" in explanation_metrics.summary(other)) == beaten


def test_directions_of_the_metrics_of_explanations():
    """Robustness is better low, faithfulness high but for the area under pixel flipping; sparse is simple, complex is not."""
    assert {name: (entry.direction, entry.axis) for name, entry in METRICS.items()} == {
        "lipschitz": (-1, "robustness"),
        "max_sensitivity": (-1, "robustness"),
        "faithfulness_correlation": (1, "faithfulness"),
        "irof": (1, "faithfulness"),
        "pixel_flipping": (-1, "faithfulness"),
        "sparseness": (1, "complexity"),
        "complexity": (-1, "complexity"),
        "parameter_randomisation": (-1, "randomisation"),
    }


def test_the_table_of_explanations_marks_better_worse_and_best():
    def row(method, metric, verdict, best=False, **more):
        return {"method": method, "metric": metric, "axis": METRICS[metric].axis, "mean": 0.5, "lower": 0.4, "upper": 0.6,
                "verdict": verdict, "best": best, "published_value": nan, "tied": nan, "settings": "s", "examples": 9,
                "seeds": "0 1", "interval": "i", "published_source": None, **more}  # fmt: skip

    released = {
        "published_value": 0.287,
        "published_verdict": "not comparable",
        "published_why": "w",
        "published_source": "p",
    }
    frame = pd.DataFrame(
        [
            row("causal", "lipschitz", "better", tied=0.2, **released),
            row("saliency", "lipschitz", "worse", tied=0.6),
            row("gradient_shap", "lipschitz", "not told apart", best=True),
            row("random", "lipschitz", None),
        ]
    )
    options = {"scale": "s", "command": "c"}
    text = explanation_metrics._table(("mnist", "m"), "robustness", frame, "Said.", options)
    number = "0.500_{0.400}^{0.600}"
    lines = [line for line in text.splitlines() if number.split("_")[0] in line]
    assert [line.split(" & ", 1)[1] for line in lines] == [
        rf"${number}$$+$ & $0.287$ \\",
        rf"${number}$$-$ & -- \\",
        r"$\mathbf{0.500}_{0.400}^{0.600}$ & -- \\",
        rf"${number}$ & -- \\",
    ]
    assert r"Explanation & Local Lipschitz estimate $\downarrow$ & released \\" in text
    for sentence in (
        "Scale: s; N = 9 images, seeds 0, 1; index and exponent: intervals, i.",
        "Bold: not told apart from the best that is no control, in paired tests, Holm-adjusted over all pairs. Mark: against a "
        "random map, Holm-adjusted; + better, - worse, none: not told apart. Third part: controls. Share of tied pixels or "
        r"segments: Local Lipschitz estimate 40\% (causal maps 20\%).",
        "Local Lipschitz estimate: s.",
        "Released: p; not comparable: w.",
        "Metrics of the explanations, robustness: MNIST, m. In plain words: Said.",
    ):
        assert sentence in text


def test_claims_of_a_causal_map_against_gradients_and_controls():
    """Means in the metric's own direction; other explanations are no rivals of the claim."""
    draw = np.random.default_rng(12)
    order = ["causal", "saliency", "gradient_shap", "random", "input"]
    cells = np.array([0.5, 0.2, 0.9, 0.5, 0.2]) + draw.normal(0, 0.02, (1, 40, 5))
    found = explanation_metrics._claims(cells, order, "causal", 0.95)
    wanted = {"saliency": "better", "gradient_shap": "worse", "random": "not told apart", "input": "better"}
    assert {name: row["verdict"] for name, row in found.items()} == wanted
