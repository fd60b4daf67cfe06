"""The experiments of Lopardo et al. 2024 over many reviews: one row a review, in shards that are whole blocks.

gradient      the closed form beside autograd
lime_mask     LIME with words replaced by UNK in place beside its limits
lime_delete   LIME with words deleted (the package's default) beside the same limits, and beside masking
faithfulness  comprehensiveness and sufficiency of all explanations

Reviews are taken in one order, drawn once for a data set, so that the first shards of each experiment are a random
sample, and the same reviews in all of them.
"""

from dataclasses import dataclass

import numpy as np

from ..artefacts import read_records, write_rows
from ..errors import PlumblineError
from ..models.multihead import cleaned, tokens_of
from ..seeds import seed_of

BLOCK = 256  # a shard's size is a multiple of it
BATCH = 32  # documents of one forward and backward pass; changes no result beyond rounding
FORMULAS = ("published", "rho", "mean_field")


@dataclass
class Document:
    """A review as the model reads it: id, label, tokens kept, ids int64 (T,), words int array (n,), see documents.Terms."""

    id: int
    label: int
    tokens: list
    ids: np.ndarray
    words: np.ndarray


def document(row, vocabulary, max_len, *, clean):
    """The Document of a row with id, text and label; clean: letters and digits alone, as LIME is given it.

    Raises PlumblineError for a text of which nothing is left.
    """
    tokens = tokens_of(cleaned(row["text"]) if clean else row["text"])[: max_len - 1]
    if not tokens:
        raise PlumblineError(f"review {row['id']} has no letter or digit: '{row['text'][:40]}'")
    words = np.unique(tokens, return_inverse=True)[1]
    return Document(row["id"], row["label"], tokens, vocabulary.ids(tokens, max_len), words)


def order(dataset, count):
    """The order in which an experiment takes the reviews 0 to count - 1."""
    return np.random.default_rng(seed_of(dataset, "order of reviews")).permutation(count)


def run_shard(
    experiment, *, files, data, shard, size, reviews, dataset, seed, samples, repeats, output, threads=1
):
    """Write one shard of an experiment: rows `shard * size` to `(shard + 1) * size` of the first `reviews` in order.

    files    weights, vocabulary, metrics -> path; data: Parquet file of the reviews.
    samples, repeats: of LIME.
    """
    from ..models.multihead_training import load
    from ..models.runtime import prepare

    prepare("cpu", threads)
    model, vocabulary, max_len = load(**files)
    rows = read_records(data, ["id", "text", "label"])
    chosen = order(dataset, len(rows))[:reviews][shard * size : (shard + 1) * size]
    clean = experiment != "gradient"
    documents = [document(rows[number], vocabulary, max_len, clean=clean) for number in chosen]
    names = (dataset, "multihead", seed)
    if experiment == "gradient":
        columns = gradient_rows(model, documents)
    elif experiment == "faithfulness":
        columns = faithfulness_rows(model, documents, samples=samples, names=names)
    else:
        mode = experiment.removeprefix("lime_")
        columns = lime_rows(model, documents, mode, samples=samples, repeats=repeats, names=names)
    about = {"id": [item.id for item in documents], "label": [item.label for item in documents]}
    write_rows(output, about | columns, kind=f"theory_{experiment}")


def gather(shards, output, experiment):
    """Join the shards of an experiment, in order, into one file."""
    import pandas as pd

    from ..artefacts import read_rows

    write_rows(output, pd.concat([read_rows(file) for file in shards]), kind=f"theory_{experiment}")


def rounded(values):
    """float32 with 11 binary digits after the leading one (a relative 2^-12): what such an error is worth, and small
    files."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x800)) & np.uint32(0xFFFFF000)).view(np.float32)


def _columns(rows):
    """A list of dicts of numbers to name -> array: integers stay, the rest is rounded."""
    found = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        found[name] = values if isinstance(values[0], int) else rounded(values)
    return found


# ---------------------------------------------------------------------------------------------------- gradient


def gradient_rows(model, documents):
    """Closed form and autograd, both in double precision, so that what is left is the formula's and not rounding's.

    Norms are Euclidean, over coordinates and, for published_*, over positions.
    """
    import torch

    from .gradient import LABEL, autograd_gradient, closed_form_gradient

    model, found = model.double(), []
    for start in range(0, len(documents), BATCH):
        part = documents[start : start + BATCH]
        ids = torch.from_numpy(np.stack([item.ids for item in part]))
        auto, logits = autograd_gradient(model, ids)
        apart = closed_form_gradient(model, ids, corrected=False) - auto
        corrected = closed_form_gradient(model, ids, corrected=True) - auto
        largest = auto.norm(dim=-1).max(-1).values
        rest = apart[:, 1:].flatten(1)
        numbers = {
            "logit": logits[:, LABEL],
            "gradient_norm": largest,
            "published_max": rest.abs().max(-1).values,
            "published_relative": rest.norm(dim=-1) / auto[:, 1:].flatten(1).norm(dim=-1),
            "published_first_max": apart[:, 0].abs().max(-1).values,
            "published_first_relative": apart[:, 0].norm(dim=-1) / auto[:, 0].norm(dim=-1),
            "corrected_worst": corrected.norm(dim=-1).max(-1).values / largest,
        }
        for number, item in enumerate(part):
            found.append(
                {"tokens": len(item.tokens)}
                | {name: float(values[number]) for name, values in numbers.items()}
            )
    return _columns(found)


# -------------------------------------------------------------------------------------------------------- LIME


def lime_rows(model, documents, mode, *, samples, repeats, names):
    """LIME's mean over repeats beside each formula, word by word; `mode` as in `lime_sampling.lime`."""
    import torch

    from .documents import grouped, terms_of
    from .gradient import LABEL
    from .lime_limit import limit, rho
    from .lime_sampling import lime

    def mean(terms, item, way):
        runs = [
            lime(terms, way, samples, seed_of(*names, item.id, f"lime_{way}", repeat))
            for repeat in range(repeats)
        ]
        return np.mean(runs, 0), np.sqrt(np.var(runs, 0, ddof=1).sum() / repeats)

    found = []
    for item in documents:
        ids = torch.from_numpy(item.ids)
        terms = terms_of(model, ids, len(item.words), item.words)
        embedded = model.embedded(ids[None])
        attention = model.attention_of(embedded)[0].double()
        ratio = np.log(rho(terms))
        runs, noise = mean(terms, item, mode)
        row = {
            "tokens": terms.length,
            "words": terms.distinct,
            "logit": float(model.head_logits(embedded).mean(1)[0, LABEL]),
            "rho": float(np.exp(ratio.mean())),
            "rho_lowest": float(np.exp(ratio.min())),
            "rho_highest": float(np.exp(ratio.max())),
            "concentration": float((attention**2).sum(-1).mean()),
            "lime_norm": float(np.linalg.norm(runs)),
            "lime_noise": float(noise),
        }
        for formula in FORMULAS:
            row |= compared(formula, grouped(limit(terms, formula), terms.words), runs)
        if mode == "delete":
            row |= compared("masking", mean(terms, item, "mask")[0], runs)
        found.append(row)
    return _columns(found)


def compared(name, formula, runs):
    """How a formula's coefficients stand to LIME's, (words,) each: name_l2, _relative, _pearson, _spearman, _slope.

    l2: norm of the difference (the published error); relative: over LIME's norm; slope: of LIME on the formula, through
    the origin. Correlations are 0 where one side is constant.
    """
    apart, size = np.linalg.norm(formula - runs), np.linalg.norm(runs)
    square = formula @ formula
    return {
        f"{name}_l2": apart,
        f"{name}_relative": apart / size if size else 0.0,
        f"{name}_pearson": _pearson(formula, runs),
        f"{name}_spearman": _pearson(_ranks(formula), _ranks(runs)),
        f"{name}_slope": formula @ runs / square if square else 0.0,
    }


def _pearson(one, other):
    one, other = one - one.mean(), other - other.mean()
    norms = np.linalg.norm(one) * np.linalg.norm(other)
    return one @ other / norms if norms else 0.0


def _ranks(values):
    from scipy.stats import rankdata

    return rankdata(values)


# ------------------------------------------------------------------------------------------------ faithfulness


def faithfulness_rows(model, documents, *, samples, names):
    """Comprehensiveness and sufficiency of every explanation, tokens deleted and tokens masked.

    DeYoung et al. 2020: mean over the top 1, 5, 10, 20 and 50% of the tokens of the fall in the predicted class's
    probability (softmax of the raw logits) when they go (comp) or alone stay (suff). Explanations are of the positive
    logit; those with a sign are turned round where the model says negative.
    """
    from ..faithfulness.perturbation import bin_counts
    from .documents import deleted_logits, masked_logits
    from .explanations import EXPLANATIONS, explain

    found = []
    for start in range(0, len(documents), BATCH):
        part = documents[start : start + BATCH]
        for item, (terms, logits, scores) in zip(
            part, explain(model, part, samples=samples, names=names), strict=True
        ):
            target = int(logits.argmax())
            counts = bin_counts(terms.length)[1:]
            rows = []
            for name, values in scores.items():
                sign = -1 if EXPLANATIONS[name].signed and target == 0 else 1
                ranked = np.argsort(-sign * values, kind="stable")
                for count in counts:
                    top = np.zeros(terms.length, np.float32)
                    top[ranked[:count]] = 1
                    rows += [1 - top, top]  # comp, suff
            kept, single = np.stack(rows), terms.by_position()
            whole = _probability(logits[None], target)[0]
            row = {"tokens": terms.length, "probability": whole, "right": int(target == item.label)}
            for mode, logits_of in (("delete", deleted_logits), ("mask", masked_logits)):
                falls = whole - _probability(logits_of(single, kept).astype(np.float64), target)
                falls = falls.reshape(len(scores), len(counts), 2).mean(1)
                for name, (comp, suff) in zip(scores, falls, strict=True):
                    row |= {f"{name}_{mode}_comp": comp, f"{name}_{mode}_suff": suff}
            found.append(row)
    return _columns(found)


def _probability(logits, target):
    """Softmax probability of the target, (N, 2) to (N,)."""
    return 1 / (1 + np.exp(logits[:, 1 - target] - logits[:, target]))
