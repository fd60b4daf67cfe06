"""How stable the causal graphs are under intervention strength, input noise and fewer images (specs: explainnn, section 4).

inputs: stability, causal_graphs, image_models. `kind`:

    strength    one layer tested anew with weights u ~ Uniform(0, strength): `appearance_rate` (percent: of the repetitions, in how many
                a node is found, mean over the nodes found at least once; as published), `set_size` (nodes found, mean over repetitions),
                `nonempty` (percent of the repetitions that find any). An empty run counts as an empty set, a graph without any node
                at a strength as a rate of 0.
    noise, subsample    the graph learnt anew: `jaccard` of a layer's causes with the graph's own, in [0, 1].
    band        what we expect of the appearance rate, calibrated on digits: `mean` beside `bound`, and whether it `holds`, by training
                seed and for all.

A row is a mean over graphs (class and seed) with a bootstrap over these; class other than `all`: over its seeds alone, beside the
released number of that class.
"""

import numpy as np

from ..artefacts import read_rows
from ..collect import by_model
from ..registry import Output
from . import causal
from . import latex as tex
from .causal import EVERY

ENTRY = Output(
    id="causal_stability",
    label="Stability of the causal graphs",
    study=causal.STUDY,
    needs=("stability", "causal_graphs", "image_models"),
    order=151,
)
MEASURES = {
    "appearance_rate": "appearance rate (%)",
    "set_size": "nodes found",
    "nonempty": "runs with any (%)",
}
WEAK, STRONG = 0.1, 0.4  # strengths up to, and from, which the appearance rates are compared
FIRST = {True: 70.0, False: 100.0}  # least appearance rate at strength 0, by whether images are drawn anew


def rows(inputs, options):
    """See the module; options: scale, bootstrap."""
    import pandas as pd

    models, graphs = by_model(inputs["image_models"]), by_model(inputs["causal_graphs"])
    found = []
    for (dataset, model), items in by_model(inputs["stability"]).items():
        learnt = causal.graphs_of(graphs[dataset, model])
        about = causal.about(options, dataset, model, models[dataset, model], learnt, items)
        frame = stability_rows(items)
        strong, others = frame[frame["kind"] == "strength"], frame[frame["kind"] != "strength"]
        about |= {"repetitions": int(frame["repetition"].max()) + 1}
        published = causal.released(ENTRY.id, about)
        for part in (
            _strengths(strong, options, (dataset, model), published),
            _relearnt(others, options, (dataset, model)),
            _bands(strong),
        ):
            found += [about | row for row in part]
    floats = ("strength", "lower", "upper", "bound", "published_value")
    return pd.DataFrame(found).astype(dict.fromkeys(floats, float))


def stability_rows(items):
    """The rows of all seeds of a model, with `seed`."""
    import pandas as pd

    return pd.concat([read_rows(item["path"]).assign(seed=item["seed"]) for item in items], ignore_index=True)


def appearance_rate(runs):
    """Mean appearance rate in percent of the nodes found at least once; runs: the nodes of each repetition; 0 without any."""
    listed = np.concatenate([np.asarray(nodes, dtype=int) for nodes in runs])
    if not len(listed):
        return 0.0
    return 100 * np.unique(listed, return_counts=True)[1].mean() / len(runs)


def rates(frame):
    """Appearance rate in percent, a row a graph (seed, class), a column a strength."""
    groups = frame.groupby(["seed", "class", "strength"])["nodes"]
    return groups.apply(lambda nodes: appearance_rate(list(nodes))).unstack("strength")


def _row(layer, kind, strength, label, measure, mean, **more):
    return {
        "layer": layer, "kind": kind, "strength": strength, "class": label, "measure": measure, "mean": mean, "lower": None,
        "upper": None, "graphs": None, "examples": None, "interval": None, "bound": None, "sense": None, "holds": None,
        **causal.NOTHING, **more,
    }  # fmt: skip


def _strengths(frame, options, names, published):
    """Rows of intervention strength: over all graphs, and of the classes whose numbers were released."""
    if frame.empty:
        return
    (layer,) = frame["layer"].unique()
    sizes = frame.assign(size=frame["nodes"].map(len))
    by_graph = sizes.groupby(["seed", "class", "strength"])["size"]
    tables = {
        "appearance_rate": rates(frame),
        "set_size": by_graph.mean().unstack("strength"),
        "nonempty": by_graph.apply(lambda size: 100 * (size > 0).mean()).unstack("strength"),
    }
    entries = {entry["class"]: entry for entry in published if entry["layer"] == layer}
    for label in [EVERY, *(label for label in entries if label in set(frame["class"]))]:
        for measure, table in tables.items():
            own = table if label == EVERY else table.xs(label, level="class")
            ends = causal.bands(own.to_numpy(), options, ENTRY.id, *names, label)
            values = entries[label]["values"].get(measure, {}) if label != EVERY else {}
            for strength, mean, lower, upper in zip(own.columns, *ends, strict=True):
                if label != EVERY and strength not in values:
                    continue
                yield _row(
                    layer, "strength", strength, str(label), measure, mean, lower=lower, upper=upper, graphs=len(own),
                    examples=int(frame["images"].max()), interval=causal.interval_text(options),
                    **(causal.beside(entries[label], values[strength]) if strength in values else {}),
                )  # fmt: skip


def _relearnt(frame, options, names):
    """Rows of noise and of fewer images, by layer."""
    for (kind, strength, layer), part in frame.groupby(["kind", "strength", "layer"], sort=False):
        own = part.groupby(["seed", "class"])["jaccard"].mean()
        mean, lower, upper = causal.bands(own.to_numpy()[:, None], options, ENTRY.id, *names, layer)
        yield _row(
            layer, kind, strength, EVERY, "jaccard", mean[0], lower=lower[0], upper=upper[0], graphs=len(own),
            examples=int(part["images"].max()), interval=causal.interval_text(options),
        )  # fmt: skip


def _bands(frame):
    """Rows of what we expect of the appearance rate, by seed and over all; a band needs its strengths."""
    if frame.empty:
        return
    (layer,) = frame["layer"].unique()
    table = rates(frame)
    weak = [strength for strength in table.columns if strength <= WEAK + 1e-9]
    strong = [strength for strength in table.columns if strength >= STRONG - 1e-9]
    # Images are the same in all repetitions of a graph where its sets at strength 0 are.
    first = frame[frame["strength"] == 0]
    anew = (
        first.groupby(["seed", "class"])["nodes"]
        .agg(lambda sets: len({tuple(nodes) for nodes in sets}) > 1)
        .any()
    )
    for seed in [*table.index.get_level_values("seed").unique(), EVERY]:
        own = table if seed == EVERY else table.loc[[seed]]
        text = {"class": EVERY, "graphs": len(own), "interval": "none: a mean of graphs beside a bound"}
        if 0.0 in own:
            mean, bound = own[0.0].mean(), FIRST[bool(anew)]
            yield _row(
                layer,
                "band",
                0.0,
                EVERY,
                f"appearance rate at strength 0, seed {seed}",
                mean,
                **_held(mean, ">=", bound),
                **text,
            )
        if weak and strong:
            mean, bound = own[strong].to_numpy().mean(), own[weak].to_numpy().mean()
            name = f"appearance rate from {STRONG:g} on, below that up to {WEAK:g}, seed {seed}"
            yield _row(layer, "band", STRONG, EVERY, name, mean, **_held(mean, "<", bound), **text)
            falls = own[strong].mean(axis=1) < own[weak].mean(axis=1)
            yield _row(
                layer, "band", STRONG, EVERY, f"share of graphs whose rate falls, seed {seed}", falls.mean(), **_held(falls.mean(), ">=", 0.9),
                **text,
            )  # fmt: skip


def _held(mean, sense, bound):
    holds = mean < bound if sense == "<" else mean >= bound - 1e-9
    return {"sense": sense, "bound": bound, "holds": bool(holds)}


def summary(part):
    """What the numbers say, in plain words; part: the rows of one model."""
    said = []
    strong = part[
        (part["kind"] == "strength") & (part["class"] == EVERY) & (part["measure"] == "appearance_rate")
    ]
    if len(strong) > 1:
        first, last = strong.iloc[0], strong.iloc[-1]
        fall = "falls" if last["upper"] < first["lower"] else "does not fall beyond the intervals"
        said.append(
            f"The mean appearance rate of the causes at {first['layer']} {fall} with intervention strength, from {first['mean']:.0f}% at "
            f"{first['strength']:g} to {last['mean']:.0f}% at {last['strength']:g}."
        )
    noise, fewer = (
        part[(part["kind"] == kind) & (part["measure"] == "jaccard")] for kind in ("noise", "subsample")
    )
    if len(noise):
        worst = noise[noise["strength"] == noise["strength"].max()]
        said.append(
            f"Under the strongest noise ({worst['strength'].iloc[0]:g}) the causes overlap with the graph's by {worst['mean'].min():.2f} to "
            f"{worst['mean'].max():.2f} (Jaccard, by layer)."
        )
    if len(fewer):
        least = fewer[fewer["strength"] == fewer["strength"].min()]
        said.append(
            f"Learnt from {least['strength'].iloc[0]:.0f} images, by {least['mean'].min():.2f} to {least['mean'].max():.2f}: "
            + (
                "graphs hang on the images more than on noise."
                if len(noise) and least["mean"].mean() < noise["mean"].min()
                else "see the layers."
            )
        )
    bands = part[part["kind"] == "band"]
    if len(bands):
        failed = bands[~bands["holds"].astype(bool)]["measure"].tolist()
        said.append("All bands hold." if not failed else f"Bands that do not hold: {'; '.join(failed)}.")
    return " ".join(said)


def latex(frame, options):
    """The table as LaTeX, one a data set and model: strengths, then noise and fewer images, then bands."""
    tables = [_table(key, part, options) for key, part in frame.groupby(["dataset", "model"], sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(key, part, options):
    columns = ["", *MEASURES.values(), "Jaccard index"]
    strong = part[(part["kind"] == "strength") & np.isclose((part["strength"] * 10) % 1 % 1, 0, atol=1e-6)]
    sections = [
        [_strength_line(own, label, strength) for (label, strength), own in strong.groupby(["class", "strength"], sort=False)],
        [
            [tex.escape(f"{_setting(row)}, {row['layer']}"), "--", "--", "--", tex.number(row["mean"], row["lower"], row["upper"])]
            for _, row in part[part["measure"] == "jaccard"].iterrows()
        ],
        [
            [tex.escape(row["measure"]), tex.number(row["mean"], digits=2), f"{_sense(row['sense'])} {row['bound']:.2f}",
             "holds" if row["holds"] else "does not hold", "--"]
            for _, row in part[part["kind"] == "band"].iterrows()
        ],
    ]  # fmt: skip
    beside = part[part["published_value"].notna()]
    if len(beside):
        sections.insert(
            1,
            [
                _released_line(own, strength)
                for strength, own in beside.groupby("strength")
                if round(strength * 10, 6) % 1 == 0
            ],
        )
    measured = part[part["kind"] != "band"]
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(causal.title(*key))}. In plain words: {tex.escape(summary(part))}",
        label=f"tab:{ENTRY.id}:{key[0]}:{key[1]}",
        columns=[tex.escape(column) for column in columns],
        sections=[section for section in sections if section],
        notes=[
            tex.escape(causal.provenance(
                options, graphs=int(measured["graphs"].max()), seeds=part["seeds"].iloc[0],
                images=[measured["examples"].min(), measured["examples"].max()],
            )),
            tex.escape(f"{part['repetitions'].iloc[0]} repetitions each. {causal.made(part.iloc[0])} Index and exponent: intervals. Strengths in "
                       "steps of 0.1; the CSV has all. Last part: bands, of all graphs of a seed."),
            *([tex.escape(causal.released_note(beside))] if len(beside) else []),
            tex.command_note(options),
        ],
    )  # fmt: skip


def _sense(text):
    return {"<": "$<$", ">=": r"$\ge$"}[text]


def _setting(row):
    return f"noise {row['strength']:g}" if row["kind"] == "noise" else f"{row['strength']:.0f} images"


def _strength_line(own, label, strength):
    cells = own.set_index("measure")
    name = f"strength {strength:g}" + (f", class {label}" if label != EVERY else "")
    shown = [
        tex.number(*cells.loc[measure, ["mean", "lower", "upper"]], digits=1) if measure in cells.index else "--" for measure in MEASURES
    ]  # fmt: skip
    return [tex.escape(name), *shown, "--"]


def _released_line(own, strength):
    values = own.set_index("measure")["published_value"]
    first = own.iloc[0]
    name = f"released, class {first['class']}, strength {strength:g} ({first['verdict']})"
    return [tex.escape(name), *(tex.number(values.get(measure), digits=1) for measure in MEASURES), "--"]
