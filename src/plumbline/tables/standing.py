"""Which readouts a table may call the best: blocks of comparable scores, paired tests over seeds and examples."""

import numpy as np

from ..collect import BLOCKS, COMPETING, block_of
from ..stats import all_pairs, complete_mean, is_testable, rank_ranges, told_apart

NOTE = (
    "Bold: the best of its block and all that are not told apart from it (paired test on seeds and examples, Holm over all "
    "pairs of the block). Signed and unsigned scores answer different questions and stand apart; definitions as published, "
    "noise and controls take no part."
)
UNTESTABLE = (
    "Not testable: {seeds} training seeds leave too few degrees of freedom for {pairs} comparisons, so no readout is bold; the "
    "intervals stand for themselves."
)


def standing(cells, readouts, direction, level, blocks=None):
    """Compare readouts within each block that competes: the columns of a faithfulness table.

    Parameters
    ----------
    cells : numpy.ndarray, float, shape (seeds, examples, readouts)
        The numbers.
    readouts : list of str
        Ids.
    direction : {1, -1}
        1 where higher is better, -1 where lower is.
    level : float
        Of the tests: the coverage, in (0, 1).
    blocks : list of str, optional
        The block of each, for what is no registered readout. None: `block_of`.

    Returns
    -------
    dict
        Lists (readouts,). block: of collect.BLOCKS. competitors: the number of readouts that take part in the block, 0 where
        none does. standing: 'best' (the best mean), 'not told apart' from it, 'worse'; 'not testable' where there are too few
        seeds and nothing is told apart; empty where a readout takes no part. p_best: of the difference to the best, Holm over
        all pairs of the block; NaN of the best itself. rank, rank_lowest, rank_highest: by the mean, 1 the best; the ranks that
        the tests leave. best: whether the readout is the best or not told apart from it, by a test that could tell.
    """
    count = len(readouts)
    found = {
        "block": [block_of(readout) for readout in readouts] if blocks is None else list(blocks),
        "competitors": np.zeros(count, dtype=np.int64),
        "standing": [""] * count,
        "p_best": np.full(count, np.nan),
        "rank": ranks(complete_mean(cells)[0], readouts, direction, blocks),
        **{name: np.full(count, np.nan) for name in ("rank_lowest", "rank_highest")},
        "best": np.zeros(count, dtype=bool),
    }
    for block in COMPETING:
        places = [place for place, name in enumerate(found["block"]) if name == block]
        if places:
            _fill(found, places, direction * cells[:, :, places], level)
    return found


def ranks(means, readouts, direction, blocks=None):
    """Rank readouts by the mean within each block that competes.

    Parameters
    ----------
    means : numpy.ndarray, float, shape (readouts,)
        The numbers.
    readouts, direction, blocks
        See `standing`.

    Returns
    -------
    numpy.ndarray, float64, shape (readouts,)
        1 the best; NaN of readouts that take no part.
    """
    from scipy.stats import rankdata

    blocks = np.array([block_of(readout) for readout in readouts] if blocks is None else blocks)
    found = np.full(len(readouts), np.nan)
    for block in COMPETING:
        places = np.flatnonzero((blocks == block) & ~np.isnan(means))
        found[places] = rankdata(-direction * np.asarray(means)[places], method="min")
    return found


def alike(cells, level):
    """Find the columns that are not told apart from the one with the highest mean.

    Holm runs over all pairs, as the best is chosen by these numbers; where nothing can be tested, nothing is told apart.

    Parameters
    ----------
    cells : numpy.ndarray, float, shape (seeds, examples, columns)
        The numbers, higher is better.
    level : float
        Of the tests: the coverage, in (0, 1).

    Returns
    -------
    numpy.ndarray, bool, shape (columns,)
        The best column is among them.
    """
    best = int(complete_mean(cells)[0].argmax())
    return told_apart(all_pairs(cells, level=level), level=level)[best] == 0


def _fill(found, places, cells, level):
    """Fill in what `standing` says of the readouts of one block."""
    means, _ = complete_mean(cells)
    defined = ~np.isnan(means)
    found["competitors"][places] = defined.sum()
    if not defined.any():
        return
    places, cells, means = np.array(places)[defined], cells[:, :, defined], means[defined]
    pairs = all_pairs(cells, level=level)
    best = int(means.argmax())
    signs = told_apart(pairs, level=level)[best]
    able = is_testable(len(cells), len(means) * (len(means) - 1) // 2, level=level)
    lowest, highest = rank_ranges(pairs, level=level)
    found["p_best"][places] = pairs.adjusted[best]
    found["rank_lowest"][places], found["rank_highest"][places] = lowest, highest
    for place, sign in zip(places, signs, strict=True):
        found["standing"][place] = "worse" if sign < 0 else "not told apart" if able else "not testable"
        found["best"][place] = able and not sign
    found["standing"][places[best]] = "best"


def sections(part, line):
    """Return the sections of a LaTeX table: one for each block that has a readout.

    Parameters
    ----------
    part : DataFrame
        Rows with the columns readout and block, in the order wanted.
    line : callable
        Readout -> a row.

    Returns
    -------
    sections : list of list
        See `latex.table`.
    headings : list of str
        Of the sections.
    """
    rows, headings = [], []
    for block, heading in BLOCKS.items():
        readouts = list(dict.fromkeys(part.loc[part["block"] == block, "readout"]))
        if readouts:
            rows.append([line(readout) for readout in readouts])
            headings.append(heading)
    return rows, headings


def note(part):
    """Return the sentences below a table that say what is bold, and where nothing could be tested.

    Parameters
    ----------
    part : DataFrame
        The table's rows, with the columns standing, competitors and seeds.

    Returns
    -------
    str
    """
    if not (part["standing"] == "not testable").any():
        return NOTE
    most = int(part["competitors"].max())
    seeds = len(part["seeds"].iloc[0].split())
    return f"{NOTE} {UNTESTABLE.format(seeds=seeds, pairs=most * (most - 1) // 2)}"
