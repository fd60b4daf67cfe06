"""How exact integrated gradients are, beside the numbers of other tables and in their feet; see table ig_gaps."""

from ..collect import TWINS, by_model, seeds_of, whole_texts
from .published import RELEASED

QUANTILES = {"median": 0.5, "q90": 0.9, "q99": 0.99, "max": 1.0}
# What stands beside every other number of integrated gradients.
BESIDE = ("gap_median", "gap_q99", "gap_max", "steps_median", "steps_max")
WORDS = {"median": "median", "q99": "99%", "max": "largest"}
SHARES = {"above_01": 0.01, "above_05": 0.05}  # column -> bound, a probability


def exactness(items):
    """Compute how exact integrated gradients are.

    Parameters
    ----------
    items : list of dict
        Attribution files of methods that sum an integral, see plumbline.collect.

    Returns
    -------
    list of dict
        One a data set, model and method.
    """
    import numpy as np
    import pandas as pd

    found = []
    for (dataset, model), of_model in by_model(items).items() if items else ():
        for method in sorted({item["method"] for item in of_model}):
            own = [item for item in of_model if item["method"] == method]
            frames = [whole_texts(item["path"], ["completeness_gap", "steps"]) for item in own]
            frame = pd.concat(frames, ignore_index=True)
            row = {"dataset": dataset, "model": model, "method": method}
            for column, name, kind in (("completeness_gap", "gap", float), ("steps", "steps", int)):
                ends = np.quantile(
                    frame[column].to_numpy(float), list(QUANTILES.values()), method="inverted_cdf"
                )
                row |= {f"{name}_{key}": kind(value) for key, value in zip(QUANTILES, ends, strict=True)}
            row |= {name: float((frame["completeness_gap"] > bound).mean()) for name, bound in SHARES.items()}
            found.append(row | {"examples": len(frame) // len(own), "seeds": seeds_of(own)})
    return found


def beside(frame, items):
    """Add the columns BESIDE to the rows of another table, filled where a readout's method sums an integral.

    Released matrices say nothing of gaps, and neither do rows without readout.

    Parameters
    ----------
    frame : DataFrame
        dataset, model and readout, and of two models `other`: then each number is the larger of theirs.
    items : list of dict
        As `inputs["gaps"]`.

    Returns
    -------
    DataFrame
        `frame` with the columns at the end.
    """
    import pandas as pd

    from ..attribution import READOUTS, method_of

    found = {(row["dataset"], row["model"], row["method"]): row for row in exactness(items)}
    lines = []
    for row in frame.to_dict("records"):
        method = method_of(row["readout"]).id if row["readout"] in READOUTS else None
        models = [row[name] for name in ("model", "other") if name in row]
        own = [found[key] for model in models if (key := (row["dataset"], model, method)) in found]
        own = [] if str(row.get("source", "")).startswith(RELEASED) else own
        lines.append({name: max((numbers[name] for numbers in own), default=None) for name in BESIDE})
    more = pd.DataFrame(lines, index=frame.index, columns=list(BESIDE))
    kinds = {name: "Int64" if name.startswith("steps_") else float for name in BESIDE}
    return frame.assign(**more.astype(kinds))


def remark(frame):
    """Return what the foot of a table says of its twins as published and of the gaps.

    Parameters
    ----------
    frame : DataFrame
        The table's rows. Of gaps it is said where `beside` has filled some.

    Returns
    -------
    str
    """
    texts = [TWINS]
    filled = frame.dropna(subset="gap_median") if "gap_median" in frame else frame[:0]
    if len(filled):
        gaps = [f"{name} {_span(filled[f'gap_{key}'], '.4f')}" for key, name in WORDS.items()]
        steps = f"{filled['steps_median'].min()} to {filled['steps_max'].max()} steps"
        texts.append(f"Integrated gradients (IG): completeness gap, {', '.join(gaps)}; {steps}.")
    return " ".join(texts)


def _span(values, form):
    ends = [format(value, form) for value in (values.min(), values.max())]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
