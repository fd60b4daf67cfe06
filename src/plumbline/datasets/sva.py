"""SVA: subject-verb agreement in Wikipedia sentences, the verb masked (Linzen et al. 2016, Goldberg 2019).

url     Goldberg's lgd_dataset.tsv (no header; column 0 attractors, 2 masked sentence, 3 good verb, 4 bad verb),
        prepared as the ALTI authors did: rows whose good verb is `is` or `are`, or
        is no entry of bert-base-uncased's vocabulary, are dropped (the vocabulary is a download of its own,
        and one for all models, as published); split 70/15/15, stratified by the published label, in two
        stages with random_state 48151623.
mirror  train: Linzen's test sentences as filtered by Gulordava et al., with validation carved from them;
        test: 6,062 rows of Goldberg's set. The two overlap, so what test has is dropped from train.
        Rows whose two verb forms are one (label '?') and repeated texts are dropped.

The label is read off the two verb forms: 1 where the good one is the longer, but for be, have. The mirror's
own labels are the same but for a dozen verbs in -sses (passes, crosses), which it calls plural. The published
rule knows `is` and `has` alone, so it calls every `have` singular, since it is longer than `has`;
`labels: published` keeps that (url source).
"""

from ..errors import PlumblineError
from ..registry import Dataset
from . import raw

MASK = "***mask***"
SPLIT_SEED = 48151623
LABELS = ("VBP", "VBZ", "?")  # of the mirror's files

ENTRY = Dataset(
    id="sva",
    label="SVA",
    task="agreement",
    label_names=("plural", "singular"),
    splits=("train", "validation", "test"),
    licence="text of English Wikipedia, CC BY-SA; selections Apache-2.0 (Goldberg), CC BY-NC 4.0 (Gulordava et al.)",
    citation="Linzen, Dupoux and Goldberg 2016, TACL; Goldberg 2019, arXiv 1901.05287; Gulordava et al. 2018, NAACL",
    sources={
        "mirror": {"train": "sva/linzen_filtered.tsv.gz", "test": "sva/lgd_subset.tsv.gz"},
        "url": {
            "lgd_dataset.tsv": {
                "url": "https://raw.githubusercontent.com/yoavg/bert-syntax/master/lgd_dataset.tsv"
            },
            "vocab.txt": {
                "repo": "google-bert/bert-base-uncased",
                "repo_type": "model",
                "filename": "vocab.txt",
                "revision": "86b5e0934494bd15c9632b12f734a8a67f723594",
                "sha256": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            },
        },
    },
    parameters={name: value for name, value in raw.PARAMETERS.items() if name != "revision"}
    | {"labels": "corrected", "url": None},  # or 'published'; another address of lgd_dataset.tsv
    order=60,
)


def rows(split, block, files):
    """Rows of a split: a DataFrame with text, label, mask_index, verb_correct, verb_incorrect, attractors."""
    if block["source"] == "mirror" and block["labels"] == "published":
        raise PlumblineError("sva: `labels: published` belongs to `source: url`; set labels: corrected")
    frame = _mirror(split, block, files) if block["source"] == "mirror" else _url(split, block, files)
    return raw.limit(frame, split, block, "sva")


def _mirror(split, block, files):
    test = _tidy(_table(files("test"), "sentence_masked"), files("test"))
    if split == "test":
        return test
    path = files("train")
    train = _table(path, "sentence", {"target_index": (0, None)})
    words = train["text"].str.split()
    short = train.index[train["target_index"] >= words.map(len)]
    if len(short):
        raise PlumblineError(
            f"row {short[0]} of {path} has {len(words[short[0]])} words, its target_index is "
            f"{train['target_index'][short[0]]}: correct the file"
        )
    train["text"] = [_masked(*row) for row in zip(words, train["target_index"], strict=True)]
    train = _tidy(train, path)
    return raw.carve(train[~train["text"].isin(set(test["text"]))], split, block, "sva")


def _table(path, text, more=None):
    """A mirror's file with our names; more: further columns of whole numbers, as `raw.read_tsv` takes them."""
    verbs = ["verb_correct", "verb_incorrect"]
    frame = raw.read_tsv(
        path,
        [text, *verbs, "label", "n_attractors", *(more or {})],
        filled=[text, *verbs],
        integers={"n_attractors": (0, None), **(more or {})},
    )
    wrong = frame.index[~frame["label"].isin(LABELS)]
    if len(wrong):
        raise PlumblineError(
            f"row {wrong[0]} of {path} has the label '{frame['label'][wrong[0]]}'; legal: {', '.join(LABELS)}"
        )
    return frame.rename(columns={text: "text", "n_attractors": "attractors"})


def _masked(words, index):
    return " ".join([*words[:index], MASK, *words[index + 1 :]])


def _tidy(frame, path):
    """Our columns of a mirror's file, without rows of unknown number and without repeated texts."""
    frame = frame[frame["label"] != "?"]
    alike = frame.index[frame["verb_correct"].str.lower() == frame["verb_incorrect"].str.lower()]
    if len(alike):
        raise PlumblineError(
            f"row {alike[0]} of {path} has two equal verbs and the label '{frame['label'][alike[0]]}': "
            "such a row's number is unknown, its label '?'"
        )
    frame = _columns(frame.assign(label=_third_singular(frame, "corrected")), path)
    return frame.drop_duplicates("text", ignore_index=True)


def _third_singular(frame, labels):
    """1 where the good verb is third person singular by the rule `labels`, else 0."""
    good, bad = frame["verb_correct"].str.lower(), frame["verb_incorrect"].str.lower()
    longer = good.str.len() > bad.str.len()
    if labels == "corrected":
        longer &= ~good.isin(["are", "have", "were"])
    return (good.isin(["is", "has", "was"]) | longer).astype(int)


def _url(split, block, files):
    from sklearn.model_selection import train_test_split

    names = {0: "attractors", 2: "text", 3: "verb_correct", 4: "verb_incorrect"}
    path = files("lgd_dataset.tsv")
    frame = raw.read_tsv(
        path,
        names,
        header=False,
        filled=["text", "verb_correct", "verb_incorrect"],
        integers={"attractors": (0, None)},
    )
    vocabulary = {word for (word,) in raw.read_tsv(files("vocab.txt"), {0: "word"}, header=False).to_numpy()}
    good = frame["verb_correct"]
    frame = frame[~good.isin(["is", "are"]) & good.isin(vocabulary)]
    published = _third_singular(frame, "published").reset_index(drop=True)
    frame = _columns(frame.assign(label=_third_singular(frame, block["labels"])), path).reset_index(drop=True)
    try:
        train, rest = train_test_split(
            frame.index, test_size=0.3, random_state=SPLIT_SEED, stratify=published
        )
        validation, test = train_test_split(
            rest, test_size=0.5, random_state=SPLIT_SEED, stratify=published.loc[rest]
        )
    except ValueError as fault:
        raise PlumblineError(
            f"the {len(frame)} rows of {path} with a verb of the vocabulary cannot be divided ({fault}): "
            "copy the file, and vocab.txt, again"
        ) from fault
    return frame.loc[sorted({"train": train, "validation": validation, "test": test}[split])]


def _columns(frame, path):
    """Add mask_index, with the mask a word of its own, and keep our columns."""
    text = frame["text"].str.replace(MASK, f" {MASK} ", regex=False).str.split()
    wrong = text.index[text.map(lambda words: words.count(MASK)) != 1]
    if len(wrong):
        raise PlumblineError(f"row {wrong[0]} of {path} has not one {MASK}: {frame['text'][wrong[0]][:80]}")
    frame = frame.assign(text=text.str.join(" "), mask_index=text.map(lambda words: words.index(MASK)))
    return frame[["text", "label", "mask_index", "verb_correct", "verb_incorrect", "attractors"]]
