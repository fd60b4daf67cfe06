"""Tables: right numbers, every fact that a table must state, equal bytes, clear errors."""

import hashlib
import html.parser
import io
import itertools
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats
from sklearn.metrics import average_precision_score

from plumbline import tables
from plumbline.artefacts import read_rows, write_rows
from plumbline.attribution import READOUTS
from plumbline.errors import PlumblineError
from plumbline.tables import (
    ablation,
    accuracy,
    agreement,
    comp_suff,
    cost,
    deletion_curves,
    gaps,
    ig_gaps,
    latex,
    precision,
    published,
    rationale,
    saliency,
)
from tests.synthetic import OPTIONS, TEN, compare, make, merge, study, vision

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    full = make(root, seeds=(0, 1))
    small = make(root, dataset="agreement", model="distilbert", architecture="distilbert", methods=TEN)
    # A real data set, a checkpoint of the hub, no oracle: where published numbers exist.
    real = make(root, dataset="sst2", model="roberta", architecture="roberta", oracle=False,
                source="hub", repo="textattack/roberta-base-SST-2", epochs=0)  # fmt: skip
    pair = make(root, dataset="agreement", methods=TEN)
    found = merge(full, small, pair, real)
    return found | compare(root, found, ("agreement", "bert", "distilbert")) | study(root) | vision(root)


def pick(frame, **values):
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame


def scores_of(inputs, **values):
    """All faithfulness rows of one model and readout, with the seed."""
    items = [
        i
        for i in inputs["faithfulness"]
        if (i["dataset"], i["method"]) == (values["dataset"], values["method"])
    ]
    rows = pd.concat([read_rows(item["path"]).assign(seed=item["seed"]) for item in items])
    return pick(rows, readout=values["readout"], protocol=values["protocol"], kind=values["kind"])


def two_way(scores, value, level=0.95):
    """Interval of the mean of rows (id, seed, value), by analysis of variance: sums of squares of cell totals."""
    table = scores.astype({value: float}).pivot(index="seed", columns="id", values=value).to_numpy()
    seeds, examples = table.shape
    correction = table.sum() ** 2 / table.size
    of_seed = (table.sum(axis=1) ** 2).sum() / examples - correction
    of_example = (table.sum(axis=0) ** 2).sum() / seeds - correction
    left = (table**2).sum() - correction - of_seed - of_example
    squares = np.array([of_seed, of_example, left])
    freedom = np.array([seeds - 1, examples - 1, (seeds - 1) * (examples - 1)])
    row, column, rest = squares / freedom
    variance = max(row + column - rest, row, column) / table.size
    df = max(seeds - 1, (row + column - rest) ** 2 / ((squares / freedom) ** 2 / freedom).sum())
    half = stats.t.ppf((1 + level) / 2, df) * variance**0.5
    return table.mean() - half, table.mean() + half


# Those of the study explainn: tests/test_causal_outputs.py.
@pytest.mark.parametrize(
    "table", [name for name, entry in tables.TABLES.items() if entry.study != "explainn"]
)
def test_every_table_states_scale_count_seeds_and_interval(inputs, table, tmp_path):
    paths = [tmp_path / f"t.{kind}" for kind in tables.TABLES[table].formats]
    csv, tex = paths[:2]
    tables.write(table, inputs, OPTIONS, *paths)
    frame = pd.read_csv(csv)
    assert set(frame["scale"]) == {"small"}
    for column in ("examples", "seeds", "interval", "dataset", "model"):
        assert column in frame
    text = tex.read_text()
    for phrase in (
        "cale: small",
        "seed",
        "nterval",
        "toprule",
        "bottomrule",
        "-{}-configfile config.paper.yaml",
    ):
        assert phrase in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") > 0
    # As many cells in every row as the tabular has columns.
    for part in text.split(r"\begin{tabular}{")[1:]:
        width = len(part.split("}")[0])
        lines = [line for line in part.split("\n")[1:] if line.endswith(r"\\")]
        heads = [line for line in lines if r"\multicolumn" not in line]
        assert {line.replace(r"\&", "").count("&") + 1 for line in heads} == {width}
    first = [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    tables.write(table, inputs, OPTIONS, *paths)
    assert first == [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_comp_suff_averages_seeds_then_examples(inputs):
    frame = comp_suff.rows(inputs, OPTIONS)
    row = pick(frame, dataset="sentiment", readout="alti", protocol="standard", kind="comp").iloc[0]
    scores = scores_of(
        inputs, dataset="sentiment", method="alti", readout="alti", protocol="standard", kind="comp"
    )
    per_example = scores.groupby("id")["score"].mean()
    assert row["mean"] == pytest.approx(per_example.mean(), abs=1e-6)
    assert row["lower"] < row["mean"] < row["upper"]
    assert row["tied"] == pytest.approx(scores["tied"].mean())
    assert (row["examples"], row["seeds"]) == (12, "0 1")
    assert (row["lower"], row["upper"]) == pytest.approx(two_way(scores, "score"))
    assert "training seeds and examples" in row["interval"]
    one = pick(frame, dataset="sst2")["interval"].iloc[0]
    assert "over examples" in one and "this checkpoint" in one
    assert "published_steps" not in set(frame["protocol"])


def test_comp_suff_best_is_of_its_block_and_follows_the_direction(inputs):
    frame = comp_suff.rows(inputs, OPTIONS)
    for (_, _, _, kind, block), part in frame.groupby(["dataset", "model", "protocol", "kind", "block"]):
        assert set(part["direction"]) == {"higher" if kind == "comp" else "lower"}
        if block in ("signed", "unsigned"):
            extreme = part["mean"].max() if kind == "comp" else part["mean"].min()
            assert part.loc[part["standing"] == "best", "mean"].unique().tolist() == [extreme]
            assert set(part["competitors"]) == {len(part)}
        else:
            assert set(part["standing"]) == {""}
            assert not part["best"].any()
            assert part["rank"].isna().all()
    assert len(pick(frame, dataset="sentiment")["readout"].unique()) == len(READOUTS)
    for readout, entry in READOUTS.items():
        (block,) = frame.loc[frame["readout"] == readout, "block"].unique()
        if block in ("signed", "unsigned"):
            assert (block == "signed") == entry.signed
            assert not (entry.published or entry.noise)


def test_bold_marks_all_that_are_not_told_apart_from_the_best(inputs):
    """One seed: paired t tests over examples, Holm over all pairs of the block, each computed here by scipy."""
    frame = pick(
        comp_suff.rows(inputs, OPTIONS), dataset="sst2", protocol="standard", kind="comp", block="unsigned"
    )
    rows = pd.concat([read_rows(i["path"]) for i in inputs["faithfulness"] if i["dataset"] == "sst2"])
    rows = pick(rows, protocol="standard", kind="comp").astype({"score": float})
    scores = rows.pivot(index="id", columns="readout", values="score")[list(frame["readout"])]
    best = scores.mean().idxmax()
    pairs = {
        (a, b): stats.ttest_rel(scores[a], scores[b]).pvalue for a, b in itertools.combinations(scores, 2)
    }
    ordered = sorted(pairs, key=pairs.get)
    adjusted, highest = {}, 0.0
    for place, pair in enumerate(ordered):
        highest = max(highest, min(1.0, pairs[pair] * (len(ordered) - place)))
        adjusted[pair] = highest
    expected = {best: "best"}
    for (a, b), p in adjusted.items():
        if best in (a, b):
            expected[b if a == best else a] = "worse" if p <= 0.05 else "not told apart"
    assert frame.set_index("readout")["standing"].to_dict() == expected
    assert set(frame.loc[frame["best"], "readout"]) == {
        name for name, word in expected.items() if word != "worse"
    }
    text = comp_suff.latex(frame.assign(seeds="0"), OPTIONS)
    assert text.split("Signed scores")[-1].count(r"\mathbf{") == int(frame["best"].sum())


def test_two_seeds_cannot_test_a_family(inputs):
    """Two training seeds leave one degree of freedom: nothing is bold, and the table says so."""
    frame = pick(comp_suff.rows(inputs, OPTIONS), dataset="sentiment", model="bert")
    assert set(frame["standing"]) == {"best", "not testable", "worse", ""} or "worse" not in set(
        frame["standing"]
    )
    assert "not testable" in set(frame["standing"])
    assert not frame["best"].any()
    text = comp_suff.latex(frame, OPTIONS)
    assert r"\mathbf{" not in text
    assert "Not testable: 2 training seeds" in text


def test_the_headline_says_how_many_readouts_take_part(inputs):
    frame = pick(comp_suff.rows(inputs, OPTIONS), dataset="sst2")
    headline = comp_suff.latex(frame, OPTIONS).split(r"\end{table}")[0]
    best = pick(frame, standing="best")
    lines = [line for line in headline.split("\n") if line.endswith(r"\\") and "multicolumn" not in line][1:]
    assert len(lines) == len(best)
    for line, row in zip(
        lines, best.sort_values(["protocol", "kind"], kind="stable").itertuples(), strict=False
    ):
        assert line.split("&")[-1].strip(" \\") in {str(count) for count in best["competitors"]}
        del row
    one = pick(best, protocol="standard", kind="comp", block="signed").iloc[0]
    assert any(str(one["competitors"]) == line.split("&")[-1].strip(" \\") for line in lines)


def test_csv_files_name_seeds_so_that_they_are_no_count(inputs, tmp_path):
    """A lone '0' in the column `seeds` reads like no seed at all; readers get the plain text back."""
    from plumbline.collect import table_rows

    path = tmp_path / "comp_suff.csv"
    tables.write("comp_suff", inputs, OPTIONS, path, tmp_path / "t.tex")
    assert set(pd.read_csv(path)["seeds"]) == {"seed 0", "seeds 0 1"}
    assert set(table_rows([{"path": path}], "comp_suff")["seeds"]) == {"0", "0 1"}


def test_published_numbers_stand_beside_their_own_definition(inputs, tmp_path):
    frame = comp_suff.rows(inputs, OPTIONS)
    beside = frame.dropna(subset="published_value")
    assert set(beside["dataset"]) == {"sst2"}
    assert set(beside["protocol"]) == {"published_bins"}
    row = pick(beside, readout="alti_published", kind="suff").iloc[0]
    assert (row["published_value"], row["published_checkpoint"]) == (0.057, "same")
    assert "alti" not in set(beside["readout"])
    text = comp_suff.latex(pick(frame, dataset="sst2"), OPTIONS)
    assert "in print" in text
    assert "another checkpoint than this model" not in text
    other = make(tmp_path, dataset="sst2", model="roberta", architecture="roberta", oracle=False, examples=4,
                 source="hub", repo="textattack/roberta-base-SST-2", epochs=1)  # fmt: skip
    frame = comp_suff.rows(other, OPTIONS)
    assert set(frame.dropna(subset="published_value")["published_checkpoint"]) == {"other"}
    assert "another checkpoint than this model" in comp_suff.latex(frame, OPTIONS)
    # Another architecture has no published number.
    bert = make(tmp_path, dataset="sst2", model="minilm", oracle=False, examples=4)
    assert comp_suff.rows(bert, OPTIONS)["published_value"].isna().all()


def test_published_numbers_name_known_readouts():
    from plumbline.attribution import READOUTS

    entries = yaml.safe_load(published.PUBLISHED.read_text())["comp_suff"]
    assert {(entry["dataset"], entry["architecture"]) for entry in entries} == {
        ("sst2", "roberta"), ("imdb", "roberta"), ("yelp", "roberta"), ("sva", "roberta"), ("sst2", "distilbert"),
    }  # fmt: skip
    for entry in entries:
        assert set(entry["values"]) <= set(READOUTS)
        assert entry["source"]
        assert entry["measured"]
        assert len(entry["values"]) == (8 if entry["architecture"] == "distilbert" else 10)


def test_agreement_takes_both_directions_of_a_pair(inputs):
    frame = agreement.rows(inputs, OPTIONS)
    stored = pd.concat([read_rows(i["path"]) for i in inputs["agreement"] if i["dataset"] == "sentiment"])
    for readout, pair in (("alti", {"readout": "alti", "other": "blankout"}),
                          ("random", {"readout": "blankout", "other": "random"})):  # fmt: skip
        row = pick(frame, dataset="sentiment", reference="blankout", metric="kendall", readout=readout).iloc[
            0
        ]
        assert row["mean"] == pytest.approx(pick(stored, metric="kendall", **pair)["mean"].mean(), abs=1e-12)
    assert "uniform" not in set(frame["readout"])
    assert set(pick(frame, model="distilbert")["reference"]) == {"grad_l2"}
    without = {"agreement": [i for i in inputs["agreement"] if i["dataset"] == "none"]}
    with pytest.raises(PlumblineError, match="no artefact"):
        agreement.rows(without, OPTIONS)


def test_agreement_without_any_reference_says_so(tmp_path):
    found = make(tmp_path, methods=("alti", "attention"), examples=4)
    with pytest.raises(PlumblineError, match="blankout and grad_l2"):
        agreement.rows(found, OPTIONS)


def test_rationale_oracle_is_perfect_and_controls_are_not(inputs):
    frame = rationale.rows(inputs, OPTIONS)
    assert set(frame["dataset"]) == {"sentiment", "agreement"}
    assert (pick(frame, readout="oracle")["mean"] == 1).all()
    assert (pick(frame, readout="random")["mean"] < 0.9).all()
    assert not frame.loc[frame["control"], "best"].any()
    with pytest.raises(PlumblineError, match="known-truth"):
        rationale.rows(
            {"attributions": [i for i in inputs["attributions"] if i["dataset"] == "sst2"]}, OPTIONS
        )


def test_average_precision_equals_scikit_learn():
    rng = np.random.default_rng(0)
    for _ in range(200):
        scores = rng.integers(-2, 4, size=(3, 11)).astype(np.float32)
        truth = rng.random(11) < 0.3
        truth[rng.integers(11)] = True
        theirs = [average_precision_score(truth, row) for row in scores]
        assert rationale.average_precision(scores, truth) == pytest.approx(theirs, abs=1e-12)


def test_r_precision_is_the_mean_over_all_orders_of_tied_tokens():
    rng = np.random.default_rng(1)
    truth = np.array([False, True, True, False, True])
    for scores in rng.integers(0, 3, size=(20, 5)):
        orders = [
            order
            for order in itertools.permutations(range(5))
            if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
        ]
        each = [sum(truth[place] for place in order[:3]) / 3 for order in orders]
        assert rationale.r_precision(scores[None], truth) == pytest.approx([np.mean(each)], abs=1e-12)


def test_accuracy_has_a_row_a_seed_and_their_mean(inputs):
    frame = accuracy.rows(inputs, OPTIONS)
    found = pick(frame, dataset="sentiment")
    assert found["seed"].tolist() == ["0", "1", "mean"]
    assert found["accuracy"].tolist() == pytest.approx([0.97, 0.98, 0.975])
    assert (found["lower"] < found["accuracy"]).all()
    assert "Student" in found["interval"].iloc[-1]
    assert pick(frame, dataset="sst2")["seed"].tolist() == ["0"]


def test_cut_texts_stand_apart_and_without_a_gap(tmp_path):
    """Whole texts alone as published; beside them the split's first texts, whole or cut, up to the first gap."""
    found = make(tmp_path, examples=10, cut=(1, 4, 7))
    files = [item["path"] for item in found["faithfulness"] if item["method"] == "alti"]
    kept = read_rows(files[0]).dropna()
    write_rows(files[0], kept[kept["id"] != 6], kind="faithfulness")
    found["faithfulness"] = [item for item in found["faithfulness"] if item["method"] == "alti"]
    frame = pick(comp_suff.rows(found, OPTIONS), protocol="standard", kind="comp", readout="alti").set_index(
        "texts"
    )
    scores = kept.query("protocol == 'standard' and kind == 'comp' and readout == 'alti'").set_index("id")[
        "score"
    ]
    assert frame["examples"].to_dict() == {"whole": 6, "cut": 6}
    assert frame.loc["whole", "mean"] == pytest.approx(scores[[0, 2, 3, 5, 8, 9]].mean())
    assert frame.loc["cut", "mean"] == pytest.approx(scores[[0, 1, 2, 3, 4, 5]].mean())
    assert "longer texts cut" in comp_suff.latex(comp_suff.rows(found, OPTIONS), OPTIONS)


def test_deletion_curves_are_of_all_texts_and_have_an_interval_over_seeds(inputs, tmp_path):
    """A text that has ended keeps its last value; beside it the published mean and band; cut texts stay out."""
    options = {**OPTIONS, "dataset": "sentiment", "model": "bert"}
    frame = pick(deletion_curves.rows(inputs, options), kind="comp", readout="alti")
    items = [i for i in inputs["faithfulness"] if (i["dataset"], i["method"]) == ("sentiment", "alti")]
    rows = pd.concat([read_rows(item["path"]).assign(seed=item["seed"]) for item in items])
    rows = rows.query("readout == 'alti' and protocol == 'published_steps' and kind == 'comp'")
    means = [
        [np.mean([c[k] for c in part["probability"] if len(c) > k]) for k in range(len(frame))]
        for _, part in rows.groupby("seed")
    ]
    assert frame["mean_published"].to_numpy() == pytest.approx(np.mean(means, axis=0), rel=1e-6)
    assert frame["sd_seeds"].to_numpy() == pytest.approx(np.std(means, axis=0), abs=1e-6)
    for step in (1, len(frame) - 1):
        last = rows.assign(value=[float(c[min(step, len(c) - 1)]) for c in rows["probability"]])
        row = frame.iloc[step]
        assert row["mean"] == pytest.approx(last["value"].mean())
        assert (row["lower"], row["upper"]) == pytest.approx(two_way(last, "value"))
    assert set(frame["seeds"]) == {"0 1"}
    assert "training seeds and examples" in frame["interval"].iloc[0]
    alone = deletion_curves.rows(make(tmp_path, examples=6, cut=(1, 4)), options)
    assert alone.query("step == 0")["examples"].unique().tolist() == [4]
    assert (alone["lower"] <= alone["mean"]).all() and (alone["mean"] <= alone["upper"]).all()
    assert "this checkpoint" in alone["interval"].iloc[0]
    with pytest.raises(PlumblineError, match="no published_steps curves of sentiment/bert"):
        deletion_curves.rows(make(tmp_path / "none", examples=4, methods=TEN, steps=False), options)


def test_a_mean_of_running_minima_never_rises():
    """A short text with a low probability ends: the mean over those left rises, the mean of all does not."""
    curves = np.full((1, 2, 4), np.nan)
    curves[0, 0, :2] = [0.2, 0.1]
    curves[0, 1] = [1.0, 0.9, 0.8, 0.7]
    found = deletion_curves.summary(curves, OPTIONS, 0)
    assert found["mean_published"] == pytest.approx([0.6, 0.5, 0.8, 0.7])
    assert found["mean"] == pytest.approx([0.6, 0.5, 0.45, 0.4])
    assert found["examples"].tolist() == [2, 2, 1, 1]
    rng = np.random.default_rng(0)
    curves = np.minimum.accumulate(rng.random((3, 40, 12)), axis=2)
    for example in range(40):
        curves[:, example, rng.integers(1, 12) :] = np.nan
    assert (np.diff(deletion_curves.summary(curves, OPTIONS, 0)["mean"]) <= 0).all()
    assert (np.diff(deletion_curves.summary(1 - curves, OPTIONS, 0)["mean"]) >= 0).all()


def test_ablation_puts_back_one_defect_at_a_time(inputs):
    frame = ablation.rows(inputs, OPTIONS)
    frame = pick(frame, dataset="sentiment", kind="suff")
    items = [i for i in inputs["faithfulness"] if (i["dataset"], i["method"]) == ("sentiment", "gradient")]
    rows = pd.concat([read_rows(i["path"]) for i in items])
    rows = rows.query("readout == 'grad_l2' and protocol == 'standard' and kind == 'suff'")
    curves = np.stack(rows["probability"])[:, 1:].astype(float)
    full = rows["score"].to_numpy() + curves.mean(axis=1)
    running = np.maximum.accumulate(np.stack(rows["probability"]), axis=1)[:, 1:]
    cell = frame.set_index(["defect", "readout"])
    assert cell.loc[("envelope", "grad_l2"), "with_defect"] == pytest.approx(
        np.mean(full - running.mean(axis=1))
    )
    assert cell.loc[("division", "grad_l2"), "with_defect"] == pytest.approx(rows["score"].mean() * 5 / 6)
    assert ("doubled_embedding", "alti") not in cell.index
    # DeYoung et al.'s sum over |B| + 1 rescales and moves no rank: a convention, no defect.
    assert set(frame[frame["convention"]]["defect"]) == {"division"}
    assert not frame[frame["convention"]][["ranking_changed", "best_changed"]].any(axis=None)
    assert (frame[frame["convention"]]["rank"] == frame[frame["convention"]]["rank_with_defect"]).all()
    twin = comp_suff.rows(inputs, OPTIONS).query(
        "protocol == 'standard' and kind == 'suff' and dataset == 'sentiment'"
    )
    twin = twin.set_index("readout")["mean"]
    for defect, readout in [
        ("doubled_embedding", "ig_l2"),
        ("ddof", "alti"),
        ("raw_norms", "globenc"),
        ("sigmoid", "blankout"),
    ]:
        row = cell.loc[(defect, readout)]
        assert row["with_defect"] == pytest.approx(twin[f"{readout}_published"])
        assert row["difference"] == pytest.approx(row["with_defect"] - row["corrected"])
    for _, part in pick(frame, defect="envelope").groupby("block"):
        assert part["rank"].sort_values().tolist() == list(range(1, len(part) + 1))
        assert part.set_index("readout")["rank"][part.set_index("readout")["corrected"].idxmin()] == 1
    assert set(frame["block"]) == {"signed", "unsigned"}
    # A convention that rescales can turn no pair round.
    assert (pick(frame, defect="division")["reversals"] == 0).all()


def test_a_reversal_is_told_apart_on_both_sides():
    """Two readouts a clear .5 apart that change places, and a pair whose order is noise."""
    rng = np.random.default_rng(1)
    scores = {
        name: mean + 0.01 * rng.normal(size=(1, 60))
        for name, mean in (("grad_l2", 0.0), ("gxi_l2", 0.5), ("rollout", 0.2))
    }
    scores["norm_rollout"] = scores["rollout"] + 0.01 * rng.normal(size=(1, 60))
    start = ablation._Compared(scores, "comp", OPTIONS)
    swapped = {**scores, "grad_l2": scores["gxi_l2"], "gxi_l2": scores["grad_l2"]}
    end = ablation._Compared(swapped, "comp", OPTIONS)
    # grad_l2 below both rollouts and gxi_l2, then above them; gxi_l2 likewise; the rollouts among themselves not.
    assert start.reversals(end) == end.reversals(start) == 5
    assert start.reversals(start) == 0


def test_precision_pairs_the_two_protocols(inputs):
    frame = pick(precision.rows(inputs, OPTIONS), dataset="sentiment", kind="comp")
    scores = [
        scores_of(inputs, dataset="sentiment", method="alti", readout="alti", kind="comp", protocol=protocol)
        for protocol in ("standard", "standard_bfloat16")
    ]
    row = frame.set_index("readout").loc["alti"]
    means = [frame["score"].astype(float).mean() for frame in scores]
    assert row["float32"] == pytest.approx(means[0])
    assert row["difference"] == pytest.approx(means[1] - means[0])
    assert row["lower"] <= row["difference"] <= row["upper"]
    change = np.abs(np.stack(scores[1]["probability"]) - np.stack(scores[0]["probability"])).max()
    assert row["largest_change"] == pytest.approx(change)  # both float32
    for block in ("signed", "unsigned"):
        plain = pick(frame, block=block)
        assert sorted(plain["rank"]) == sorted(plain["rank_bfloat16"]) == list(range(1, len(plain) + 1))
        assert plain.set_index("readout")["float32"].idxmax() == plain.set_index("rank").loc[1, "readout"]
    others = frame[~frame["block"].isin(["signed", "unsigned"])]
    assert others["control"].any() and others["rank"].isna().all()


def test_cost_is_a_mean_over_seeds(inputs):
    frame = cost.rows(inputs, OPTIONS)
    row = pick(frame, dataset="sentiment", stage="attributions", method="alti").iloc[0]
    assert (row["seconds"], row["seconds_per_example"], row["max_rss_mb"]) == (9.0, 0.75, 512.5)
    assert np.isnan(row["rows_per_second"])
    passes = pick(frame, dataset="sentiment", stage="faithfulness", method="alti").iloc[0]
    # Two seeds: 600 rows in 1.5 s.
    assert passes["rows_per_second"] == pytest.approx(400)
    assert passes["padding_share"] == pytest.approx(0.1)
    assert passes["duplicates_share"] == pytest.approx(0.25)


def sentences(tmp_path, tokens, scores, dataset="sentiment", position=0):
    """Saliency's inputs of one sentence: method -> {readout: scores}."""
    columns = {
        "id": [0],
        "tokens": [tokens],
        "input_ids": [range(len(tokens))],
        "target": [1],
        "probability": [0.75],
        "position": [position],
        "cut": [0],
    }
    items = []
    for method, vectors in scores.items():
        path = tmp_path / f"{method}.parquet"
        write_rows(
            path, columns | {f"scores_{name}": [v] for name, v in vectors.items()}, kind="attributions"
        )
        items.append({"dataset": dataset, "model": "bert", "seed": 0, "method": method, "path": path})
    return {"attributions": items}


ONE = {**OPTIONS, "dataset": "sentiment", "model": "bert", "heatmap_examples": [0]}


def test_saliency_sums_pieces_scales_words_and_drops_special_tokens(tmp_path):
    tokens = ["[CLS]", "un", "##re", "##al", "film", "[SEP]"]
    found = sentences(tmp_path, tokens, {"alti": {"alti": [0.5, 0.1, 0.1, 0.1, 0.1, 0.1]}})
    frame = saliency.rows(found, ONE)
    assert frame["word"].tolist() == ["unreal", "film"]
    assert frame["word_index"].tolist() == [0, 1]
    assert frame["score"].tolist() == pytest.approx([0.3, 0.1])
    # [CLS], the largest, and [SEP], the smallest, set the scale before they go.
    assert frame["scaled"].tolist() == pytest.approx([0.5, 0.0], abs=1e-6)
    assert frame["bin"].tolist() == [3, 1]
    assert set(frame["predicted"]) == {"positive"}


def test_saliency_bins():
    assert saliency.bins(np.array([0, 0.1999, 0.2, 0.45, 0.6, 0.799, 0.8, 1])).tolist() == [
        1,
        1,
        2,
        3,
        4,
        4,
        5,
        5,
    ]
    assert saliency.scaled(np.array([2.0, 2.0])).tolist() == [0, 0]
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    assert [to_hex(colormaps["Blues"](edge)) for edge in saliency.EDGES] == [
        f"#{blue.lower()}" for blue in saliency.BLUES
    ]


def test_saliency_rows_in_the_published_order(inputs):
    frame = saliency.rows(inputs, OPTIONS)
    order = ["grad_l2", "gxi_l2", "ig_l2", "rollout", "norm_rollout", "alti"]
    for (dataset, *_), part in frame.groupby(["dataset", "model", "example"]):
        # The made-up agreement run has no blank-out.
        assert list(dict.fromkeys(part["readout"])) == order, dataset
    assert set(frame["seeds"].astype(str)) == {"0"}
    assert set(frame["example"]) == {0, 3}


def test_saliency_of_agreement_has_blankout(tmp_path):
    tokens = ["[CLS]", "keys", "[MASK]", "old", "[SEP]"]
    scores = {"blankout": {"blankout": [0, 0.5, 0, 0.1, 0]}, "attention": {"rollout": [0.2] * 5}}
    here = {**ONE, "dataset": "agreement"}
    frame = saliency.rows(sentences(tmp_path, tokens, scores, "agreement", 2), here)
    assert list(dict.fromkeys(frame["readout"])) == ["rollout", "blankout"]
    classification = saliency.rows(sentences(tmp_path, tokens, scores), ONE)
    assert set(classification["readout"]) == {"rollout"}
    with pytest.raises(PlumblineError, match="take saliency out of `tables`"):
        saliency.rows(sentences(tmp_path, tokens, {"random": {"random": [0.0] * 5}}), ONE)


class Page(html.parser.HTMLParser):
    """The words, the open tags and the attributes of a page."""

    def __init__(self):
        super().__init__()
        self.open, self.words, self.attributes, self.text = [], [], [], ""

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] == "span" and "table" in self.open:
            self.words.append(data)


def test_saliency_page_is_whole_and_escaped(tmp_path):
    tokens = ["[CLS]", "<b>", "&", '"', "café", "[SEP]"]
    found = sentences(tmp_path, tokens, {"alti": {"alti": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]}})
    text = saliency.html(saliency.rows(found, ONE), ONE)
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.words == tokens[1:-1]
    assert ("html", "lang", "en") in page.attributes
    assert "<title>Saliency: Sentiment (generated), bert (small scale)</title>" in text
    for phrase in ("Scale: small", "seed 0", "no interval", "0.8 to 1", "Example 0", OPTIONS["command"]):
        assert phrase in page.text
    assert "http" not in text  # nothing from outside


def test_saliency_shades_can_be_read():
    """Contrast of the page's black letters with every shade: at least 4.5 to 1 (WCAG 2, AA)."""

    def luminance(colour):
        parts = [int(part, 16) / 255 for part in re.findall("..", colour.lstrip("#"))]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for blue in saliency.BLUES:
        assert (luminance(saliency._tint(blue)) + 0.05) / (luminance("111111") + 0.05) > 4.5


def test_saliency_latex_compiles_whatever_the_words(tmp_path):
    tokens = [
        "[CLS]",
        "50%",
        "$5",
        "of_the",
        "#1",
        "{x}",
        "\n",
        "café",
        "’",
        "電",
        "🎬",
        "ł",
        *["a"] * 70,
        "[SEP]",
    ]
    found = sentences(tmp_path, tokens, {"alti": {"alti": np.arange(len(tokens), dtype=np.float32)}})
    text = saliency.latex(saliency.rows(found, ONE), ONE)
    assert text.isascii()
    assert r"\usepackage{booktabs}\usepackage{xcolor}" in text
    for word in (
        r"50\%",
        r"\$5",
        r"of\_the",
        r"\#1",
        r"\{x\}",
        r"caf\'{e}",
        r"\texttt{U+96FB}",
        r"\texttt{U+1F3AC}",
    ):
        assert f"{{{word}}}" in text
    assert "Words 1 to 60 of 81; the CSV has all." in text
    assert text.count(r"{a}") == 60 - 11
    unescaped = re.sub(r"\\[{}%&]", "", text)
    assert unescaped.count("{") == unescaped.count("}")


def test_latex_escapes():
    assert latex.escape("50% of_a & G×I (|sum|) #1") == r"50\% of\_a \& G$\times$I ($|$sum$|$) \#1"
    assert latex.number(0.1234, 0.1, 0.2, bold=True) == r"$\mathbf{0.123}_{0.100}^{0.200}$"
    assert latex.number(float("nan")) == "--"


def test_unknown_table_is_named(tmp_path):
    with pytest.raises(PlumblineError, match="did you mean 'comp_suff'"):
        tables.write("compsuff", {}, OPTIONS, tmp_path / "a.csv", tmp_path / "a.tex")


def test_csv_has_six_significant_digits(inputs, tmp_path):
    tables.write("comp_suff", inputs, OPTIONS, tmp_path / "a.csv", tmp_path / "a.tex")
    frame = pd.read_csv(io.StringIO((tmp_path / "a.csv").read_text()), dtype=str)
    assert max(len(value.lstrip("-0.").replace(".", "")) for value in frame["mean"]) <= 6


# Their readouts are of the multi-head classifier and of images: none integrates.
WITHOUT_TEXTS = {"network_diffusion", "explainn", "attention_meets_xai"}


@pytest.mark.parametrize(
    "table",
    [name for name, e in tables.TABLES.items() if e.study not in WITHOUT_TEXTS and name != "ig_gaps"],
)
def test_gap_and_steps_stand_beside_every_number_of_integrated_gradients(inputs, table, tmp_path):
    tables.write(table, inputs, OPTIONS, *(tmp_path / f"t.{e}" for e in tables.TABLES[table].formats))
    frame = pd.read_csv(tmp_path / "t.csv", keep_default_na=False, na_values=[""])
    if "readout" not in frame or table in ("published_vs_reproduced", "saliency"):
        return
    integrated = frame["readout"].astype(str).str.startswith("ig_")
    if "source" in frame:
        integrated &= ~frame["source"].str.startswith("released")
    if not integrated.any():
        return
    assert frame.loc[~integrated, ["gap_median", "steps_max"]].isna().all(axis=None)
    for row in frame[integrated].itertuples():
        method = "ig_published" if row.readout.endswith("_published") else "ig"
        ends = []
        for model in {row.model, getattr(row, "other", row.model)}:
            paths = [
                item["path"]
                for item in inputs["attributions"]
                if (item["dataset"], item["model"], item["method"]) == (row.dataset, model, method)
            ]
            read = pd.concat([read_rows(path) for path in paths])
            gaps, steps = (sorted(read[name]) for name in ("completeness_gap", "steps"))
            middle, late = (-(-len(gaps) * share // 100) - 1 for share in (50, 99))
            ends.append((gaps[middle], gaps[late], gaps[-1], steps[middle], steps[-1]))
        wanted = [max(values) for values in zip(*ends, strict=True)]
        found = [row.gap_median, row.gap_q99, row.gap_max, row.steps_median, row.steps_max]
        assert found == pytest.approx(wanted, rel=1e-5), row.readout
    assert "completeness gap" in (tmp_path / "t.tex").read_text()


def test_the_order_of_files_and_of_rows_moves_no_gap(inputs):
    frame = comp_suff.rows(inputs, OPTIONS)
    wanted = gaps.beside(frame, inputs["gaps"])
    assert wanted["gap_max"].notna().any()
    turned = gaps.beside(frame[::-1], inputs["gaps"][::-1])[::-1]
    pd.testing.assert_frame_equal(turned, wanted)
    others = [item for item in inputs["gaps"] if item["dataset"] != "sentiment"]
    left = gaps.beside(frame, others)
    kept = frame["dataset"] != "sentiment"
    pd.testing.assert_frame_equal(left[kept], wanted[kept])
    assert left.loc[~kept, "gap_max"].isna().all()


def test_gaps_of_integrated_gradients(tmp_path):
    """Of gaps .3, .075, .0333, ..., .3 / k^2; the first example's steps are 800, the others' 50."""
    found = make(tmp_path, examples=10)
    frame = ig_gaps.rows(found, OPTIONS)
    row = frame[(frame["dataset"] == "sentiment") & (frame["method"] == "ig")].iloc[0]
    assert row["gap_max"] == pytest.approx(0.3)
    # Two seeds of ten examples: ten of twenty gaps do not exceed the fifth smallest of ten, eighteen not the second largest.
    assert row["gap_median"] == pytest.approx(0.3 / 6**2)
    assert row["gap_q90"] == pytest.approx(0.3 / 2**2)
    assert (row["above_01"], row["above_05"]) == (0.5, 0.2)
    assert (row["steps_median"], row["steps_max"]) == (50, 800)
    assert row["examples"] == 10
    assert set(frame["method"]) == {"ig", "ig_published"}
