"""Perturbation of images by their maps, and how well maps agree with the ink (Chefer et al. 2021).

positive: the most relevant are removed first, and a faithful map's accuracy falls early. negative: the least relevant are
removed first, and a faithful map's accuracy stays. There are two protocols (`PROTOCOLS`):

    patches  0, 10, ..., 90% of the patches are replaced by a fill: the mean of the training images (0 after normalisation) or
             black (0 before it).
    chefer   10, ..., 90% of the pixels, by the map enlarged to the image (bilinear), are set to 0 before normalisation. The
             public evaluation of Chefer, Gur & Wolf 2021 (arXiv 2012.09838) does this, and such tables follow it.

Scores are ranked with their sign. Tied patches are removed in a random order, seeded by the image. Numbers are means over
`DRAWS` such orders (`plumbline.faithfulness.ranking`). AUC: area under the curve by the trapezoidal rule, divided by the range
of the shares, in [0, 1].
"""

import numpy as np

from ..artefacts import open_rows, rows_writer, stream_tables
from ..attribution.image_maps import BLOCK, MAPS, maps_of
from ..datasets.images import stream_images
from ..seeds import seed_of
from .ranking import ranked, tied_share

# Protocol -> tenths that are gone.
PROTOCOLS = {"patches": tuple(range(10)), "chefer": tuple(range(1, 10))}
KINDS = ("positive", "negative")
FILLS = ("mean", "black")
DRAWS = 3  # orders of tied patches; of a control one, as its patches have no right order at all
INK = 0.2  # a patch counts as ink where its mean intensity is above this share of white
BATCH_VALUES = 2**21  # pixels and channels of the images of one pass


def shares(protocol):
    """List the shares of patches or pixels that are gone at a protocol's points.

    Parameters
    ----------
    protocol : str
        A key of `PROTOCOLS`.

    Returns
    -------
    tuple of float
    """
    return tuple(tenth / 10 for tenth in PROTOCOLS[protocol])


def orders(scores, *, seed, draws=1):
    """Put candidates in the orders in which they go.

    Parameters
    ----------
    scores : array_like of float, shape (candidates,)
        Higher is more relevant.
    seed : int
        Of the order of ties, see `ranking.ranked`.
    draws : int
        The number of orders.

    Returns
    -------
    dict of str to numpy.ndarray, int64, shape (draws, candidates)
        Kind, 'positive' or 'negative' -> candidates.
    """
    found = ranked(scores, seed=seed, draws=draws)
    return {"positive": found, "negative": found[:, ::-1]}


def masks(order, protocol="patches"):
    """Say which candidates are gone at each point of a protocol.

    patches: the nearest whole number of them. chefer: the whole pixels below the share, as in the public evaluation.

    Parameters
    ----------
    order : numpy.ndarray, int64, shape (candidates,)
        One order.
    protocol : str
        A key of `PROTOCOLS`.

    Returns
    -------
    numpy.ndarray of bool, shape (points, candidates)
    """
    gone = np.zeros((len(PROTOCOLS[protocol]), len(order)), dtype=bool)
    for row, tenth in enumerate(PROTOCOLS[protocol]):
        count = round(tenth * len(order) / 10) if protocol == "patches" else tenth * len(order) // 10
        gone[row, order[:count]] = True
    return gone


def enlarged(scores, size):
    """Enlarge a map to pixels, bilinear, with the corners of patches and pixels aligned.

    Parameters
    ----------
    scores : array_like of float, shape (patches,)
        The map of a square grid of patches, row by row.
    size : int
        The side of the image in pixels.

    Returns
    -------
    numpy.ndarray, float32, shape (size * size,)
    """
    import torch

    grid = round(len(scores) ** 0.5)
    small = torch.tensor(np.asarray(scores), dtype=torch.float32).view(1, 1, grid, grid)
    large = torch.nn.functional.interpolate(small, size=(size, size), mode="bilinear", align_corners=False)
    return large.flatten().numpy()


def auc(values):
    """Compute the area under values at equal distances, divided by the range: their mean, the ends counting half.

    Parameters
    ----------
    values : array_like of float, shape (points,)
        At least two.

    Returns
    -------
    float
    """
    values = np.asarray(values, dtype=np.float64)
    return float((values.sum() - (values[0] + values[-1]) / 2) / (len(values) - 1))


def filled(images, gone, value):
    """Set cells of prepared images to a colour.

    Parameters
    ----------
    images : torch.Tensor of float, shape (rows, channels, size, size)
        Prepared images.
    gone : numpy.ndarray of bool, shape (rows, cells)
        The cells that are set, patches or pixels, row by row. Their number is a square.
    value : torch.Tensor of float, shape (channels,)
        The colour after normalisation.

    Returns
    -------
    torch.Tensor of float, shape (rows, channels, size, size)
    """
    import torch

    grid = round(gone.shape[1] ** 0.5)
    size = images.shape[-1] // grid
    mask = torch.from_numpy(gone).view(-1, 1, grid, grid).to(images.device)
    mask = mask.repeat_interleave(size, 2).repeat_interleave(size, 3)
    return torch.where(mask, value[:, None, None].to(images), images)


def fill_value(fill, facts):
    """Compute the colour of a fill after normalisation.

    Parameters
    ----------
    fill : str
        One of `FILLS`.
    facts : mapping
        mean and std of the model's config.json, one a channel.

    Returns
    -------
    torch.Tensor of float, shape (channels,)
    """
    import torch

    mean, std = torch.tensor(facts["mean"]), torch.tensor(facts["std"])
    return torch.zeros_like(mean) if fill == "mean" else -mean / std


def ink_of(images, grid):
    """Compute the mean intensity of each patch.

    Parameters
    ----------
    images : numpy.ndarray of float, shape (rows, size, size)
        Images of prepared size, in [0, 1].
    grid : int
        Patches along a side.

    Returns
    -------
    numpy.ndarray of float, shape (rows, grid^2)
        In [0, 1].
    """
    size = images.shape[-1] // grid
    return images.reshape(len(images), grid, size, grid, size).mean((2, 4)).reshape(len(images), -1)


def ink_metrics(scores, ink):
    """Measure how well scores agree with the ink.

    Parameters
    ----------
    scores : numpy.ndarray of float, shape (patches,)
        The map.
    ink : numpy.ndarray of bool, shape (patches,)
        Which patches are ink.

    Returns
    -------
    dict of str to float or None
        ink_precision: average precision. ink_mass: share of the positive score on the ink. ink_pointing: whether the highest
        score is on it (of several, the share that is). None each where all or no patches are ink.
    """
    from sklearn.metrics import average_precision_score

    if ink.all() or not ink.any():
        return dict.fromkeys(("ink_precision", "ink_mass", "ink_pointing"))
    positive = np.clip(scores - min(0.0, scores.min()), 0, None).astype(np.float64)
    total = positive.sum()
    return {
        "ink_precision": float(average_precision_score(ink, scores)),
        "ink_mass": float(positive[ink].sum() / total) if total > 0 else float(ink.mean()),
        "ink_pointing": float(ink[scores == scores.max()].mean()),
    }


def write_patch_faithfulness(
    *,
    model,
    maps,
    data,
    output,
    images,
    fills,
    ink,
    protocols=tuple(PROTOCOLS),
    shard=None,
    device="cpu",
    threads=1,
):
    """Write results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/maps.parquet: a row an image, map, protocol and fill.

    One block of images is in memory at a time. One image's inputs go through the model together, equal ones once.

    Parameters
    ----------
    model : path
        A folder that the image_model stage wrote.
    maps : path
        The file that the maps stage wrote.
    data : path
        Parquet file of the split.
    output : path
        The file to write.
    images : int
        How many images are perturbed, the first ones.
    fills : sequence of str
        Of `FILLS`, for protocol patches.
    ink : bool
        Whether bright pixels are what is to be seen.
    protocols : sequence of str
        Of `PROTOCOLS`.
    shard : tuple of int, optional
        (number of the shard, number of shards): the images of that shard alone.
    device, threads
        See `plumbline.models.runtime.prepare`.

    Raises
    ------
    PlumblineError
        For more shards than blocks.
    """
    from ..models.image_models import load
    from ..models.runtime import prepare
    from ..models.tokenisation import block_range

    device = prepare(device, threads)
    network, facts = load(model, device)
    rows = min(images, open_rows(maps).metadata.num_rows)
    first, last = block_range(rows, shard, maps, BLOCK)
    blocks = zip(
        stream_tables(maps, BLOCK, start=first, stop=last),
        stream_images(data, BLOCK, start=first, stop=last),
        strict=True,
    )
    wanted = [("patches", fill) for fill in fills if "patches" in protocols]
    wanted += [("chefer", "black")] if "chefer" in protocols else []
    with rows_writer(output, kind="patch_faithfulness") as write:
        for explained, (pictures, _) in blocks:
            columns = {}
            for cells in _measured(network, facts, explained.to_pandas(), pictures, wanted, ink):
                for key, value in cells.items():
                    columns.setdefault(key, []).append(value)
            write(columns)


def _measured(network, facts, explained, pictures, wanted, ink):
    """The rows of a block of images."""
    from scipy.special import softmax

    from ..models.image_models import prepared

    names = [name for name in maps_of(facts["architecture"]) if f"scores_{name}" in explained]
    ready = prepared(pictures, facts)
    mean, std = facts["mean"][0], facts["std"][0]
    bright = ink_of((ready[:, 0] * std + mean).numpy(), network.grid) > INK
    for row, picture, light in zip(explained.itertuples(), ready, bright, strict=True):
        scores = {name: np.asarray(getattr(row, f"scores_{name}")) for name in names}
        tied = {name: tied_share(values) for name, values in scores.items()}
        inked = {name: {} for name in names}
        if ink:
            share = float(light.mean())
            inked = {name: {"ink_share": share, **ink_metrics(scores[name], light)} for name in names}
        for protocol, fill in wanted:
            gone = {
                name: _gone(scores[name], protocol, picture.shape[-1], row.id, _draws(name, tied[name]))
                for name in names
            }
            answers = _answers(network, picture, gone, fill_value(fill, facts))
            for name in names:
                cells = {
                    "id": row.id,
                    "map": name,
                    "protocol": protocol,
                    "fill": fill,
                    "tied": tied[name],
                    **inked[name],
                }
                for kind, logits in zip(KINDS, answers[name], strict=True):
                    right = (logits.argmax(-1) == row.label).mean(0)
                    probability = softmax(logits, axis=-1)[..., row.target].mean(0)
                    cells |= {f"{kind}_correct": right, f"{kind}_probability": probability}
                    cells |= {f"{kind}_auc": auc(right), f"{kind}_probability_auc": auc(probability)}
                yield cells


def _draws(name, tied):
    return DRAWS if tied and not MAPS[name].control else 1


def _gone(scores, protocol, size, image, draws):
    """bool (kinds, draws, points, cells): what is gone of one image by one map.

    At the image's edge all enlarged maps have equal pixels, within one patch: patches alone decide how many orders are drawn.
    """
    ranks = enlarged(scores, size) if protocol == "chefer" else scores
    found = orders(ranks, seed=seed_of("ties", protocol, image), draws=draws)
    return np.stack([[masks(order, protocol) for order in found[kind]] for kind in KINDS])


def _answers(network, picture, gone, value):
    """key -> logits (..., classes) for key -> bool (..., cells); every distinct input goes through the network once."""
    import torch

    from ..models.runtime import fitting, in_memory

    places, distinct = {}, []
    for key, stack in gone.items():
        rows = stack.reshape(-1, stack.shape[-1])
        keys = [row.tobytes() for row in np.packbits(rows, axis=1)]
        for packed, row in zip(keys, rows, strict=True):
            if packed not in places:
                places[packed] = len(distinct)
                distinct.append(row)
        gone[key] = np.array([places[packed] for packed in keys]).reshape(stack.shape[:-1])
    distinct = np.stack(distinct)
    picture = picture.to(next(network.parameters()).device)

    def computed():
        found, size = [], fitting(max(1, min(128, BATCH_VALUES // picture.numel())))
        with torch.inference_mode():
            for start in range(0, len(distinct), size):
                part = distinct[start : start + size]
                inputs = picture.expand(len(part), -1, -1, -1)
                found.append(network(filled(inputs, part, value)).float().cpu().numpy())
        return np.concatenate(found)

    logits = in_memory(computed, "perturbed images")
    return {key: logits[numbers] for key, numbers in gone.items()}
