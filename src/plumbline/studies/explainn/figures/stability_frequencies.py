"""How often the nodes of a causal graph are found again, in five ranges of intervention strength, as published.

inputs: stability. A panel a range of strengths; a bar is the share of the nodes found at least once at a strength that were found
in so many of the repetitions, over all classes and seeds.
"""

import numpy as np

from ..collect import by_model, seed_rows, seeds_of, title
from ..registry import Output
from . import causal
from .style import figure, foot, styled

ENTRY = Output(
    id="stability_frequencies",
    label="Appearance frequencies of causal nodes",
    needs=("stability",),
    options=(),
    formats=causal.FORMATS,
)
PANELS = 5


@styled
def draw(inputs, options):
    """The figure; options: scale."""
    groups = by_model(inputs["stability"])
    drawn = figure(7.4, 0.2 + 1.85 * len(groups))
    panels = drawn.subplots(len(groups), PANELS, squeeze=False, sharex="row", sharey=True)
    notes = []
    for line, ((dataset, model), items) in zip(panels, groups.items(), strict=True):
        frame = seed_rows(items)
        frame = frame[frame["kind"] == "strength"]
        repetitions = int(frame["repetition"].max()) + 1
        for axes, (low, high, shares) in zip(line, frequencies(frame, repetitions), strict=True):
            places = 100 * np.arange(1, repetitions + 1) / repetitions
            axes.bar(places, shares, width=80 / repetitions, color="#0173b2")
            axes.set_title(f"β in [{low:.2g}, {high:.2g}{']' if axes is line[-1] else ')'}", fontsize=7.5)
            axes.tick_params(labelsize=6.5)
            axes.set_xticks([0, 50, 100])
            axes.set_xlim(0, 100 + 60 / repetitions)
            if not shares.any():
                axes.text(
                    0.5, 0.5, "no node found", transform=axes.transAxes, ha="center", fontsize=7, color="0.4"
                )
        line[0].set_ylabel(f"{title(dataset, model)}\nShare of nodes (%)", fontsize=7)
        graphs = len(frame[["seed", "class"]].drop_duplicates())
        notes.append(
            f"{title(dataset, model)}: N = {graphs} graphs (class and seed), seeds {seeds_of(items).replace(' ', ', ')}, layer "
            f"{', '.join(frame['layer'].unique())}, {repetitions} repetitions a strength."
        )
    for axes in panels[-1]:
        axes.set_xlabel("found in % of repetitions", fontsize=7)
    drawn.tight_layout(w_pad=0.6)
    foot(
        drawn,
        f"Scale: {options['scale']}. {' '.join(notes)} The bars of a panel sum to 100; counts of all nodes: no interval.",
    )
    return drawn


def frequencies(frame, repetitions):
    """Count how often nodes are found, in PANELS equal ranges of strengths.

    Parameters
    ----------
    frame : DataFrame
        Rows of the artefact stability: strength, seed, class, nodes.
    repetitions : int
        At each strength.

    Returns
    -------
    list of tuple
        (lowest strength, highest, shares). shares : numpy.ndarray, float64, (repetitions,), in percent: of the nodes found at
        least once at a strength, how many were found 1, 2, ... times; all 0 where none was found.
    """
    most = frame["strength"].max()
    found = []
    for place in range(PANELS):
        low, high = most * place / PANELS, most * (place + 1) / PANELS
        # Strengths are multiples of a step: a little above a boundary is on it.
        inside = (frame["strength"] >= low - 1e-9) & (
            (frame["strength"] < high - 1e-9) | (place == PANELS - 1)
        )
        counts = np.zeros(repetitions)
        for _, nodes in frame[inside].groupby(["seed", "class", "strength"])["nodes"]:
            listed = np.concatenate([np.asarray(row, dtype=int) for row in nodes])
            times = np.unique(listed, return_counts=True)[1]
            counts += np.bincount(times - 1, minlength=repetitions)[:repetitions]
        found.append((low, high, 100 * counts / max(counts.sum(), 1)))
    return found
