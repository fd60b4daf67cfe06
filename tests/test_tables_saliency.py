"""The table `saliency`: scores of words, bins, page and LaTeX."""

import html.parser
import re

import numpy as np
import pytest

from plumbline.artefacts import write_rows
from plumbline.errors import PlumblineError
from plumbline.tables import (
    saliency,
)
from tests.synthetic import OPTIONS

pytestmark = pytest.mark.slow


def sentences(tmp_path, tokens, scores, dataset="sentiment", position=0):
    """Saliency's inputs of one sentence: method -> {readout: scores}."""
    columns = {
        "id": [0],
        "tokens": [tokens],
        "input_ids": [range(len(tokens))],
        "target": [1],
        "probability": [0.75],
        "position": [position],
        "cut": [0],
    }
    items = []
    for method, vectors in scores.items():
        path = tmp_path / f"{method}.parquet"
        write_rows(
            path, columns | {f"scores_{name}": [v] for name, v in vectors.items()}, kind="attributions"
        )
        items.append({"dataset": dataset, "model": "bert", "seed": 0, "method": method, "path": path})
    return {"attributions": items}


ONE = {**OPTIONS, "dataset": "sentiment", "model": "bert", "heatmap_examples": [0]}


def test_saliency_sums_pieces_scales_words_and_drops_special_tokens(tmp_path):
    tokens = ["[CLS]", "un", "##re", "##al", "film", "[SEP]"]
    found = sentences(tmp_path, tokens, {"alti": {"alti": [0.5, 0.1, 0.1, 0.1, 0.1, 0.1]}})
    frame = saliency.rows(found, ONE)
    assert frame["word"].tolist() == ["unreal", "film"]
    assert frame["word_index"].tolist() == [0, 1]
    assert frame["score"].tolist() == pytest.approx([0.3, 0.1])
    # [CLS], the largest, and [SEP], the smallest, set the scale before they go.
    assert frame["scaled"].tolist() == pytest.approx([0.5, 0.0], abs=1e-6)
    assert frame["bin"].tolist() == [3, 1]
    assert set(frame["predicted"]) == {"positive"}


def test_saliency_bins():
    assert saliency.bins(np.array([0, 0.1999, 0.2, 0.45, 0.6, 0.799, 0.8, 1])).tolist() == [
        1,
        1,
        2,
        3,
        4,
        4,
        5,
        5,
    ]
    assert saliency.scaled(np.array([2.0, 2.0])).tolist() == [0, 0]
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    assert [to_hex(colormaps["Blues"](edge)) for edge in saliency.EDGES] == [
        f"#{blue.lower()}" for blue in saliency.BLUES
    ]


def test_saliency_shows_the_published_readouts_in_the_registrys_order(made_rows):
    frame = made_rows("saliency")
    order = ["rollout", "norm_rollout", "alti", "grad_l2", "gxi_l2", "ig_l2"]
    for (dataset, *_), part in frame.groupby(["dataset", "model", "example"]):
        # The made-up agreement run has no blank-out.
        assert list(dict.fromkeys(part["readout"])) == order, dataset
    assert set(frame["seeds"].astype(str)) == {"0"}
    assert set(frame["example"]) == {0, 3}


def test_saliency_of_agreement_has_blankout(tmp_path):
    tokens = ["[CLS]", "keys", "[MASK]", "old", "[SEP]"]
    scores = {"blankout": {"blankout": [0, 0.5, 0, 0.1, 0]}, "attention": {"rollout": [0.2] * 5}}
    here = {**ONE, "dataset": "agreement"}
    frame = saliency.rows(sentences(tmp_path, tokens, scores, "agreement", 2), here)
    assert list(dict.fromkeys(frame["readout"])) == ["rollout", "blankout"]
    classification = saliency.rows(sentences(tmp_path, tokens, scores), ONE)
    assert set(classification["readout"]) == {"rollout"}
    with pytest.raises(PlumblineError, match="take saliency out of `tables`"):
        saliency.rows(sentences(tmp_path, tokens, {"controls": {"random": [0.0] * 5}}), ONE)


class Page(html.parser.HTMLParser):
    """The words, the open tags and the attributes of a page."""

    def __init__(self):
        super().__init__()
        self.open, self.words, self.attributes, self.text = [], [], [], ""

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] == "span" and "table" in self.open:
            self.words.append(data)


def test_saliency_page_is_whole_and_escaped(tmp_path):
    tokens = ["[CLS]", "<b>", "&", '"', "café", "[SEP]"]
    found = sentences(tmp_path, tokens, {"alti": {"alti": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]}})
    text = saliency.html(saliency.rows(found, ONE), ONE)
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.words == tokens[1:-1]
    assert ("html", "lang", "en") in page.attributes
    assert "<title>Saliency: Sentiment (generated), bert (small scale)</title>" in text
    for phrase in ("Scale: small", "seed 0", "no interval", "0.8 to 1", "Example 0", OPTIONS["command"]):
        assert phrase in page.text
    assert "http" not in text  # nothing from outside


def test_saliency_shades_can_be_read():
    """Contrast of the page's black letters with every shade: at least 4.5 to 1 (WCAG 2, AA)."""

    def luminance(colour):
        parts = [int(part, 16) / 255 for part in re.findall("..", colour.lstrip("#"))]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for blue in saliency.BLUES:
        assert (luminance(saliency._tint(blue)) + 0.05) / (luminance("111111") + 0.05) > 4.5


def test_saliency_latex_compiles_whatever_the_words(tmp_path):
    tokens = [
        "[CLS]",
        "50%",
        "$5",
        "of_the",
        "#1",
        "{x}",
        "\n",
        "café",
        "’",
        "電",
        "🎬",
        "ł",
        *["a"] * 70,
        "[SEP]",
    ]
    found = sentences(tmp_path, tokens, {"alti": {"alti": np.arange(len(tokens), dtype=np.float32)}})
    text = saliency.latex(saliency.rows(found, ONE), ONE)
    assert text.isascii()
    assert r"\usepackage{booktabs}\usepackage{xcolor}" in text
    for word in (
        r"50\%",
        r"\$5",
        r"of\_the",
        r"\#1",
        r"\{x\}",
        r"caf\'{e}",
        r"\texttt{U+96FB}",
        r"\texttt{U+1F3AC}",
    ):
        assert f"{{{word}}}" in text
    assert "Words 1 to 60 of 81; the CSV has all." in text
    assert text.count(r"{a}") == 60 - 11
    unescaped = re.sub(r"\\[{}%&]", "", text)
    assert unescaped.count("{") == unescaped.count("}")
