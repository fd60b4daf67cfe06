"""The figures' own fonts are matplotlib's DejaVu Sans, less the letters that no figure of ours has."""

from pathlib import Path

import matplotlib
import pytest
from fontTools import subset
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont
from matplotlib import font_manager

from plumbline.figures import style

WHOLE = Path(matplotlib.get_data_path()) / "fonts/ttf"
# Latin, Greek, punctuation, small digits and money, arrows and operators, geometric shapes.
LETTERS = [
    *range(0x20, 0x180),
    *range(0x370, 0x400),
    *range(0x2010, 0x2060),
    *range(0x2070, 0x20B0),
    *range(0x2190, 0x2300),
    *range(0x25A0, 0x2600),
]
pairs = pytest.mark.parametrize("weight", ["", "-Bold"])


def cut(weight):
    """Make one of the fonts in `style.FONTS` anew, without the tables that cost most: pairs of letters from `kern` alone."""
    options = subset.Options(
        layout_features=[],
        legacy_kern=True,
        recommended_glyphs=True,
        recalc_timestamp=False,
        name_IDs=["*"],
        name_languages=["*"],
    )
    options.drop_tables += ["GPOS", "GSUB", "GDEF", "MATH", "FFTM"]
    font = subset.load_font(WHOLE / f"DejaVuSans{weight}.ttf", options)
    subsetter = subset.Subsetter(options=options)
    subsetter.populate(unicodes=LETTERS)
    subsetter.subset(font)
    for record in font["name"].names:
        if record.nameID in (1, 3, 4, 6, 16):  # what it is called; copyright and licence stay
            for old, new in (("DejaVu Sans", "Plumbline Sans"), ("DejaVuSans", "PlumblineSans")):
                record.string = str(record).replace(old, new)
    return font


def outlines(font, letters):
    """By letter: the width, and the strokes with parts of other glyphs filled in."""
    glyphs, names, found = font.getGlyphSet(), font.getBestCmap(), {}
    for letter in letters:
        pen = DecomposingRecordingPen(glyphs)
        glyphs[names[letter]].draw(pen)
        found[letter] = (glyphs[names[letter]].width, pen.value)
    return found


@pairs
def test_letters_are_those_of_dejavu(weight):
    ours, whole = (
        TTFont(style.FONTS / f"PlumblineSans{weight}.ttf"),
        TTFont(WHOLE / f"DejaVuSans{weight}.ttf"),
    )
    letters = sorted(ours.getBestCmap())
    assert set(letters) == set(LETTERS) & set(whole.getBestCmap())
    assert outlines(ours, letters) == outlines(whole, letters)
    for hints in ("fpgm", "prep", "cvt "):
        assert ours.getTableData(hints) == whole.getTableData(hints)
    assert (ours["hhea"].ascent, ours["hhea"].descent) == (whole["hhea"].ascent, whole["hhea"].descent)
    assert "Bitstream" in ours["name"].getDebugName(13)  # the licence


@pairs
def test_the_recipe_makes_them(weight, tmp_path):
    cut(weight).save(tmp_path / "again.ttf")
    again, ours = TTFont(tmp_path / "again.ttf"), TTFont(style.FONTS / f"PlumblineSans{weight}.ttf")
    assert again.getGlyphOrder() == ours.getGlyphOrder()
    assert [str(record) for record in again["name"].names] == [str(record) for record in ours["name"].names]
    assert again["kern"].kernTables[0].kernTable == ours["kern"].kernTables[0].kernTable


def test_figures_take_letters_that_ours_lacks_from_dejavu(recwarn):
    @style.styled
    def draw():
        drawn = style.figure(2, 1)
        text = drawn.text(0, 0, "Привет")
        assert text.get_fontfamily() == ["Plumbline Sans", "DejaVu Sans"]
        paths = [
            font_manager.findfont(font_manager.FontProperties(family="Plumbline Sans", weight=weight))
            for weight in ("normal", "bold")
        ]
        assert [Path(path).name for path in paths] == ["PlumblineSans.ttf", "PlumblineSans-Bold.ttf"]
        drawn.canvas.draw()

    draw()
    assert not [str(warning.message) for warning in recwarn]
