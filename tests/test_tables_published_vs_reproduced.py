"""The table `published_vs_reproduced`: by hand what was not run, verdicts taken over, the summary; its verdicts on made-up models."""

import pandas as pd
import pytest

from plumbline.artefacts import write_json
from plumbline.tables import published_vs_reproduced
from tests.printed import SAMPLE, printed, together
from tests.synthetic import OPTIONS

nan = float("nan")


def test_why_a_number_was_not_run_word_by_word():
    entry = {"dataset": "sst2", "architecture": "roberta", "sample": {"dataset": "sst2_drawn"}}
    facts = {("sst2_drawn", "a"): {"architecture": "roberta"}, ("imdb", "b"): {"architecture": "bert"}}
    shown = pd.DataFrame({"source": ["seeds 0 1"]})
    tables = [*published_vs_reproduced.TABLES]

    def said(table, frame=shown, metrics=facts, **changed):
        return published_vs_reproduced._missing(
            entry | {"table": table} | changed, frame, metrics, {"tables": tables}
        )

    assert said("comp_suff") == "not computed for a in this configuration"
    assert said("comp_suff", metrics={}) == "this scale has no SST-2 (it has: )"
    only = {key: value for key, value in facts.items() if key[0] == "imdb"}
    assert said("comp_suff", metrics=only) == "this scale has no SST-2 (it has: imdb)"
    assert said("comp_suff", architecture="distilbert") == "this scale has no distilbert on SST-2"
    assert said("isotropy") == "a has another number of layers than the published model"
    assert (
        said("selective_rollout")
        == "a has another number of layers than the published model, or is no run of the study"
    )
    assert said("selective_rollout", frame=pd.DataFrame()) == "not computed for a in this configuration"
    assert said("network_diffusion") == "this scale has no such roberta on SST-2, or not this number of it"
    released = "not among the released matrices; released_seeds: mirror or url has all readouts"
    assert (
        said("seed_consistency")
        == said("seed_consistency", frame=pd.DataFrame())
        == "released_seeds is not set in this configuration"
    )
    assert said("seed_consistency", frame=pd.DataFrame({"source": ["released scores"]})) == released
    tables.remove("agreement")
    assert said("agreement") == "table agreement is not in `tables` of this configuration"


def test_the_verdict_of_a_study_is_taken_over():
    rows = pd.DataFrame([
        {"published_value": value, "published_source": "s", "layer": "fc", "class": "3", "nodes": 8.0, "verdict": verdict, "why": "w",
         "lower": 7.0, "upper": 9.0, "model": "m", "examples": 5, "seeds": "0", "interval": "i", "dataset": "mnist"}
        for value, verdict in ((6.0, "magnitude only"), (6.0, "differs"), (nan, "same"))
    ])  # fmt: skip
    numbers = printed("causal_graphs", {"layer": "fc", "value": 6.0, "column": "nodes"}, where={"class": 3})
    taken = published_vs_reproduced._taken
    (_, first), (_, second) = taken(numbers, rows)
    assert (first["verdict"], first["why"]) == ("not comparable", "magnitude only: w")
    assert (second["verdict"], second["why"]) == ("differs", "w")
    assert (first["ours"], first["difference"], first["lower"], first["upper"]) == (8.0, 2.0, 7.0, 9.0)
    assert (first["our_sample"], first["published_checkpoint"]) == ("MNIST", "other")
    assert not list(taken(numbers, rows.assign(published_source="t")))
    assert not list(taken(numbers, rows.assign(**{"class": "4"})))
    assert not list(taken(numbers, pd.DataFrame()))


def test_the_classifiers_numbers_are_taken_over():
    columns = {
        "model": "m",
        "ours": 0.8,
        "lower": 0.7,
        "upper": 0.9,
        "examples": 9,
        "seeds": "0",
        "interval": "i",
        "verdict": "differs",
        "why": "w",
    }
    # The table's own difference: it was made of numbers that were not yet rounded.
    ours = pd.DataFrame(
        [
            {
                "quantity": "test accuracy",
                "published": 0.85,
                "published_source": "s",
                "published_checkpoint": "other",
                "difference": -0.0512,
                "dataset": "imdb",
                **columns,
            }
        ]
    )
    numbers = printed(
        "xai_published",
        {"quantity": "other", "value": 0.1},
        {"quantity": "test accuracy", "value": 0.85, "column": "ours"},
    )
    ((place, found),) = published_vs_reproduced._taken(numbers, ours)
    assert place == 1 and found.items() >= (columns | {"difference": -0.0512, "our_sample": "IMDb"}).items()


def test_the_summary_of_published_numbers():
    options = {"scale": "s", "command": "c"}
    words = ("same", "same", "within sampling error", "differs", "not comparable", "not run")
    frame = pd.DataFrame(
        {
            "table": "comp_suff",
            "dataset": "sst2",
            "architecture": "roberta",
            "verdict": words,
            "why": [*"abcdef"],
            "difference": [0.001, -0.002, 0.03, -0.45, 9.0, nan],
        }
    )
    text = published_vs_reproduced.latex(frame, options)
    head = "same & within sampling error & differs & not comparable & not run"
    assert (
        rf"Table & Data & Architecture & {head} & largest $|\Delta|$ & why not compared (first reason) \\"
        in text
    )
    assert r"comp\_suff & SST-2 & roberta & 2 & 1 & 1 & 1 & 1 & $0.450$ & e \\" in text
    none = published_vs_reproduced.latex(frame[4:], options)
    assert r"comp\_suff & SST-2 & roberta & 0 & 0 & 0 & 1 & 1 & -- & e \\" in none
    assert r"& 2 & 1 & 1 & 0 & 0 & $0.450$ &  \\" in published_vs_reproduced.latex(frame[:4], options)
    for sentence in (
        "Scale: s; N: 6 rows of published\\_vs\\_reproduced.csv, which has every number with its source, sample count, seeds and "
        "interval.",
        "Same: of the same texts, and off by no more than the rounding in print and the stated tolerance. Within sampling error: of "
        "other texts, and the interval of the difference of two samples holds 0; the CSV says whether the two are shown to be "
        "equivalent within a margin.",
        "Published and reproduced: numbers of each published table by verdict.",
    ):
        assert sentence in text


def _ours(mean=0.1, dataset="sst2", model="one", **more):
    """A row of a table."""
    return {
        "dataset": dataset,
        "model": model,
        "mean": mean,
        "lower": mean - 0.0196,
        "upper": mean + 0.0196,
        "examples": 400,
        "seeds": "0",
        "interval": "i",
        **more,
    }


@pytest.fixture
def side_by_side(monkeypatch, tmp_path):
    """published_vs_reproduced of one entry of three tables: judged here, judged by its own table, not in this configuration."""
    sample = SAMPLE | {"dataset": "sst2_drawn"}
    numbers = together(
        printed(
            "network_diffusion",
            {"map": "raw", "metric": "positive_auc", "value": 0.17, "quantity": "positive_auc"},
            {"map": "raw", "metric": "negative_auc", "value": 0.4, "quantity": "negative_auc"},
            dataset="imagenet",
            architecture="vim",
            where={"protocol": "chefer"},
        ),
        printed(
            "comp_suff",
            {"readout": "rollout", "kind": "comp", "value": 0.1008},
            {"readout": "rollout", "kind": "suff", "value": 0.3},
            where={"protocol": "published_bins"},
            sample=sample,
        ),
        printed("isotropy", {"vectors": "embeddings", "layer": "0", "value": 0.5}),
    )
    monkeypatch.setattr(published_vs_reproduced, "read", lambda: numbers)
    common = {"dataset": "sst2_drawn", "readout": "rollout", "texts": "whole", "protocol": "published_bins"}
    frames = {
        "comp_suff": [_ours(kind=kind, **common) for kind in ("comp", "suff")],
        "network_diffusion": [
            _ours(0.2, "imagenet", "vim", map="raw", metric="positive_auc", protocol="chefer", published_value=0.17,
                           published_source="s", published_verdict="differs", published_why="w", published_checkpoint="same"),
            _ours(0.3, "imagenet", "vim", map="raw", metric="negative_auc", protocol="chefer", published_value=nan),
        ],
    }  # fmt: skip
    found = {"models": []}
    for name, rows in frames.items():
        pd.DataFrame(rows).to_csv(tmp_path / f"{name}.csv", index=False)
        found[f"tables/{name}"] = [{"path": tmp_path / f"{name}.csv"}]
    facts = {"architecture": "roberta", "source": "hub", "repo": "x/one", "epochs": 0}
    for dataset, model in (("sst2", "one"), ("sst2_drawn", "one")):
        write_json(tmp_path / dataset / model / "metrics.json", facts)
        path = tmp_path / dataset / model / "model.safetensors"
        found["models"].append({"dataset": dataset, "model": model, "path": path})
    run = {"dataset": "sst2_drawn", "model": "one", "split": "test", "examples": 400, "within": None}
    options = {
        **OPTIONS,
        "tables": list(frames),
        "faithfulness": [],
        "datasets": {"sst2_drawn": {"source": "hub"}},
        "runs": [run],
    }
    return published_vs_reproduced.rows(found, options)


def test_numbers_stand_beside_ours_with_their_verdicts(side_by_side):
    first = side_by_side
    names = ["table", "quantity", "readout", "published", "ours", "verdict", "model", "examples"]
    assert first[names].astype(object).where(first[names].notna(), None).to_numpy().tolist() == [
        ["comp_suff", "number 0", "rollout", 0.1008, 0.1, "same", "one", 400],
        ["comp_suff", "number 1", "rollout", 0.3, 0.1, "differs", "one", 400],
        ["isotropy", "number 0", "", 0.5, None, "not run", "", None],
        ["network_diffusion", "positive_auc", "raw", 0.17, 0.2, "differs", "vim", 400],
        ["network_diffusion", "negative_auc", "raw", 0.4, None, "not run", "", None],
    ]
    assert first["difference"].tolist() == pytest.approx([-0.0008, -0.2, nan, 0.03, nan], nan_ok=True)
    for end, shift in (("lower", -0.0196), ("upper", 0.0196)):
        assert (first[end] - first["ours"]).tolist() == pytest.approx(
            [shift, shift, nan, shift, nan], nan_ok=True
        )
    assert first["why"].tolist()[2:] == [
        "table isotropy is not in `tables` of this configuration",
        "w",
        "this scale has no such vim on ImageNet, or not this number of it",
    ]
    assert set(side_by_side["scale"]) == {"small"}
