"""Tables of the study selective_rollout: medians, joint resampling, published ratios, the claim in words; runs shown."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr, ttest_1samp

from plumbline.artefacts import read_rows, write_rows
from plumbline.attribution import READOUTS, flow, method_of
from plumbline.attribution.input_gradient import CORRELATIONS
from plumbline.tables import gradient_vs_comprehensiveness
from plumbline.tables import selective_rollout as table
from tests.synthetic import OPTIONS, TEN, make, merge

pytestmark = pytest.mark.slow


def test_medians_are_resampled_together(tmp_path):
    found = make(tmp_path, seeds=(0, 1), examples=30)
    frame = table.rows(found, OPTIONS)
    stored = pd.concat([read_rows(item["path"]) for item in found["rollouts"]])
    stored = stored[(stored["definition"] == "corrected") & (stored["layer"] == 2)].astype(
        {"spearman": float}
    )
    own = frame[
        (frame["definition"] == "corrected") & (frame["metric"] == "spearman") & (frame["layer"] == 2)
    ]
    cells = {
        (row.readout, None if np.isnan(row.threshold) else row.threshold): row for row in own.itertuples()
    }
    for (readout, threshold), row in cells.items():
        values = stored[stored["readout"] == readout]
        values = values if threshold is None else values[values["threshold"] == threshold]
        each = values.groupby("id")["spearman"].mean()
        assert row.median == pytest.approx(each.median(), abs=1e-7)
        assert row.mean == pytest.approx(each.mean(), abs=1e-7)
        assert row.median_lower <= row.median <= row.median_upper
        assert row.examples == len(each)
    chosen, joint, first = (
        cells[key]
        for key in (("selective_rollout_max", 1.0), ("rollout_max", None), ("first_layer_max", None))
    )
    assert chosen.over_rollout == pytest.approx(chosen.median - joint.median)
    assert chosen.over_first == pytest.approx(chosen.median - first.median)
    assert (joint.over_rollout, joint.over_rollout_lower, joint.over_rollout_upper) == (0, 0, 0)
    assert 1 <= chosen.used <= 3


@pytest.fixture(scope="module")
def selective(tmp_path_factory):
    """A run of the method `selective`; its files are not to be changed."""
    return make(tmp_path_factory.mktemp("selective"), examples=16, methods=("selective",))


def rewrite(rows, path):
    """Rows of the artefact as a file."""
    write_rows(path, rows.astype(object).where(rows.notna(), None).to_dict("list"), kind="rollouts")


def medians(found, tmp_path, values, spread=0.05, layer=1):
    """The table's input with the correlations of `layer` replaced: readout (or readout and threshold) -> median over texts.

    Every definition and reference gets the same numbers: normal ones around the median, of each readout its own noise.
    """
    rows = read_rows(found["rollouts"][0]["path"])
    draw = np.random.default_rng(5)
    for key, value in values.items():
        readout, threshold = key if isinstance(key, tuple) else (key, None)
        here = (rows["readout"] == readout) & (rows["layer"] == layer)
        here &= rows["threshold"] == threshold if threshold is not None else True
        noise = dict(zip(sorted(rows["id"].unique()), draw.normal(size=rows["id"].nunique()), strict=True))
        shifts = np.array(list(noise.values()))
        numbers = rows.loc[here, "id"].map(noise) - np.median(shifts)
        for column in CORRELATIONS:
            rows.loc[here, column] = (value + spread * numbers).astype(np.float32)
    path = tmp_path / "changed.parquet"
    rewrite(rows, path)
    return {**found, "rollouts": [{**found["rollouts"][0], "path": path}]}


@pytest.mark.parametrize(
    ("rollout", "chosen", "words"),
    [
        (-0.10, 0.30, "is better than"),
        (-0.10, -0.40, "is worse than"),
        (0.10, 0.40, "is better than"),
        (0.40, 0.10, "is worse than"),
        (0.20, 0.20, "is not told apart from"),
        (-0.20, -0.20, "is not told apart from"),
        (0.0, 0.0, "is not told apart from"),
    ],
)
def test_selective_rollout_is_judged_by_the_paired_difference(tmp_path, selective, rollout, chosen, words):
    changed = medians(
        selective,
        tmp_path,
        {"rollout_max": rollout, "selective_rollout_max": chosen, "first_layer_max": -chosen},
    )
    frame = table.rows(changed, OPTIONS)
    text = table.summary(frame, OPTIONS)
    others = {"is better than", "is worse than", "is not told apart from"} - {words}
    # As measured in print, and with each of three references.
    assert text.count(f"{words} rollout with all layers") == 4
    assert not any(f"{other} rollout with all layers" in text for other in others)
    assert f"(difference of medians {chosen - rollout:+.2f} [" in text
    against_first = (
        "is better than" if chosen > 0 else "is worse than" if chosen < 0 else "is not told apart from"
    )
    assert f"it {against_first} the first layer alone" in text
    # A ratio needs a denominator that is surely positive.
    row = frame.query("layer == 1 and readout == 'selective_rollout_max' and metric == 'spearman'").iloc[0]
    if rollout > 0.05:
        assert row["ratio"] == pytest.approx(chosen / rollout, abs=1e-5)
        assert row["ratio_lower"] <= row["ratio"] <= row["ratio_upper"]
        assert f"a ratio of {chosen / rollout:.2f} [" in text
    else:
        assert np.isnan([row["ratio"], row["ratio_lower"], row["ratio_upper"]]).all()
        assert "ratio has no meaning" in text and "a ratio of" not in text


def test_each_reference_has_a_verdict_of_its_own(tmp_path, selective):
    found = medians(
        selective,
        tmp_path,
        {"rollout_max": 0.1, "selective_rollout_max": 0.1, "first_layer_max": 0},
    )
    rows = read_rows(found["rollouts"][0]["path"])
    here = (rows["readout"] == "selective_rollout_max") & (rows["definition"] == "corrected")
    rows.loc[here, "spearman_l2"] += np.float32(0.3)
    rows.loc[here, "spearman_dot"] -= np.float32(0.3)
    rewrite(rows, found["rollouts"][0]["path"])
    frame = table.rows(found, OPTIONS)
    text = table.summary(frame, OPTIONS)
    norm, product = text.index("With the gradient's norm"), text.index("with its product with the input")
    assert "not told apart from rollout" in text[:norm]
    assert "it is better than rollout" in text[norm:product]
    assert "it is worse than rollout" in text[product:]
    assert frame.groupby("metric")["reference"].unique().map(list).to_dict() == {
        "spearman": ["input_gradient"],
        "spearman_dense": ["input_gradient"],
        "spearman_l2": ["input_gradient_l2"],
        "spearman_dot": ["input_gradient_dot"],
    }


def test_the_best_of_several_thresholds_is_judged_by_the_maximum_statistic(tmp_path, selective):
    """Two thresholds: the text gives the selected one the interval that holds for both at once."""
    scaled = "selective_rollout_scaled_max"
    values = {
        "rollout_max": 0.1,
        "selective_rollout_max": 0.2,
        "first_layer_max": 0.1,
        (scaled, 0.2): 0.11,
        (scaled, 0.4): 0.115,
    }
    frame = table.rows(medians(selective, tmp_path, values), OPTIONS)
    own = frame[
        (frame["layer"] == 1) & (frame["metric"] == "spearman") & (frame["definition"] == "corrected")
    ]
    shares = own[own["readout"] == scaled]
    # So many standard errors either way, the same number for both shares.
    middle = (shares["over_first_lowest"] + shares["over_first_uppermost"]) / 2
    assert middle.to_numpy() == pytest.approx(shares["over_first"].to_numpy())
    assert (shares["over_first_lowest"] != shares["over_first_lower"]).all()
    text = table.summary(frame, OPTIONS)
    best = shares.set_index("threshold").loc[0.4]
    ends = f"[{best['over_first_lowest']:+.2f}, {best['over_first_uppermost']:+.2f}]"
    assert f"with the best of 2 shares (0.4, {best['used']:.1f} layers) it is" in text and ends in text


def test_the_best_of_five_thresholds_seldom_wins_by_chance():
    """No threshold is better than the rival: the selected one is called better in 2.5%, not in 5% and more."""
    draw = np.random.default_rng(11)
    columns = [
        (0, "first_layer_max", table.NONE),
        *((0, "selective_rollout_scaled_max", share) for share in range(5)),
    ]
    found = {"one": 0, "selected": 0}
    for number in range(300):
        shared = draw.normal(size=(80, 1))
        values = 0.3 * shared + 0.3 * draw.normal(size=(80, 6))
        settings = {"resamples": 200, "level": 0.95, "seed": number}
        ends = table._differences(values[None], columns, "first_layer", None, settings)
        best = ends[1:][ends[1:, 0].argmax()]
        found["one"] += best[1] > 0
        found["selected"] += best[3] > 0
    assert found["selected"] <= 0.05 * 300 < found["one"]


def test_ratio_of_fewer_examples_is_against_the_same_ones(tmp_path):
    """Attention flow exists for the short texts alone, and is compared with rollout's median over these."""
    found = make(tmp_path, examples=30)
    found = medians(found, tmp_path, {"rollout_max": 0.3}, spread=0.1)
    frame = table.rows(found, OPTIONS)
    row = frame.query(
        "definition == 'corrected' and metric == 'spearman' and layer == 1 and readout == 'flow_max'"
    ).iloc[0]
    rows = read_rows(found["rollouts"][0]["path"]).astype({"spearman": float})
    rows = rows[(rows["definition"] == "corrected") & (rows["layer"] == 1)].set_index("id")
    flowing = rows[rows["readout"] == "flow_max"]["spearman"]
    assert 0 < row["examples"] == len(flowing) < 30
    joint = rows[rows["readout"] == "rollout_max"]["spearman"][flowing.index]
    assert row["over_rollout"] == pytest.approx(flowing.median() - joint.median(), abs=1e-6)
    assert row["ratio"] == pytest.approx(flowing.median() / joint.median(), abs=1e-6)


def test_summary_speaks_of_every_control(tmp_path):
    frame = table.rows(make(tmp_path, examples=20), OPTIONS)
    text = table.summary(frame, OPTIONS)
    for phrase in (
        "layer 1 of 0 to 2",
        "rounding noise",
        "1e-08",
        "first layer alone",
        "largest distance",
        "one arbitrary direction",
        "product with the input",
        "best of 2 shares",
        "rollout with all layers",
    ):
        assert phrase in text
    assert "layer 2 of 0 to 2" in table.summary(frame, {**OPTIONS, "selective_rollout": {"layer": 2}})


def test_published_ratio_stands_beside_a_model_as_deep(tmp_path):
    hub = {
        "dataset": "sst2",
        "source": "hub",
        "repo": "textattack/bert-base-uncased-SST-2",
        "epochs": 0,
        "oracle": False,
        "examples": 6,
        "methods": ("selective",),
    }
    frame = table.rows(make(tmp_path, model="base", layers=12, **hub), OPTIONS)
    (row,) = frame.dropna(subset="published_value").itertuples()
    assert (row.layer, row.definition, row.metric) == (10, "published", "spearman_dense")
    assert (row.readout, row.threshold) == ("selective_rollout_max", 1)
    assert (row.published_value, row.published_checkpoint) == (6.5, "same")
    assert "in print 6.5" in table.summary(frame, OPTIONS)
    assert frame[frame["metric"] != "spearman_dense"]["published_value"].isna().all()
    assert "Ratio in print: 6.5, layer 10" in table.latex(frame, OPTIONS)
    assert table.rows(make(tmp_path, model="small", **hub), OPTIONS)["published_value"].isna().all()


def test_models_without_the_reference_are_left_out(tmp_path):
    found = merge(make(tmp_path, examples=10), make(tmp_path, model="other", methods=TEN, examples=10))
    frame = gradient_vs_comprehensiveness.rows(found, OPTIONS)
    assert set(frame["model"]) == {"bert"}
    groups, own = frame[frame["readout"] == ""], frame[frame["readout"] != ""]
    assert len(groups) == 2
    assert (groups["comp_lower"] <= groups["comp_upper"]).all()
    assert {"random", "position"} <= set(own["readout"])
    assert "input_gradient" not in set(own["readout"])
    # The unit is a method, by the mean over its readouts; maxima, twins, noise and controls stand for none.
    left_out = own["control"] | own["published_definition"] | own["readout"].str.endswith("_max")
    chosen = own[~left_out & (own["readout"] != "input_gradient_published")]
    assert chosen["readout"].tolist() == own[own["counted"]]["readout"].tolist()
    methods = chosen.groupby("method")[["spearman", "comp"]].mean()
    assert groups["methods"].iloc[0] == len(methods)
    assert groups["comp"].iloc[0] == pytest.approx(spearmanr(methods["spearman"], methods["comp"])[0])


def claim(copies, seed=0, examples=60, sign=1):
    """The row over all methods for made-up scores: each method's readouts are copies of one number and little noise."""
    draw = np.random.default_rng(seed)
    names = [
        name for name in READOUTS if gradient_vs_comprehensiveness.counts(name) and name != "input_gradient"
    ]
    heights = {}
    found = {name: {} for name in gradient_vs_comprehensiveness.QUANTITIES}
    for name in names:
        first, second = heights.setdefault(method_of(name).id, (draw.normal(), draw.normal()))
        for quantity, value in zip(found, (first, sign * first if copies else second, 0), strict=True):
            found[quantity][name] = value + 0.1 * draw.normal(size=examples)
    cells = {quantity: np.stack(list(columns.values()), axis=1)[None] for quantity, columns in found.items()}
    return gradient_vs_comprehensiveness._over(cells, names, OPTIONS, seed).iloc[0]


FEW = ("input_gradient", "alti", "selective")


def test_intervals_hold_what_training_seeds_add(tmp_path):
    """Seeds lie far apart: the interval is at least that of their means by Student's t (scipy), for readouts and methods."""
    found = make(tmp_path, seeds=(0, 1, 2), examples=16, methods=FEW)
    one = gradient_vs_comprehensiveness.rows(found, OPTIONS).set_index("readout").loc["alti"]
    for item in found["faithfulness"]:
        rows = read_rows(item["path"])
        if len(rows.dropna(subset="score")):
            rows["score"] += np.float32(0.2 * item["seed"])
            write_rows(
                item["path"],
                rows.astype(object).where(rows.notna(), None).to_dict("list"),
                kind="faithfulness",
            )
    frame = gradient_vs_comprehensiveness.rows(found, OPTIONS)
    row = frame.set_index("readout").loc["alti"]
    scores = pd.concat([read_rows(i["path"]).assign(seed=i["seed"]) for i in found["faithfulness"]])
    own = scores[
        (scores["readout"] == "alti")
        & (scores["protocol"] == "standard")
        & (scores["kind"] == "comp")
        & (scores["cut"] == 0)
    ]
    each = own.astype({"score": float}).groupby("seed")["score"].mean()
    lower, upper = ttest_1samp(each, 0).confidence_interval(0.95)
    assert row["comp"] == pytest.approx(each.mean(), abs=1e-6)
    assert (
        row["comp_upper"] - row["comp_lower"]
        >= 0.97 * (upper - lower)
        > one["comp_upper"] - one["comp_lower"]
    )
    assert "training seeds and examples" in row["interval"]
    assert "bootstrap over examples" not in gradient_vs_comprehensiveness.latex(frame, OPTIONS)


def test_seeds_without_the_reference_and_texts_without_a_score_are_left_out(tmp_path):
    found = make(tmp_path, seeds=(0, 1), examples=16, methods=FEW)
    for stage in ("attributions", "faithfulness"):
        found[stage] = [
            item for item in found[stage] if (item["seed"], item["method"]) != (1, "input_gradient")
        ]
    for item in found["faithfulness"]:
        rows = read_rows(item["path"])
        write_rows(
            item["path"],
            rows[rows["id"] < 15].astype(object).where(rows.notna(), None).to_dict("list"),
            kind="faithfulness",
        )
    frame = gradient_vs_comprehensiveness.rows(found, OPTIONS)
    assert set(frame["seeds"]) == {"0"} and set(frame["examples"]) == {15}


@pytest.mark.parametrize(("sign", "said"), [(1, "goes with higher"), (-1, "goes with lower")])
def test_a_relation_over_methods_is_said_as_it_is(sign, said):
    row = claim(copies=True, sign=sign)
    assert row["comp_lower"] * row["comp_upper"] > 0
    text = gradient_vs_comprehensiveness.summary(pd.DataFrame([row]))
    assert f"closer agreement with the gradient {said} comprehensiveness" in text and "not told" not in text


def test_readouts_of_one_method_are_one_unit():
    """Heights of agreement and faithfulness are drawn apart: methods are few, and a relation is claimed in about 5%."""
    rows = [claim(copies=False, seed=seed, examples=10) for seed in range(60)]
    claimed = [row["comp_lower"] > 0 or row["comp_upper"] < 0 for row in rows]
    assert np.mean(claimed) <= 0.12
    apart = rows[claimed.index(False)]
    assert "it is not told whether" in gradient_vs_comprehensiveness.summary(pd.DataFrame([apart]))


def test_what_never_counts_as_a_readout_of_a_claim():
    for readout in (
        "input_gradient_published",
        "alti_published",
        "rollout_max",
        "selective_rollout_max",
        "random",
        "position",
    ):
        assert readout not in READOUTS or not gradient_vs_comprehensiveness.counts(readout)
    assert all(
        not gradient_vs_comprehensiveness.counts(name)
        for name, entry in READOUTS.items()
        if entry.noise or entry.published
    )
    assert gradient_vs_comprehensiveness.counts("alti")


def test_flow_that_diagonals_cannot_carry_is_found_in_the_whole_graph():
    matrices = np.stack([np.roll(np.eye(4), layer + 1, axis=1) * 0.7 + 0.075 for layer in range(6)])
    found, middle = flow.flows(matrices), matrices[1:-1][::-1]
    small = flow.Graph(middle, [0, 3])
    whole = flow.Graph(middle, range(4))
    ends = [(matrices[-1][i], matrices[0][:, j]) for i in range(4) for j in range(4)]
    np.testing.assert_allclose(found.ravel(), [whole.solve(*pair) for pair in ends], atol=2e-9)
    assert any(small.solve(*pair) < whole.solve(*pair) - 0.1 for pair in ends)
