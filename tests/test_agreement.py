"""Agreement metrics against scipy, against the reference's formula written again, and against known cases."""

import importlib
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from plumbline.agreement import (
    METRICS,
    kendall,
    spearman,
    spearman_dense,
    table,
    top_k_overlap,
    top_k_overlap_published,
)
from plumbline.artefacts import read_rows, write_rows
from plumbline.errors import PlumblineError

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden" / "thesis" / "spearman_ties.npz"
SETTINGS = {"resamples": 200, "level": 0.95, "seed": 1}

# Few distinct values, so that ties are common; floats of every size, so that underflow would show.
cells = st.integers(-3, 3).map(float) | st.floats(-1e3, 1e3, width=32) | st.just(1e-42)
matrices = st.tuples(st.integers(2, 5), st.integers(2, 24)).flatmap(
    lambda shape: st.lists(
        st.lists(cells, min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0]
    )
)


def varied(x):
    return len(set(x)) > 1


def dense_ranks(x):
    return np.array([sorted(set(x)).index(value) + 1 for value in x])


def by_hand(metric, x, y):
    n = len(x)
    if metric == "spearman":
        return stats.spearmanr(x, y).statistic
    if metric == "kendall":
        return stats.kendalltau(x, y).statistic
    if metric == "spearman_dense":
        return 1 - 6 * ((dense_ranks(x) - dense_ranks(y)) ** 2).sum() / (n * (n * n - 1))
    if metric == "top_k_overlap_published":
        first, other = (
            set(sorted(range(n), key=lambda i: (-v[i], i))[: math.ceil(0.25 * n)]) for v in (x, y)
        )
        return len(first & other) / len(first | other)
    first, other = (shares_of_the_top(v, math.ceil(0.25 * n)) for v in (x, y))
    return sum(map(min, first, other)) / sum(map(max, first, other))


def shares_of_the_top(scores, places):
    """How much of `places` places each token has, groups of equals filling them from the highest score on."""
    found = [0.0] * len(scores)
    for value in sorted(set(scores), reverse=True):
        group = [index for index, score in enumerate(scores) if score == value]
        for index in group:
            found[index] = min(len(group), places) / len(group)
        places -= min(len(group), places)
    return found


@pytest.mark.parametrize("metric", list(METRICS))
@settings(max_examples=150, deadline=None)
@given(scores=matrices)
def test_all_pairs_at_once_equal_each_pair_by_hand(metric, scores):
    module = importlib.import_module(f"plumbline.agreement.{metric}")
    scores = np.array(scores, dtype=np.float32)
    found = module.pairwise(scores)
    for a, x in enumerate(scores):
        for b, y in enumerate(scores):
            if varied(x) and varied(y):
                assert found[a, b] == pytest.approx(by_hand(metric, x.tolist(), y.tolist()), abs=1e-9)
                assert module.compute(x, y) == pytest.approx(found[a, b], abs=1e-12)
            else:
                assert np.isnan(found[a, b])
                assert np.isnan(module.compute(x, y))


def test_ties_as_in_the_reference():
    golden = np.load(GOLDEN, allow_pickle=False)
    assert spearman_dense.compute(golden["x"], golden["y"]) == pytest.approx(golden["dense"], abs=1e-12)
    assert spearman.compute(golden["x"], golden["y"]) == pytest.approx(golden["true_average_rank"], abs=1e-12)


def test_signs_count_and_specials_too():
    x = np.array([3.0, -2.0, 1.0, 0.5])
    assert kendall.compute(x, -x) == -1
    assert kendall.compute(x, np.abs(x)) < 1


def test_ties_at_the_border_of_the_top_quarter():
    """A place that two tokens tie for is half each one's, wherever they stand."""
    first, other = np.array([1.0, 1.0, 0.0, 0.0]), np.array([5.0, 1.0, 1.0, 1.0])
    assert top_k_overlap.compute(first, other) == pytest.approx(0.5 / 1.5)
    assert top_k_overlap.compute(first[::-1], other[::-1]) == pytest.approx(0.5 / 1.5)
    assert top_k_overlap.compute(first, first) == 1
    assert top_k_overlap.compute(first, first[::-1]) == 0
    # As published, the lower position goes first: the place of two is the first one's.
    assert top_k_overlap_published.compute(first, other) == 1
    assert top_k_overlap_published.compute(first[::-1], other[::-1]) == 0


def attributions(examples=40, readouts=5):
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 20, size=examples)
    names = [f"r{index}" for index in range(readouts)]
    found = {name: [rng.normal(size=n).astype(np.float32) for n in lengths] for name in names}
    found["uniform"] = [np.full(n, 1 / n, dtype=np.float32) for n in lengths]
    return found


def test_table_has_every_pair_and_metric_and_fits_its_schema(tmp_path):
    given_scores = attributions()
    # A readout that is constant on some examples counts the others alone.
    for index in range(10):
        given_scores["r0"][index][:] = 0
    rows = table(given_scores, **SETTINGS)
    assert len(rows) == 10 * len(METRICS)  # 5 varied readouts make 10 pairs; uniform is never defined
    assert rows["metric"].tolist()[: len(METRICS)] == list(METRICS)
    assert rows[["readout", "other"]].iloc[0].tolist() == ["r0", "r1"]
    assert set(rows.loc[rows.readout == "r0", "examples"]) == {30}
    assert set(rows.loc[rows.readout == "r1", "examples"]) == {40}
    row = rows[(rows.readout == "r1") & (rows.other == "r2") & (rows.metric == "spearman")].iloc[0]
    pairs = zip(given_scores["r1"], given_scores["r2"], strict=True)
    each = [stats.spearmanr(x, y).statistic for x, y in pairs]
    assert row["mean"] == pytest.approx(np.mean(each), abs=1e-12)
    assert row["sd"] == pytest.approx(np.std(each), abs=1e-12)
    assert row["lower"] < row["mean"] < row["upper"]
    row = rows[(rows.readout == "r0") & (rows.other == "r1") & (rows.metric == "spearman")].iloc[0]
    pairs = zip(given_scores["r0"][10:], given_scores["r1"][10:], strict=True)
    assert row["mean"] == pytest.approx(
        np.mean([stats.spearmanr(x, y).statistic for x, y in pairs]), abs=1e-12
    )
    write_rows(tmp_path / "seed0.parquet", rows, kind="agreement")
    assert len(read_rows(tmp_path / "seed0.parquet")) == len(rows)


def test_table_does_not_depend_on_the_order_of_readouts():
    given_scores = attributions()
    turned = table(dict(reversed(given_scores.items())), **SETTINGS)
    rows = table(given_scores, **SETTINGS)
    back = turned.rename(columns={"readout": "other", "other": "readout"})
    both = rows.merge(back, on=["readout", "other", "metric"], suffixes=("", "_turned"))
    assert len(both) == len(rows)
    assert np.allclose(both["lower"], both["lower_turned"], rtol=0, atol=1e-12)


def test_a_pair_that_is_never_defined_leaves_an_empty_table(tmp_path):
    given_scores = {name: vectors for name, vectors in attributions().items() if name in ("r0", "uniform")}
    rows = table(given_scores, **SETTINGS)
    write_rows(tmp_path / "seed0.parquet", rows, kind="agreement")
    assert len(rows) == 0


def test_faults_are_named():
    given_scores = attributions()
    given_scores["r0"] = given_scores["r0"][:-1]
    with pytest.raises(PlumblineError, match="number of examples"):
        table(given_scores, **SETTINGS)
    given_scores = attributions()
    given_scores["r0"][3] = given_scores["r0"][3][:-1]
    with pytest.raises(PlumblineError, match="tokens of example 3"):
        table(given_scores, **SETTINGS)
