"""Figure 4 of Lopardo et al. 2024: LIME's coefficients of one document in several runs beside the formulas of their limit.

inputs: shown. Left as published: words deleted; right: words masked, which is what the formulas are about. The words
that the first run by deletion ranks first; box: quartiles, whiskers: all runs, triangle: mean. Formulas have LIME's
kernel but the published one; LIME without kernel is a mean over as many runs.
"""

import numpy as np

from ..faithfulness.ranking import ranked
from ..registry import Output
from ..seeds import seed_of
from ..tables.lime_theorem import FORMULAS
from . import xai
from .style import figure, foot, plain, styled

WORDS = 10

ENTRY = Output(
    id="lime_meets_attention",
    label="LIME meets attention",
    needs=("shown",),
    seeds="lowest",
    options=(),
    formats=xai.FORMATS,
)


@styled
def draw(inputs, options):
    """The figure."""
    facts = xai.shown(inputs)
    document = facts["document"]
    first = np.array(document["lime_delete"][0])
    order = ranked(np.abs(first), seed=seed_of(ENTRY.id, facts["dataset"]))[0][:WORDS]
    drawn = figure(7.6, 3.4)
    panels = drawn.subplots(1, 2, sharey=True)
    for axes, mode, title in zip(
        panels, ("delete", "mask"), ("words deleted, as published", "words masked"), strict=True
    ):
        runs = np.array(document[f"lime_{mode}"])[:, order]
        line = {"color": "0.3", "linewidth": 1.0}
        axes.boxplot(
            runs,
            positions=range(len(order)),
            widths=0.5,
            whis=(0, 100),
            showmeans=True,
            manage_ticks=False,
            boxprops=line,
            whiskerprops=line,
            capprops=line,
            medianprops=line,
            meanprops={"marker": "^", "markersize": 4, "markerfacecolor": "0.3", "markeredgecolor": "0.3"},
        )
        for name, label in FORMULAS.items():
            values = document["limits"].get(name)
            if name == "no_kernel":
                values = document[f"lime_{mode}_no_kernel"]
            if values is None:
                continue
            values = np.array(values)[order]
            marker = {"marker": xai.FORMULA_MARKERS[name], "color": xai.FORMULA_COLORS[name], "markersize": 8}
            axes.plot(
                range(len(order)),
                values,
                linestyle="",
                markerfacecolor="none",
                markeredgewidth=1.6,
                label=label,
                zorder=5,
                **marker,
            )
        axes.axhline(0, color="0.5", linestyle=":", linewidth=1)
        axes.set_xticks(
            range(len(order)), [plain(document["words"][place]) for place in order], rotation=45, ha="right"
        )
        axes.set_title(f"LIME weights: {title}", fontsize=9, loc="left")
        axes.set_xlabel("Token")
    panels[0].set_ylabel("Weight (positive logit)")
    panels[1].legend(fontsize=7.5, loc="best")
    drawn.tight_layout()
    foot(
        drawn,
        xai.foot_text(
            options,
            facts["dataset"],
            facts["seed"],
            f"N = 1 document, {len(document['tokens'])} tokens, {len(document['words'])} distinct",
            "no interval: every run is shown",
            f"Boxes: {facts['repeats']} runs of {facts['samples']} samples. Of a word that occurs again the coefficients of its "
            f"places add up. ρ of the heads: {', '.join(f'{value:.3g}' for value in document['rho'])}.",
        ),
    )
    return drawn
