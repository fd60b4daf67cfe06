"""What forward passes took: counts and seconds. No torch here: tables read it too."""

from dataclasses import asdict, dataclass


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
