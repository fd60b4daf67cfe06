"""What forward passes and jobs took: counts, seconds, memory. No torch here: tables read it too."""

import csv
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from .artefacts import read_json, write_json, write_text


@dataclass
class Work:
    """Counts that add up over passes and jobs.

    requested  inputs asked for, equal ones counted each time; rows: the distinct ones, which ran.
    tokens     positions that ran and hold a token; padding: positions that ran and hold none.
    seconds    wall-clock time of `models.inference.Passes.run`: packing weights, forming batches, the model.
    """

    requested: int = 0
    rows: int = 0
    tokens: int = 0
    padding: int = 0
    seconds: float = 0.0

    def __add__(self, other):
        mine, theirs = asdict(self), asdict(other)
        return Work(**{name: mine[name] + theirs[name] for name in mine})

    def rates(self):
        """rows_per_second, padding_share of the positions and duplicates_share of the requests, both in [0, 1].

        NaN where nothing ran.
        """
        if not self.rows:
            return dict.fromkeys(("rows_per_second", "padding_share", "duplicates_share"), float("nan"))
        return {
            "rows_per_second": self.rows / self.seconds,
            "padding_share": self.padding / (self.tokens + self.padding),
            "duplicates_share": 1 - self.rows / self.requested,
        }


def add_works(output, files):
    """Write the sum of several files of `Work` as one."""
    write_json(output, asdict(sum((Work(**read_json(file)) for file in files), Work())))


def add_benchmarks(output, files):
    """Write Snakemake's benchmark files of a job's shards as one: sums, of memory the largest, of load the mean over time.

    What Snakemake could not measure in some shard is "NA".
    """
    lines = [Path(file).read_text(encoding="utf-8").splitlines() for file in files]
    jobs = [row for found in lines for row in csv.DictReader(found, delimiter="\t")]
    added = {}
    for name in jobs[0]:
        cells = [job[name] for job in jobs]
        if name == "h:m:s":
            added[name] = str(timedelta(seconds=int(added["s"])))
        elif set(cells) & {"NA", "-"}:
            added[name] = "NA"
        elif name == "mean_load":
            added[name] = sum(float(job[name]) * float(job["s"]) for job in jobs) / (added["s"] or 1)
        else:
            added[name] = (max if name.startswith("max_") else sum)(map(float, cells))
    cells = (cell if isinstance(cell, str) else f"{cell:.2f}" for cell in added.values())
    write_text(output, "\t".join(added) + "\n" + "\t".join(cells) + "\n")
