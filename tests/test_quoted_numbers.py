"""Every number and verdict that a page quotes, against the file that it comes from (CONTRIBUTING.md, "Numbers in pages").

A page says in HTML comments where its numbers come from:

    reached .806 [.801, .810]<!-- from docs/results/x/accuracy.csv, seed=0: accuracy lower upper -->
    the diffused map is worse<!-- from docs/results/x/scores.csv, map=diffused: verdict -->
    <!-- table from docs/results/x/scores.csv, dataset=mnist: label | auc lower upper | - | share*100 | verdict -->
    <!-- definition: the protocol's shares -->   <!-- published: Table 2 of the paper -->   <!-- measured: 2026-11-25; make bench -->

Comparing goes by the text alone: nothing here imports the package, which made the files.
"""

import csv
import json
import math
import re
import statistics
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "results/README.md"])

COMMENT = re.compile(r"<!--\s*(.*?)\s*-->", re.S)
# A number with its sign, thousands separators and decimals; not a part of a word, a version or a path.
NUMBER = re.compile(
    r"(?<![\w.,/@#-])[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:e[+-]?\d+)?(?![\w@/]|\.\d|-\w)"
)
# Numbers that name something: an article, a version, a licence.
NAMES = re.compile(
    r"\b(arXiv|Python|transformers|Quantus|Snakemake|torch|torchvision|timm|CC BY(-\w+)*|Apache|eqs?\.|[Ss]ections?|Apache-2\.0"
    r"|Tables?|version|pip|mamba-ssm)[\s~-](>= ?)?\d[\d.]*(, \d[\d.]*)*"
)
# Words that say how a paired test or a comparison with print came out; "higher is better" is a direction.
VERDICT = re.compile(
    r"(?<!\w)(?:(?<!higher is )(?<!lower is )better|worse|(?:not )?told apart|not comparable|within sampling error)(?!\w)",
    re.I,
)
NEGATION = re.compile(r"(?:\b(?:not|no|never|nor|nowhere|neither|hardly|none)\b|n't)[^.;:]{0,20}$", re.I)
EXEMPT = {
    "definition": r".+",
    "published": r".+",
    "measured": r"\d{4}-\d{2}-\d{2}; .+",
}


class Fault(Exception):
    """What is wrong with a quotation, in one line."""


def plain(text):
    """Text without what holds no result: code, links' targets, names with numbers; same length, so places stay."""
    blank = lambda match: " " * len(match[0])  # noqa: E731
    for pattern in (
        r"```.*?```",
        r"`[^`]*`",
        r"(?m)^    .*$",
        r"\]\([^)]*\)",
        r"https?://\S+",
        NAMES.pattern,
    ):
        text = re.sub(pattern, blank, text, flags=re.S)
    return text


def numbers(text):
    """Every number of a text: [(as it is written, place of its end)]."""
    return [(match[0], match.end()) for match in NUMBER.finditer(text) if re.search(r"\d", match[0])]


def verdicts(text):
    """Every verdict in words of a text: [(as it is written, place of its end)]."""
    return [(match[0], match.end()) for match in VERDICT.finditer(text)]


def is_result(text, end, written):
    """Whether a number has to say where it comes from: one with decimals or a per cent sign."""
    return "." in written or "e" in written or text[end : end + 2].strip().startswith("%")


def agrees(written, value):
    """Whether a value, rounded as far as a number is written, is that number."""
    digits = re.sub(r"e.*", "", written)
    exponent = int(written[len(digits) + 1 :]) if digits != written else 0
    places = len(digits.partition(".")[2]) - exponent
    # Halves go either way: the file's own last digit has been rounded before.
    room = 0.5 * 10.0**-places * (1 + 1e-6) + 1e-12
    return math.isfinite(value) and abs(float(written.replace(",", "")) - value) <= room


def rows_of(file, filters):
    """The rows of a CSV or Parquet file that fit all filters, or the one tree of a JSON or YAML file."""
    path = ROOT / file
    if not path.is_file():
        raise Fault(f"there is no {file}")
    if path.suffix in (".json", ".yaml"):
        text = path.read_text(encoding="utf-8")
        return [json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)]
    if path.suffix == ".parquet":
        import pyarrow.parquet

        rows = pyarrow.parquet.read_table(path).to_pylist()
    else:
        with path.open(encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened))
    for column, wanted in filters.items():
        if rows and column not in rows[0]:
            raise Fault(f"{file} has no column '{column}'")
        rows = [row for row in rows if str(row[column]) == wanted]
    return rows


def same(words):
    """The word that all rows have."""
    if len(set(words)) != 1:
        raise Fault(
            f"the rows have {', '.join(repr(word) for word in sorted(map(str, set(words)))) or 'no word'}, not one word"
        )
    return words[0]


OVER_ROWS = {
    "all": same,
    "min": min,
    "max": max,
    "mean": statistics.fmean,
    "median": statistics.median,
    "sum": sum,
}


def value_of(wanted, rows, file):
    """What `column`, `a.b.0` (JSON, YAML), `mean:column` or `count`, each with an optional `*factor`, is in the rows.

    A word where the column has words; `all:column` is the one that all rows have.
    """
    name, _, factor = wanted.partition("*")
    factor = float(factor or 1)
    if name == "count":
        return len(rows) * factor
    over, _, column = name.rpartition(":")
    found = []
    for row in rows:
        value = row
        for part in [column] if column in row else column.split("."):
            try:
                value = value[int(part)] if isinstance(value, list) else value[part]
            except (KeyError, IndexError, ValueError, TypeError):
                raise Fault(f"{file} has no '{column}'") from None
        found.append(_number(value))
    if not over and len(found) != 1:
        raise Fault(f"{len(found)} rows of {file} fit, not 1 (for '{wanted}')")
    if over and over not in OVER_ROWS:
        raise Fault(f"'{over}' is not one of {', '.join(OVER_ROWS)}")
    value = OVER_ROWS[over](found) if over else found[0]
    return value if isinstance(value, str) else value * factor


def _number(value):
    """A cell as a number, NaN where it is empty; what is none stays a word."""
    try:
        return float(value if value not in ("", None) else "nan")
    except ValueError:
        return value


def source(text):
    """(file, filters, rest) of `FILE, column=value, ...: rest`; a comma within a value is written `\\,`."""
    head, _, rest = text.partition(": ")
    file, *filters = (part.replace("\\,", ",") for part in re.split(r"(?<!\\),\s+", head))
    if not rest or not all("=" in item for item in filters):
        raise Fault(f"'{text}' is not FILE, COLUMN=VALUE, ...: COLUMN ...")
    return file.strip(), dict(item.split("=", 1) for item in filters), rest.strip()


def compare(text, columns, rows, file):
    """Ends of the numbers and words with which a text ends, one a column; Fault where one is not the file's."""
    ends, numbers_named, quoted = set(), 0, []
    left = text
    for column in reversed(columns):
        value = value_of(column, rows, file)
        if isinstance(value, str):
            left = left.rstrip(" \n*_()`|")
            said = re.search(rf"(?<!\w){re.escape(value)}$", re.sub(r"\s", " ", left), re.I)
            negated = said and NEGATION.search(left[: said.start()]) and VERDICT.fullmatch(value)
            if not said or negated:
                raise Fault(f"'{' '.join(left.split()[-4:])}' is quoted, '{column}' in {file} is '{value}'")
            ends.add(len(left))
            left = left[: said.start()]
            continue
        numbers_named += 1
        found = numbers(left)
        if not found:
            continue
        written, end = found[-1]
        quoted.append((written, column, value))
        ends.add(end)
        left = left[: end - len(written)]
    if len(quoted) < numbers_named:
        raise Fault(
            f"{len(columns)} numbers of {file} are named ({' '.join(columns)}), {len(quoted)} are quoted"
        )
    for written, column, value in reversed(quoted):
        if not agrees(written, value):
            raise Fault(f"{written} is quoted, '{column}' in {file} is {value:g}")
    return ends


def blocks(page):
    """Blocks of a page with the headings above them: paragraphs, list items, tables; [(headings, text)]."""
    page = re.sub(r"(?ms)^```.*?^```", lambda match: "\n" * match[0].count("\n"), page)
    found, headings = [], []
    for block in re.split(r"\n\s*\n|\n(?=\s*[-*] )|\n(?=#)|(?<=\n)(?=\|)(?<!\|\n)", page):
        lines = block.strip("\n").split("\n")
        while lines and (match := re.match(r"(#+) ", lines[0])):
            headings = [
                *(item for item in headings if item[0] < len(match[1])),
                (len(match[1]), lines.pop(0)),
            ]
        if any(line.strip() for line in lines):
            found.append((tuple(headings), "\n".join(lines)))
    return found


def faults_of(page):
    """The faults of a page's quotations, a line each."""
    faults, covered = [], set()
    for headings, block in blocks(page):
        try:
            unmarked, everything = check_block(block)
        except Fault as fault:
            faults.append(str(fault))
            continue
        if everything and not COMMENT.sub("", block).strip() and headings:
            covered.add(headings)  # A comment of its own below a heading is about the whole section.
        over = any(headings[: len(above)] == above for above in covered)
        if unmarked and not everything and not over:
            line = " ".join(COMMENT.sub("", block).split())
            faults.append(f"no source of {', '.join(unmarked)} in: {line[:90]}")
    return faults


def check_block(block):
    """(results that no comment of the block marks, whether a comment speaks for the whole block)."""
    marked, everything, start = set(), False, 0
    text = plain(COMMENT.sub(lambda match: " " * len(match[0]), block))
    for comment in COMMENT.finditer(block):
        kind, _, rest = (
            comment[1].partition(":") if ":" in comment[1].split(" ")[0] else comment[1].partition(" ")
        )
        here = " " * start + text[start : comment.start()]
        start = comment.end()
        if kind == "from":
            file, filters, columns = source(rest)
            marked |= compare(here, columns.split(), rows_of(file, filters), file)
            # "Worse in 3 of them", counted over the rows of that verdict.
            marked |= {end for word, end in verdicts(here) if word.lower() in filters.values()}
        elif kind == "table" and rest.startswith("from "):
            check_table(block[: comment.start()], rest.removeprefix("from "))
            everything = True
        elif kind in EXEMPT:
            if not re.fullmatch(EXEMPT[kind], rest.strip(), re.S):
                raise Fault(f"'{kind}: {rest.strip()}' is not of the form {kind}: {EXEMPT[kind]}")
            everything = True
        else:
            raise Fault(f"'{comment[1]}' begins with none of from, table from, {', '.join(EXEMPT)}")
    results = [(written, end) for written, end in numbers(text) if is_result(text, end, written)]
    results += verdicts(text)
    return [written for written, end in results if end not in marked], everything


def check_table(table, text):
    """Cells of a Markdown table: its first column names the row, `|` separates the columns of the file cell by cell."""
    file, filters, rest = source(text)
    key, *cells = [item.strip() for item in rest.split("|")]
    rows = rows_of(file, filters)
    if rows and key not in rows[0]:
        raise Fault(f"{file} has no column '{key}'")
    for line in table.strip().split("\n")[2:]:
        label, *found = [cell.strip() for cell in line.strip().strip("|").split("|")]
        label = label.strip("*` ")
        fitting = [row for row in rows if str(row[key]) == label]
        if len(fitting) != 1:
            raise Fault(f"{len(fitting)} rows of {file} have {key} '{label}', not 1")
        for cell, columns in zip(found, cells, strict=False):
            if columns == "-":
                if unmarked := [word for word, _ in verdicts(cell)]:
                    raise Fault(f"no source of {', '.join(unmarked)} in the row '{label}'")
            else:
                check_cell(cell.replace("*", ""), columns.split(), fitting, file)
        if len(found) != len(cells):
            raise Fault(f"a row '{label}' of {len(found)} cells, the comment names {len(cells)}")


def check_cell(cell, columns, rows, file):
    """A cell of a table: its numbers and words, and nothing beside a word; `-` where the file has none."""
    values = {column: value_of(column, rows, file) for column in columns}
    if cell == "-":
        for column, value in values.items():
            if isinstance(value, str) or not math.isnan(value):
                raise Fault(f"'-' is quoted, '{column}' in {file} is '{value}'")
        return
    if len(columns) == 1 and isinstance(values[columns[0]], str) and cell.strip("`") != values[columns[0]]:
        raise Fault(f"'{cell}' is quoted, '{columns[0]}' in {file} is '{values[columns[0]]}'")
    compare(cell, columns, rows, file)


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_quoted_numbers_are_those_of_their_files(path):
    faults = faults_of(path.read_text(encoding="utf-8"))
    assert not faults, "\n".join([str(path.relative_to(ROOT)), *faults])


EXAMPLE = "docs/results/attention_meets_xai/metrics_seed0.json"


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        (f"It reaches .806<!-- from {EXAMPLE}: accuracy -->.", None),
        (
            f"It reaches 80.6%<!-- from {EXAMPLE}: accuracy*100 --> of 25,000<!-- from {EXAMPLE}: examples -->.",
            None,
        ),
        (f"It reaches .805<!-- from {EXAMPLE}: accuracy -->.", "'accuracy' in"),
        (f"[.801, .810]<!-- from {EXAMPLE}: accuracy_lower accuracy_upper -->", None),
        (f"[.810, .801]<!-- from {EXAMPLE}: accuracy_lower accuracy_upper -->", "'accuracy_lower' in"),
        (f"-.806<!-- from {EXAMPLE}: accuracy -->", "-.806 is quoted"),
        (f"It is .62<!-- from {EXAMPLE}: epochs.0.loss --> at first", "'epochs.0.loss' in"),
        ("It reaches .806.", "no source of .806"),
        ("In 12% of them.", "no source of 12"),
        ("Ten of 300 in `0.5` of arXiv 2402.03485.", None),
        ("It reaches .806. <!-- published: Table 1 of the paper -->", None),
        ("It took 1.5 s. <!-- measured: yesterday -->", "is not of the form"),
        ("It took 1.5 s. <!-- measured: 2026-11-25; make bench -->", None),
        (
            "## Times\n<!-- measured: 2026-11-25; make bench -->\n\nIt took 1.5 s.\n\nAnd 2.5 s.\n\n# Next\n\nIt is .3.",
            "no source of .3",
        ),
        ("It is .5 <!-- form docs/x.csv: a -->", "begins with none of"),
        ("It is .5 <!-- from docs/x.csv: a -->", "there is no docs/x.csv"),
    ],
)
def test_what_is_a_fault(page, fault):
    faults = faults_of(page)
    assert (fault is None and not faults) or (fault and len(faults) == 1 and fault in faults[0]), faults


def test_tables_rows_and_aggregates(tmp_path, monkeypatch):
    (tmp_path / "scores.csv").write_text(
        "map,label,auc,lower,upper\na,first,.811,.7,.9\nb,second,.25,.2,.3\n"
    )
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    table = "| map | AUC | n |\n|---|---|---|\n| first | 0.81 [0.7, 0.9] | 3 |\n| second | **0.25** [0.2, 0.3] | 4 |\n"
    comment = "<!-- table from scores.csv: label | auc lower upper | - -->"
    assert faults_of(table + comment) == []
    assert "0.82 is quoted" in faults_of(table.replace("0.81", "0.82") + comment)[0]
    assert "have label 'third'" in faults_of(table.replace("second", "third") + comment)[0]
    assert faults_of("Up to .811<!-- from scores.csv: max:auc --> in 2<!-- from scores.csv: count -->") == []
    assert "2 rows of scores.csv fit" in faults_of(".811<!-- from scores.csv: auc -->")[0]
    assert faults_of("It is .2<!-- from scores.csv, map=b: lower -->") == []


@pytest.fixture
def verdict_file(tmp_path, monkeypatch):
    (tmp_path / "v.csv").write_text(
        "map,difference,verdict\na,.2,better\nb,-.1,worse\nc,.01,not told apart\nd,.03,not told apart\ne,.5,\n"
    )
    monkeypatch.setitem(globals(), "ROOT", tmp_path)


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ("The map is worse<!-- from v.csv, map=b: verdict -->.", None),
        (
            "The map is *worse*<!-- from v.csv, map=b: verdict --> (-.1<!-- from v.csv, map=b: difference -->).",
            None,
        ),
        ("The map has -.1, worse<!-- from v.csv, map=b: difference verdict -->.", None),
        ("Two maps are not\ntold apart<!-- from v.csv, verdict=not told apart: all:verdict -->.", None),
        (
            "Better in 1<!-- from v.csv, verdict=better: count --> case, worse in 1<!-- from v.csv, verdict=worse: count -->.",
            None,
        ),
        ("Worse in 1<!-- from v.csv, verdict=better: count --> case.", "no source of Worse"),
        ("Better in 2<!-- from v.csv, verdict=better: count --> cases.", "2 is quoted"),
        ("Nowhere is it told. Higher is better, lower is better.", None),
        # A wrong word, in every direction.
        (
            "The map is better<!-- from v.csv, map=b: verdict -->.",
            "'The map is better' is quoted, 'verdict' in v.csv is 'worse'",
        ),
        ("The map is worse<!-- from v.csv, map=a: verdict -->.", "in v.csv is 'better'"),
        ("The map is told apart<!-- from v.csv, map=c: verdict -->.", "in v.csv is 'not told apart'"),
        ("The map is not told apart<!-- from v.csv, map=a: verdict -->.", "in v.csv is 'better'"),
        ("The map is not worse<!-- from v.csv, map=b: verdict -->.", "'map is not worse' is quoted"),
        ("It is nowhere any better<!-- from v.csv, map=a: verdict -->.", "nowhere any better' is quoted"),
        ("The map has .1, worse<!-- from v.csv, map=b: difference verdict -->.", ".1 is quoted"),
        ("All are worse<!-- from v.csv: all:verdict -->.", "not one word"),
        ("It is better<!-- from v.csv, map=e: verdict -->.", "are quoted"),
        # A verdict without a source.
        ("The map is worse.", "no source of worse"),
        ("It is better than worse<!-- from v.csv, map=b: verdict -->.", "no source of better"),
        ("It is not told apart from the other, nor comparable.", "no source of not told apart"),
        (
            "Ours is not comparable, theirs within sampling error.",
            "no source of not comparable, within sampling error",
        ),
    ],
)
def test_what_is_a_fault_of_a_verdict(verdict_file, page, fault):
    faults = faults_of(page)
    assert (fault is None and not faults) or (fault and len(faults) == 1 and fault in faults[0]), faults


def test_verdicts_in_tables(verdict_file):
    table = "| map | verdict |\n|---|---|\n| a | better |\n| c | not told apart |\n| e | - |\n"
    comment = "<!-- table from v.csv: map | verdict -->"
    assert faults_of(table + comment) == []
    assert "no source of better in the row 'a'" in faults_of(table + comment.replace("| verdict", "| -"))[0]
    for right, wrong in (
        ("better", "worse"),
        ("better", "not better"),
        ("not told apart", "told apart"),
        ("better", "-"),
        ("| - |", "| better |"),
    ):
        assert len(faults_of(table.replace(right, wrong) + comment)) == 1, wrong


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_verdict_of_a_page_turned_round_is_a_fault(path):
    """Each verdict word that a `from` comment marks, in its place in the page itself, exchanged for another."""
    page = path.read_text(encoding="utf-8")
    turned = {"better": "worse", "worse": "better", "not told apart": "better"}
    for match in re.finditer(r"(not told apart|better|worse)(?=\W{0,3}<!-- from )", page):
        changed = page[: match.start()] + turned[match[1]] + page[match.end() :]
        assert faults_of(changed), page[match.start() - 60 : match.end()]


NAMED = [
    *ROOT.glob("docs/**/*.md"),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *ROOT.glob("src/plumbline/**/*.py"),
]


def test_tests_that_pages_and_docstrings_name_exist():
    """`test_...` in backticks is a test, `tests/...py` a file, and a test beside a file's name stands in that file."""
    known = {}
    for file in ROOT.glob("tests/**/*.py"):
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M):
            known.setdefault(name, set()).add(str(file.relative_to(ROOT)))
    seen = 0
    for page in NAMED:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"`(test_\w+)`", text):
            seen += 1
            assert name in known, f"{page.name} names {name}, which is no test"
        for file in re.findall(r"tests/[\w/]+\.py", text):
            assert (ROOT / file).is_file(), f"{page.name} names {file}"
        for name, file in re.findall(r"`(test_\w+)`(?: in|,)\s+`(tests/[\w/]+\.py)`", text):
            assert file in known[name], f"{page.name}: {name} is not in {file}"
    assert seen > 15


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        ("definitions", "Comprehensiveness and sufficiency"),
        ("definitions", "Integrated gradients"),
        ("studies/alti", "ALTI"),
    ],
)
def test_equations_stand_beside_the_papers_with_their_tests(page, heading):
    """A part of a page's Equations: source with equation numbers or why it has none, a test, the paper's form, and then ours."""
    text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    part = re.search(rf"\*\*{heading}\*\*.*?(?=\n\*\*|\n## )", text, re.S)[0]
    assert re.search(r"arXiv \d{4}\.\d{5},\s+(?:eqs?\. \d|without equation numbers, as)", part) and re.search(
        r"`test_\w+`", part
    )
    assert "The paper" in part and re.search(r"\b(?:Here|Ours)\b", part.split("The paper", 1)[1])
    assert re.search(r"(?m)^    \S.* = ", part)
