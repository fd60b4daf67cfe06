"""Robustness, faithfulness, complexity and randomisation of every explanation, with controls.

inputs: explanation_metrics, image_models. Each image is averaged over training seeds first; `mean`, `lower`, `upper`: a bootstrap over
images; `seed_lower`, `seed_upper`: Student's t over the means of the seeds, from two on. `difference`: paired, from the random
control (`against`), bootstrap over the same images. The same `settings` for all methods of a metric. Units and directions:
plumbline.causal.metrics. Released numbers of the local Lipschitz estimate are not comparable (`published_why`).
"""

from ..causal.registry import CAUSAL, EXPLANATIONS, METRICS
from ..collect import by_model, interval_text, metrics_of, percent, provenance, seed_rows, seeds_of, title
from ..registry import Output
from ..seeds import seed_of
from ..stats import bootstrap_interval, t_interval
from . import causal
from . import latex as tex

ENTRY = Output(
    id="explanation_metrics",
    label="Metrics of the explanations",
    study=causal.STUDY,
    needs=("explanation_metrics", "image_models"),
    order=153,
)
AGAINST = "random"
# Those of the model's gradients that the causal maps are claimed to be more stable than.
GRADIENTS = ("saliency", "input_x_gradient", "integrated_gradients", "gradient_shap")


def rows(inputs, options):
    """One row a data set, model, metric and method; options: scale, bootstrap."""
    import pandas as pd

    models = by_model(inputs["image_models"])
    found = []
    for (dataset, model), items in by_model(inputs["explanation_metrics"]).items():
        facts = metrics_of(models[dataset, model][0])
        frame = seed_rows(items)
        about = {
            "scale": options["scale"], "dataset": dataset, "model": model, "architecture": facts["architecture"],
            "seeds": seeds_of(items), "interval": interval_text(options),
        }  # fmt: skip
        for metric in METRICS:
            part = frame[frame["metric"] == metric]
            if len(part):
                found += [about | row for row in _metric(part, metric, options, about)]
    return pd.DataFrame(found)


def _metric(part, metric, options, about):
    """One row a method of one metric."""
    table = part.pivot_table(index="id", columns="method", values="value")
    order = [name for name in EXPLANATIONS if name in table]
    values = table[order].dropna()
    # One seed for all metrics: the same images are drawn.
    settings = {**options["bootstrap"], "seed": seed_of(ENTRY.id, about["dataset"], about["model"])}
    lower, upper = bootstrap_interval(values.to_numpy(), **settings)
    gaps = values.to_numpy() - values[[AGAINST]].to_numpy()
    gap_lower, gap_upper = bootstrap_interval(gaps, **settings)
    by_seed = part.groupby(["seed", "method"])["value"].mean().unstack("method")[order]
    direction = METRICS[metric].direction
    best = max(direction * values[name].mean() for name in order if not EXPLANATIONS[name].control)
    (how,) = part["settings"].unique()
    released = [entry for entry in causal.released(ENTRY.id, about) if entry["metric"] == metric]
    for place, name in enumerate(order):
        entry = EXPLANATIONS[name]
        mean = values[name].mean()
        over = t_interval(by_seed[name], options["bootstrap"]["level"]) if len(by_seed) > 1 else (None, None)
        pair = next(((e["values"][name], e) for e in released if name in e["values"]), None)
        yield {
            "metric": metric, "metric_label": METRICS[metric].label, "axis": METRICS[metric].axis, "method": name, "label": entry.label,
            "control": entry.control, "published_definition": entry.published, "mean": mean, "lower": lower[place],
            "upper": upper[place], "seed_lower": over[0], "seed_upper": over[1],
            "direction": "higher" if direction > 0 else "lower", "examples": len(values),
            "best": not entry.control and direction * mean == best, "against": None if name == AGAINST else AGAINST,
            "difference": gaps[:, place].mean(), "difference_lower": gap_lower[place], "difference_upper": gap_upper[place],
            "settings": how, "published_value": pair and pair[0][0], "published_sd": pair and pair[0][1],
            "published_verdict": pair and pair[1]["verdict"], "published_why": pair and pair[1]["why"],
            "published_source": pair and pair[1]["source"],
        }  # fmt: skip


def summary(part):
    """What the numbers say of the claim that causal maps are more stable and more faithful; part: the rows of one model."""
    means = part.set_index(["metric", "method"])["mean"]
    methods = list(dict.fromkeys(part["method"]))
    gradients = [name for name in methods if name in GRADIENTS]
    controls = [name for name in methods if EXPLANATIONS[name].control]
    robustness, faithfulness = (
        [metric for metric in dict.fromkeys(part["metric"]) if METRICS[metric].axis == axis]
        for axis in ("robustness", "faithfulness")
    )
    said = []
    for name in (name for name in CAUSAL if name in methods):
        parts = [
            _compared(means, metrics, name, others, words)
            for metrics, others, words in (
                (robustness, gradients, ("more stable", "gradient methods")),
                (faithfulness, gradients, ("more faithful", "gradient methods")),
                (faithfulness, controls, ("more faithful", "controls")),
            )
            if metrics and others
        ]
        verdicts = [
            f"that it is {word} {_verdict(means, metrics, name, gradients)}"
            for word, metrics in (("more stable", robustness), ("more faithful", faithfulness))
            if metrics and gradients
        ]
        text = f"{EXPLANATIONS[name].label}: {'; '.join(parts)}."
        said.append(text + (f" By these means, {' and '.join(verdicts)}." if verdicts else ""))
    steadiest = [
        metric for metric in robustness if _wins(means, metric, AGAINST, methods) == len(methods) - 1
    ]
    if steadiest:
        said.append(
            f"A fixed random map beats every explanation in {' and '.join(map(_name, steadiest))}: stability alone says nothing, and counts "
            "together with faithfulness above the controls."
        )
    return " ".join(said)


def _wins(means, metric, name, others):
    """How many of the others a method's mean beats in a metric."""
    direction = METRICS[metric].direction
    return sum(
        direction * means[metric, name] > direction * means[metric, other]
        for other in others
        if other != name
    )


def _compared(means, metrics, name, others, words):
    """E.g. 'more stable than all 4 gradient methods by local Lipschitz estimate, 3 of 4 by max-sensitivity'."""
    amounts = []
    for metric in metrics:
        count, total = _wins(means, metric, name, others), len(others)
        amount = (
            f"all {total}" if count == total else f"none of {total}" if not count else f"{count} of {total}"
        )
        amounts.append(f"{amount}{'' if amounts else f' {words[1]}'} by {_name(metric)}")
    return f"{words[0]} than {', '.join(amounts)}"


def _verdict(means, metrics, name, others):
    """Whether a method beats all others in all, some or none of the metrics."""
    whole = sum(_wins(means, metric, name, others) == len(others) for metric in metrics)
    return "holds" if whole == len(metrics) else "holds by some measures alone" if whole else "does not hold"


def _name(metric):
    """A metric's label within a sentence."""
    label = METRICS[metric].label
    return label if label.isupper() else label[0].lower() + label[1:]


def latex(frame, options):
    """The table as LaTeX, one a data set, model and axis; the plain summary stands below the first of a model."""
    tables = []
    for key, part in frame.groupby(["dataset", "model"], sort=False):
        for place, (axis, own) in enumerate(part.groupby("axis", sort=False)):
            tables.append(_table(key, axis, own, summary(part) if not place else None, options))
    return tex.document(ENTRY.label, tables, options)


def _table(key, axis, part, said, options):
    cells = part.set_index(["method", "metric"])
    shown = list(dict.fromkeys(part["metric"]))
    printed = [
        metric for metric in shown if cells.xs(metric, level="metric")["published_value"].notna().any()
    ]
    several = part["seed_lower"].notna().any()
    sections = [[], [], []]
    for name in dict.fromkeys(part["method"]):
        entry = EXPLANATIONS[name]
        line = [tex.escape(entry.label)]
        for metric in shown:
            row = cells.loc[(name, metric)]
            line.append(tex.number(row["mean"], row["lower"], row["upper"], bold=row["best"]))
            if several:
                line.append(f"[{row['seed_lower']:.3f}, {row['seed_upper']:.3f}]")
            if metric in printed:
                line.append(tex.number(row["published_value"]))
        sections[2 if entry.control else int(name not in CAUSAL)].append(line)
    columns = ["Explanation"]
    for metric in shown:
        columns.append(f"{tex.escape(METRICS[metric].label)} {tex.ARROWS[METRICS[metric].direction]}")
        columns += ["over seeds"] * bool(several) + ["released"] * (metric in printed)
    notes = [
        tex.escape(provenance(options, examples=part["examples"], seeds=part["seeds"].iloc[0])),
        "Index and exponent: the interval's ends"
        + (f"; over seeds: Student's t, {tex.escape(percent(options['bootstrap']['level']))}" if several else "")
        + ". Bold: the best that is no control. Third part: controls.",
        tex.escape(" ".join(
            f"{METRICS[metric].label}: {cells.xs(metric, level='metric')['settings'].iloc[0]}." for metric in shown
        )),
    ]  # fmt: skip
    if printed:
        row = part[part["published_value"].notna()].iloc[0]
        notes.append(
            tex.escape(
                f"Released: {row['published_source']}; {row['published_verdict']}: {row['published_why']}."
            )
        )
    plain = f" In plain words: {tex.escape(said)}" if said else ""
    return tex.table(
        caption=f"{ENTRY.label}, {axis}: {tex.escape(title(*key))}.{plain}",
        label=f"tab:{ENTRY.id}:{key[0]}:{key[1]}:{axis}",
        columns=columns,
        sections=[section for section in sections if section],
        notes=[*notes, tex.command_note(options)],
    )
