"""The table `comp_suff` of known scores, and its notes."""

import itertools

import numpy as np
import pandas as pd
import pytest

from plumbline.artefacts import write_rows
from plumbline.tables import (
    comp_suff,
)
from plumbline.tables import latex as tex


def test_the_notes_below_comprehensiveness():
    row = {"protocol": "standard", "examples": 9, "seeds": "0 1", "interval": "i", "standing": "best", "competitors": 1,
           "published_value": 0.3, "published_source": "p", "published_checkpoint": "same"}  # fmt: skip
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


def test_comprehensiveness_of_known_scores(tmp_path):
    """ALTI is the best by comp and by suff under one protocol, rollout under the other; a control takes no part."""
    means = {("alti", "standard"): (0.5, 0.1), ("rollout", "standard"): (0.3, 0.3), ("flow", "standard"): (0.5, 0.1),
             ("random", "standard"): (0.9, -0.9), ("alti", "published_bins"): (0.2, 0.4), ("rollout", "published_bins"): (0.4, 0.2)}  # fmt: skip
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
