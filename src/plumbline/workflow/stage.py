"""What a stage of the workflow is: its files, and what there is one of each.

No torch here: every `snakemake` call imports this module.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import PlumblineError

# The fields by which the rows of most stages are looked up.
MODEL = ("dataset", "model", "seed")


class Row(NamedTuple):
    """One thing that a stage makes.

    Attributes
    ----------
    fields : dict
        The values of the fields of the stage's paths: dataset, model, seed, method, class and so on.
    run : dict
        The run of the configuration behind it, or the block that takes a run's place.
    """

    fields: dict
    run: dict


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """A step of the workflow: where its files lie, and for which runs there are any.

    Attributes
    ----------
    id : str
        Unique among all stages.
    paths : dict of str
        Name of an output -> its path, with fields in braces. Tables and figures ask for a file by this name (`needs`).
    rows : callable
        Takes the configuration and returns the rows, in its order. A run that leaves the stage out has no row.
    shards : bool
        Whether a run with several `shards` is computed in parts. The files of the parts lie in a folder of the file's name.
    compares : bool
        Whether a row compares several models. Its `run` then has their fields as `models`, and by method the `readouts` compared.
    """

    id: str
    paths: dict[str, str]
    rows: Callable
    shards: bool = False
    compares: bool = False

    def of(self, config, **fixed):
        """List the rows with these values.

        Parameters
        ----------
        config : dict
            The configuration with its defaults.
        **fixed
            Field -> its value, or a list of the values that are taken. A field that the stage does not have is passed over.

        Returns
        -------
        list of Row
        """
        rows, others = _near(self, config, fixed)
        return [row for row in rows if _fits(row, others)]

    def files(self, config, name, **fixed):
        """List the paths of one output. None is listed twice.

        Parameters
        ----------
        config : dict
            The configuration with its defaults.
        name : str
            A key of `paths`.
        **fixed
            Which rows, see `of`.

        Returns
        -------
        list of str
        """
        rows = self.of(config, **fixed)
        return list(dict.fromkeys(self.path(config, name, row) for row in rows))

    def path(self, config, name, row):
        """Format the path of one output of a row.

        Parameters
        ----------
        config : dict
            The configuration with its defaults.
        name : str
            A key of `paths`.
        row : Row
            Of the stage.

        Returns
        -------
        str
        """
        return self.paths[name].format(scale=config["scale"], **row.fields)

    def shard_files(self, config, name, **fixed):
        """List the paths of the parts of one output, of the runs that are computed in parts.

        Parameters
        ----------
        config : dict
            The configuration with its defaults.
        name : str
            A key of `paths`.
        **fixed
            Which rows, see `of`.

        Returns
        -------
        list of str
        """
        found = []
        for row in self.of(config, **fixed):
            folder, _, ending = self.path(config, name, row).rpartition(".")
            if self.shards and row.run["shards"] > 1:
                found += [f"{folder}/{shard}.{ending}" for shard in range(row.run["shards"])]
        return found

    def all_files(self, config):
        """List every path of the stage under a configuration, parts included.

        Parameters
        ----------
        config : dict
            The configuration with its defaults.

        Returns
        -------
        list of str
        """
        return [
            file
            for name in self.paths
            for file in (*self.files(config, name), *self.shard_files(config, name))
        ]

    def run(self, config, **fixed):
        """Look up the run of the first row with these values.

        Parameters
        ----------
        config : dict
            The configuration with its defaults.
        **fixed
            Which rows, see `of`.

        Returns
        -------
        dict
            A run of the configuration, or the block that takes its place.

        Raises
        ------
        PlumblineError
            Where there is no such row.
        """
        rows = self.of(config, **fixed)
        if not rows:
            values = ", ".join(f"{field} '{value}'" for field, value in fixed.items())
            raise PlumblineError(f"no run of the configuration has the stage '{self.id}' of {values}")
        return rows[0].run


def models_of(runs):
    """Make a row for each training seed of each run, in the order of the runs.

    Parameters
    ----------
    runs : sequence of dict
        Runs of the configuration, with dataset, model and seeds.

    Returns
    -------
    list of Row
    """
    return [
        Row({"dataset": run["dataset"], "model": run["model"], "seed": seed}, run)
        for run in runs
        for seed in run["seeds"]
    ]


def kept(rows, wanted):
    """Make the rows of a stage that some runs leave out.

    Parameters
    ----------
    rows : callable
        Takes the configuration, returns rows.
    wanted : callable
        Takes a run, returns whether its rows are kept.

    Returns
    -------
    callable
        Takes the configuration, returns those of `rows(config)` whose run is wanted.
    """
    return lambda config: [row for row in rows(config) if wanted(row.run)]


def each(rows, field, values):
    """Make the rows of a stage with one more field.

    Parameters
    ----------
    rows : callable
        Takes the configuration, returns rows.
    field : str
        Name of the field.
    values : callable
        Takes a run, returns the values of the field.

    Returns
    -------
    callable
        Takes the configuration, returns each of `rows(config)` once for every value of the field.
    """
    return lambda config: [
        Row(row.fields | {field: value}, row.run) for row in rows(config) for value in values(row.run)
    ]


def _fits(row, fixed):
    """Whether a row has the values."""
    return all(
        row.fields[field] in (wanted if isinstance(wanted, list) else [wanted])
        for field, wanted in fixed.items()
        if field in row.fields
    )


# The last configuration that was asked for, and what was computed of it once: the plan of a large grid asks once a job.
_last = {"config": None, "found": {}}


def once(config, key, find):
    """Compute something once for a configuration and a key.

    A configuration must not be changed in place once it was asked for. Results of the last configuration alone are kept.

    Parameters
    ----------
    config : dict
        The configuration with its defaults. It is told from others by identity.
    key : hashable
        Unique for what is computed.
    find : callable
        Takes nothing.

    Returns
    -------
    object
        What `find()` returns.
    """
    if _last["config"] is not config:
        _last.update(config=config, found={})
    if key not in _last["found"]:
        _last["found"][key] = find()
    return _last["found"][key]


def _near(stage, config, fixed):
    """The rows that can have the values, and which of the values are left to compare.

    They are the rows of one data set, model and seed where all three are given.
    """

    def group():
        groups = {}
        for row in stage.rows(config):
            groups.setdefault(tuple(row.fields.get(field) for field in MODEL), []).append(row)
        return groups

    groups = once(config, stage, group)
    key = tuple(fixed.get(field) for field in MODEL)
    if key in groups and None not in key:
        return groups[key], {field: wanted for field, wanted in fixed.items() if field not in MODEL}
    return [row for rows in groups.values() for row in rows], fixed
