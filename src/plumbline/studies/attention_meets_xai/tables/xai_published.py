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
from .published import all_entries, judge_seed

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
    accuracy, sentence, document = _entries()
    found = [
        _over_seeds(row, shown, options) for row in (*_sentence(sentence, shown), *_document(document, shown))
    ]
    found = [_accuracy(accuracy, facts, options), *found]
    about = {"scale": options["scale"], "dataset": facts[0]["dataset"], "model": "multihead"}
    order = ["quantity", "published", "ours", "lower", "upper", "difference", "examples", "seeds", "interval", "verdict",
             "why", "published_checkpoint", "published_source", "measured"]  # fmt: skip
    frame = pd.DataFrame([{"published_checkpoint": "other", **about, **row} for row in found])
    frame["difference"] = frame["ours"].astype(float) - frame["published"]
    for column in ("ours", "lower", "upper"):
        frame[column] = frame[column].astype(float)
    return frame[[*about, *order]]


def published_numbers():
    """[(quantity, published number, entry of published/published.yaml)], in the order of the table's rows."""
    accuracy, sentence, document = _entries()
    found = [("test accuracy", accuracy["values"]["accuracy"], accuracy)]
    found += [(f"sentence, {name} logit", value, sentence)
              for name, value in zip(("negative", "positive"), sentence["logits"], strict=True)]  # fmt: skip
    found += [(f"sentence, {name}, {word}", value, sentence)
              for name, values in sentence["values"].items()
              for word, value in zip(sentence["words"], values, strict=True)]  # fmt: skip
    found += [(f"document, LIME against the 3/2 formula, {name}", value, document)
              for name, value in document["statistics"].items()]  # fmt: skip
    found += [(f"document, {name}, {word}", value, document)
              for word, values in document["values"].items()
              for name, value in zip(("LIME", "3/2 formula"), values, strict=True)]  # fmt: skip
    return found


def _entries():
    """The entries of accuracy, sentence and document."""
    return [entry for key in ("classifier_accuracy", "sentence", "document") for entry in all_entries(key)]


def _source(entry):
    return {"published_source": entry["source"], "measured": entry["measured"]}


def _accuracy(entry, facts, options):
    published = entry["values"]["accuracy"]
    mean = accuracies(facts, options["bootstrap"]["level"])[-1]
    kept = ("lower", "upper", "examples", "seeds", "interval")
    row = {"quantity": "test accuracy", "published": published, "ours": mean["accuracy"], **_source(entry)}
    row |= {key: mean[key] for key in kept}
    if facts[0]["dataset"] != entry["dataset"]:
        return row | {"verdict": "not comparable", "why": f"another data set ({facts[0]['dataset']})"}
    seeds = [fact["accuracy"] for fact in facts]
    verdict, why = judge_seed(seeds, published, entry, level=options["bootstrap"]["level"])
    return row | {"verdict": verdict, "why": why}


def _over_seeds(row, shown, options):
    """A row whose `ours` has a number a seed, or is None, with their mean and its interval."""
    values, level = row["ours"], options["bootstrap"]["level"]
    row = row | {"seeds": seeds_of(shown), "examples": 1, "interval": "none", "ours": None}
    if values is None:
        return row
    if len(values) > 1:
        row["lower"], row["upper"] = t_interval(values, level)
        row["interval"] = f"{percent(level)} Student's t, over {len(values)} seeds"
    return row | {"ours": float(np.mean(values))}


def _verdict(here, other, entry):
    """What is said of a number of a sentence or document that is, or is not, the published one."""
    if here["dataset"] != entry["dataset"]:
        return {"verdict": "not run", "why": f"this scale has another data set ({here['dataset']})"}
    if other:
        return {"verdict": "not run", "why": f"this configuration shows another {other}"}
    return {"verdict": "not comparable", "why": "another checkpoint: the published one was not released"}


def _sentence(entry, shown):
    ours = [facts["sentence"] for facts in shown]
    same = ours[0]["tokens"] == entry["words"]
    says = _verdict(shown[0], "" if same else "sentence", entry)
    for place, name in enumerate(("negative", "positive")):
        value = [facts["logits"][place] for facts in ours] if same else None
        yield {"quantity": f"sentence, {name} logit", "published": entry["logits"][place], "ours": value, **says, **_source(entry)}  # fmt: skip
    for name, values in entry["values"].items():
        for place, (word, value) in enumerate(zip(entry["words"], values, strict=True)):
            mine = [facts["weights"][name][place] for facts in ours] if same else None
            yield {
                "quantity": f"sentence, {name}, {word}",
                "published": value,
                "ours": mine,
                **says,
                **_source(entry),
            }


def _document(entry, shown):
    ours = [facts["document"] for facts in shown]
    words = ours[0]["words"]
    same = set(entry["values"]) <= set(words) and len(words) == 71
    says = _verdict(shown[0], "" if same else "document", entry)
    runs = np.array([np.mean(facts["lime_delete"], axis=0) for facts in ours])
    formula = np.array([facts["limits"]["published"] for facts in ours])
    mine = [compared("x", *pair) for pair in zip(formula, runs, strict=True)] if same else None
    for name, value in entry["statistics"].items():
        yield {"quantity": f"document, LIME against the 3/2 formula, {name}", "published": value,
               "ours": [found[f"x_{name}"] for found in mine] if same else None, **says, **_source(entry)}  # fmt: skip
    for word, values in entry["values"].items():
        place = words.index(word) if same else None
        for name, value, numbers in zip(("LIME", "3/2 formula"), values, (runs, formula), strict=True):
            yield {"quantity": f"document, {name}, {word}", "published": value,
                   "ours": list(numbers[:, place]) if same else None, **says, **_source(entry)}  # fmt: skip


def latex(frame, options):
    """The table as LaTeX: accuracy and the document's statistics; the CSV has every weight."""
    kept = frame[frame["quantity"].str.contains("accuracy|logit|against")]
    lines = [
        [tex.escape(row.quantity), tex.number(row.published), tex.number(row.ours, row.lower, row.upper),
         tex.number(row.difference), tex.escape(row.verdict), tex.escape(row.why)]
        for row in kept.itertuples()
    ]  # fmt: skip
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
