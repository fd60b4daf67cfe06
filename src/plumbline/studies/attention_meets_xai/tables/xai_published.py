"""The published numbers of "Attention Meets Post-hoc Interpretability" beside ours, with a verdict and why.

inputs: classifier, shown, each of every training seed; `ours` of a sentence or document is the mean over seeds, its
interval Student's t over them. The published checkpoint was never released, so single weights of a sentence or document are
those of another model, and not comparable one by one. Accuracy is that of one training seed, and what should hold for any seed is
judged by the rule of plumbline.tables.published:

within sampling error  the interval of the difference between one more seed and the mean of ours (Student's t) holds 0
differs                it does not
not comparable         another checkpoint or data set, or one seed of ours alone; ours is shown all the same
not run                this configuration has another sentence, document or data set
"""

import numpy as np

from ..artefacts import read_json
from ..collect import percent, seeds_of
from ..registry import Output
from ..stats import t_interval
from ..theory.comparison import compared
from . import latex as tex
from . import xai
from .accuracies import accuracies
from .published import judge_seed, numbers_of

ENTRY = Output(
    id="xai_published",
    label="Published and reproduced",
    needs=("classifier", "shown"),
    options=xai.OPTIONS,
    published=True,
)


def rows(inputs, options):
    """One row a published number: quantity, published, ours, difference, interval, verdict, why."""
    import pandas as pd

    facts = [read_json(item["path"]) for item in inputs["classifier"]]
    shown = [read_json(item["path"]) for item in inputs["shown"]]
    ours = _sentence(shown) | _document(shown)
    numbers = numbers_of(ENTRY.id)
    found = []
    for number in numbers.itertuples():
        row = {
            "quantity": number.quantity,
            "published": number.value,
            "published_source": number.about["source"],
            "measured": number.about["measured"],
        }
        if number.quantity == "test accuracy":
            found.append(row | _accuracy(number, facts, options))
        else:
            says = _verdict(number, shown[0])
            values = ours[number.quantity] if says["verdict"] != "not run" else None
            found.append(row | says | _over_seeds(values, shown, options))
    about = {"scale": options["scale"], "dataset": facts[0]["dataset"], "model": "multihead"}
    order = ["quantity", "published", "ours", "lower", "upper", "difference", "examples", "seeds", "interval", "verdict",
             "why", "published_checkpoint", "published_source", "measured"]  # fmt: skip
    frame = pd.DataFrame([{"published_checkpoint": "other", **about, **row} for row in found])
    frame["difference"] = frame["ours"].astype(float) - frame["published"]
    for column in ("ours", "lower", "upper"):
        frame[column] = frame[column].astype(float)
    return frame[[*about, *order]]


def _accuracy(number, facts, options):
    about, level = number.about, options["bootstrap"]["level"]
    mean = accuracies(facts, level)[-1]
    row = {"ours": mean["accuracy"]}
    row |= {key: mean[key] for key in ("lower", "upper", "examples", "seeds", "interval")}
    if facts[0]["dataset"] != about["dataset"]:
        return row | {"verdict": "not comparable", "why": f"another data set ({facts[0]['dataset']})"}
    verdict, why = judge_seed([fact["accuracy"] for fact in facts], number.value, about, level=level)
    return row | {"verdict": verdict, "why": why}


def _over_seeds(values, shown, options):
    """The columns of the mean of a number a seed and its interval; None: there is no number."""
    level = options["bootstrap"]["level"]
    row = {"seeds": seeds_of(shown), "examples": 1, "interval": "none", "ours": None}
    if values is None:
        return row
    if len(values) > 1:
        row["lower"], row["upper"] = t_interval(values, level)
        row["interval"] = f"{percent(level)} Student's t, over {len(values)} seeds"
    return row | {"ours": float(np.mean(values))}


def _verdict(number, here):
    """What is said of a number of a sentence or document that is, or is not, the published one; here: one seed's `shown`."""
    about, kind = number.about, number.quantity.split(",")[0]
    if here["dataset"] != about["dataset"]:
        return {"verdict": "not run", "why": f"this scale has another data set ({here['dataset']})"}
    if kind == "sentence":
        same = here["sentence"]["tokens"] == about["explained"]
    else:
        words = here["document"]["words"]
        same = set(about["explained"]) <= set(words) and len(words) == about["distinct_words"]
    if not same:
        return {"verdict": "not run", "why": f"this configuration shows another {kind}"}
    return {"verdict": "not comparable", "why": "another checkpoint: the published one was not released"}


def _sentence(shown):
    """{quantity: a number of ours a seed} of the sentence."""
    ours = [facts["sentence"] for facts in shown]
    found = {
        f"sentence, {name} logit": [facts["logits"][place] for facts in ours]
        for place, name in enumerate(("negative", "positive"))
    }
    for name in ours[0]["weights"]:
        for place, word in enumerate(ours[0]["tokens"]):
            found[f"sentence, {name}, {word}"] = [facts["weights"][name][place] for facts in ours]
    return found


def _document(shown):
    """{quantity: a number of ours a seed} of the document."""
    ours = [facts["document"] for facts in shown]
    runs = np.array([np.mean(facts["lime_delete"], axis=0) for facts in ours])
    formula = np.array([facts["limits"]["published"] for facts in ours])
    compare = [compared("", *pair) for pair in zip(formula, runs, strict=True)]
    found = {
        f"document, LIME against the 3/2 formula, {name.removeprefix('_')}": [
            facts[name] for facts in compare
        ]
        for name in compare[0]
    }
    for place, word in enumerate(ours[0]["words"]):
        found[f"document, LIME, {word}"] = list(runs[:, place])
        found[f"document, 3/2 formula, {word}"] = list(formula[:, place])
    return found


def latex(frame, options):
    """The table as LaTeX: accuracy and the document's statistics; the CSV has every weight."""
    kept = frame[frame["quantity"].str.contains("accuracy|logit|against")]
    lines = [
        [
            tex.escape(row.quantity),
            tex.number(row.published),
            tex.number(row.ours, row.lower, row.upper),
            tex.number(row.difference),
            tex.escape(row.verdict),
            tex.escape(row.why),
        ]
        for row in kept.itertuples()
    ]
    counts = "; ".join(
        f"{name}: {count}" for name, count in frame["verdict"].value_counts(sort=False).items()
    )
    table = tex.table(
        caption=f"{ENTRY.label}: the multi-head classifier.",
        label=f"tab:{ENTRY.id}",
        columns=["Quantity", "Published", "Ours", r"$\Delta$", "verdict", "why"],
        sections=[lines],
        notes=[
            tex.escape(
                f"Scale: {options['scale']}; {ENTRY.id}.csv has all {len(frame)} numbers with source, sample count, seeds and "
                f"interval ({counts})."
            ),
            tex.command_note(options),
        ],
    )
    return tex.document(ENTRY.label, [table], options)
