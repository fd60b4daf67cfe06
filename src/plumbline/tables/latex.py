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
    """Text as LaTeX shows it; Greek letters and operators of our labels become mathematics."""
    return "".join(_PLAIN.get(character, character) for character in str(text))


def prose(text):
    """Text from data, which may hold any character: what pdfLaTeX knows stays, of others the number is shown."""
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
    """A command in typewriter letters, with its dashes as typed (LaTeX would join two)."""
    return rf"\texttt{{{escape(text).replace('--', '-{}-')}}}"


def command_note(options):
    """The sentence that names the command for the paper's scale."""
    return f"The paper's scale: {verbatim(options['command'])}."


def number(value, lower=None, upper=None, *, bold=False, digits=3):
    """A number with its interval as index and exponent, `--` where there is none."""
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
    """One table environment.

    columns   headings in LaTeX, the first one for the row's name.
    sections  lists of rows, a rule between them; a row is a list of cells in LaTeX.
    groups    (heading, number of columns) above the headings, after the first column.
    headings  LaTeX above each section, as many as there are; none: a rule alone.
    notes     LaTeX lines below the table.
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
    r"""Tables as one file for `\input`, with what it needs in the first lines.

    packages: of LaTeX; commands: lines that come before the tables, such as definitions of colours.
    """
    head = [
        f"% {title}; scale: {options['scale']}. Made by Plumbline; do not edit.",
        f"% The paper's scale: {options['command']}",
        "% In the preamble: " + "".join(rf"\usepackage{{{package}}}" for package in packages),
        *commands,
    ]
    return "\n".join(head) + "\n\n" + "\n".join(tables)
