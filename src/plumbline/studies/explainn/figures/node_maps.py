"""Maps of the single causal nodes at a convolution, of one image of one model: as released, and forward.

inputs: images, nodes of the lowest training seed. As published one map a causal filter, scaled to its own range;
above, as released, below, the network's own response along the causal paths.
"""

import numpy as np

from ..artefacts import read_rows
from ..collect import title
from ..registry import Output
from . import causal
from .style import figure, foot, styled

ENTRY = Output(
    id="node_maps",
    label="Maps of causal nodes",
    needs=("images", "nodes"),
    seeds="lowest",
    per="model",
    options=("explainn",),
    formats=causal.FORMATS,
)
NAMES = {"released": "as released", "forward": "forward"}
MOST = 12  # nodes shown


@styled
def draw(inputs, options):
    """The figure; options: scale, dataset, model, runs, explainn."""
    item = causal.lowest(inputs["nodes"])
    frame = read_rows(item["path"])
    shown = options["explainn"]["shown"]
    shown = shown if shown in set(frame["target"]) else frame["target"].min()
    frame = frame[frame["target"] == shown]
    number = frame["id"].min()
    frame = frame[frame["id"] == number]
    every = sorted(frame["node"].unique())
    nodes = every[:MOST]
    image = causal.pictures(inputs["images"], [number])[number]
    columns = max(len(nodes), 2)
    drawn = figure(1.5 + 0.78 * (columns + 1), 2.15)
    panels = drawn.subplots(len(NAMES), columns + 1, squeeze=False)
    for line, (mode, name) in zip(panels, NAMES.items(), strict=True):
        part = frame[frame["mode"] == mode].set_index("node")
        line[0].imshow(image, cmap="gray_r", vmin=0, vmax=1)
        line[0].set_ylabel(name, fontsize=7, rotation=0, ha="right", va="center", labelpad=4)
        for axes, node in zip(line[1:], nodes, strict=False):
            row = part.loc[node]
            axes.imshow(np.reshape(row["scores"], (row["height"], row["width"])), cmap="magma")
            axes.set_title(f"{node}", fontsize=6.5, pad=2)
        for axes in line:
            causal.bare(axes)
        for axes in line[1 + len(nodes) :]:
            axes.set_visible(False)
    panels[0, 0].set_title("image", fontsize=6.5, pad=2)
    width, height = drawn.get_size_inches()
    layer = options["runs"][0]["attributions"]["layer"]
    drawn.suptitle(
        f"Class {shown}, causal nodes of {layer or 'the second convolution'}: {title(options['dataset'], options['model'])}",
        fontsize=8,
        weight="bold",
        x=0.01,
        ha="left",
        y=1 - 0.03 / height,
    )
    drawn.subplots_adjust(
        left=0.75 / width, right=0.99, top=1 - 0.42 / height, bottom=0.02, wspace=0.06, hspace=0.22
    )
    more = f", the first {len(nodes)} of {len(every)} nodes" if len(nodes) < len(every) else ""
    foot(
        drawn,
        f"Scale: {options['scale']}; N = 1 test image, classified rightly{more}; training seed {item['seed']}; no interval. Each map from its "
        "lowest (dark) to its highest value (light). As released: softmax over pixels of a convolution with the maps before ReLU and pooling; "
        "forward: the node's own response to its causal inputs.",
    )
    return drawn
