"""What tables and figures share: which artefacts belong together, what a readout is, where numbers come from.

`inputs` maps a need of the output's entry to a list of items, {dataset, model, seed, method, split, path}, as the files say
it themselves (`read_inputs`); `options` is a plain dict (scale, bootstrap, command, ...). Nothing here imports torch.
"""

from pathlib import Path

from .artefacts import read_about, read_json, read_rows
from .errors import PlumblineError


def read_inputs(entry, files):
    """The inputs of a table or figure.

    Parameters
    ----------
    entry : registry.Output
        The table or figure.
    files : mapping
        Need -> path or paths; `snakemake.input`, or what the plan says. Other names are left out, and a need that is not there.

    Returns
    -------
    dict
        Need, without a `?` -> list of dict: what the file says of itself (`artefacts.read_about`), and its path. Of a table's
        CSV file the path alone.
    """
    found = {}
    for need in (need.removesuffix("?") for need in entry.needs):
        if (paths := files.get(need)) is not None:
            paths = [paths] if isinstance(paths, str) else paths
            is_table = need.startswith("tables/")
            found[need] = [({} if is_table else read_about(path)) | {"path": path} for path in paths]
    return found


def by_model(items, options=None):
    """Group items of one stage by data set and model.

    Parameters
    ----------
    items : list of dict
        Of one need, as `read_inputs` returns them.
    options : dict, optional
        It may name one dataset and model.

    Returns
    -------
    dict of (str, str) to list of dict
        (dataset, model) -> items, in their order.

    Raises
    ------
    PlumblineError
        Where there is no item at all.
    """
    options = options or {}
    wanted = [(key, options[key]) for key in ("dataset", "model") if options.get(key)]
    groups = {}
    for item in items:
        if all(item[key] == value for key, value in wanted):
            groups.setdefault((item["dataset"], item["model"]), []).append(item)
    if not groups:
        about = ", ".join(f"{key} {value}" for key, value in wanted)
        raise PlumblineError(
            f"no artefact to show{f' for {about}' if about else ''}: check `runs` in the config"
        )
    return groups


def seeds_of(items):
    """The training seeds of items as text.

    Parameters
    ----------
    items : list of dict
        Each has a seed.

    Returns
    -------
    str
        E.g. '0 1 2'.
    """
    return " ".join(str(seed) for seed in sorted({int(item["seed"]) for item in items}))


def seed_rows(items, columns=None):
    """The rows of the files of a model's training seeds.

    Parameters
    ----------
    items : list of dict
        One a training seed, with its path.
    columns : list of str, optional
        Names. None: all.

    Returns
    -------
    pandas.DataFrame
        All rows, with the column `seed`.
    """
    import pandas as pd

    frames = [read_rows(item["path"], columns).assign(seed=item["seed"]) for item in items]
    return pd.concat(frames, ignore_index=True)


def whole_texts(path, columns=None):
    """The rows of an attribution or faithfulness file, without the examples whose text was cut.

    Above the model's max_tokens a text is skipped, as published. Cut ones are shown in table comp_suff, apart.

    Parameters
    ----------
    path : path_like
        The file.
    columns : list of str, optional
        Names. None: all but `cut`.

    Returns
    -------
    pandas.DataFrame
        One row an example or curve.
    """
    frame = read_rows(path, None if columns is None else [*columns, "cut"])
    return frame[frame["cut"] == 0].drop(columns="cut").reset_index(drop=True)


def table_rows(inputs, table, options=None):
    """The rows of a table's CSV files, for outputs that need 'tables/<table>'.

    Parameters
    ----------
    inputs : dict
        As `read_inputs` returns it.
    table : str
        Id of the table.
    options : dict, optional
        It names one dataset and model. None: all rows.

    Returns
    -------
    pandas.DataFrame
        `seeds` is text. Without options, empty where no file is there.

    Raises
    ------
    PlumblineError
        Where there is no row of the dataset and model.
    """
    import pandas as pd

    frames = [_read_table(item["path"]) for item in inputs.get(f"tables/{table}", ())]
    if options is None:
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    groups = {key: part for frame in frames for key, part in frame.groupby(["dataset", "model"], sort=False)}
    about = options["dataset"], options["model"]
    if about not in groups:
        raise PlumblineError(f"table '{table}' has no row for dataset {about[0]}, model {about[1]}")
    return groups[about]


def _read_table(file):
    import pandas as pd

    frame = pd.read_csv(file, dtype={"seeds": str})
    if "seeds" in frame:
        frame["seeds"] = frame["seeds"].str.removeprefix("seeds ").str.removeprefix("seed ")
    return frame


def seeds_text(seeds):
    """How tables' CSV files name training seeds, so that none reads like a count.

    Parameters
    ----------
    seeds : str
        As of `seeds_of`.

    Returns
    -------
    str
        '0' -> 'seed 0', '0 1' -> 'seeds 0 1'.
    """
    count = len(str(seeds).split())
    return f"{'seed' if count == 1 else 'seeds'} {seeds}" if count else ""


def experiment_rows(items):
    """The rows of an experiment with the multi-head classifier.

    Parameters
    ----------
    items : list of dict
        Its files, of all seeds and shards.

    Returns
    -------
    frame : pandas.DataFrame
        All rows; `seed` is a column.
    dataset : str
        Id of the data set.
    seeds : str
        As of `seeds_of`.
    """
    return seed_rows(items), items[0]["dataset"], seeds_of(items)


def metrics_of(item):
    """The facts of a trained model, metrics.json.

    Parameters
    ----------
    item : dict
        Its path is any file of the model's folder.

    Returns
    -------
    dict
        Accuracy, architecture, source and so on.
    """
    return read_json(Path(item["path"]).with_name("metrics.json"))


def dataset_label(dataset):
    """The data set's name for readers.

    Parameters
    ----------
    dataset : str
        Id of the data set.

    Returns
    -------
    str
        Its label.
    """
    from .datasets import DATASETS

    return DATASETS[dataset].label


def title(dataset, model, *more):
    """The title of a panel: data set, model and more, with commas between.

    Parameters
    ----------
    dataset, model : str
        Ids of the data set and the model.
    *more
        Texts that follow.

    Returns
    -------
    str
        For readers.
    """
    return ", ".join([dataset_label(dataset), model, *more])


def ordered(readouts):
    """Put readouts in the registry's order.

    Parameters
    ----------
    readouts : iterable of str
        Ids of readouts.

    Returns
    -------
    list of str
        Each once.

    Raises
    ------
    PlumblineError
        For a readout that is not registered.
    """
    from .attribution import READOUTS, method_of

    for readout in readouts:
        method_of(readout)
    wanted = set(readouts)
    return [readout for readout in READOUTS if readout in wanted]


def facts(readout):
    """The columns that tables have of a readout.

    Parameters
    ----------
    readout : str
        Id of the readout.

    Returns
    -------
    dict
        label, method, control, published_definition.
    """
    from .attribution import READOUTS, method_of

    entry, method = READOUTS[readout], method_of(readout)
    return {
        "label": entry.label,
        # A control shares a job with the others alone.
        "method": readout if entry.control else method.id,
        "control": entry.control,
        "published_definition": entry.published,
    }


# What a faithfulness table sets apart, in this order: a signed score can tell evidence against the class from none, an
# unsigned one cannot, so the two answer different questions. Readouts of the last three make no claim.
BLOCKS = {
    "signed": "Signed scores",
    "unsigned": "Unsigned scores",
    "published": "Definitions as published",
    "noise": "Noise by construction",
    "control": "Controls",
}
COMPETING = ("signed", "unsigned")


def block_of(readout):
    """The block in which a faithfulness table shows a readout.

    Parameters
    ----------
    readout : str
        Id of the readout.

    Returns
    -------
    str
        A key of `BLOCKS`.
    """
    from .attribution import READOUTS

    return READOUTS[readout].block


def short_label(readout):
    """A readout's label where room is scarce.

    Parameters
    ----------
    readout : str
        Id of the readout.

    Returns
    -------
    str
        A dagger stands for ', as published (...)'.
    """
    from .attribution import READOUTS

    entry = READOUTS[readout]
    return entry.label.split(", as published")[0] + ("†" if entry.published else "")


def seed_cells(frame, value):
    """Pair the examples of training seeds by their ids.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns id, seed, readout and `value`; one row a seed, example and readout.
    value : str
        The column with the numbers.

    Returns
    -------
    cells : numpy.ndarray, float64, shape (seeds, examples, readouts)
        NaN: a cell that is missing.
    readouts : list of str
        In the registry's order.
    """
    wide = frame.astype({value: float}).set_index(["seed", "id", "readout"])[value].unstack("readout")
    readouts = ordered(wide.columns)
    return cells_of(wide[readouts].sort_index()), readouts


def cells_of(units):
    """The cells of a table of seeds and what crosses them.

    Parameters
    ----------
    units : pandas.DataFrame
        The index is (seed, id, or whatever crosses seeds).

    Returns
    -------
    numpy.ndarray, float64, shape (seeds, examples, columns)
        NaN: a cell that is missing.
    """
    import numpy as np

    seeds, crossed = (units.index.unique(level) for level in (0, 1))
    whole = units.reindex([(seed, other) for seed in seeds for other in crossed])
    return whole.to_numpy(dtype=np.float64).reshape(len(seeds), len(crossed), units.shape[1])


def interval_text(options, seeds=None, unit="examples"):
    """How an interval was made, e.g. '95% percentile bootstrap over examples, 1000 resamples'.

    Parameters
    ----------
    options : dict
        Its `bootstrap` has level and resamples.
    seeds : str, optional
        The text of `seeds_of`, where the interval is that of `stats.over_seeds`. None: over examples alone.
    unit : str
        What crosses the seeds.

    Returns
    -------
    str
        For tables' column `interval` and for feet.
    """
    settings = options["bootstrap"]
    level = percent(settings["level"])
    if seeds is not None and len(seeds.split()) > 1:
        return f"{level} over training seeds and {unit} (two-way layout, Satterthwaite's degrees of freedom)"
    text = f"{level} percentile bootstrap over {unit}, {settings['resamples']} resamples"
    return text if seeds is None else f"{text}, for this checkpoint (one training seed)"


def percent(level):
    """A share as text.

    Parameters
    ----------
    level : float
        E.g. 0.95.

    Returns
    -------
    str
        E.g. '95%'.
    """
    return f"{100 * level:g}%"


def provenance(options, *, examples, seeds, interval=True):
    """One sentence on scale, sample count, seeds and interval, for the foot of a table or figure.

    Parameters
    ----------
    options : dict
        Its `scale` is named.
    examples : iterable of int
        Numbers of examples; the smallest and the largest are named.
    seeds : str
        As of `seeds_of`.
    interval : str or bool
        How it was made. True: `interval_text` over examples alone. False: none is named.

    Returns
    -------
    str
        The sentence.
    """
    counts = sorted({int(count) for count in examples})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    seeds = seeds.split()
    word = "seed" if len(seeds) == 1 else "mean over seeds"
    text = f"Scale: {options['scale']}; N = {number} examples; {word} {', '.join(seeds)}"
    if interval is True:
        interval = interval_text(options)
    return text + (f"; intervals: {interval}." if interval else ".")


def provenance_of(rows, options):
    """`provenance` of a table's rows.

    Parameters
    ----------
    rows : pandas.DataFrame
        All their examples are counted; seeds and interval are those of the first.
    options : dict
        See `provenance`.

    Returns
    -------
    str
        The sentence.
    """
    first = rows.iloc[0]
    return provenance(options, examples=rows["examples"], seeds=first["seeds"], interval=first["interval"])


TWINS = "† as published: the definition behind published numbers, where it differs from the correct one."
DAGGER = f"{TWINS} How exact integrated gradients (IG) are: table ig_gaps."
