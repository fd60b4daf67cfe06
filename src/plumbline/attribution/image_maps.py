"""The maps stage's file: every map of one image model, one score a patch, signed.

One forward and backward pass of an image gives what all of its maps need, so they are one job. `MAPS` says what there is;
no torch is imported for it.
"""

from dataclasses import dataclass

from ..registry import Look, Method, Readout
from ..seeds import seed_of

# Images of a block: batches never cross one, so that sharding by whole blocks changes no byte.
BLOCK = 8
RECONSTRUCTION = "reconstruction: the thesis's diffusion was never released"


@dataclass(frozen=True, kw_only=True)
class Map(Readout):
    """A readout of an image's patches.

    Attributes
    ----------
    architectures : tuple of str
        Those that have it.
    diffused : bool
        Whether it goes through network diffusion, a reconstruction.
    post_hoc : bool
        Whether it is not from attention at all.
    """

    architectures: tuple[str, ...] = ("vim", "vit")
    diffused: bool = False
    post_hoc: bool = False

    @property
    def readout(self):
        """Whether it can be the best of a table, bool: no control, and no published twin of a map."""
        return not self.control and not self.published


def _map(name, label, color, marker="o", dash="solid", **more):
    return Map(id=name, label=label, look=Look(color, marker, dash), **more)


# Colour: what a map comes from. Dash: normalised, diffused, as published.
_RAW, _ROLLOUT, _ATTRIBUTION, _GRADIENT, _GREY = "#029e73", "#0173b2", "#cc78bc", "#d55e00", "#949494"
_NORMALISED, _PUBLISHED = {"dash": "dashdotted"}, {"dash": "dotted", "published": True}
_DIFFUSED = {"marker": "D", "diffused": True}
_VIM = {"architectures": ("vim",)}
_CURVES, _BANDS, _NOWHERE = {"shown": ("curves",)}, {"shown": ("curves", "bands")}, {"shown": ()}
_BOTH, _ALL = {"shown": ("curves", "examples")}, {"shown": ("curves", "bands", "examples")}
ENTRY = Method(
    id="image_maps",
    label="Maps of attention, rolled out and diffused",
    family="attention",
    models="patch models",
    order=102,
    citation="Abnar & Zuidema 2020, arXiv 2005.00928; Chefer et al. 2021, arXiv 2012.09838; Ali et al. 2024, arXiv 2403.01590",
    readouts=(
        _map("raw", "Raw attention", _RAW, **_BOTH),
        _map("raw_published", "Raw attention, as published", _RAW, **_PUBLISHED, **_VIM),
        _map("rollout", "Rollout", _ROLLOUT, **_BOTH),
        _map("rollout_published", "Rollout, as published", _ROLLOUT, **_PUBLISHED, **_VIM, **_CURVES),
        _map("attribution", "Attribution", _ATTRIBUTION, **_BOTH),
        _map("attribution_published", "Attribution, as published", _ATTRIBUTION, **_PUBLISHED),
        _map("rollout_normalised", "Rollout, normalised alone", _ROLLOUT, **_NORMALISED, **_CURVES),
        _map(
            "rollout_normalised_published",
            "Rollout, normalised alone, as published",
            _ROLLOUT,
            **_PUBLISHED,
            **_VIM,
        ),
        _map(
            "attribution_normalised", "Attribution, normalised alone", _ATTRIBUTION, **_NORMALISED, **_NOWHERE
        ),
        _map("rollout_diffused", "Rollout, diffused", _ROLLOUT, dash="dashed", **_DIFFUSED, **_ALL),
        _map(
            "rollout_diffused_published",
            "Rollout, diffused, as published",
            _ROLLOUT,
            **_DIFFUSED,
            **_PUBLISHED,
            **_VIM,
        ),
        _map(
            "attribution_diffused",
            "Attribution, diffused",
            _ATTRIBUTION,
            dash="dashed",
            **_DIFFUSED,
            **_CURVES,
        ),
        _map("rollout_pagerank", "Rollout, PageRank", _ROLLOUT, dash="dashed", **_DIFFUSED, **_NOWHERE),
        _map("rollout_heat", "Rollout, heat kernel", _ROLLOUT, dash="dashed", **_DIFFUSED, **_NOWHERE),
        _map(
            "rollout_enhanced",
            "Rollout, full Network Enhancement",
            _ROLLOUT,
            dash="dashed",
            **_DIFFUSED,
            **_NOWHERE,
        ),
        _map("gradient_x_input", "|Gradient × input|", _GRADIENT, post_hoc=True, **_CURVES),
        _map(
            "gradient_x_input_signed",
            "Gradient × input, signed",
            _GRADIENT,
            post_hoc=True,
            signed=True,
            **_NOWHERE,
        ),
        _map("random", "Random", _GREY, dash="dashed", control=True, stochastic=True, **_BANDS),
        _map("centre", "Nearness to the centre", _GREY, dash="dotted", control=True, **_CURVES),
    ),
)
MAPS = ENTRY.by_id


def maps_of(architecture):
    """List the maps of an architecture, in order.

    Parameters
    ----------
    architecture : {'vim', 'vit'}
        Of the model.

    Returns
    -------
    list of str
        Ids.
    """
    return [name for name, entry in MAPS.items() if architecture in entry.architectures]


def first_layer(architecture, depth):
    """Choose the layer from which a rollout starts: of Vim, 15 of 24 as published, in proportion; of a transformer, 0.

    Parameters
    ----------
    architecture : {'vim', 'vit'}
        Of the model.
    depth : int
        Layers of the model.

    Returns
    -------
    int
    """
    return depth * 15 // 24 if architecture == "vim" else 0


def compute(model, images, *, start_layer, alpha, seeds):
    """Compute every map of prepared images.

    Parameters
    ----------
    model : models.vim.VisionMamba or models.vit.VisionTransformer
        The classifier.
    images : torch.Tensor, float32, shape (batch, channels, size, size)
        Prepared images.
    start_layer : int
        The first layer of a rollout.
    alpha : float
        See `plumbline.attribution.diffusion`.
    seeds : sequence of int
        Of the random control, one an image.

    Returns
    -------
    facts : dict of str to torch.Tensor, shape (batch,)
        target: the predicted class. probability: its probability.
    maps : dict of str to torch.Tensor, float32, shape (batch, patches)
        Id -> scores, row by row.
    spectra : dict of str to torch.Tensor, shape (batch, layers, tokens)
        Name -> singular values of each layer's matrix, before and diffused.
    """
    import numpy as np
    import torch

    from . import diffusion

    images = images.clone().requires_grad_()
    trace = []
    logits = model(images, trace)
    probability, target = logits.softmax(-1).max(-1)
    chosen = logits.gather(1, target[:, None]).sum()
    vim = hasattr(trace[0], "residual")
    wanted = [layer.residual for layer in trace] if vim else [attention for _, attention in trace]
    to_images, *gradients = torch.autograd.grad(chosen, [images, *wanted])
    with torch.no_grad():
        settings = {"start_layer": start_layer, "class_position": model.class_position}
        of = _vim_maps if vim else _vit_maps
        matrices, found = of(trace, torch.stack(gradients), settings, alpha)
        found["gradient_x_input_signed"] = _patches((to_images * images).sum(1), model.grid)
        found["gradient_x_input"] = found["gradient_x_input_signed"].abs()
        found["random"] = torch.stack(
            [
                torch.from_numpy(np.random.default_rng(seed).random(model.grid**2, dtype=np.float32))
                for seed in seeds
            ]
        )
        found["centre"] = _centre(model.grid).expand(len(images), -1)
        spectra = diffusion.spectra(matrices.transpose(0, 1), alpha)
    facts = {"target": target, "probability": probability.detach()}
    return facts, {name: found[name] for name in MAPS if name in found}, spectra


def _diffused(matrices, weighted, settings, alpha):
    """The diffused maps, and rollout with the steps around the diffusion alone; weighted: attribution's matrices."""
    from . import diffusion
    from .mamba import rolled_map

    def rolled(stack, kind):
        return rolled_map(stack, **settings, transform=diffusion.diffusion(kind, alpha))

    return {
        "rollout_normalised": rolled(matrices, "identity"),
        "attribution_normalised": rolled(weighted, "identity"),
        "rollout_diffused": rolled(matrices, "network_enhancement"),
        "attribution_diffused": rolled(weighted, "network_enhancement"),
        "rollout_pagerank": rolled(matrices, "pagerank"),
        "rollout_heat": rolled(matrices, "heat"),
        "rollout_enhanced": rolled(matrices, "full_network_enhancement"),
    }


def _vim_maps(trace, gradients, settings, alpha):
    import torch

    from . import diffusion
    from .hidden_attention import hidden_matrices, hidden_rows
    from .mamba import mamba_maps, mamba_maps_full, rolled_map, weighted_by_gradient

    rows = hidden_rows(trace, settings["class_position"], published=True)
    matrices = hidden_matrices(trace)
    found = mamba_maps_full(matrices, gradients, **settings)
    found |= {
        f"{name}_published": values
        for name, values in mamba_maps(rows, gradients, published=True, **settings).items()
    }
    tokens = rows.shape[-1]
    # What the thesis's notebook shows: whole matrices, the identity already added, are diffused.
    broadcast = rows.mean(2)[:, :, None].expand(-1, -1, tokens, -1) + torch.eye(tokens, device=rows.device)
    for name, kind in (("normalised", "identity"), ("diffused", "network_enhancement")):
        transform = diffusion.diffusion(kind, alpha)
        found[f"rollout_{name}_published"] = rolled_map(
            broadcast, **settings, transform=transform, clamped=True
        )
    return matrices, found | _diffused(matrices, weighted_by_gradient(matrices, gradients), settings, alpha)


def _vit_maps(trace, gradients, settings, alpha):
    import torch

    attentions = torch.stack([attention for _, attention in trace])
    mean, weighted = attentions.mean(2), (gradients * attentions).clamp(min=0).mean(2)
    return mean, transformer_maps(mean, weighted, **settings) | _diffused(mean, weighted, settings, alpha)


def transformer_maps(mean, weighted, *, start_layer, class_position):
    """Compute raw, rollout and attribution of a Vision Transformer.

    raw: the class token's row, mean over layers. rollout: Abnar & Zuidema 2020. attribution: Chefer et al. 2021, arXiv
    2012.09838, without its relevance propagation. It is the class token's row of the product of the layers' I + weighted
    (equations 13 and 14), whose rows are not divided by their sums. attribution_published: without the first layer, as the
    evaluation behind the published numbers has it (start_layer 1), whatever start_layer is here.

    Parameters
    ----------
    mean : torch.Tensor of float, shape (layers, batch, tokens, tokens)
        Attention, mean over heads.
    weighted : torch.Tensor of float, shape (layers, batch, tokens, tokens)
        Mean over heads of (gradient of the explained logit * attention)^+.
    start_layer : int
        The first layer that counts.
    class_position : int
        The class token's index.

    Returns
    -------
    dict of str to torch.Tensor of float, shape (batch, tokens - 1)
        Id of a map -> scores of the patches.
    """
    from .mamba import rolled_map, row_map

    second = min(1, len(weighted) - 1)
    return {
        "raw": row_map(mean[start_layer:, :, class_position].mean(0), class_position),
        "rollout": rolled_map(mean, start_layer, class_position),
        "attribution": rolled_map(weighted, start_layer, class_position, divided=False),
        "attribution_published": rolled_map(weighted, second, class_position, divided=False),
    }


def _patches(pixels, grid):
    """Sums over patches of (batch, size, size): (batch, grid^2), row by row."""
    size = pixels.shape[-1] // grid
    return pixels.unfold(1, size, size).unfold(2, size, size).sum((-1, -2)).flatten(1)


def _centre(grid):
    """Minus the distance of each patch from the image's centre: (grid^2,)."""
    import torch

    place = torch.arange(grid, dtype=torch.float32) - (grid - 1) / 2
    return -(place[:, None].square() + place.square()).sqrt().flatten()


def batch_size(model, facts):
    """Choose the images of one pass, such that the scan's matrices take less than some 100 MB.

    Parameters
    ----------
    model : models.vim.VisionMamba or models.vit.VisionTransformer
        The classifier.
    facts : mapping
        Its config.json.

    Returns
    -------
    int
    """
    network = facts["network"]
    states = 2 * network["embed_dim"] * network.get("d_state", network.get("heads", 1))
    return max(1, min(BLOCK, 3_000_000 // (states * (model.grid**2 + 1))))


def write_maps(
    *,
    dataset,
    model,
    data,
    output,
    spectra,
    images,
    gallery,
    start_layer,
    alpha,
    name="",
    shard=None,
    device="cpu",
    threads=1,
):
    """Write results/{scale}/attributions/{dataset}/{model}/seed{seed}/maps.parquet and spectra.parquet beside it.

    One block of images is in memory at a time.

    Parameters
    ----------
    dataset : str
        Id of the data set. It is part of the seed of the random control.
    model : path
        A folder that the image_model stage wrote.
    data : path
        Parquet file of the split.
    output : path
        The file of the maps.
    spectra : path
        The file of the spectra.
    images : int
        How many images of the split are explained, the first ones.
    gallery : int
        Of how many images spectra are kept too, the first ones.
    start_layer : int or None
        The first layer of a rollout. None: `first_layer`.
    alpha : float
        See `plumbline.attribution.diffusion`.
    name : str
        Model and training seed. It is part of the seed of the random control.
    shard : tuple of int, optional
        (number of the shard, number of shards): the images of that shard alone.
    device, threads
        See `plumbline.models.runtime.prepare`.

    Raises
    ------
    PlumblineError
        For more shards than blocks.
    """
    from ..artefacts import open_rows, rows_writer, stream_tables
    from ..datasets.images import arrays
    from ..models.image_models import load, prepared
    from ..models.runtime import fitting, in_memory, prepare
    from ..models.tokenisation import block_range

    device = prepare(device, threads)
    network, facts = load(model, device)
    if start_layer is None:
        start_layer = first_layer(facts["architecture"], facts["network"]["depth"])
    rows = min(images, open_rows(data).metadata.num_rows)
    first, last = block_range(rows, shard, data, BLOCK)
    with rows_writer(output, kind="maps") as write, rows_writer(spectra, kind="spectra") as keep:
        for table in stream_tables(data, BLOCK, start=first, stop=last):
            block = table.to_pandas()
            pictures, _ = arrays(block)

            def computed(block=block, pictures=pictures):
                columns, kept = {}, {}
                size = fitting(batch_size(network, facts))
                for start in range(0, len(block), size):
                    part = block.iloc[start : start + size]
                    seeds = [seed_of(dataset, name, number, "random", 0) for number in part["id"]]
                    about, found, values = compute(
                        network,
                        prepared(pictures[start : start + size], facts).to(device),
                        start_layer=start_layer,
                        alpha=alpha,
                        seeds=seeds,
                    )
                    for key, value in _columns(part, network.grid, about, found).items():
                        columns.setdefault(key, []).extend(value)
                    _keep_spectra(kept, part["id"].tolist(), values, gallery)
                return columns, kept

            columns, kept = in_memory(computed, f"maps of {dataset}")
            write(columns)
            keep(kept)


def _columns(part, grid, about, found):
    """Columns of the maps of a batch."""
    import numpy as np

    block = {"id": part["id"], "label": part["label"], "height": grid, "width": grid}
    block = {key: np.broadcast_to(value, len(part)) for key, value in block.items()}
    block |= {key: value.cpu().numpy() for key, value in about.items()}
    return block | {f"scores_{key}": list(value.float().cpu().numpy()) for key, value in found.items()}


def _keep_spectra(kept, ids, values, gallery):
    """Add the spectra of the images below number `gallery`; the columns are there without any image, too."""
    for key in ("id", "layer", *values):
        kept.setdefault(key, [])
    for row, number in enumerate(ids):
        for layer in range(values["before"].shape[1] if number < gallery else 0):
            cells = {"id": number, "layer": layer}
            cells |= {key: value[row, layer].float().cpu().numpy() for key, value in values.items()}
            for key, value in cells.items():
                kept[key].append(value)
