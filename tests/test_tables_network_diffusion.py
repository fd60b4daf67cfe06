"""The table `network_diffusion`: every sentence and column word by word, from rows written by hand; verdicts of made-up numbers."""

import itertools

import numpy as np
import pandas as pd
import pytest

from plumbline.artefacts import write_rows
from plumbline.tables import network_diffusion, published
from tests.printed import printed

nan = float("nan")


def diffused(map_, metric, verdict, against, gain, **more):
    return {
        "dataset": "mnist",
        "model": "vim",
        "protocol": "patches",
        "fill": "black",
        "map": map_,
        "metric": metric,
        "verdict": verdict,
        "against": against,
        "difference": gain,
        "difference_lower": gain - 0.01,
        "difference_upper": gain + 0.02,
        **more,
    }


@pytest.mark.parametrize(
    ("first", "second"), list(itertools.permutations(("better", "worse", "not told apart"), 2))
)
def test_network_diffusion_word_by_word(first, second):
    frame = pd.DataFrame(
        [
            diffused("rollout_diffused", "positive_auc", first, "rollout_normalised", -0.05),
            diffused("rollout_diffused", "negative_auc", second, "rollout_normalised", 0.03),
            diffused("raw", "positive_auc", "worse", "random", 0.1),
            diffused("raw", "negative_auc", "better", "random", 0.1),
            diffused("rollout", "positive_auc", "better", "random", 0.1),
            diffused("rollout", "negative_auc", "worse", "random", 0.1),
            diffused("attribution", "positive_auc", "not told apart", "random", 0.1),
            diffused("raw_published", "positive_auc", "worse", "random", 0.1),
            diffused("centre", "positive_auc", "worse", "random", 0.1),
            diffused("attribution_diffused", "positive_auc", "worse", "attribution_normalised", 0.1),
        ]
    )
    assert network_diffusion.summary(frame) == (
        "MNIST, vim, patches set to black, 0 to 90% of them: beside the same steps without it, the diffusion of the rollout is "
        f"{first} (-0.050 [-0.060, -0.030]) with the relevant ones first and {second} (+0.030 [+0.020, +0.050]) with the irrelevant "
        "ones first. Worse than random with the relevant ones first: Raw attention."
    )
    pixels = frame[frame["map"] != "raw"].assign(protocol="chefer")
    assert network_diffusion.summary(pixels) == (
        "MNIST, vim, pixels set to black, 10 to 90% of them: beside the same steps without it, the diffusion of the rollout is "
        f"{first} (-0.050 [-0.060, -0.030]) with the relevant ones first and {second} (+0.030 [+0.020, +0.050]) with the irrelevant "
        "ones first."
    )


def test_directions_of_the_metrics_of_images():
    """Lower is better where the relevant go first, higher where they stay or where ink is met."""
    lower = {name for name, (heading, direction) in network_diffusion.METRICS.items() if direction == -1}
    assert lower == {"positive_auc", "positive_probability_auc"}
    for name, (heading, direction) in network_diffusion.METRICS.items():
        assert abs(direction) == 1
        assert (", relevant first" in heading) == name.startswith("positive")
        assert (", irrelevant first" in heading) == name.startswith("negative")


def test_what_a_map_is_compared_with():
    wanted = {
        "raw": "random",
        "rollout": "random",
        "rollout_published": "random",
        "rollout_normalised": "random",
        "rollout_diffused": "rollout_normalised",
        "rollout_diffused_published": "rollout_normalised_published",
        "attribution_diffused": "attribution_normalised",
        "rollout_heat": "rollout_normalised",
        "rollout_pagerank": "rollout_normalised",
        "rollout_enhanced": "rollout_normalised",
        "gradient_x_input": "random",
    }
    assert {name: network_diffusion.against(name) for name in wanted} == wanted


def perturbed(gains, images=30, seeds=(0, 1, 2, 3, 4)):
    """Rows of a metric: map -> gain, with the same noise on all maps of an image but for a little."""
    draw = np.random.default_rng(6)
    shared = draw.normal(0, 0.05, images)
    keys = itertools.product(seeds, range(images), gains)
    return pd.DataFrame(
        [
            {
                "seed": seed,
                "id": image,
                "map": name,
                "tied": 0.25,
                "value": 0.5 + gains[name] + shared[image] + draw.normal(0, 0.002),
            }
            for seed, image, name in keys
        ]
    )


@pytest.mark.parametrize(("metric", "direction"), [("positive_auc", -1), ("ink_precision", 1)])
def test_maps_of_images_with_known_gains(metric, direction):
    """Gains in the metric's own direction: a diffused map beside its twin, the others beside noise; the best among readouts."""
    gains = {
        "raw": -0.2,
        "rollout": 0.1,
        "attribution_published": 0.3,
        "rollout_normalised": 0.1,
        "rollout_diffused": 0.0,
        "rollout_pagerank": 0.1,
        "random": 0.0,
    }
    part = perturbed({name: direction * gain for name, gain in gains.items()}).rename(
        columns={"value": metric}
    )
    options = {"bootstrap": {"resamples": 50, "level": 0.95}}
    found = {
        row["map"]: row
        for row in network_diffusion._metric(part, metric, options, ("mnist", "vim", "chefer", "black"))
    }
    wanted = {
        "raw": ("random", -0.2, "worse", False),
        "rollout": ("random", 0.1, "better", True),
        "attribution_published": ("random", 0.3, "better", False),
        "rollout_normalised": ("random", 0.1, "better", True),
        "rollout_diffused": ("rollout_normalised", -0.1, "worse", False),
        "rollout_pagerank": ("rollout_normalised", 0.0, "not told apart", True),
    }
    assert list(found) == list(gains)
    for name, (against, gain, verdict, best) in wanted.items():
        row = found[name]
        assert (row["against"], row["verdict"], row["best"]) == (against, verdict, best), name
        assert row["difference"] == pytest.approx(direction * gain, abs=0.005)
        assert row["difference_lower"] < row["difference"] < row["difference_upper"]
        assert row["difference_upper"] - row["difference_lower"] < 0.02
        assert row["lower"] < row["mean"] < row["upper"] and row["mean"] == pytest.approx(
            part[part["map"] == name][metric].mean()
        )
        assert (row["adjusted_p"] <= 0.05) == (verdict != "not told apart")
    noise = found["random"]
    assert (noise["against"], noise["verdict"], noise["best"]) == (None, None, False)
    assert np.isnan(
        [noise[key] for key in ("difference", "difference_lower", "difference_upper", "adjusted_p")]
    ).all()
    assert {row["direction"] for row in found.values()} == {"higher" if direction > 0 else "lower"}
    assert {(row["examples"], row["tied"]) for row in found.values()} == {(30, 0.25)}
    area = [row["area"] / row["mean"] for row in found.values()]
    assert area == pytest.approx([0.8] * 7) if metric.endswith("_auc") else np.isnan(area).all()


def test_shares_stay_in_their_range_and_images_need_every_map_and_seed():
    part = perturbed({"raw": 0.0, "random": 0.0}, images=6, seeds=(0, 1)).rename(
        columns={"value": "ink_mass"}
    )
    part.loc[(part["seed"] == 1) & (part["id"] == 2) & (part["map"] == "raw"), "ink_mass"] = nan
    cells = network_diffusion.cells_of(part, "ink_mass", ["random", "raw"])
    values = part.set_index(["seed", "id", "map"])["ink_mass"]
    assert cells.tolist() == [
        [[values[seed, image, name] for name in ("random", "raw")] for image in (0, 1, 3, 4, 5)]
        for seed in (0, 1)
    ]
    for height in (0.0, 1.0):
        near = part.assign(ink_mass=abs(height - 0.1 * (part["id"] == 0)))
        options = {"bootstrap": {"resamples": 50, "level": 0.95}}
        rows = list(network_diffusion._metric(near, "ink_mass", options, ("mnist", "vim", "chefer", "black")))
        assert all(0 <= row["lower"] <= row["mean"] <= row["upper"] <= 1 for row in rows)


def test_the_table_of_maps_has_each_number_in_its_column():
    numbers = itertools.count(1)
    rows = []
    for name, metric in itertools.product(
        ("raw", "rollout_normalised", "rollout_diffused", "random"), network_diffusion.METRICS
    ):
        value = next(numbers) / 100
        printed = (
            0.17
            if (name, metric) == ("raw", "positive_auc")
            else 0.4
            if (name, metric) == ("raw", "negative_auc")
            else nan
        )
        rows.append(diffused(name, metric, "better", "random", 0.1, mean=value, lower=value - 0.01, upper=value + 0.02, best=name == "raw",
                             tied=0.5 if metric == "positive_auc" else 9.0, published_value=printed, published_source="p",
                             published_checkpoint="other", published_why="w", examples=9, seeds="0 1", interval="i"))  # fmt: skip
    options = {"scale": "s", "command": "c", "bootstrap": {"level": 0.95, "resamples": 9}}
    text = network_diffusion.latex(pd.DataFrame(rows), options)
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]

    def shown(place, bold=False):
        value = f"{place / 100:.3f}"
        value = rf"\mathbf{{{value}}}" if bold else value
        return f"${value}_{{{place / 100 - 0.01:.3f}}}^{{{place / 100 + 0.02:.3f}}}$"

    heads = r"Map & tied & AUC, relevant first $\downarrow$ & in print & AUC, irrelevant first $\uparrow$ & in print & "
    assert lines[0] == heads + r"average precision for ink $\uparrow$ & highest score on ink $\uparrow$ \\"
    wanted = [
        (r"Raw attention & $0.50$", 0, ("$0.170$", "$0.400$"), True),
        ("Rollout, normalised alone & $0.50$", 7, ("--", "--"), False),
        ("Rollout, diffused & $0.50$", 14, ("--", "--"), False),
        ("Random & $0.50$", 21, ("--", "--"), False),
    ]
    for line, (start, first, printed, bold) in zip(lines[1:], wanted, strict=True):
        cells = [shown(first + place, bold) for place in (1, 2, 5, 7)]
        assert line == " & ".join([start, cells[0], printed[0], cells[1], printed[1], *cells[2:]]) + r" \\"
    assert text.count(r"\midrule") == 3  # maps, diffused ones, controls
    for sentence in (
        "Maps of image models, before and after network diffusion: MNIST, vim. In plain words: MNIST, vim, patches set to black, 0 to 90",
        "Scale: s; N = 9 examples; mean over seeds 0, 1.",
        "Intervals: i, as index and exponent. Protocol patches: patches set to black, 0 to 90",
        "not divided by it, 0.9 times that.",
        "In print (another checkpoint than this model): p. w.",
    ):
        assert sentence in text


BOOTSTRAP = {"scale": "s", "command": "c", "bootstrap": {"level": 0.95, "resamples": 50}}


@pytest.mark.parametrize(
    ("protocol", "checkpoint", "why"),
    [
        ("chefer", "hustvl/Vim-tiny-midclstok", "unknown settings"),
        ("chefer", "hustvl/Vim-small-midclstok", "another checkpoint; unknown settings"),
        ("patches", "hustvl/Vim-tiny-midclstok", None),
    ],
)
def test_numbers_in_print_of_maps_stand_beside_their_protocol_and_order(
    monkeypatch, read_as, protocol, checkpoint, why
):
    numbers = printed(
        "network_diffusion",
        {"map": "raw", "metric": "positive_auc", "value": 0.17},
        {"map": "raw", "metric": "negative_auc", "value": 0.4},
        dataset="imagenet",
        architecture="vim",
        checkpoint="hustvl/Vim-tiny-midclstok",
        where={"protocol": "chefer"},
        verdict="not comparable",
        why="unknown settings",
    )
    monkeypatch.setattr(published, "read", lambda: numbers)
    metrics = ("positive_auc", "negative_auc", "positive_probability_auc", "ink_mass")
    rows = [
        {
            "seed": 0,
            "id": image,
            "map": name,
            "protocol": protocol,
            "fill": "black",
            "tied": 0.25,
            "ink_mass": nan,
            **dict.fromkeys(metrics[:3], 0.5 + image / 100 + (name == "raw") / 10),
        }
        for image in range(9)
        for name in ("raw", "random")
    ]
    facts = {"architecture": "vim", "source": "hub", "repo": checkpoint, "epochs": 0}
    items = read_as(network_diffusion, rows, facts)
    found = network_diffusion.rows({"image_models": items, "patch_faithfulness": items}, BOOTSTRAP)
    assert found[["metric", "map"]].to_numpy().tolist() == [
        [metric, name] for metric in metrics[:3] for name in ("raw", "random")
    ]
    cells = found.set_index(["metric", "map"])
    shown = cells["published_value"].dropna()
    assert shown.to_dict() == ({("positive_auc", "raw"): 0.17, ("negative_auc", "raw"): 0.4} if why else {})
    assert set(cells["published_why"].dropna()) == ({why} if why else set())
    assert set(cells["published_checkpoint"].dropna()) == (
        {"other" if "another" in why else "same"} if why else set()
    )
    assert (
        set(found["protocol"]) == {protocol}
        and set(found["fill"]) == {"black"}
        and set(found["seeds"]) == {"0"}
    )


def made_table(folder, means, repo, seeds=(0,), images=200):
    """The table of images whose accuracies are drawn around known means: map -> (relevant first, irrelevant first)."""
    from plumbline.artefacts import write_json
    from plumbline.tables import network_diffusion

    inputs = {"image_models": [], "patch_faithfulness": []}
    for seed in seeds:
        draw = np.random.default_rng(seed)
        about = {"dataset": "imagenet", "model": "vim", "seed": seed, "method": None}
        facts = {
            "architecture": "vim",
            "source": "hub",
            "repo": repo,
            "epochs": 0,
            "dataset": "imagenet",
            "model": "vim",
        }
        (folder / str(seed)).mkdir()
        write_json(folder / str(seed) / "metrics.json", facts | {"seed": seed})
        shared, rows = draw.normal(0, 0.2, images), []
        for name, (positive, negative) in means.items():
            for image in range(images):
                noise = shared[image] + draw.normal(0, 0.02, 2)
                cells = {"id": image, "map": name, "protocol": "chefer", "fill": "black", "tied": 0.25}
                for kind, value in (("positive", positive + noise[0]), ("negative", negative + noise[1])):
                    curves = {f"{kind}_correct": [1.0] * 9, f"{kind}_probability": [1.0] * 9}
                    cells |= curves | {f"{kind}_auc": value, f"{kind}_probability_auc": value}
                rows.append(cells)
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        write_rows(folder / str(seed) / "maps.parquet", columns, kind="patch_faithfulness")
        inputs["image_models"].append(about | {"path": folder / str(seed) / "metrics.json"})
        inputs["patch_faithfulness"].append(about | {"path": folder / str(seed) / "maps.parquet"})
    options = {"scale": "paper", "command": "x", "bootstrap": {"resamples": 200, "level": 0.95}}
    frame = network_diffusion.rows(inputs, options)
    return (
        frame.set_index(["map", "metric"]),
        network_diffusion.summary(frame),
        network_diffusion.latex(frame, options),
    )


MEANS = {
    "raw": (0.66, 0.50),
    "raw_published": (0.40, 0.60),
    "rollout": (0.50, 0.60),
    "rollout_normalised": (0.40, 0.70),
    "rollout_diffused": (0.45, 0.75),
    "attribution": (0.40, 0.70),
    "random": (0.50, 0.60),
}


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_verdicts_have_the_right_direction_and_three_answers(tmp_path, seeds):
    """Relevant first, lower is better; irrelevant first, higher is better: known means, images in common."""
    cells, said, _ = made_table(tmp_path, MEANS, "hustvl/Vim-tiny-midclstok", seeds)
    for name, wanted in {
        "raw": ("worse", "worse"),
        "rollout": ("not told apart", "not told apart"),
        "rollout_diffused": ("worse", "better"),
        "attribution": ("better", "better"),
    }.items():
        found = tuple(cells.loc[(name, metric), "verdict"] for metric in ("positive_auc", "negative_auc"))
        assert found == wanted, name
    assert cells.loc[("rollout_diffused", "positive_auc"), "against"] == "rollout_normalised"
    gap = cells.loc[("rollout_diffused", "positive_auc"), "difference"]
    assert gap == pytest.approx(0.05, abs=0.01)
    # Bold: all that are not told apart from the best, without the published twin that is as good.
    best = cells.xs("positive_auc", level="metric")["best"]
    assert set(best.index[best]) == {"rollout_normalised", "attribution"}
    assert cells.loc[("raw", "positive_auc"), "area"] == pytest.approx(
        0.8 * cells.loc[("raw", "positive_auc"), "mean"]
    )
    assert "diffusion of the rollout is worse (+0.0" in said and "first and better (+0.0" in said
    assert "Worse than random with the relevant ones first: Raw attention." in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("repo", "checkpoint"), [("hustvl/Vim-tiny-midclstok", "same"), ("hustvl/Vim-small-midclstok", "other")]
)
def test_published_numbers_say_of_which_checkpoint_they_are(tmp_path, repo, checkpoint):
    """Vim-tiny's numbers beside Vim-small are another checkpoint's; beside both they are of unknown settings."""
    cells, _, latex = made_table(tmp_path, MEANS, repo)
    row = cells.loc[("raw_published", "positive_auc")]
    assert row["published_value"] == pytest.approx(0.1727) and row["published_checkpoint"] == checkpoint
    assert row["published_verdict"] == "not comparable" and "settings are not known" in row["published_why"]
    assert ("another checkpoint" in row["published_why"]) == (checkpoint == "other")
    assert ("another checkpoint than this model" in latex) == (checkpoint == "other")
    assert cells["published_value"].isna().sum() == len(cells) - 2


@pytest.mark.slow
def test_an_interval_that_misses_zero_is_no_verdict_before_holm(tmp_path):
    """Maps that are all alike: of many comparisons some interval misses zero by chance, and nothing is said of it."""
    chance = 0
    for number in range(3):
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        cells, _, _ = made_table(
            folder, dict.fromkeys(MEANS, (0.5, 0.6)), "hustvl/Vim-tiny-midclstok", (number,)
        )
        compared = cells.dropna(subset="difference")
        told = compared["verdict"] != "not told apart"
        assert (told == (compared["adjusted_p"] <= 0.05)).all()
        outside = (compared["difference_lower"] > 0) | (compared["difference_upper"] < 0)
        chance += int((outside & ~told).sum())
    assert chance > 0
