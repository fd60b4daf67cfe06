"""Perturbation of patches: what a plain loop gives, fills, ties, areas, ink."""

import itertools

import numpy as np
import pytest
import torch

from plumbline.artefacts import read_rows
from plumbline.datasets.images import arrays
from plumbline.faithfulness import patches
from plumbline.models.image_models import prepared
from tests.small_images import bilinear


@pytest.mark.slow
def test_perturbation_is_what_a_plain_loop_gives(trained_vim):
    """One image and map: patches set to black in pixel space, one forward pass a share."""
    from plumbline.models.image_models import load as load_model

    model, facts = load_model(trained_vim / "a")
    maps = read_rows(trained_vim / "a" / "maps.parquet").iloc[2]
    found = read_rows(trained_vim / "a" / "patches.parquet")
    row = found[(found["id"] == 2) & (found["map"] == "rollout") & (found["fill"] == "black")]
    row = row[row["protocol"] == "patches"].iloc[0]
    assert row["tied"] == 0 and min(maps["scores_rollout"]) < 0  # signed scores are in one order alone
    pictures, labels = arrays(read_rows(trained_vim / "test.parquet"))
    ready = prepared(pictures[2:3], facts) * facts["std"][0] + facts["mean"][0]
    order = sorted(range(16), key=lambda patch: -maps["scores_rollout"][patch])
    for point, share in enumerate(np.arange(10) / 10):
        pixels = ready.clone()
        for patch in order[: round(share * 16)]:
            top, left = 4 * (patch // 4), 4 * (patch % 4)
            pixels[0, 0, top : top + 4, left : left + 4] = 0
        with torch.no_grad():
            answer = model((pixels - facts["mean"][0]) / facts["std"][0]).softmax(-1)[0]
        assert row["positive_correct"][point] == (int(answer.argmax()) == labels[2])
        assert row["positive_probability"][point] == pytest.approx(answer[maps["target"]].item(), abs=1e-5)
    assert row["positive_auc"] == pytest.approx(np.trapezoid(row["positive_correct"], dx=1 / 9))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rollout", "gradient_x_input", "random"])
def test_chefers_protocol_is_what_a_plain_loop_gives(trained_vim, name):
    """Pixels of the enlarged map are 0 before normalisation, at shares .1 to .9; wherever no tie is cut."""
    from plumbline.models.image_models import load as load_model

    model, facts = load_model(trained_vim / "a")
    maps = read_rows(trained_vim / "a" / "maps.parquet").iloc[2]
    found = read_rows(trained_vim / "a" / "patches.parquet")
    row = found[(found["id"] == 2) & (found["map"] == name) & (found["protocol"] == "chefer")].iloc[0]
    assert row["fill"] == "black" and len(row["positive_correct"]) == 9
    pictures, labels = arrays(read_rows(trained_vim / "test.parquet"))
    pixels = prepared(pictures[2:3], facts) * facts["std"][0] + facts["mean"][0]
    enlarged = bilinear(maps[f"scores_{name}"], 16).ravel()
    np.testing.assert_allclose(patches.enlarged(maps[f"scores_{name}"], 16), enlarged, rtol=1e-5, atol=1e-7)
    compared = 0
    for kind, sign in (("positive", -1), ("negative", 1)):
        order = np.argsort(sign * enlarged, kind="stable")
        for point in range(9):
            count = int(256 * (point + 1) / 10)
            if np.isclose(enlarged[order[count - 1]], enlarged[order[count]], rtol=1e-4):
                continue
            black = pixels.clone()
            black.view(-1)[torch.from_numpy(order[:count].copy())] = 0
            with torch.no_grad():
                answer = model((black - facts["mean"][0]) / facts["std"][0]).softmax(-1)[0]
            assert row[f"{kind}_correct"][point] == (int(answer.argmax()) == labels[2])
            assert row[f"{kind}_probability"][point] == pytest.approx(answer[maps["target"]].item(), abs=1e-5)
            compared += 1
        # Over its range: .1 to .9.
        area = np.trapezoid(row[f"{kind}_correct"], dx=0.1)
        assert row[f"{kind}_auc"] == pytest.approx(area / 0.8)
    assert compared >= 9


def test_ties_have_no_silent_order():
    """Of equal scores every patch goes first equally often, whatever the direction; before, patch 0 went first in both."""
    found = {kind: [] for kind in patches.KINDS}
    for seed in range(400):
        for kind, order in patches.orders(np.zeros(8), seed=seed).items():
            found[kind].append(order[0, 0])
    for firsts in found.values():
        assert np.bincount(firsts, minlength=8).min() > 25  # 50 on average
    again = patches.orders(np.zeros(8), seed=3, draws=3)
    assert again["positive"].shape == (3, 8) and len({tuple(order) for order in again["positive"]}) == 3
    np.testing.assert_array_equal(again["positive"], patches.orders(np.zeros(8), seed=3, draws=3)["positive"])


def test_auc_and_masks():
    assert patches.auc([1, 1, 1]) == 1 and patches.auc([1, 0]) == 0.5
    order = patches.orders(np.array([0.1, 0.8, 0.7, 0.2]), seed=0)
    assert order["positive"].tolist() == [[1, 2, 3, 0]] and order["negative"].tolist() == [[0, 3, 2, 1]]
    gone = patches.masks(order["positive"][0])
    assert gone.shape == (10, 4) and not gone[0].any() and list(gone[5]) == [False, True, True, False]
    gone = patches.masks(np.arange(784), "chefer")
    assert gone.sum(1).tolist() == [78, 156, 235, 313, 392, 470, 548, 627, 705]
    assert patches.shares("chefer") == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def test_fills_by_hand():
    """Mean: 0 after normalisation; black: 0 before it, channel by channel; what is gone takes the fill, the rest stays."""
    facts = {"mean": [0.1, 0.5, 0.9], "std": [0.2, 0.25, 0.3]}
    black = patches.fill_value("black", facts)
    assert patches.fill_value("mean", facts).tolist() == [0, 0, 0]
    assert (black * torch.tensor(facts["std"]) + torch.tensor(facts["mean"])).abs().max() < 1e-6
    images, gone = torch.rand(2, 3, 8, 8) + 1, np.zeros((2, 16), dtype=bool)
    gone[0, 6] = gone[1, [0, 15]] = True
    found = patches.filled(images, gone, black)
    wanted = images.clone()
    wanted[0, :, 2:4, 4:6] = wanted[1, :, :2, :2] = wanted[1, :, 6:, 6:] = black[:, None, None]
    assert torch.equal(found, wanted)


def test_orders_of_ties_by_hand():
    """Several where patches are tied, one of a control; drawn by the image and the protocol, the least relevant last to first."""
    assert patches.auc([1, 0, 0]) == 0.25
    draws = patches._draws
    assert [draws("rollout_published", 0.5), draws("rollout_published", 0.0), draws("random", 0.5)] == [
        3,
        1,
        1,
    ]
    scores = np.array([0.5] * 8 + [0.1] * 8)
    gone = [patches._gone(scores, "patches", 16, image, 3) for image in (0, 1)]
    assert gone[0].shape == (2, 3, 10, 16)
    for kind, draw in itertools.product((0, 1), range(3)):
        first, half = gone[0][kind, draw, 1], gone[0][kind, draw, 5]
        assert half.tolist() == [kind == 0] * 8 + [kind == 1] * 8 and first.sum() == 2
        # From the other end, the order is the same one.
        assert (gone[0][0, draw, 5] ^ gone[0][1, draw, 5]).all()
    orders = {tuple(gone[image][0, draw, 1]) for image in (0, 1) for draw in range(3)}
    assert len(orders) > 3
    assert not np.array_equal(gone[0][0], gone[1][0])


def test_ink_metrics():
    ink = np.array([True, True, False, False])
    perfect = patches.ink_metrics(np.array([0.9, 0.8, 0.0, 0.0]), ink)
    assert perfect == {"ink_precision": 1.0, "ink_mass": 1.0, "ink_pointing": 1.0}
    wrong = patches.ink_metrics(np.array([0.0, 0.0, 1.0, 1.0]), ink)
    assert wrong["ink_mass"] == wrong["ink_pointing"] == 0 and wrong["ink_precision"] == pytest.approx(0.5)
    assert patches.ink_metrics(np.zeros(4), ink)["ink_mass"] == 0.5
    assert patches.ink_metrics(np.ones(4), np.ones(4, dtype=bool))["ink_precision"] is None
    signed = patches.ink_metrics(np.array([-1.0, 1.0, -1.0, -1.0]), ink)
    assert signed["ink_mass"] == 1.0


@pytest.mark.slow
def test_ink_of_the_file_is_of_the_bright_patches(trained_vim):
    """A patch is ink where its pixels are above a fifth of white on average, in the pixels of the file itself."""
    from plumbline.models.image_models import load as load_model

    _, facts = load_model(trained_vim / "a")
    maps = read_rows(trained_vim / "a" / "maps.parquet")
    found = read_rows(trained_vim / "a" / "patches.parquet")
    pictures, _ = arrays(read_rows(trained_vim / "test.parquet"))
    pixels = (prepared(pictures[:18], facts) * facts["std"][0] + facts["mean"][0])[:, 0].numpy()
    compared = set()
    for row in found.drop_duplicates(["id", "map"]).itertuples():
        means = (
            pixels[row.id].reshape(4, 4, 4, 4).mean((1, 3)).ravel()
        )  # patch row, pixel row, patch column, pixel column
        if np.abs(means - 0.2).min() < 1e-4:
            continue  # a fifth up to rounding
        light = means > 0.2
        assert 0 < light.sum() < 16
        compared.add(row.id)
        scores = np.asarray(maps[f"scores_{row.map}"][row.id])
        assert row.ink_share == pytest.approx(light.mean())
        assert row.ink_pointing == pytest.approx(light[scores == scores.max()].mean())
    assert len(compared) >= 9
