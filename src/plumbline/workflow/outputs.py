"""From a configuration to what tables and figures read, and to the legal targets. Files: workflow/stages.py, studies/<id>/study.py.

No torch here: every `snakemake` call imports this module.
"""

import difflib
import re
from pathlib import Path

from .config import methods_of, readouts_of, registries
from .errors import PlumblineError
from .workflow.stages import ATTRIBUTIONS, all_stages
from .workflow.study import studies

TABLES = "results/{scale}/tables/{study}/{name}.{format}"
FIGURES = "results/{scale}/figures/{study}/{name}.{format}"
# Tables of times lie among the benchmarks, outside the promise of equal bytes.
COST = "results/{scale}/benchmarks/{name}.{format}"
PAPER_COMMAND = "snakemake --cores all --configfile config.paper.yaml"


# ------------------------------------------------------------------------------------------- tables and figures


def output_names(config, kind, output):
    """The names, without ending, of one table's or figure's files: one a study, a model or a seed."""
    entry = registries()[kind][output]
    return list(dict.fromkeys(_name_of(entry, row) for row in _rows_of(config, entry)))


def output_id(name):
    """The registry id in the name of a table's or figure's file."""
    return name.split("-")[0]


def is_cost(entry):
    """Whether an output shows times, and so lies among the benchmarks."""
    return any(need.endswith("_cost") for need in entry.needs)


def output_paths(config, kind, name):
    """The files of one name of a table or figure."""
    entry = registries()[kind][output_id(name)]
    pattern = COST if is_cost(entry) else {"tables": TABLES, "figures": FIGURES}[kind]
    return [
        pattern.format(scale=config["scale"], study=entry.study, name=name, format=ending)
        for ending in entry.formats
    ]


def output_inputs(config, kind, name):
    """What a table or figure reads: `needs` of its entry, without a `?` -> files."""
    entry = registries()[kind][output_id(name)]
    rows = _rows_named(config, entry, name)
    files = {}
    for need in entry.needs:
        _, _, table = need.partition("/")
        if table.endswith("?") and not _is_made(config, table[:-1]):
            continue
        if table:
            found = _table_files(config, table.removesuffix("?"), rows)
        elif need == "gaps":
            found = _gaps(config, entry, rows)
        else:
            shown = _lowest_seeds(rows) if entry.seeds == "lowest" else rows
            found = [file for row in shown for file in _files(config, entry, need, row)]
        files[need.removesuffix("?")] = list(dict.fromkeys(found))
    return files


def output_options(config, kind, name):
    """What a table or figure is told beside its inputs; a change in it makes the output again."""
    entry = registries()[kind][output_id(name)]
    rows = _rows_named(config, entry, name)
    options = {"scale": config["scale"], "command": PAPER_COMMAND}
    if runs := {id(row.run): row.run for row in rows if "model" in row.fields}:
        # In how many jobs a result was computed is no part of it.
        options["runs"] = [{key: run[key] for key in run if key != "shards"} for run in runs.values()]
    if entry.per != "study":
        options |= {key: rows[0].fields[key] for key in ("dataset", "model")}
    if entry.per == "seed":
        options["seed"] = rows[0].fields["seed"]
    return options | {key: config[key] for key in entry.options}


def _rows_of(config, entry):
    """The rows that an output may show; none where its study has no room."""
    study = studies().get(entry.study)
    rows = study.runs(config) if study else []
    rows = [row for row in rows if set(entry.methods) <= set(row.run.get("methods", ()))]
    if study and study.complete:
        rows = [row for row in rows if _has_all(config, entry, row)]
    return rows


def _has_all(config, entry, row):
    """Whether there is each file that an output needs of a row."""
    for need in entry.needs:
        _, _, table = need.partition("/")
        if table and not _has_all(config, registries()["tables"][table.removesuffix("?")], row):
            return False
        if not table and not _files(config, entry, need, row):
            return False
    return True


def _name_of(entry, row):
    """The name, without ending, of the file of a table or figure that shows a row."""
    parts = {"study": "", "model": "-{dataset}-{model}", "seed": "-{dataset}-{model}-seed{seed}"}
    return entry.id + parts[entry.per].format(**row.fields)


def _rows_named(config, entry, name):
    return [row for row in _rows_of(config, entry) if _name_of(entry, row) == name]


def _is_made(config, table):
    """Whether a table is among those that the configuration asks for, and has rows to show."""
    return table in config["tables"] and bool(output_names(config, "tables", table))


def _table_files(config, table, rows):
    """The CSV files of a table; where it has one file a model or seed, those of the rows."""
    names = dict.fromkeys(_name_of(registries()["tables"][table], row) for row in rows)
    return [output_paths(config, "tables", name)[0] for name in names]


def _files(config, entry, need, row):
    """The files of one need that an output reads of a row."""
    fixed = row.fields | {
        "split": row.run.get("split", "test"),
        "method": _methods_read(config, entry, row.run),
    }
    return [
        file for stage in all_stages() if need in stage.paths for file in stage.files(config, need, **fixed)
    ]


def _gaps(config, entry, rows):
    """The attributions of methods that sum an integral: of the models that an output compares, or else of its rows."""
    if stages := [stage for stage in all_stages() if stage.compares and stage.id in entry.needs]:
        runs = [row.run for stage in stages for row in stage.of(config)]
        shown = [(fields, list(run["readouts"])) for run in runs for fields in run["models"]]
    else:
        shown = [(row.fields, _methods_read(config, entry, row.run)) for row in rows]
    integral = [method.id for method in registries()["methods"].values() if method.integral]
    return [
        file
        for fields, methods in shown
        for file in ATTRIBUTIONS.files(
            config, "attributions", **fields, method=[name for name in methods if name in integral]
        )
    ]


def _methods_read(config, entry, run):
    """The methods of a run that an output reads: those of its study's `compared`, those with a readout that it shows.

    Runs of image models name none.
    """
    if "methods" not in run:
        return []
    named = config[entry.study]["compared"] if entry.compared else None
    if named is not None:
        run = {**run, "methods": [name for name in run["methods"] if name in (*named, *entry.methods)]}
    methods = methods_of(run)
    shown = entry.readouts
    if isinstance(shown, dict):
        shown = shown[registries()["datasets"][run["dataset"]].task]
    return [name for name in methods if set(readouts_of(run, name)) & set(shown)] or methods


def _lowest_seeds(rows):
    """Of each data set and model, the row of its lowest seed."""
    lowest = {}
    for row in sorted(rows, key=lambda row: row.fields["seed"]):
        lowest.setdefault((row.fields["dataset"], row.fields.get("model")), row)
    return lowest.values()


# ----------------------------------------------------------------------------------------------------- targets


def final_output(config, study=None):
    """What `snakemake` makes by default, or for one study: every file of every enabled table and figure."""
    return [
        file
        for kind in ("tables", "figures")
        for output in config[kind]
        if study in (None, registries()[kind][output].study)
        for name in output_names(config, kind, output)
        for file in output_paths(config, kind, name)
    ]


def targets(config):
    """Every file that can be asked for by name under this configuration, downloads aside."""
    found = [file for stage in all_stages() for file in stage.all_files(config)]
    everything = {kind: dict.fromkeys(registries()[kind], None) for kind in ("tables", "figures")}
    return list(dict.fromkeys(found + final_output({**config, **everything})))


# Options of Snakemake that take no value, and those that take one; what others take is left to Snakemake.
_FLAGS = """
    -n --dry-run --dryrun -k --keep-going -F --forceall -f --force -p --printshellcmds -t --touch --nolock --nocolor
    --rerun-incomplete --ri
"""
_WITH_ONE_VALUE = """
    -c --cores -j --jobs -d --directory -s --snakefile --profile --workflow-profile --executor -e
"""
FLAGS, WITH_ONE_VALUE = frozenset(_FLAGS.split()), frozenset(_WITH_ONE_VALUE.split())


def targets_asked(words):
    """The targets among the words behind `snakemake` on the command line, which Snakemake does not tell a Snakefile.

    A word is a target behind `--`, at the front, behind an option without a value, or behind the value of one that takes one.
    """
    asked, expected = [], 0  # how many values may follow
    for place, word in enumerate(words):
        if word == "--":
            return asked + words[place + 1 :]
        if word.startswith("-"):
            name, _, value = word.partition("=")
            alone = name in FLAGS or value or re.fullmatch("-[cj][0-9]+", word)
            expected = 0 if alone else 1 if name in WITH_ONE_VALUE else len(words)
        elif expected:
            expected -= 1
        else:
            asked.append(word)
    return asked


def check_target(config, target, rules):
    """PlumblineError for a target that is neither one of `rules` (names) nor a file that a rule makes."""
    folder = f"results/{config['scale']}/"
    legal = targets(config)
    if target in rules or target in legal or target.startswith((f"{folder}downloads/", f"{folder}logs/")):
        return
    if target.startswith("results/") and not target.startswith(folder):
        raise PlumblineError(
            f"no rule makes '{target}': the scale of this configuration is '{config['scale']}', and another scale "
            "needs its --configfile"
        )
    near = difflib.get_close_matches(target, [*legal, *rules], n=1, cutoff=0.0)[0]
    stage = "/".join(target.split("/")[:3]) + "/"
    siblings = sorted({Path(item).stem for item in legal if item.startswith(stage)})
    names = siblings or sorted({item.split("/")[2] for item in legal})
    raise PlumblineError(
        f"no rule makes '{target}': did you mean '{near}'? legal under {stage if siblings else folder}: {', '.join(names)}"
    )
