"""Deletion curves of one model: the explained probability as tokens go one by one (protocol published_steps).

inputs: faithfulness (all methods and seeds of the model). options: dataset, model, scale, bootstrap.
Two panels: comp (the top tokens go) and suff (the top tokens alone stay), the running minimum and maximum as
published. A seed's curve is a mean over the examples that still have so many tokens (specs/alti.md section 7), and the
line the mean of the seeds' curves. The band: one population standard deviation over the seeds' curves, as published,
or with a single seed a bootstrap over examples. Texts that were cut to max_tokens are left out. Shown: the ten readouts of the published
evaluation where they are there (else all), controls in grey.
"""

import numpy as np

from ..collect import (
    PRINCIPAL,
    by_model,
    dataset_label,
    facts,
    ordered,
    provenance,
    seeds_of,
    short_label,
    whole_texts,
)
from ..errors import PlumblineError
from ..registry import Output
from ..seeds import seed_of
from ..stats import bootstrap_interval
from .style import figure, foot, mark, styled

PROTOCOL = "published_steps"

ENTRY = Output(
    id="deletion_curves",
    label="Deletion curves",
    study="alti",
    needs=("faithfulness",),
    per="model",
    formats=("pdf", "png"),
    order=10,
)

PANELS = {
    "comp": ("Comprehensiveness: lower is better", "Most relevant tokens removed"),
    "suff": ("Sufficiency: higher is better", "Most relevant tokens kept"),
}


@styled
def draw(inputs, options):
    """The figure; PlumblineError where the model has no curve of the protocol."""
    ((dataset, model), items), *_ = by_model(inputs["faithfulness"], options).items()
    curves = {kind: by_seed(items, kind) for kind in PANELS}
    if not all(curves.values()):
        raise PlumblineError(
            f"no {PROTOCOL} curves of {dataset}/{model}: add the protocol to `faithfulness` in the config, or take "
            "deletion_curves out of `figures`"
        )
    drawn = figure(7.2, 3.3)
    panels = drawn.subplots(1, 2, sharey=True)
    for panel, (kind, (title, label)) in zip(panels, PANELS.items(), strict=True):
        _panel(panel, curves[kind], options, seed_of(ENTRY.id, dataset, model, kind))
        panel.set_title(title, fontsize=9)
        panel.set_xlabel(label)
    panels[0].set_ylabel("Probability of the explained class")
    panels[0].set_ylim(0, 1.02)
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.tight_layout(rect=(0, 0, 0.82, 0.94))
    drawn.legend(
        handles, labels, loc="center left", bbox_to_anchor=(0.82, 0.53), fontsize=7.5, handlelength=3.4
    )
    drawn.suptitle(f"{dataset_label(dataset)}, {model}", x=0.01, ha="left", fontsize=10, weight="bold")
    examples = [len(table) for tables in curves["comp"].values() for table in tables]
    several = len(curves["comp"][next(iter(curves["comp"]))]) > 1
    note = provenance(options, examples=examples, seeds=seeds_of(items), interval=not several)
    band = (
        " Band (no confidence interval): one standard deviation over the seeds' curves either way."
        if several
        else ""
    )
    foot(drawn, f"{note}{band} Running minimum (left) and maximum (right) of the probability, as published; "
                "a mean runs over the examples that have so many tokens. Grey: controls.")  # fmt: skip
    return drawn


def by_seed(items, kind):
    """readout -> one float array (examples, points) a seed, NaN where an example's curve has ended."""
    import pandas as pd

    columns = ["id", "readout", "protocol", "kind", "probability"]
    frames = [whole_texts(item["path"], columns).assign(seed=int(item["seed"])) for item in items]
    frame = pd.concat(frames, ignore_index=True)
    frame = frame[(frame["protocol"] == PROTOCOL) & (frame["kind"] == kind)].sort_values(["seed", "id"])
    found = {}
    for readout in _shown(frame["readout"].unique()):
        own = frame[frame["readout"] == readout]
        # Every example in every table, so that the same examples are resampled for all readouts.
        points = own["probability"].map(len).max()
        found[readout] = [_table(part["probability"], points) for _, part in own.groupby("seed", sort=True)]
    return found


def _table(curves, points):
    return np.array([np.pad(curve, (0, points - len(curve)), constant_values=np.nan) for curve in curves])


def band(tables, options, seed):
    """(mean, lower, upper), each (points,), of the curves of one readout: one array (examples, points) a seed."""
    means = np.array([np.nanmean(table, axis=0) for table in tables])
    if len(tables) == 1:
        lower, upper = bootstrap_interval(tables[0], **options["bootstrap"], seed=seed, ragged=True)
        return means[0], lower, upper
    mean, spread = means.mean(axis=0), means.std(axis=0)
    return mean, mean - spread, mean + spread


def _shown(readouts):
    readouts = ordered(readouts)
    controls = [readout for readout in readouts if facts(readout)["control"]]
    others = [readout for readout in readouts if readout not in controls]
    return controls + ([readout for readout in others if readout in PRINCIPAL] or others)


def _panel(panel, curves, options, seed):
    for place, (readout, tables) in enumerate(curves.items()):
        control = facts(readout)["control"]
        mean, lower, upper = band(tables, options, seed)
        steps, every = np.arange(len(mean)), max(4, len(mean) // 8)
        look = mark(readout)
        line = {"linewidth": 0.9, "markersize": 2.5} if control else {"linewidth": 1.3, "markersize": 3.2}
        panel.plot(steps, mean, **look, **line, markevery=(place % every, every),
                   label=short_label(readout), zorder=2 if control else 3)  # fmt: skip
        panel.fill_between(steps, lower, upper, color=look["color"], alpha=0.10, linewidth=0, zorder=1)
    panel.margins(x=0.02)
    panel.xaxis.get_major_locator().set_params(integer=True)
