"""Saliency tables: the chosen sentences of one model, every word coloured by its score, a line a readout.

inputs: attributions (of several seeds, the lowest is shown). options: dataset, model, scale, heatmap_examples.
As published for WordPiece (Ferrando et al. 2022): the scores of a word's pieces are summed, words are scaled to
[0, 1] by the smallest and the largest of the sentence, the two special tokens at its ends among them, these are
dropped, and the rest falls into five bins of matplotlib's Blues at a tint of 60%. Corrected: the reference leaves the
pieces of byte-level tokenisers apart; here they are merged too. Rows: the published ones, for agreement blank-out
too; none of them is signed. (The reference's page on agreement shows the signed means of gradient x input and of
integrated gradients, which do not go into these bins; theirs is the L2 norm here too.) Controls are in the tables
that average over examples: on single sentences they show nothing. There is no interval: single examples.
Units: `score` as in the attributions; `scaled` in [0, 1].
"""

import html as markup
import re

import numpy as np

from ..artefacts import read_rows
from ..attribution import READOUTS, method_of, shown_in
from ..chosen import chosen, instead
from ..collect import by_model, dataset_label, facts, short_label
from ..errors import PlumblineError
from ..registry import Output
from ..words import words
from . import latex as tex

# By the data set's task. Signed scores do not go into these bins.
SHOWN = {
    task: tuple(readout for readout in shown_in(f"words_{task}") if not READOUTS[readout].signed)
    for task in ("classification", "agreement")
}

ENTRY = Output(
    id="saliency",
    label="Saliency",
    needs=("attributions",),
    readouts=SHOWN,
    seeds="lowest",
    per="model",
    options=("heatmap_examples",),
    formats=("csv", "tex", "html"),
)

EDGES = (0.0, 0.2, 0.4, 0.6, 0.8)
# matplotlib's Blues at these edges, and the share of colour in them.
BLUES = ("F7FBFF", "D0E1F2", "94C4DF", "4A98C9", "1764AB")
TINT = 0.6
INTERVAL = "none: single examples"
# A LaTeX table of more words would be longer than a page.
LATEX_WORDS = 60


def rows(inputs, options):
    """Make the rows of the table.

    Parameters
    ----------
    inputs : dict
        See the module.
    options : dict
        dataset, model, scale, heatmap_examples.

    Returns
    -------
    DataFrame
        One row a data set, model, example, readout and word. `example` is the id shown, `asked` the one in heatmap_examples;
        `word_index` counts from 0 without the special tokens; `bin` from 1 to 5; `gap` and `steps` are those of integrated
        gradients on this very example; `examples` is the number of sentences.

    Raises
    ------
    PlumblineError
        Where a run has none of the readouts.
    """
    import pandas as pd

    blocks = []
    for (dataset, model), items in by_model(inputs["attributions"], options).items():
        seed = min(int(item["seed"]) for item in items)
        own = [item for item in items if int(item["seed"]) == seed]
        found = _examples(own, dataset, model, options["heatmap_examples"])
        about = {"scale": options["scale"], "dataset": dataset, "model": model}
        block = pd.concat([_block(about, example) for example in found], ignore_index=True)
        blocks.append(block.assign(examples=len(found), seeds=str(seed), interval=INTERVAL))
    return pd.concat(blocks, ignore_index=True)


def _examples(items, dataset, model, wanted):
    """One dict an example: id, asked, predicted, probability, tokens, position, scores (readout -> array)."""
    from ..datasets import DATASETS

    shown = SHOWN[DATASETS[dataset].task]
    frames = {
        item["method"]: read_rows(item["path"]).set_index("id")
        for item in items
        if item["method"] in {method_of(readout).id for readout in shown}
    }
    vectors = {
        readout: frames[method_of(readout).id][f"scores_{readout}"]
        for readout in shown
        if method_of(readout).id in frames
    }
    if not vectors:
        raise PlumblineError(
            f"{dataset}/{model} has none of {', '.join(shown)}: add one of the methods "
            f"{', '.join(dict.fromkeys(method_of(readout).id for readout in shown))} to its run, or take saliency out of "
            "`tables`"
        )
    first = next(iter(frames.values()))
    return [
        {
            "id": example,
            "asked": asked,
            "predicted": DATASETS[dataset].label_names[int(first.at[example, "target"])],
            **{key: first.at[example, key] for key in ("probability", "tokens", "position")},
            "scores": {readout: vector[example] for readout, vector in vectors.items()},
            "exactness": {readout: _exactness(frames[method_of(readout).id], example) for readout in vectors},
        }
        for asked, example in chosen(wanted, first.index, f"{dataset}/{model}")
    ]


def _exactness(frame, example):
    """Completeness gap and steps of one example; of a method that sums no integral, None twice."""
    return [frame.at[example, name] if name in frame else None for name in ("completeness_gap", "steps")]


def _block(about, example):
    """The rows of one example."""
    import pandas as pd

    pieces = words(list(example["tokens"]), int(example["position"]))
    shown = [word for word, _ in pieces][1:-1]
    blocks = []
    for readout, vector in example["scores"].items():
        scores = summed(vector, pieces)
        values = scaled(scores)
        blocks.append(
            pd.DataFrame(
                {
                    **about,
                    "example": example["id"],
                    "asked": example["asked"],
                    "predicted": example["predicted"],
                    "probability": float(example["probability"]),
                    "readout": readout,
                    **{key: facts(readout)[key] for key in ("label", "method")},
                    "word_index": range(len(shown)),
                    "word": shown,
                    "score": scores[1:-1],
                    "scaled": values[1:-1],
                    "bin": bins(values)[1:-1],
                    **dict(zip(("gap", "steps"), example["exactness"][readout], strict=True)),
                }
            )
        )
    frame = pd.concat(blocks, ignore_index=True)
    return frame.astype({"gap": float}).astype({"steps": "Int64"})


def summed(scores, pieces):
    """Sum the scores of each word's tokens.

    Parameters
    ----------
    scores : array_like of float, shape (tokens,)
        One a token.
    pieces : list of tuple
        See plumbline.words.

    Returns
    -------
    numpy.ndarray, float64, shape (words,)
    """
    scores = np.asarray(scores, dtype=float)
    return np.array([scores[indices].sum() for _, indices in pieces])


def scaled(scores):
    """Scale scores to [0, 1] by their minimum and maximum; constant ones become 0."""
    return (scores - scores.min()) / (np.ptp(scores) or 1.0)


def bins(values):
    """Return the bin of every value in [0, 1], from 1 (below 0.2) to 5 (from 0.8)."""
    return np.digitize(values, EDGES)


def _sentences(frame):
    """[(facts of the sentence, [(readout, its rows)])], data set by data set, model by model, example by example.

    An example that stands in for two stands there once.
    """
    found = []
    for _, part in frame.groupby(["dataset", "model", "example"], sort=False):
        part = part[part["asked"] == part["asked"].iloc[0]]
        found.append((part.iloc[0], list(part.groupby("readout", sort=False))))
    return found


def _about(fact):
    """What is said of a sentence: its number, class and probability."""
    other = instead(fact["asked"], fact["example"])
    return f"example {fact['example']}{other}, predicted {fact['predicted']}, probability {fact['probability']:.3f}"


def _provenance(fact, options):
    return (
        f"Scale: {options['scale']}; N = {fact['examples']} chosen examples; seed {fact['seeds']}; no interval and no "
        "controls: single examples."
    )


METHOD = (
    "Scores of a word's pieces are summed, scaled to [0, 1] over the sentence, its special tokens among it, which are "
    "then dropped. As published, but for the pieces of byte-level tokenisers, which are merged as well."
)


# ------------------------------------------------------------------------------------------------------- LaTeX


def latex(frame, options):
    r"""The sentences as LaTeX, one table each, words in \colorbox; of long ones the first `LATEX_WORDS` words."""
    colours = [rf"\definecolor{{plumbline{k}}}{{HTML}}{{{blue}}}" for k, blue in enumerate(BLUES, start=1)]
    command = (
        rf"\providecommand{{\plumblineword}}[2]{{\colorbox{{plumbline#1!{100 * TINT:.0f}}}{{\strut #2}}}}"
    )
    tables = [_table(fact, lines, options) for fact, lines in _sentences(frame)]
    return tex.document(ENTRY.label, tables, options, ("booktabs", "xcolor"), [*colours, command])


def _table(fact, lines, options):
    count = len(lines[0][1])
    left_out = f" Words 1 to {LATEX_WORDS} of {count}; the CSV has all." if count > LATEX_WORDS else ""
    place = f"{dataset_label(fact['dataset'])}, {fact['model']}: {_about(fact)}"
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(place)}.",
        label=f"tab:{ENTRY.id}:{fact['dataset']}:{fact['model']}:{fact['example']}",
        columns=["Readout", r"\multicolumn{1}{l}{Words}"],
        sections=[[[tex.escape(short_label(readout)), _words(part)] for readout, part in lines]],
        notes=[
            tex.escape(_provenance(fact, options) + left_out),
            r"Shades, from "
            + " ".join(rf"\plumblineword{{{k}}}{{{edge:g}}}" for k, edge in enumerate(EDGES, start=1))
            + " on.",
            tex.escape(METHOD),
            tex.command_note(options),
        ],
    )


def _words(part):
    r"""The coloured words of one readout in a box of their own, since \colorbox in a cell does not break."""
    shown = part.head(LATEX_WORDS)
    boxes = [
        rf"\plumblineword{{{k}}}{{{tex.prose(word)}}}"
        for k, word in zip(shown["bin"], shown["word"], strict=True)
    ]
    return rf"\parbox[t]{{0.8\textwidth}}{{\fboxsep=1.2pt\raggedright {' '.join(boxes)}\strut}}"


# -------------------------------------------------------------------------------------------------------- HTML

STYLE = """\
body { font: 16px/1.6 system-ui, sans-serif; color: #111; background: #fff; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; vertical-align: top; font-weight: 600; white-space: nowrap; width: 9rem; padding: .3rem 1rem .3rem 0; }
td { padding: .3rem 0; overflow-wrap: anywhere; } tr + tr { border-top: 1px solid #ddd; }
span { padding: .1rem .2rem; border-radius: .15rem; }
p { max-width: 48rem; } .note { color: #444; font-size: .875rem; }
code { overflow-wrap: anywhere; }
"""


def html(frame, options):
    """The sentences as one page without anything from outside; a word's numbers show under the pointer."""
    first = frame.iloc[0]
    title = f"{ENTRY.label}: {dataset_label(first['dataset'])}, {first['model']}"
    shades = "".join(f".b{k} {{ background: {_tint(blue)}; }}\n" for k, blue in enumerate(BLUES, start=1))
    legend = " ".join(
        f'<span class="b{k}">{low:g} to {low + 0.2:g}</span>' for k, low in enumerate(EDGES, start=1)
    )
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{markup.escape(title)} ({markup.escape(options['scale'])} scale)</title>",
        f"<style>\n{STYLE}{shades}</style>\n</head>\n<body>\n<main>",
        f"<h1>{markup.escape(title)}</h1>",
        f"<p>{markup.escape(_provenance(first, options))}</p>",
        f"<p>Scaled score: {legend}</p>",
        *[_section(fact, lines, len(set(frame["model"])) > 1) for fact, lines in _sentences(frame)],
        f'<p class="note">{markup.escape(METHOD)} A word\'s numbers show under the pointer; all of them are in the CSV '
        "file of this name.</p>",
        f'<p class="note">The paper\'s scale: <code>{markup.escape(options["command"])}</code>.</p>',
        "</main>\n</body>\n</html>",
    ]
    return "\n".join(parts) + "\n"


def _section(fact, lines, named):
    """One sentence: a heading and a table of its readouts; `named`: the page has several models."""
    about = _about(fact)
    if named:
        about = f"{dataset_label(fact['dataset'])}, {fact['model']}: {about}"
    about = about[0].upper() + about[1:]
    found = [f"<h2>{markup.escape(about)}</h2>", "<table>"]
    for readout, part in lines:
        spans = " ".join(
            f'<span class="b{row.bin}" title="scaled {row.scaled:.2f}, score {row.score:.3g}">{markup.escape(row.word)}</span>'
            for row in part.itertuples()
        )
        label = markup.escape(short_label(readout))
        found.append(f'<tr><th scope="row">{label}</th><td>{spans}</td></tr>')
    return "\n".join([*found, "</table>"])


def _tint(blue):
    """A colour as LaTeX mixes it with white: `blue!60`."""
    parts = [int(part, 16) for part in re.findall("..", blue)]
    return "#" + "".join(f"{round(TINT * part + (1 - TINT) * 255):02x}" for part in parts)
