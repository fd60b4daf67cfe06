"""The generated corpora: varied, balanced, without leaks, and labelled as their rules say.

The two interpreters below read a text alone. They share the lexicon with the grammar, not its code.
"""

import functools
import re
from collections import Counter, defaultdict

import pytest

from plumbline.datasets import DATASETS, agreement, load, sentiment
from plumbline.datasets.generated import held_out

pytestmark = pytest.mark.slow

# Training rows, word types at least, how often each at least, and between what the mean length in words lies.
CORPORA = {
    "sentiment": (20_000, 400, 30, 12, 20),
    "agreement": (20_000, 400, 30, 12, 20),
    "reviews": (5_000, 350, 10, 50, 80),
}


@functools.cache
def rows(corpus, split="train"):
    return load(corpus, split, {})


def words_of(frame):
    return Counter(word for text in frame["text"] for word in text.split())


# ---------------------------------------------------------------- the rules, read from the text

POLAR = {
    word: sign
    for lexicon in (sentiment.ADJECTIVES, sentiment.NOUNS, sentiment.ADVERBS, sentiment.FEELINGS)
    for sign, words in lexicon.items()
    for word in words
}
POLAR |= {form: sign for sign, verbs in sentiment.VERBS.items() for pair in verbs.items() for form in pair}
NEGATORS = {"not", "never", "hardly", "no", "far"}
REPORT = re.compile(
    r"(according to .* ,|(my|the|a|his|her|our) \w+ (said|thought|claimed|insisted|believed|wrote) that) "
)


def read_sentiment(text):
    """Label and rationale by the rules of sentiment.py's docstring."""
    words = text.split()
    quoted, inside = set(), False
    for index, word in enumerate(words):
        inside ^= word == '"'
        if inside:
            quoted.add(index)
    for start, end in spans(words, range(len(words)), ";"):
        if REPORT.match(" ".join(words[start:end])):
            continue
        clause = [index for index in range(start, end) if index not in quoted]
        if any(words[index] in POLAR for index in clause):
            return verdict(words, deciding(words, clause))
    raise AssertionError(f"nothing decides: {text}")


def spans(words, indices, separator):
    """(start, end) of the stretches between separators."""
    edges = [index for index in indices if words[index] == separator]
    return zip([indices[0], *(edge + 1 for edge in edges)], [*edges, indices[-1] + 1], strict=True)


def deciding(words, clause):
    """The indices of a review's deciding part."""
    at = {words[index]: index for index in clause}
    for connector in ("but", "yet", "however"):
        if connector in at:
            return range(at[connector] + 1, clause[-1] + 1)
    for connector in ("although", "though", "despite"):
        if connector in at:
            before = range(clause[0], at[connector])
            if any(words[index] in POLAR for index in before):
                return before
            comma = next(index for index in clause if index > at[connector] and words[index] == ",")
            return range(comma + 1, clause[-1] + 1)
    return clause


def verdict(words, part):
    signs, rationale = set(), [0] * len(words)
    for start, end in spans(words, part, "and"):
        polar = [index for index in range(start, end) if words[index] in POLAR]
        negators = [index for index in range(start, end) if words[index] in NEGATORS]
        assert len(polar) == 1 and len(negators) <= 1
        signs.add(POLAR[words[polar[0]]] * (-1) ** len(negators))
        for index in [*polar, *negators, *(index + 1 for index in negators if words[index] == "far")]:
            rationale[index] = 1
    assert len(signs) == 1
    return int(signs == {1}), rationale


ASIDE = re.compile("|".join([REPORT.pattern, *sentiment.PUBLISHED, *sentiment.BYSTANDERS]))


def read_review(text):
    """Label and rationale by the rules of reviews.py's docstring, and the signs of the verdicts."""
    found = []
    for sentence in re.findall(r"[^.]+\.", text):
        sentence = sentence.strip()
        found.append(
            (None, [0] * len(sentence.split())) if ASIDE.match(sentence) else read_sentiment(sentence)
        )
    signs = [label for label, _ in found if label is not None]
    majority = int(2 * sum(signs) > len(signs))
    flags = [flag if label == majority else 0 for label, part in found for flag in part]
    return majority, flags, signs


PLURALS = {plural: singular for singular, plural in agreement.NOUNS.items()}


def read_agreement(text):
    """Label, index of the head, attractors and last noun's number, from the structure of the text."""
    words = text.split()
    mask = words.index("***mask***")
    openers = [index for index in range(mask) if words[index] in (",", "that")]
    nouns = [
        index
        for index in range(openers[-1] + 1 if openers else 0, mask)
        if words[index] in agreement.NOUNS or words[index] in PLURALS
    ]
    singular = [words[index] in agreement.NOUNS for index in nouns]
    return int(singular[0]), nouns[0], sum(number != singular[0] for number in singular), int(singular[-1])


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_sentiment_label_and_rationale_follow_from_the_text(split):
    for row in rows("sentiment", split).itertuples():
        assert read_sentiment(row.text) == (row.label, list(row.rationale)), row.text


@pytest.mark.parametrize("split", ["train", "test"])
def test_review_label_and_rationale_follow_from_the_text(split):
    for row in rows("reviews", split).head(1_000).itertuples():
        label, rationale, signs = read_review(row.text)
        assert (label, rationale) == (row.label, list(row.rationale)), row.text
        assert 5 <= len(signs) <= 8
        assert min(sum(signs), len(signs) - sum(signs)) <= 1


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_agreement_label_and_rationale_follow_from_the_text(split):
    pairs = {(singular, plural) for verbs in agreement.VERBS.values() for singular, plural, _ in verbs}
    for row in rows("agreement", split).itertuples():
        label, head, attractors, _ = read_agreement(row.text)
        assert (label, attractors) == (row.label, row.attractors), row.text
        assert [index for index, flag in enumerate(row.rationale) if flag] == [head]
        assert row.text.split()[row.mask_index] == "***mask***"
        pair = (row.verb_correct, row.verb_incorrect)
        assert (pair if row.label else pair[::-1]) in pairs


def test_rules_worked_by_hand():
    assert read_sentiment("the film was not very good .")[0] == 0
    assert read_sentiment("although the plot was dull , i loved the film .")[0] == 1
    assert read_sentiment('the poster promised " a great film " ; the film was far from brilliant .')[0] == 0
    assert read_sentiment("i never disliked the tour ; the critic said that the tour was awful .")[0] == 1
    assert read_sentiment("the film was dull , but the cast never left me bored .") == (
        1,
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0],
    )


# ---------------------------------------------------------------- variety, balance, splits


@pytest.mark.parametrize("corpus", CORPORA)
def test_size_and_variety(corpus):
    train = rows(corpus)
    counts = words_of(train)
    size, types, times, fewest, most = CORPORA[corpus]
    assert len(train) == train["text"].nunique() == size
    assert len(counts) >= types
    assert min(counts.values()) >= times  # each word is seen often enough to be learned
    assert fewest <= train["text"].str.split().str.len().mean() <= most
    assert (train["text"] == train["text"].str.lower()).all()
    assert (train["text"] == train["text"].str.split().str.join(" ")).all()
    assert (train["rationale"].str.len() == train["text"].str.split().str.len()).all()
    assert train["rationale"].map(sum).min() >= 1


@pytest.mark.parametrize("corpus", CORPORA)
def test_balance(corpus):
    for split in DATASETS[corpus].splits:
        assert rows(corpus, split)["label"].sum() * 2 == len(rows(corpus, split))


@pytest.mark.parametrize("corpus", CORPORA)
def test_splits_are_disjoint_even_across_seeds(corpus):
    texts = [set(rows(corpus, split)["text"]) for split in DATASETS[corpus].splits]
    texts[1] |= set(load(corpus, "validation", {"validation": 300, "seed": 7})["text"])
    texts[2] |= set(load(corpus, "test", {"test": 300, "seed": 7})["text"])
    assert not texts[0] & texts[1] and not texts[0] & texts[2] and not texts[1] & texts[2]


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_smaller_split_is_a_prefix_and_a_seed_is_another_corpus(corpus):
    small = load(corpus, "test", {"test": 120})
    assert small.equals(rows(corpus, "test").head(120))
    assert not set(load(corpus, "train", {"train": 50, "seed": 1})["text"]) & set(
        rows(corpus).head(50)["text"]
    )


@pytest.mark.parametrize("corpus", CORPORA)
def test_held_out_templates_recombine_what_training_shows(corpus):
    train, test = set(rows(corpus)["template"]), rows(corpus, "test")["template"]
    unseen = test[~test.isin(train)]
    assert 0.25 < len(unseen) / len(test) < 0.36
    assert all(map(held_out, unseen)) and not any(map(held_out, train))
    assert not set(rows(corpus, "validation")["template"]) & set(unseen)
    separators = re.compile(r"[/+]")
    parts = {part for name in train for part in separators.split(name)}
    assert {part for name in unseen for part in separators.split(name)} <= parts


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_small_wordpiece_vocabulary_splits_words(corpus):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    texts = rows(corpus)["text"].head(5_000)
    tokenizer.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=600, special_tokens=["[UNK]"], show_progress=False)
    )
    split = sum(len(tokenizer.encode(word).tokens) > 1 for word in words_of(rows(corpus)))
    assert split > 50


# ---------------------------------------------------------------- leaks


@pytest.mark.parametrize(("corpus", "ceiling"), [("sentiment", 0.75), ("agreement", 0.72)])
def test_a_bag_of_words_does_not_tell_the_label(corpus, ceiling):
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    train, test = rows(corpus), rows(corpus, "test")
    bag = CountVectorizer(token_pattern=r"\S+")
    model = LogisticRegression(max_iter=300).fit(bag.fit_transform(train["text"]), train["label"])
    assert model.score(bag.transform(test["text"]), test["label"]) < ceiling


def test_sentiment_words_that_do_not_count_tell_nothing():
    """Polar words outside the rationale go with either label equally often."""
    agree = []
    for row in rows("sentiment").itertuples():
        outside = [
            POLAR[word]
            for word, flag in zip(row.text.split(), row.rationale, strict=True)
            if word in POLAR and not flag
        ]
        agree += [(sign > 0) == bool(row.label) for sign in outside]
    assert len(agree) > 10_000
    assert abs(sum(agree) / len(agree) - 0.5) < 0.015


def test_agreement_structure_tells_nothing():
    """Neither the attractor count, nor the last noun, nor any word that is no noun goes with the label."""
    train = rows("agreement")
    assert set(train["attractors"]) == {0, 1, 2, 3, 4}
    for _, group in train.groupby("attractors"):
        assert abs(group["label"].mean() - 0.5) < 4 * 0.5 / len(group) ** 0.5
    last = [read_agreement(text)[3] for text in train["text"]]
    assert abs((train["label"] == last).mean() - 0.5) < 0.015
    labels = defaultdict(list)
    for text, label in zip(train["text"], train["label"], strict=True):
        for word in set(text.split()):
            labels[word].append(label)
    for word, seen in labels.items():
        if word not in agreement.NOUNS and word not in PLURALS:
            assert abs(sum(seen) / len(seen) - 0.5) < 5 * 0.5 / len(seen) ** 0.5, word


def test_agreement_nouns_have_one_number_and_are_no_other_word():
    lexicon = {
        *agreement.ADJECTIVES,
        *agreement.PAST,
        *agreement.ACTIVE,
        *agreement.SLEPT,
        *agreement.ADVERBS,
        *agreement.SAYING,
        *agreement.DETERMINERS,
        *agreement.SUBORDINATORS,
        *" ".join([*agreement.TIMES, *agreement.PREPOSITIONS]).split(),
    }
    assert not set(agreement.NOUNS) & set(PLURALS)
    assert not (set(agreement.NOUNS) | set(PLURALS)) & lexicon
    assert len(PLURALS) == len(agreement.NOUNS)
