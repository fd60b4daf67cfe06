"""Vectorised LIME against the package `lime` calling the multi-head classifier's forward pass: `make bench`.

20 documents of about 200 tokens, 5,000 samples each, published sizes with random weights: nothing depends on their values.
The package's forward pass forms the whole T x T attention, as the reference does; the package alone runs on
`--package-documents` of them (all 20 take eight minutes on two cores), ours on all. Ratios of mean seconds in one run.
"""

import argparse
import json
import time

import numpy as np
import torch

from plumbline.models.multihead import MultiHeadClassifier
from plumbline.models.vocabulary import SPECIALS, Vocabulary
from plumbline.theory.documents import terms_of
from plumbline.theory.experiments import document
from plumbline.theory.lime_package import package_coefficients, predictor
from plumbline.theory.lime_sampling import lime

SAMPLES, MAX_LEN = 5000, 256


class WholeAttention(MultiHeadClassifier):
    """The classifier as the reference computes it: keys, queries and values of all tokens, all rows of attention."""

    def forward(self, ids):
        embedded = self.embedded(ids)
        found = []
        for head in self.heads:
            query, key, value = head.query(embedded), head.key(embedded), head.value(embedded)
            attention = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
            found.append(head.classifier((attention @ value)[:, 0]))
        return torch.stack(found).mean(0)


def documents(count, vocabulary):
    """Documents of 170 to 230 tokens, words drawn as in text: rank r with a chance that falls as 1 / r."""
    draw, words = np.random.default_rng(0), vocabulary.tokens[2:]
    chance = 1 / (np.arange(len(words)) + 3)
    chance /= chance.sum()
    for number in range(count):
        text = " ".join(draw.choice(words, size=draw.integers(170, 231), p=chance))
        yield document({"id": number, "text": text, "label": 0}, vocabulary, MAX_LEN, clean=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package-documents", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    vocabulary = Vocabulary([*SPECIALS, *(f"w{number}" for number in range(20000))])
    model = WholeAttention(len(vocabulary), 128, 64, 64, 6, MAX_LEN).requires_grad_(False)
    found = list(documents(20, vocabulary))
    predict = predictor(model, vocabulary, MAX_LEN)
    numbers = {
        "tokens": float(np.mean([len(item.tokens) for item in found])),
        "words": float(np.mean([item.words.max() + 1 for item in found])),
    }
    print(
        f"20 documents, {numbers['tokens']:.0f} tokens, {numbers['words']:.0f} distinct words on average, "
        f"{SAMPLES} samples, {options.threads} thread(s)",
        flush=True,
    )
    for mode in ("mask", "delete"):
        start = time.perf_counter()
        for item in found:
            terms = terms_of(model, torch.from_numpy(item.ids), len(item.tokens), item.words)
            # The package's masking has a feature a position.
            lime(terms.by_position() if mode == "mask" else terms, mode, SAMPLES, seed=item.id)
        ours = (time.perf_counter() - start) / len(found)
        start = time.perf_counter()
        for item in found[: options.package_documents]:
            package_coefficients(predict, item, mode=mode, samples=SAMPLES, seed=item.id)
        package = (time.perf_counter() - start) / options.package_documents
        numbers[mode] = {"ours": ours, "package": package, "ratio": package / ours}
        print(
            f"  {mode:<7}{ours:.3f} s, package {package:.1f} s on {options.package_documents} document(s): "
            f"{package / ours:.0f} times faster",
            flush=True,
        )
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(numbers, out, indent=2)


if __name__ == "__main__":
    main()
