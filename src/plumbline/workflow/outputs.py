"""Tables and figures: names, files, what they read and are told. No torch: every `snakemake` call imports this module."""

from ..config import methods_of, readouts_of, registries
from .stage import once
from .stages import ATTRIBUTIONS, all_stages
from .study import studies

PATHS = "results/{scale}/{kind}/{study}/{name}.{format}"
# Tables of times lie among the benchmarks, outside the promise of equal bytes.
COST = "results/{scale}/benchmarks/{name}.{format}"
PAPER_COMMAND = "snakemake --cores all --configfile config.paper.yaml"
# What there is one of -> what stands behind the id in the name of a file.
_NAMES = {"study": "", "model": "-{dataset}-{model}", "seed": "-{dataset}-{model}-seed{seed}"}


def output_names(config, kind, output):
    """List the names, without ending, of one table's or figure's files: one a study, a model or a seed."""
    return [name for name, (entry, _) in _named(config, kind).items() if entry.id == output]


def output_entry(config, kind, name):
    """Look up the registry entry behind one name of a table or figure."""
    return _named(config, kind)[name][0]


def is_cost(entry):
    """Say whether an output shows times, and so lies among the benchmarks."""
    return any(need.endswith("_cost") for need in entry.needs)


def output_paths(config, kind, name):
    """List the files of one name of a table or figure."""
    entry, _ = _named(config, kind)[name]
    fields = {"kind": kind, "study": registries()[kind].studies[entry.id], "name": name}
    pattern = COST if is_cost(entry) else PATHS
    return [pattern.format(scale=config["scale"], **fields, format=ending) for ending in entry.formats]


def output_inputs(config, kind, name):
    """List what a table or figure reads: `needs` of its entry, without a `?` -> files."""
    entry, rows = _named(config, kind)[name]
    methods = [_methods_read(config, kind, entry, row.run) for row in rows]
    files = {}
    for need in entry.needs:
        _, _, table = need.partition("/")
        if table.endswith("?") and not _is_made(config, table[:-1]):
            continue
        if table:
            found = _table_files(config, table.removesuffix("?"), rows)
        elif need == "gaps":
            found = _gaps(config, entry, rows, methods)
        else:
            shown = zip(rows, methods, strict=True)
            shown = _lowest_seeds(shown) if entry.seeds == "lowest" else shown
            found = [file for row, names in shown for file in _files(config, need, row, names)]
        files[need.removesuffix("?")] = list(dict.fromkeys(found))
    return files


def output_about(config, kind, name):
    """Say what a table or figure is told of its runs. With the keys that its entry names (`options`), these are its options."""
    entry, rows = _named(config, kind)[name]
    options = {"scale": config["scale"], "command": PAPER_COMMAND}
    if runs := {id(row.run): row.run for row in rows if "model" in row.fields}:
        # In how many jobs a result was computed is no part of it.
        options["runs"] = [{key: run[key] for key in run if key != "shards"} for run in runs.values()]
    if entry.per != "study":
        options |= {key: rows[0].fields[key] for key in ("dataset", "model")}
    if entry.per == "seed":
        options["seed"] = rows[0].fields["seed"]
    return options


def _named(config, kind):
    """Name -> entry and rows of every table's or figure's files, also of outputs that the configuration leaves out."""

    def find():
        found = {}
        for entry in registries()[kind].values():
            for row in _rows_of(config, kind, entry):
                name = entry.id + _NAMES[entry.per].format(**row.fields)
                found.setdefault(name, (entry, []))[1].append(row)
        return found

    return once(config, kind, find)


def _rows_of(config, kind, entry):
    """The rows that an output may show."""
    study = studies()[registries()[kind].studies[entry.id]]
    rows = [row for row in study.runs(config) if set(entry.methods) <= set(row.run.get("methods", ()))]
    return [row for row in rows if _has_all(config, entry, row)] if study.complete else rows


def _has_all(config, entry, row):
    """Whether there is each file that an output needs of a row."""
    for need in entry.needs:
        _, _, table = need.partition("/")
        if table and not _has_all(config, registries()["tables"][table.removesuffix("?")], row):
            return False
        if not table and not _files(config, need, row, row.run.get("methods", [])):
            return False
    return True


def _is_made(config, table):
    """Whether a table is among those that the configuration asks for, and has rows to show."""
    return table in config["tables"] and bool(output_names(config, "tables", table))


def _table_files(config, table, rows):
    """The CSV files of a table; where it has one file a model or seed, those of the rows."""
    entry = registries()["tables"][table]
    names = dict.fromkeys(table + _NAMES[entry.per].format(**row.fields) for row in rows)
    return [output_paths(config, "tables", name)[0] for name in names]


def _files(config, need, row, methods):
    """The files of one need of a row, and of these methods where there is one file a method."""
    fixed = row.fields | {"split": row.run.get("split", "test"), "method": methods}
    return [
        file for stage in all_stages() if need in stage.paths for file in stage.files(config, need, **fixed)
    ]


def _gaps(config, entry, rows, methods):
    """The attributions of methods that sum an integral: of the models that an output compares, or else of its rows."""
    shown = [(row.fields, names) for row, names in zip(rows, methods, strict=True)]
    if stages := [stage for stage in all_stages() if stage.compares and stage.id in entry.needs]:
        runs = [row.run for stage in stages for row in stage.of(config)]
        shown = [(fields, list(run["readouts"])) for run in runs for fields in run["models"]]
    integral = [method.id for method in registries()["methods"].values() if method.integral]
    return [
        file
        for fields, names in shown
        for file in ATTRIBUTIONS.files(
            config, "attributions", **fields, method=[name for name in names if name in integral]
        )
    ]


def _methods_read(config, kind, entry, run):
    """The methods of a run that an output reads: those that its study compares, those with a readout that it shows.

    Runs of image models name none.
    """
    if "methods" not in run:
        return []
    compared = studies()[registries()[kind].studies[entry.id]].compared(config)
    if compared is not None:
        run = {**run, "methods": [name for name in run["methods"] if name in (*compared, *entry.methods)]}
    methods = methods_of(run)
    shown = entry.readouts
    if isinstance(shown, dict):
        shown = shown[registries()["datasets"][run["dataset"]].task]
    return [name for name in methods if set(readouts_of(run, name)) & set(shown)] or methods


def _lowest_seeds(rows_and_methods):
    """Of each data set and model, what belongs to its lowest seed."""
    lowest = {}
    for row, methods in sorted(rows_and_methods, key=lambda item: item[0].fields["seed"]):
        lowest.setdefault((row.fields["dataset"], row.fields.get("model")), (row, methods))
    return lowest.values()
