"""What the generated corpora share: seeded draws, held-out templates, disjoint splits.

A sentence depends on (corpus, seed, split, its number) alone, so a smaller split is a prefix of a larger
one. A text belongs to one split by its own hash, so splits are disjoint whatever their sizes and seeds.
"""

import random

from ..errors import PlumblineError
from ..seeds import seed_of

PARAMETERS = {"train": 20_000, "validation": 1_000, "test": 1_000, "seed": 0}
HELD_OUT_PERCENT = 20  # of all templates: never in train or validation
DRAW = 17  # of the held-out templates: one that takes some of every part, and leaves the plainest to train
UNSEEN_PERCENT = 30  # of the test rows: from held-out templates
ATTEMPTS = 2_000  # draws for one row before the corpus counts as exhausted


def held_out(template):
    """Return whether a template is kept for the test split."""
    return seed_of("held out", DRAW, template) % 100 < HELD_OUT_PERCENT


def until(make, unseen):
    """Return the first name that make() gives which is held out (`unseen`) or is not."""
    return next(name for name in iter(make, None) if held_out(name) == unseen)


def home(text):
    """Return the one split that a text may be in: 80% train, 10% validation, 10% test."""
    return ("test", "validation", *["train"] * 8)[seed_of("home", text) % 10]


def pick(rng, items):
    """Return one of `items`, from rng.random() alone, whose stream Python promises to keep."""
    return items[int(rng.random() * len(items))]


def weighted(rng, weights):
    """Return a key of the mapping `weights`, in proportion to its value."""
    left = rng.random() * sum(weights.values())
    for key, weight in weights.items():
        left -= weight
        if left < 0:
            return key
    return key


def draw(corpus, split, size, seed, *, template, sentence):
    """Draw distinct rows of a split, labels in balance: of rows 2k and 2k+1 one has label 1.

    Parameters
    ----------
    corpus : str
        The data set's id.
    split : str
        train, validation or test.
    size : int
        The number of rows.
    seed : int
        Of the data set's block.
    template : callable
        (rng, unseen) -> the name of a template, held out or not.
    sentence : callable
        (rng, name, label) -> a row (dict) with text and label.

    Returns
    -------
    list of dict
        What `sentence` makes, and `template`, the name.

    Raises
    ------
    PlumblineError
        Where the corpus has fewer distinct sentences.
    """
    rows, seen = [], set()
    for index in range(size):
        label = (seed_of(corpus, seed, split, "label", index // 2) + index) % 2
        unseen = split == "test" and seed_of(corpus, seed, split, "unseen", index) % 100 < UNSEEN_PERCENT
        for attempt in range(ATTEMPTS):
            rng = random.Random(seed_of(corpus, seed, split, index, attempt))
            name = template(rng, unseen)
            row = sentence(rng, name, label)
            if row["text"] not in seen and home(row["text"]) == split:
                break
        else:
            raise PlumblineError(
                f"dataset '{corpus}' has no {size} distinct {split} sentences: ask for fewer"
            )
        seen.add(row["text"])
        rows.append({**row, "template": name})
    return rows


def listed(text):
    """Return the words of a text as a list."""
    return text.split()


def pairs(text):
    """Return a mapping that is written as words `key:value`."""
    return dict(word.split(":") for word in text.split())


def article(word):
    """Return 'a' or 'an', as it stands before a word."""
    return "an" if word[0] in "aeiou" else "a"
