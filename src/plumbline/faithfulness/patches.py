"""Perturbation of images patch by patch, and how well maps meet the ink (specs: thesis, section 2; Chefer et al. 2021).

positive: the most relevant patches go first, and a faithful map's accuracy falls soon; negative: the least relevant go
first, and it stays. 0, 10, ..., 90% of the patches are replaced by `fill`: the mean of the training images (0 after
normalisation, as published) or black. AUC: area under the curve by the trapezoidal rule over the range, in [0, 1].
"""

import numpy as np

from ..artefacts import read_rows, write_rows
from ..attribution.image_maps import maps_of
from ..datasets.images import arrays

SHARES = tuple(step / 10 for step in range(10))
KINDS = {"positive": -1, "negative": 1}  # sign by which patches are sorted
FILLS = ("mean", "black")
INK = 0.2  # a patch counts as ink where its mean intensity is above this share of white
BATCH = 128


def orders(scores):
    """Kind -> patches in the order in which they go; ties: the lower number first."""
    return {kind: np.argsort(sign * scores, kind="stable") for kind, sign in KINDS.items()}


def masks(order):
    """bool (shares, patches): what is gone at each share."""
    gone = np.zeros((len(SHARES), len(order)), dtype=bool)
    for row, share in enumerate(SHARES):
        gone[row, order[: round(share * len(order))]] = True
    return gone


def auc(values):
    """Area under values (points,) at equal distances, over the range: their mean, the ends counting half."""
    values = np.asarray(values, dtype=np.float64)
    return float((values.sum() - (values[0] + values[-1]) / 2) / (len(values) - 1))


def filled(images, gone, grid, value):
    """Prepared images (rows, channels, size, size) with the patches `gone`, bool (rows, grid^2), set to value (channels,)."""
    import torch

    size = images.shape[-1] // grid
    mask = torch.from_numpy(gone).view(-1, 1, grid, grid).to(images.device)
    mask = mask.repeat_interleave(size, 2).repeat_interleave(size, 3)
    return torch.where(mask, value[:, None, None].to(images), images)


def fill_value(fill, facts):
    """The colour of a fill after normalisation, (channels,)."""
    import torch

    mean, std = torch.tensor(facts["mean"]), torch.tensor(facts["std"])
    return torch.zeros_like(mean) if fill == "mean" else -mean / std


def ink_of(images, grid):
    """Mean intensity of each patch, in [0, 1], of prepared-size images (rows, size, size): (rows, grid^2)."""
    size = images.shape[-1] // grid
    return images.reshape(len(images), grid, size, grid, size).mean((2, 4)).reshape(len(images), -1)


def ink_metrics(scores, ink):
    """How scores (patches,) meet the ink, bool (patches,): average precision, share of the positive score on it, whether
    the highest score is on it. None each where all or no patches are ink."""
    from sklearn.metrics import average_precision_score

    if ink.all() or not ink.any():
        return dict.fromkeys(("ink_precision", "ink_mass", "ink_pointing"))
    positive = np.clip(scores - min(0.0, scores.min()), 0, None).astype(np.float64)
    total = positive.sum()
    return {
        "ink_precision": float(average_precision_score(ink, scores)),
        "ink_mass": float(positive[ink].sum() / total) if total > 0 else float(ink.mean()),
        "ink_pointing": float(ink[np.argmax(scores)]),
    }


def write_patch_faithfulness(*, model, maps, data, output, images, fills, ink, device="cpu", threads=1):
    """Write results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/maps.parquet, a row an image, map and fill.

    model  a folder that the image_model stage wrote; maps: its maps.parquet; data: Parquet file of the split.
    images the first ones are perturbed; fills: of FILLS; ink: whether bright pixels are what is to be seen.

    All inputs of an image go through the model together, equal ones once.
    """
    from ..models.image_models import load, prepared
    from ..models.runtime import prepare

    device = prepare(device, threads)
    network, facts = load(model, device)
    explained = read_rows(maps).head(images)
    pictures, _ = arrays(read_rows(data).head(len(explained)))
    names = [name for name in maps_of(facts["architecture"]) if f"scores_{name}" in explained]
    ready = prepared(pictures, facts)
    bright = None
    if ink:
        mean, std = facts["mean"][0], facts["std"][0]
        bright = ink_of((ready[:, 0] * std + mean).numpy(), network.grid) > INK
    columns = {}
    for row, picture in zip(explained.itertuples(), ready.to(device), strict=True):
        ranked = {name: orders(getattr(row, f"scores_{name}")) for name in names}
        wanted = {
            (name, kind): masks(order) for name, kinds in ranked.items() for kind, order in kinds.items()
        }
        place = explained.index.get_loc(row.Index)
        inked = {name: {} for name in names}
        if ink:
            inked = {name: ink_metrics(getattr(row, f"scores_{name}"), bright[place]) for name in names}
            inked = {
                name: found | {"ink_share": float(bright[place].mean())} for name, found in inked.items()
            }
        for fill in fills:
            answers = _answers(network, picture, wanted, fill_value(fill, facts))
            for name in names:
                cells = {"id": row.id, "map": name, "fill": fill, **inked[name]}
                for kind in KINDS:
                    logits = answers[name, kind]
                    right = (logits.argmax(1) == row.label).astype(np.int8)
                    shifted = np.exp(logits - logits.max(1, keepdims=True))
                    probability = shifted[:, row.target] / shifted.sum(1)
                    cells |= {f"{kind}_correct": right, f"{kind}_probability": probability}
                    cells |= {f"{kind}_auc": auc(right), f"{kind}_probability_auc": auc(probability)}
                for key, value in cells.items():
                    columns.setdefault(key, []).append(value)
    write_rows(output, columns, kind="patch_faithfulness")


def _answers(network, picture, wanted, value):
    """key -> logits (shares, classes) for key -> masks (shares, patches); every distinct mask goes through once."""
    import torch

    from ..models.runtime import fitting, in_memory

    stacked = np.concatenate(list(wanted.values()))
    distinct, places = np.unique(stacked, axis=0, return_inverse=True)

    def computed():
        found, size = [], fitting(BATCH)
        with torch.inference_mode():
            for start in range(0, len(distinct), size):
                gone = distinct[start : start + size]
                inputs = picture.expand(len(gone), -1, -1, -1)
                found.append(network(filled(inputs, gone, network.grid, value)).float().cpu().numpy())
        return np.concatenate(found)

    found = in_memory(computed, "perturbed patches")[places.reshape(-1)]
    return dict(zip(wanted, found.reshape(len(wanted), len(SHARES), -1), strict=True))
