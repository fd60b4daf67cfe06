"""Generated reviews: several sentences of the sentiment grammar, the long counterpart of IMDb and Yelp.

A review has five to eight verdicts, sentences of `sentiment` in the reviewer's own voice. The label is what all of them
say, or all but one where a review has a dissenting verdict. A sentence beside them, another's opinion, a quotation or a
neutral remark, never counts. The rationale marks the deciding words (see `sentiment`) of the verdicts that agree with
the label. A template is `<verdicts>/<place of the dissent>/<kind of aside>`; a fifth of them is kept for the test split.
"""

from ..registry import Dataset
from . import generated, sentiment
from .generated import pick, weighted

ENTRY = Dataset(
    id="reviews",
    label="Reviews (generated)",
    task="classification",
    label_names=("negative", "positive"),
    splits=("train", "validation", "test"),
    licence="Apache-2.0, made by this project's grammar",
    citation="Plumbline, src/plumbline/datasets/reviews.py",
    sources={"generated": {}},
    known_truth=True,
    parameters=generated.PARAMETERS | {"train": 5_000},
    order=15,
)

VERDICTS = ("5", "6", "7", "8")
DISSENT = {"none": 60, "first": 14, "middle": 13, "last": 13}
CONTRASTS = {"single": 80, "despite": 20}
ASIDES = {"none": 40, "report": 20, "quote": 20, "neutral": 20}


def rows(split, block, files):
    """The rows of a split (list of dicts): text, label (0 negative, 1 positive), rationale, template."""
    return generated.draw("reviews", split, block[split], block["seed"], template=template, sentence=review)


def template(rng, unseen):
    """Draw the name of a template, held out (`unseen`) or not."""

    def name():
        return f"{pick(rng, VERDICTS)}/{weighted(rng, DISSENT)}/{weighted(rng, ASIDES)}"

    return generated.until(name, unseen)


def review(rng, name, label):
    """Make a review of a template.

    Parameters
    ----------
    rng : random.Random
        It goes on.
    name : str
        See `template`.
    label : {0, 1}
        0 negative, 1 positive.

    Returns
    -------
    dict
        text, label and rationale, one flag a word of text.split().
    """
    verdicts, dissent, aside = name.split("/")
    count = int(verdicts)
    odd = {"none": None, "first": 0, "middle": count // 2, "last": count - 1}[dissent]
    sentences = [_verdict(rng, label if place != odd else 1 - label, place != odd) for place in range(count)]
    if aside != "none":
        beside = sentiment.aside(rng, aside) + [(".", False)]
        sentences.insert(int(rng.random() * (count + 1)), beside)
    words = [pair for sentence in sentences for pair in sentence]
    return {
        "text": " ".join(word for word, _ in words),
        "label": label,
        "rationale": [int(deciding) for _, deciding in words],
    }


def _verdict(rng, label, agrees):
    """A sentence in the reviewer's own voice, as (word, whether it belongs to the rationale) pairs."""
    contrast = weighted(rng, CONTRASTS)
    made = sentiment.sentence(rng, f"plain/{contrast}/{pick(rng, sentiment.FORMS)}", label)
    return [
        (word, agrees and bool(flag))
        for word, flag in zip(made["text"].split(), made["rationale"], strict=True)
    ]
