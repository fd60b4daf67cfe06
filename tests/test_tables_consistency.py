"""The tables `seed_consistency` and `model_consistency`, and what their figures say."""

import importlib

import pandas as pd
import pytest
import scipy.stats

from plumbline import figures
from plumbline.agreement import consistency, released
from plumbline.artefacts import read_rows, write_rows
from plumbline.attribution import METHODS, READOUTS
from plumbline.errors import PlumblineError
from plumbline.tables import model_consistency, seed_consistency
from tests.synthetic import OPTIONS, TEN, compare, make, merge, write_table

SETTINGS = {"resamples": 100, "level": 0.95, "seed": 1}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Six seeds of one model, a pair of models, and their consistency."""
    tmp_path = tmp_path_factory.mktemp("trained")
    seeds = make(tmp_path, seeds=range(6), methods=TEN, steps=False, examples=8)
    items = {}
    for item in seeds["attributions"]:
        names = [readout.id for readout in METHODS[item["method"]].readouts if not readout.known_truth]
        items.setdefault(item["seed"], {})[item["path"]] = names
    rankings = [consistency.read(f"seed{seed}", files) for seed, files in items.items()]
    path = tmp_path / "seeds.parquet"
    write_rows(path, consistency.table(rankings, **SETTINGS).assign(seed=None), kind="consistency")
    pairs = []
    for seed in (0, 1):
        both = [
            consistency.read(name, items[seed + shift]) for shift, name in ((0, "bert"), (2, "distilbert"))
        ]
        pairs.append(consistency.table(both, **SETTINGS).assign(seed=seed))
    write_rows(tmp_path / "pair.parquet", pd.concat(pairs), kind="consistency")
    make(tmp_path, model="distilbert", architecture="distilbert", methods=(), examples=3)
    models_ = [
        {
            "dataset": "sentiment",
            "model": name,
            "seed": 0,
            "path": tmp_path / f"models/sentiment/{name}/seed0/x",
        }
        for name in ("bert", "distilbert")
    ]
    return {
        "seed_consistency": [{"dataset": "sentiment", "model": "bert", "path": path}],
        "model_consistency": [
            {
                "dataset": "sentiment",
                "model": "bert",
                "other": "distilbert",
                "path": tmp_path / "pair.parquet",
            }
        ],
        "models": models_,
        "released": [],
    }


@pytest.mark.slow
def test_table_of_seeds_counts_each_pair_once_and_has_the_controls(trained):
    frame = seed_consistency.rows(trained, {**OPTIONS, "released_seeds": None})
    rows = read_rows(trained["seed_consistency"][0]["path"])
    assert set(frame["pairs"]) == {15}
    row = frame.query("readout == 'alti' and metric == 'kendall'").iloc[0]
    own = rows.query("readout == 'alti' and metric == 'kendall'")["mean"]
    assert (row["mean"], row["median"], row["q1"], row["max"]) == pytest.approx(
        (own.mean(), own.median(), own.quantile(0.25), own.max())
    )
    assert row["lower"] < row["mean"] < row["upper"]
    assert frame["published_mean"].isna().all()
    means = frame.query("metric == 'spearman'").set_index("readout")["mean"]
    assert means["position"] == pytest.approx(1)
    assert abs(means["random"]) < 0.35
    assert "uniform" not in means
    assert r"\toprule" in seed_consistency.latex(frame, OPTIONS)


@pytest.mark.slow
def test_few_seeds_have_no_interval(trained, tmp_path):
    rows = read_rows(trained["seed_consistency"][0]["path"]).query("second == 'seed1'")
    write_rows(tmp_path / "few.parquet", rows.assign(seed=None), kind="consistency")
    found = {
        "seed_consistency": [{"dataset": "sentiment", "model": "bert", "path": tmp_path / "few.parquet"}]
    }
    frame = seed_consistency.rows(found, {**OPTIONS, "released_seeds": None})
    assert frame["lower"].isna().all()
    assert set(frame["interval"]) == {"none: fewer than 3 seeds"}
    assert set(frame["pairs"]) == {1}


@pytest.mark.slow
def test_table_of_models_averages_seeds(trained):
    frame = model_consistency.rows(trained, OPTIONS)
    rows = read_rows(trained["model_consistency"][0]["path"]).query(
        "readout == 'rollout' and metric == 'spearman'"
    )
    row = frame.query("readout == 'rollout' and metric == 'spearman'").iloc[0]
    assert len(rows) == 2
    assert (row["mean"], row["sd"]) == pytest.approx((rows["mean"].mean(), rows["sd"].mean()))
    # Two seeds: half of the variance of their means, and the mean squared error of the means over sentences.
    of_seed = rows["mean"].var(ddof=1) / 2
    squares = rows["sd"] ** 2 / (rows["examples"] - 1)
    df = (of_seed + squares.mean()) ** 2 / (of_seed**2 + squares.mean() ** 2 / (rows["examples"] - 1).mean())
    half = scipy.stats.t.ppf(0.975, max(1, df)) * (of_seed + squares.mean()) ** 0.5
    assert (row["lower"], row["upper"]) == pytest.approx((row["mean"] - half, row["mean"] + half))
    assert "training seeds and examples" in row["interval"]
    assert (row["seeds"], row["model"], row["other"]) == ("0 1", "bert", "distilbert")
    assert {"random", "position"} <= set(frame.loc[frame["control"], "readout"])
    assert frame["published_mean"].isna().all()  # generated data
    assert r"\toprule" in model_consistency.latex(frame, OPTIONS)


@pytest.mark.slow
def test_published_consistency_of_models_is_the_final_figure_s(tmp_path):
    """Beside ours where both models are the published ones on that data set, fetched and not trained further."""
    repos = {
        "bert": "textattack/bert-base-uncased-SST-2",
        "distilbert": "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
    }
    found = {}
    for dataset, epochs in (("sst2", 0), ("sst2", 1), ("imdb", 0)):
        folder = tmp_path / f"{dataset}{epochs}"
        hub = {"dataset": dataset, "source": "hub", "epochs": epochs, "oracle": False, "examples": 6}
        inputs = merge(
            *(
                make(folder, architecture=name, model=name, repo=repo, layers=2, **hub)
                for name, repo in repos.items()
            )
        )
        inputs |= compare(folder, inputs, (dataset, *repos))
        runs = [
            {"dataset": dataset, "model": name, "split": "test", "examples": 1000, "within": None}
            for name in repos
        ]
        options = {**OPTIONS, "runs": runs, "datasets": {dataset: {"source": "hub"}}}
        found[dataset, epochs] = model_consistency.rows(inputs, options).dropna(subset="published_mean")
    fetched, trained, elsewhere = found.values()
    (row,) = fetched[
        (fetched["readout"] == "alti_published") & (fetched["metric"] == "spearman_dense")
    ].itertuples()
    assert row.published_mean == 0.805
    assert set(fetched["published_checkpoint"]) == {"same"}
    assert set(trained["published_checkpoint"]) == {"other"}
    assert elsewhere.empty
    assert set(fetched["readout"]) <= set(READOUTS)


def test_nothing_to_compare_says_so(tmp_path):
    options = {**OPTIONS, "released_seeds": None}
    with pytest.raises(PlumblineError, match="give a run two `seeds`, or set `released_seeds`"):
        write_table("seed_consistency", {}, options, tmp_path / "a.csv", tmp_path / "a.tex")
    with pytest.raises(PlumblineError, match="no runs have both"):
        write_table("model_consistency", {}, options, tmp_path / "a.csv", tmp_path / "a.tex")
    for figure, said in (
        ("seed_consistency", "give a run two"),
        ("seed_matrices", "give a run two"),
        ("seed_consistency_extended", "set `released_seeds`"),
        ("model_consistency", "no runs have both"),
    ):
        with pytest.raises(PlumblineError, match=said):
            figures.write(figure, {}, options, [tmp_path / "a.png"])


def test_matrices_figure_says_what_seed_10_needs(tmp_path):
    write_rows(tmp_path / "released.parquet", released.rows("matrices"), kind="consistency")
    inputs = {"released": [{"path": tmp_path / "released.parquet"}]}
    drawn = importlib.import_module("plumbline.figures.seed_consistency_extended").draw(inputs, OPTIONS)
    said = " ".join(text.get_text() for text in drawn.texts).replace("\n", " ")
    assert "Seed 10 and the other readouts need the released arrays" in said
