"""Gallery of one image model: image, raw attention, rollout, diffused rollout, attribution, laid over the image.

inputs: images, maps, image_architectures (config.json) of the lowest seed. Of a Vision Mamba the published definitions stand left of the
corrected ones. Maps are min-max scaled, enlarged (bilinear) and laid over the image as in the reference: heat map (JET)
plus image, divided by the largest value.
"""

import textwrap

import numpy as np

from ..artefacts import read_json, read_rows
from ..attribution.image_maps import MAPS
from ..collect import provenance, title
from ..datasets.images import array, fitted
from ..registry import Output
from . import maps
from .style import figure, foot, styled

ENTRY = Output(
    id="diffusion_gallery",
    label="Maps over images",
    needs=("images", "maps", "image_architectures"),
    seeds="lowest",
    per="model",
    options=(),
    formats=maps.FORMATS,
)
SHOWN = [name for name, entry in MAPS.items() if entry.stands_in("examples")]


@styled
def draw(inputs, options):
    """The figure; options: scale, dataset, model, runs."""
    lowest = min(inputs["maps"], key=lambda item: item["seed"])
    explained = read_rows(lowest["path"]).head(options["runs"][0]["gallery"])
    pictures = read_rows(inputs["images"][0]["path"]).head(len(explained))
    facts = read_json(min(inputs["image_architectures"], key=lambda item: item["seed"])["path"])
    columns = [f"{name}_published" for name in SHOWN if f"scores_{name}_published" in explained] + SHOWN
    drawn = figure(0.72 * (len(columns) + 1) + 1.0, 0.74 * len(explained) + 0.42)
    panels = drawn.subplots(len(explained), len(columns) + 1, squeeze=False)
    for line, row, picture in zip(panels, explained.itertuples(), pictures.itertuples(), strict=True):
        pixels = _pixels(picture, facts)
        line[0].imshow(pixels)
        line[0].set_ylabel(
            _name(row, picture, options, facts), fontsize=5.5, labelpad=3, rotation=0, ha="right", va="center"
        )
        for axes, name in zip(line[1:], columns, strict=True):
            scores = getattr(row, f"scores_{name}").reshape(row.height, row.width)
            axes.imshow(overlay(pixels, scores.clip(min=0)))
        for axes in line:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
    panels[0, 0].set_title("image", fontsize=6.5)
    for axes, name in zip(panels[0, 1:], columns, strict=True):
        axes.set_title(
            maps.short(MAPS[name].label).replace(", ", ",\n").replace(" attention", "\nattention"),
            fontsize=6.5,
        )
    drawn.subplots_adjust(
        left=1.0 / drawn.get_size_inches()[0],
        right=1,
        top=1 - 0.42 / drawn.get_size_inches()[1],
        bottom=0.1 / drawn.get_size_inches()[1],
        wspace=0.04,
        hspace=0.06,
    )
    text = provenance(options, examples=[len(explained)], seeds=str(lowest["seed"]), interval=False)
    dagger = f" {maps.DAGGER}" if any(MAPS[name].published for name in columns) else ""
    where = title(options["dataset"], options["model"])
    foot(
        drawn,
        f"{where}. {text} Single images: no interval. Each map from its lowest (blue) to its highest score (red), negative "
        f"scores as 0. {_domain(options, facts)}{maps.NOTE}{dagger}",
    )
    return drawn


def _domain(options, facts):
    """The sentence for a model that was trained on other classes than these images'."""
    from ..datasets import DATASETS

    names = DATASETS[options["dataset"]].label_names
    if not facts["labels"] or list(names) == facts["labels"]:
        return ""
    known = ", ".join(facts["labels"])
    return f"Outside the model's domain: it knows {known} alone, so what it says of these images is wrong by necessity. "


def _pixels(picture, facts):
    """An image as the model sees it, cut and resized: float (size, size, 3) in [0, 1]."""
    from PIL import Image

    values, size = array(picture), facts["network"]["image_size"]
    values = np.broadcast_to(values, (*values.shape[:2], 3)).copy()
    finer = -(-64 // size)  # small ones would be drawn coarsely
    if facts.get("resize"):
        return fitted(values, finer * size, finer * facts["resize"], facts["interpolation"]) / 255
    shown = max(size, 64)
    return np.asarray(Image.fromarray(values).resize((shown, shown), Image.Resampling.BILINEAR)) / 255


def overlay(pixels, scores):
    """Add a heat map to an image.

    Parameters
    ----------
    pixels : numpy.ndarray, float, shape (height, width, 3)
        The image, in [0, 1].
    scores : numpy.ndarray, float, shape (rows, columns)
        The map.

    Returns
    -------
    numpy.ndarray, float64, shape (height, width, 3)
        Heat map plus image over its largest value, in [0, 1].
    """
    from matplotlib import colormaps
    from PIL import Image

    span = scores.max() - scores.min()
    scaled = (scores - scores.min()) / (span if span > 0 else 1)
    large = Image.fromarray(scaled.astype(np.float32)).resize(pixels.shape[1::-1], Image.Resampling.BILINEAR)
    heat = colormaps["jet"](np.asarray(large))[..., :3]
    both = heat + pixels
    return both / both.max()


def _name(row, picture, options, facts):
    """What the image is and what the model says."""
    from ..datasets import DATASETS

    names = DATASETS[options["dataset"]].label_names
    true = names[row.label] if names else getattr(picture, "name", f"class {row.label}")
    said = facts["labels"][row.target] if facts["labels"] else f"class {row.target}"
    return "\n".join(textwrap.fill(part, 14) for part in (true, f"→ {said}", f"{row.probability:.2f}"))
