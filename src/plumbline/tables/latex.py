"""LaTeX tables in booktabs' style, as text: cells, one table, a document part for `\\input`."""

import math
import unicodedata

_PLAIN = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"$|$", "<": r"$<$", ">": r"$>$",
    "×": r"$\times$", "·": r"$\cdot$", "ρ": r"$\rho$", "τ": r"$\tau$", "±": r"$\pm$", "–": "--",
    "†": r"$^\dagger$",
}  # fmt: skip

_TYPOGRAPHY = {
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "—": "---",
    "…": r"\dots{}",
    "£": r"\pounds{}",
    "ß": r"\ss{}",
}
# Combining characters that LaTeX has a command for.
_ACCENTS = {
    "\u0300": r"\`",
    "\u0301": r"\'",
    "\u0302": r"\^",
    "\u0303": r"\~",
    "\u0308": r"\"",
    "\u030a": r"\r",
    "\u0327": r"\c",
}

ARROWS = {1: r"$\uparrow$", -1: r"$\downarrow$", 0: ""}


def escape(text):
    """Return text as LaTeX shows it; Greek letters and operators of our labels become mathematics."""
    return "".join(_PLAIN.get(character, character) for character in str(text))


def prose(text):
    """Return text from data as LaTeX shows it.

    Parameters
    ----------
    text : str
        It may hold any character.

    Returns
    -------
    str
        What pdfLaTeX knows stays, of other characters the number is shown.
    """
    return "".join(_letter(character) for character in str(text))


def _letter(character):
    if character in _PLAIN or " " <= character <= "~":
        return escape(character)
    if character in _TYPOGRAPHY:
        return _TYPOGRAPHY[character]
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS:
        return rf"{_ACCENTS[parts[1]]}{{{parts[0]}}}"
    return rf"\texttt{{U+{ord(character):04X}}}"


def verbatim(text):
    """Return a command in typewriter letters, with its dashes as typed (LaTeX would join two)."""
    return rf"\texttt{{{escape(text).replace('--', '-{}-')}}}"


def command_note(options):
    """Return the sentence that names the command for the paper's scale."""
    return f"The paper's scale: {verbatim(options['command'])}."


def number(value, lower=None, upper=None, *, bold=False, digits=3):
    """Return a number as a cell, its interval as index and exponent.

    Parameters
    ----------
    value : float or None
        The number.
    lower, upper : float, optional
        Its interval.
    bold : bool
        Whether the number is bold.
    digits : int
        After the decimal point.

    Returns
    -------
    str
        `--` where there is no number (None, NaN).
    """
    if value is None or math.isnan(value):
        return "--"
    shown = _decimal(value, digits)
    if bold:
        shown = rf"\mathbf{{{shown}}}"
    if lower is not None and not math.isnan(lower):
        shown += f"_{{{_decimal(lower, digits)}}}^{{{_decimal(upper, digits)}}}"
    return f"${shown}$"


def _decimal(value, digits):
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


def table(*, caption, label, columns, sections, notes, groups=(), headings=()):
    """Return one table environment.

    Parameters
    ----------
    caption, label : str
        Of the table, in LaTeX.
    columns : list of str
        Headings in LaTeX, the first one for the row's name.
    sections : list of list
        Lists of rows, a rule between them; a row is a list of cells in LaTeX.
    notes : list of str
        LaTeX lines below the table.
    groups : sequence of tuple
        (heading, number of columns) above the headings, after the first column.
    headings : sequence of str
        LaTeX above each section, as many as there are. None: a rule alone.

    Returns
    -------
    str
    """
    lines = [
        r"\begin{table}[p]",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{caption}}}",
        rf"\label{{{label}}}",
    ]
    lines += [rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}", r"\toprule"]
    if groups:
        lines += _group_lines(groups)
    lines += [" & ".join(columns) + r" \\", r"\midrule"]
    for index, rows in enumerate(sections):
        lines += [r"\midrule"] if index else []
        if headings:
            lines.append(rf"\multicolumn{{{len(columns)}}}{{l}}{{\emph{{{headings[index]}}}}} \\")
        lines += [" & ".join(row) + r" \\" for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [
        rf"\par\smallskip\begin{{minipage}}{{0.95\textwidth}}\footnotesize {' '.join(notes)}\end{{minipage}}"
    ]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _group_lines(groups):
    heads, rules, column = [""], [], 2
    for heading, width in groups:
        heads.append(rf"\multicolumn{{{width}}}{{c}}{{{heading}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{column + width - 1}}}")
        column += width
    return [" & ".join(heads) + r" \\", " ".join(rules)]


def document(title, tables, options, packages=("booktabs",), commands=()):
    r"""Return tables as one file for `\input`, with what it needs in the first lines.

    Parameters
    ----------
    title : str
        Of the file.
    tables : list of str
        See `table`.
    options : dict
        scale and command.
    packages : sequence of str
        Of LaTeX.
    commands : sequence of str
        Lines that come before the tables, such as definitions of colours.

    Returns
    -------
    str
    """
    head = [
        f"% {title}; scale: {options['scale']}. Made by Plumbline; do not edit.",
        f"% The paper's scale: {options['command']}",
        "% In the preamble: " + "".join(rf"\usepackage{{{package}}}" for package in packages),
        *commands,
    ]
    return "\n".join(head) + "\n\n" + "\n".join(tables)
