"""Robustness, faithfulness, complexity and randomisation of every explanation, with controls.

inputs: explanation_metrics, image_models. `mean`, `lower`, `upper`: over the images that every seed explains, with an interval over
seeds and images (stats.mean_interval). The images are those that no graph was learnt from, where some were held out.

Every verdict is of paired differences, in the metric's own direction, Holm-adjusted over all comparisons of a metric:
`difference`, `adjusted_p` and `verdict` (better, worse, not told apart) from the random control (`against`); `best`: not told
apart from the highest mean of what is no control, each pair of explanations a comparison; `<causal map>_adjusted_p` and
`_verdict`: of that map against a gradient method or a control. `testable`: whether so few seeds can tell anything in `best`.

`tied`: mean share of pixels or segments whose score another one has too. The same `settings` for all methods of a metric. Units
and directions: plumbline.causal.metrics. Released numbers of the local Lipschitz estimate are not comparable
(`published_why`).
"""

import functools

from ..attribution.convolutional import EXPLANATIONS
from ..causal.registry import CAUSAL, METRICS
from ..collect import by_model, cells_of, interval_text, metrics_of, seed_rows, seeds_of, title
from ..errors import PlumblineError
from ..registry import Output
from ..stats import is_testable, paired_differences
from . import causal
from . import latex as tex
from .causal import verdict_of
from .published import joined
from .standing import alike

ENTRY = Output(
    id="explanation_metrics",
    label="Metrics of the explanations",
    needs=("explanation_metrics", "image_models"),
    published=True,
)
AGAINST = "random"
# Columns of a released number.
RELEASED = ("published_value", "published_sd", "published_verdict", "published_why", "published_source")
# Those of the model's gradients that the causal maps are claimed to be more stable than.
GRADIENTS = tuple(
    name for name, entry in EXPLANATIONS.items() if entry.family == "gradient" and entry.stands_in("claims")
)


def rows(inputs, options):
    """One row a data set, model, metric and method; options: scale, bootstrap."""
    import pandas as pd

    models = by_model(inputs["image_models"])
    found = []
    for (dataset, model), items in by_model(inputs["explanation_metrics"]).items():
        own = []
        facts = metrics_of(models[dataset, model][0])
        frame = seed_rows(items)
        about = {
            "scale": options["scale"],
            "dataset": dataset,
            "model": model,
            "architecture": facts["architecture"],
            "seeds": seeds_of(items),
            "interval": interval_text(options, seeds_of(items), "images"),
        }
        for metric in METRICS:
            part = frame[frame["metric"] == metric]
            if len(part):
                own += [about | row for row in _metric(part, metric, options, about)]
        found += joined(own, causal.released(ENTRY.id, about), functools.partial(_released, about))
    return pd.DataFrame(found)


def _metric(part, metric, options, about):
    """One row a method of one metric."""
    units = part.pivot_table(index=["seed", "id"], columns="method", values="value")
    order = [name for name in EXPLANATIONS if name in units]
    # An image that some seed does not explain, or not by every method, is left out of all.
    units = (
        units[order].unstack("seed").dropna().stack("seed", future_stack=True).swaplevel().sort_index()[order]
    )
    if units.empty:
        raise PlumblineError(
            f"no image of {about['dataset']}, {about['model']} is explained under every seed: raise `images`"
        )
    means, lower, upper = causal.bands(units, options, ENTRY.id, about["dataset"], about["model"])
    direction, level = METRICS[metric].direction, options["bootstrap"]["level"]
    cells = direction * cells_of(units)
    seeds = len(cells)
    against = paired_differences(cells, reference=order.index(AGAINST), level=level)
    judged = [place for place, name in enumerate(order) if not EXPLANATIONS[name].control]
    best = dict(zip(judged, alike(cells[:, :, judged], level), strict=True))
    pairs = len(judged) * (len(judged) - 1) // 2
    claims = {name: _claims(cells, order, name, level) for name in CAUSAL if name in order}
    tied = part.groupby("method")["tied"].mean()
    (how,) = part["settings"].unique()
    for place, name in enumerate(order):
        entry = EXPLANATIONS[name]
        ends = sorted((direction * against.lower[place], direction * against.upper[place]))
        yield {
            "metric": metric,
            "metric_label": METRICS[metric].label,
            "axis": METRICS[metric].axis,
            "method": name,
            "label": entry.label,
            "control": entry.control,
            "published_definition": entry.published,
            "mean": means[place],
            "lower": lower[place],
            "upper": upper[place],
            "direction": "higher" if direction > 0 else "lower",
            "examples": len(units.index.unique("id")),
            "tied": tied[name],
            "best": best.get(place, False),
            "testable": is_testable(seeds, pairs, level=level),
            "against": None if name == AGAINST else AGAINST,
            "difference": direction * against.mean[place],
            "difference_lower": ends[0],
            "difference_upper": ends[1],
            "adjusted_p": against.adjusted[place],
            "verdict": None
            if name == AGAINST
            else verdict_of(against.mean[place], against.adjusted[place], level),
            **{
                f"{who}_{key}": value
                for who, claim in claims.items()
                for key, value in claim.get(name, _NONE).items()
            },
            "settings": how,
            **dict.fromkeys(RELEASED),
        }


def _released(about, number):
    """The columns RELEASED of a released number; about: the columns of every row of the model."""
    verdict, why = causal.verdict_on(number.about, about)
    return dict(zip(RELEASED, (number.value, number.sd, verdict, why, number.about["source"]), strict=True))


_NONE = {"adjusted_p": None, "verdict": None}


def _claims(cells, order, name, level):
    """{gradient method or control: adjusted_p and verdict of the causal map `name` against it}; cells: higher is better."""
    others = [other for other in order if other in GRADIENTS or EXPLANATIONS[other].control]
    places = [order.index(other) for other in (*others, name)]
    # Each of the others less the map: the map is better where that is below 0.
    found = paired_differences(cells[:, :, places], reference=len(others), level=level)
    return {
        other: {"adjusted_p": p, "verdict": verdict_of(-mean, p, level)}
        for other, mean, p in zip(others, found.mean[:-1], found.adjusted[:-1], strict=True)
    }


def summary(part):
    """What the verdicts say of the claim that causal maps are more stable and more faithful; part: the rows of one model."""
    methods = list(dict.fromkeys(part["method"]))
    gradients = [name for name in methods if name in GRADIENTS]
    controls = [name for name in methods if EXPLANATIONS[name].control]
    robustness, faithfulness = (
        [metric for metric in dict.fromkeys(part["metric"]) if METRICS[metric].axis == axis]
        for axis in ("robustness", "faithfulness")
    )
    cells = part.set_index(["metric", "method"])
    said = []
    for name in (name for name in CAUSAL if name in methods):
        verdicts = cells[f"{name}_verdict"]
        parts = [
            _compared(verdicts, metrics, others, words)
            for metrics, others, words in (
                (robustness, gradients, ("stability", "gradient methods")),
                (faithfulness, gradients, ("faithfulness", "gradient methods")),
                (faithfulness, controls, ("faithfulness", "controls")),
            )
            if metrics and others
        ]
        claims = [
            f"that it is more {word} than the gradients {_claim(verdicts, metrics, gradients)}"
            for word, metrics in (("stable", robustness), ("faithful", faithfulness))
            if metrics and gradients
        ]
        text = f"{EXPLANATIONS[name].label}: {'; '.join(parts)}."
        said.append(text + (f" By these tests, {' and '.join(claims)}." if claims else ""))
    steadiest = [
        metric
        for metric in robustness
        if all(
            cells.loc[(metric, name), "verdict"] == "worse"
            for name in methods
            if not EXPLANATIONS[name].control
        )
    ]
    if steadiest:
        said.append(
            f"A fixed random map beats every explanation in {' and '.join(map(_name, steadiest))}: stability alone says nothing, and counts "
            "together with faithfulness above the controls."
        )
    if not part["testable"].all():
        count = len(part["seeds"].iloc[0].split())
        said.append(f"{count} seeds are too few to tell the best of so many explanations apart.")
    return " ".join(said)


def _compared(verdicts, metrics, others, words):
    """E.g. 'stability against 4 gradient methods: better than 3, worse than 0, not told apart from 1 by max-sensitivity'."""
    amounts = []
    for metric in metrics:
        found = [verdicts[metric, other] for other in others]
        better, worse = found.count("better"), found.count("worse")
        rest = len(found) - better - worse
        amounts.append(
            f"better than {better}, worse than {worse}, not told apart from {rest} by {_name(metric)}"
        )
    return f"{words[0]} against {len(others)} {words[1]}: {', '.join(amounts)}"


def _claim(verdicts, metrics, others):
    """Whether a map is better than all others in all metrics; worse than one of them by each; or neither."""
    won = [all(verdicts[metric, other] == "better" for other in others) for metric in metrics]
    lost = [any(verdicts[metric, other] == "worse" for other in others) for metric in metrics]
    if all(won):
        return "holds"
    if all(lost):
        return "does not hold"
    holds = [_name(metric) for metric, value in zip(metrics, won, strict=True) if value]
    return f"holds by {' and '.join(holds)} alone" if holds else "is not told"


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
    sections = [[], [], []]
    for name in dict.fromkeys(part["method"]):
        entry = EXPLANATIONS[name]
        line = [tex.escape(entry.label)]
        for metric in shown:
            row = cells.loc[(name, metric)]
            mark = {"better": "$+$", "worse": "$-$"}.get(row["verdict"], "")
            line.append(tex.number(row["mean"], row["lower"], row["upper"], bold=row["best"]) + mark)
            if metric in printed:
                line.append(tex.number(row["published_value"]))
        sections[2 if entry.control else int(name not in CAUSAL)].append(line)
    columns = ["Explanation"]
    for metric in shown:
        columns.append(f"{tex.escape(METRICS[metric].label)} {tex.ARROWS[METRICS[metric].direction]}")
        columns += ["released"] * (metric in printed)
    first = part.iloc[0]
    tied = [
        f"{METRICS[metric].label} {100 * own['tied'].mean():.0f}% (causal maps {100 * own[own['method'].isin(CAUSAL)]['tied'].mean():.0f}%)"
        for metric, own in part.groupby("metric", sort=False)
        if own["tied"].notna().any()
    ]
    notes = [
        tex.escape(
            f"Scale: {options['scale']}; N = {first['examples']} images, seeds {first['seeds'].replace(' ', ', ')}; index and "
            f"exponent: intervals, {first['interval']}."
        ),
        tex.escape(
            "Bold: not told apart from the best that is no control, in paired tests, Holm-adjusted over all pairs. Mark: against a "
            "random map, Holm-adjusted; + better, - worse, none: not told apart. Third part: controls."
            + (f" Share of tied pixels or segments: {'; '.join(tied)}." if tied else "")
        ),
        tex.escape(
            " ".join(
                f"{METRICS[metric].label}: {cells.xs(metric, level='metric')['settings'].iloc[0]}."
                for metric in shown
            )
        ),
    ]
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
