"""What forward passes and jobs took: counts, seconds, memory. No torch here: tables read it too."""

import contextlib
import resource
import sys
import time
from dataclasses import asdict, dataclass

from .artefacts import read_json, write_json


@dataclass
class Work:
    """Counts that add up over passes and jobs.

    Attributes
    ----------
    requested : int
        Inputs asked for, equal ones counted each time.
    rows : int
        The distinct inputs, which ran.
    tokens : int
        Positions that ran and hold a token.
    padding : int
        Positions that ran and hold none.
    seconds : float
        Wall-clock time of `models.inference.Passes.run`: packing weights, forming batches, the model.
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
        """Return what the counts say of the speed.

        Returns
        -------
        dict
            rows_per_second, padding_share of the positions and duplicates_share of the requests, both in [0, 1]. NaN where
            nothing ran.
        """
        if not self.rows:
            return dict.fromkeys(("rows_per_second", "padding_share", "duplicates_share"), float("nan"))
        return {
            "rows_per_second": self.rows / self.seconds,
            "padding_share": self.padding / (self.tokens + self.padding),
            "duplicates_share": 1 - self.rows / self.requested,
        }


def add_works(output, files):
    """Write the sum of several files of `Work` as one.

    Parameters
    ----------
    output : path
        The JSON file to write.
    files : iterable of path
        JSON files of `Work`.
    """
    write_json(output, asdict(sum((Work(**read_json(file)) for file in files), Work())))


@dataclass
class Cost:
    """What a job took, measured inside it: the start of Python and the imports of its script do not count.

    Attributes
    ----------
    seconds : float
        Wall-clock time.
    cpu_seconds : float
        CPU time of user and system, the job's own child processes included.
    max_rss_mb : float
        Largest memory resident at one time, in MiB: libraries included, also those that a warm process shares with its jobs.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    max_rss_mb: float = 0.0

    def __add__(self, other):
        return Cost(
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            max(self.max_rss_mb, other.max_rss_mb),
        )


@contextlib.contextmanager
def measured(output):
    """Measure what the block takes, and write it as JSON (`Cost`); nothing where the block fails.

    Parameters
    ----------
    output : path
        The JSON file to write.
    """
    start, before = time.perf_counter(), _cpu_seconds()
    yield
    seconds, cpu_seconds = time.perf_counter() - start, _cpu_seconds() - before
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux KiB
    write_json(output, asdict(Cost(seconds, cpu_seconds, most / unit)))


def _cpu_seconds():
    """CPU time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


def add_costs(output, files):
    """Write the costs of a job's shards as one.

    Parameters
    ----------
    output : path
        The JSON file to write.
    files : iterable of path
        JSON files of `Cost`. Seconds are added; of the memory the largest counts.
    """
    write_json(output, asdict(sum((Cost(**read_json(file)) for file in files), Cost())))
