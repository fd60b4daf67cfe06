"""The table `published_vs_reproduced` by hand: what was not run, verdicts taken over from the studies, the summary."""

import pandas as pd
import pytest

from plumbline.tables import (
    published_vs_reproduced,
)

nan = float("nan")


def test_why_a_number_was_not_run_word_by_word():
    entry = {"dataset": "sst2", "architecture": "roberta", "sample": {"dataset": "sst2_drawn"}}
    facts = {("sst2_drawn", "a"): {"architecture": "roberta"}, ("imdb", "b"): {"architecture": "bert"}}
    shown = pd.DataFrame({"source": ["seeds 0 1"]})
    tables = [*published_vs_reproduced.TABLES]

    def said(table, frame=shown, metrics=facts, **changed):
        return published_vs_reproduced._missing(
            {"table": table}, entry | changed, frame, metrics, {"tables": tables}
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
    target = {"table": "causal_graphs", "where": {"layer": "fc", "class": "3"}, "published": 6.0}
    first, second = published_vs_reproduced._taken(target, {"source": "s"}, rows)
    assert (first["verdict"], first["why"]) == ("not comparable", "magnitude only: w")
    assert (second["verdict"], second["why"]) == ("differs", "w")
    assert (first["ours"], first["difference"], first["lower"], first["upper"]) == (8.0, 2.0, 7.0, 9.0)
    assert (first["our_sample"], first["published_checkpoint"]) == ("MNIST", "other")
    assert not published_vs_reproduced._taken(target, {"source": "t"}, rows)
    assert not published_vs_reproduced._taken(
        target | {"where": {"layer": "fc", "class": "4"}}, {"source": "s"}, rows
    )
    assert not published_vs_reproduced._taken(target, {"source": "s"}, pd.DataFrame())


@pytest.mark.slow
def test_the_classifiers_numbers_are_taken_over():
    ours = pd.DataFrame([{"quantity": "test accuracy", "model": "m", "ours": 0.8, "lower": 0.7, "upper": 0.9, "difference": -0.05,
                          "examples": 9, "seeds": "0", "interval": "i", "verdict": "differs", "why": "w", "published_checkpoint": "other",
                          "dataset": "imdb"}])  # fmt: skip
    first, second, *_ = published_vs_reproduced._classifier(ours, {})
    names = (
        "model",
        "ours",
        "lower",
        "upper",
        "difference",
        "examples",
        "seeds",
        "interval",
        "verdict",
        "why",
        "our_sample",
    )
    assert [first[name] for name in names] == ["m", 0.8, 0.7, 0.9, -0.05, 9, "0", "i", "differs", "w", "IMDb"]
    assert (second["verdict"], second["why"]) == (
        "not run",
        "table xai_published is not in `tables` of this configuration",
    )


def test_the_summary_of_published_numbers():
    options = {"scale": "s", "command": "c"}
    words = ("same", "same", "within sampling error", "differs", "not comparable", "not run")
    frame = pd.DataFrame({
        "table": "comp_suff", "dataset": "sst2", "architecture": "roberta", "verdict": words, "why": [*"abcdef"],
        "difference": [0.001, -0.002, 0.03, -0.45, 9.0, nan],
    })  # fmt: skip
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
    ):  # fmt: skip
        assert sentence in text
