"""LaTeX of tables: arrows, letters, numbers, rules and headings."""

from plumbline.tables import (
    latex,
)
from plumbline.tables import latex as tex

nan = float("nan")


def test_arrows_point_to_the_better_end():
    assert tex.ARROWS == {1: r"$\uparrow$", -1: r"$\downarrow$", 0: ""}


def test_letters_that_latex_has_a_command_for():
    assert tex.prose("é ü ç ñ å è ô") == r"\'{e} \"{u} \c{c} \~{n} \r{a} \`{e} \^{o}"
    assert tex.prose("‘a’ “b” — … £ ß") == r"`a' ``b'' --- \dots{} \pounds{} \ss{}"
    # A dot below, a Greek letter with an accent, two accents at once, no letter at all.
    assert tex.prose("ạ ά ǖ 電") == r"\texttt{U+1EA1} \texttt{U+03AC} \texttt{U+01D6} \texttt{U+96FB}"
    assert tex.prose("~ & é") == r"\textasciitilde{} \& \'{e}"


def test_a_number_without_an_interval_or_without_a_sign():
    assert tex.number(0.5, nan, nan) == "$0.500$" and tex.number(None) == "--"
    assert (
        tex.number(-0.0001) == "$0.000$" and tex.number(-0.001, -0.0002, 0.25) == "$-0.001_{0.000}^{0.250}$"
    )
    assert tex.number(1.25, bold=True, digits=1) == r"$\mathbf{1.2}$"


def test_a_table_has_its_rules_groups_and_headings():
    text = tex.table(
        caption="C",
        label="l",
        columns=["a", "b", "c", "d"],
        sections=[[["1", "2", "3", "4"]], [["5", "6", "7", "8"], ["9", "0", "1", "2"]]],
        notes=["n.", "m."],
        groups=[("g", 1), ("h", 2)],
        headings=["first", "second"],
    )
    assert text.splitlines()[2:] == [
        r"\caption{C}",
        r"\label{l}",
        r"\begin{tabular}{lrrr}",
        r"\toprule",
        r" & \multicolumn{1}{c}{g} & \multicolumn{2}{c}{h} \\",
        r"\cmidrule(lr){2-2} \cmidrule(lr){3-4}",
        r"a & b & c & d \\",
        r"\midrule",
        r"\multicolumn{4}{l}{\emph{first}} \\",
        r"1 & 2 & 3 & 4 \\",
        r"\midrule",
        r"\multicolumn{4}{l}{\emph{second}} \\",
        r"5 & 6 & 7 & 8 \\",
        r"9 & 0 & 1 & 2 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\smallskip\begin{minipage}{0.95\textwidth}\footnotesize n. m.\end{minipage}",
        r"\end{table}",
    ]
    plain = tex.table(caption="C", label="l", columns=["a"], sections=[[["1"]]], notes=[])
    assert "multicolumn" not in plain and "cmidrule" not in plain and plain.count("rule") == 3


def test_latex_escapes():
    assert latex.escape("50% of_a & G×I (|sum|) #1") == r"50\% of\_a \& G$\times$I ($|$sum$|$) \#1"
    assert latex.number(0.1234, 0.1, 0.2, bold=True) == r"$\mathbf{0.123}_{0.100}^{0.200}$"
    assert latex.number(float("nan")) == "--"
