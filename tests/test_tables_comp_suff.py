"""The table `comp_suff`: means, bold, headline and published numbers; of known scores, word by word."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from plumbline.artefacts import read_rows, write_rows
from plumbline.attribution import READOUTS
from plumbline.tables import (
    comp_suff,
)
from plumbline.tables import latex as tex
from tests.synthetic import OPTIONS, make
from tests.table_rows import pick, scores_of, two_way


def test_the_notes_below_comprehensiveness():
    row = {
        "protocol": "standard",
        "examples": 9,
        "seeds": "0 1",
        "interval": "i",
        "standing": "best",
        "competitors": 1,
        "published_value": 0.3,
        "published_source": "p",
        "published_checkpoint": "same",
    }
    frame = pd.DataFrame([row, row | {"protocol": "mask", "examples": 7}, row | {"examples": 8}])
    notes = comp_suff._notes(frame, {"x": 1}, {"scale": "s", "command": "c"})
    assert notes[:2] == [
        "Scale: s; N = 7 to 9 examples; mean over seeds 0, 1; intervals: i.",
        "Examples: standard: 9; masking: 7.",
    ]
    assert notes[2].startswith("Index and exponent: the interval's ends. Bold: the best of its block")
    assert notes[3] == "In print: p." and "as published: the definition behind published numbers" in notes[4]
    assert len(notes) == 6 and len(comp_suff._notes(frame, {}, {"scale": "s", "command": "c"})) == 5


BOOTSTRAP = {"scale": "s", "command": "c", "bootstrap": {"level": 0.95, "resamples": 50}}


def scored(tmp_path, means, *, seeds=(0,), texts=40):
    """Input of table comp_suff: (readout, protocol) -> (comp, suff); text 5 was not explained, texts 2 and 7 were cut."""
    items = []
    for seed in seeds:
        draw = np.random.default_rng(seed)
        shared, rows = draw.normal(0, 0.1, texts), []
        for ((readout, protocol), pair), text in itertools.product(means.items(), range(texts)):
            cut = 9 if text in (2, 7) else 0
            if text == 5 or (cut and protocol == "published_bins"):
                continue
            for kind, mean in zip(("comp", "suff"), pair, strict=True):
                score = mean + shared[text] + draw.normal(0, 0.01)
                rows.append(
                    (text, cut, readout, protocol, kind, [0, 1], [1.0, 0.5], score, 0.25 if text < 4 else 0.5)
                )
        path = tmp_path / f"seed{seed}.parquet"
        columns = ("id", "cut", "readout", "protocol", "kind", "removed", "probability", "score", "tied")
        write_rows(path, dict(zip(columns, zip(*rows, strict=True), strict=True)), kind="faithfulness")
        items.append({"dataset": "sentiment", "model": "m", "seed": seed, "method": None, "path": path})
    return {"faithfulness": items, "models": []}


@pytest.mark.slow
def test_comprehensiveness_of_known_scores(tmp_path):
    """ALTI is the best by comp and by suff under one protocol, rollout under the other; a control takes no part."""
    means = {
        ("alti", "standard"): (0.5, 0.1),
        ("rollout", "standard"): (0.3, 0.3),
        ("flow", "standard"): (0.5, 0.1),
        ("random", "standard"): (0.9, -0.9),
        ("alti", "published_bins"): (0.2, 0.4),
        ("rollout", "published_bins"): (0.4, 0.2),
    }
    frame = comp_suff.rows(scored(tmp_path, means), {**BOOTSTRAP, "runs": []})
    cells = frame.set_index(["texts", "protocol", "kind", "readout"])
    whole = cells.loc["whole"]
    for (readout, protocol), pair in means.items():
        for kind, mean in zip(("comp", "suff"), pair, strict=True):
            assert whole.loc[(protocol, kind, readout), "mean"] == pytest.approx(mean, abs=0.05)
    for kind, direction in (("comp", "higher"), ("suff", "lower")):
        standard = whole.loc[("standard", kind)]
        assert set(standard["direction"]) == {direction}
        assert set(standard.index[standard["best"]]) == {"alti", "flow"}
        assert standard.loc["rollout", "standing"] == "worse" and standard.loc["rollout", "rank"] == 3
        assert (standard.loc["random", "standing"], standard.loc["random", "competitors"]) == ("", 0)
        assert whole.loc[("published_bins", kind), "standing"].to_dict() == {
            "rollout": "best",
            "alti": "worse",
        }
    # 40 texts: one unexplained and two cut; without a gap the first five, one of them cut. 4 of 37 have .25 tied, less text 2.
    assert set(whole["examples"]) == {37}
    assert whole.loc[("standard", "comp", "alti"), "tied"] == pytest.approx((3 * 0.25 + 34 * 0.5) / 37)
    cut = cells.loc["cut"]
    assert set(cut["examples"]) == {5} and set(cut.index.get_level_values("protocol")) == {"standard"}
    assert cut.loc[("standard", "comp", "alti"), "tied"] == pytest.approx((4 * 0.25 + 0.5) / 5)
    assert frame["protocol"].drop_duplicates().tolist() == ["published_bins", "standard"]
    assert set(frame["seeds"]) == {"0"} and frame["interval"].str.contains("this checkpoint").all()
    text = comp_suff.latex(frame, BOOTSTRAP)
    row = next(line for line in text.splitlines() if line.startswith("Rollout & "))
    wanted = [
        whole.loc[(protocol, kind, "rollout")]
        for protocol in ("published_bins", "standard")
        for kind in ("comp", "suff")
    ]
    assert (
        row
        == "Rollout & "
        + " & ".join(
            tex.number(cell["mean"], cell["lower"], cell["upper"], bold=cell["best"]) for cell in wanted
        )
        + r" \\"
    )
    flow = next(line for line in text.splitlines() if line.startswith("Attention flow & "))
    assert flow.startswith(r"Attention flow & -- & -- & $\mathbf{0.")
    assert r"\multicolumn{2}{c}{as published} & \multicolumn{2}{c}{standard}" in text
    assert ", longer texts cut." in text and "in print" not in text.split(r"\end{table}")[1]


def test_texts_without_a_gap():
    frame = pd.DataFrame(
        {"id": [0, 1, 2, 4, 0, 1], "cut": [0, 3, 0, 0, 0, 0], "protocol": ["standard"] * 4 + ["mask"] * 2}
    )
    assert comp_suff._without_gap(frame)["id"].tolist() == [0, 1, 2]
    whole = frame.assign(id=[0, 1, 2, 3, 0, 1])
    assert comp_suff._without_gap(whole)["id"].tolist() == [0, 1, 2, 3]
    assert list(comp_suff._texts(frame.assign(cut=0))) == ["whole"]
    assert comp_suff._texts(frame)["whole"]["id"].tolist() == [0, 2, 4, 0, 1]


@pytest.mark.slow
def test_comp_suff_averages_seeds_then_examples(table_inputs, made_rows):
    frame = made_rows("comp_suff")
    row = pick(frame, dataset="sentiment", readout="alti", protocol="standard", kind="comp").iloc[0]
    scores = scores_of(
        table_inputs, dataset="sentiment", method="alti", readout="alti", protocol="standard", kind="comp"
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


@pytest.mark.slow
def test_comp_suff_best_is_of_its_block_and_follows_the_direction(made_rows):
    frame = made_rows("comp_suff")
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


@pytest.mark.slow
def test_bold_marks_all_that_are_not_told_apart_from_the_best(table_inputs, made_rows):
    """One seed: paired t tests over examples, Holm over all pairs of the block, each computed here by scipy."""
    frame = pick(
        made_rows("comp_suff"),
        dataset="sst2",
        protocol="standard",
        kind="comp",
        block="unsigned",
    )
    rows = pd.concat([read_rows(i["path"]) for i in table_inputs["faithfulness"] if i["dataset"] == "sst2"])
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


@pytest.mark.slow
def test_two_seeds_cannot_test_a_family(made_rows):
    """Two training seeds leave one degree of freedom: nothing is bold, and the table says so."""
    frame = pick(made_rows("comp_suff"), dataset="sentiment", model="bert")
    assert set(frame["standing"]) == {"best", "not testable", "worse", ""} or "worse" not in set(
        frame["standing"]
    )
    assert "not testable" in set(frame["standing"])
    assert not frame["best"].any()
    text = comp_suff.latex(frame, OPTIONS)
    assert r"\mathbf{" not in text
    assert "Not testable: 2 training seeds" in text


@pytest.mark.slow
def test_the_headline_says_how_many_readouts_take_part(made_rows):
    frame = pick(made_rows("comp_suff"), dataset="sst2")
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


@pytest.mark.slow
def test_published_numbers_stand_beside_their_own_definition(tmp_path, made_rows):
    frame = made_rows("comp_suff")
    beside = frame.dropna(subset="published_value")
    assert set(beside["dataset"]) == {"sst2"}
    assert set(beside["protocol"]) == {"published_bins"}
    row = pick(beside, readout="alti_published", kind="suff").iloc[0]
    assert (row["published_value"], row["published_checkpoint"]) == (0.057, "same")
    assert "alti" not in set(beside["readout"])
    text = comp_suff.latex(pick(frame, dataset="sst2"), OPTIONS)
    assert "in print" in text
    assert "another checkpoint than this model" not in text
    other = make(
        tmp_path,
        dataset="sst2",
        model="roberta",
        architecture="roberta",
        oracle=False,
        examples=4,
        source="hub",
        repo="textattack/roberta-base-SST-2",
        epochs=1,
    )
    frame = comp_suff.rows(other, OPTIONS)
    assert set(frame.dropna(subset="published_value")["published_checkpoint"]) == {"other"}
    assert "another checkpoint than this model" in comp_suff.latex(frame, OPTIONS)
    # Another architecture has no published number.
    bert = make(tmp_path, dataset="sst2", model="minilm", oracle=False, examples=4)
    assert comp_suff.rows(bert, OPTIONS)["published_value"].isna().all()


@pytest.mark.slow
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
