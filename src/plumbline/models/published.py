"""Whether a checkpoint of others does what is published of it."""

from ..errors import PlumblineError
from ..stats import wilson_interval

# One in a thousand checkpoints that are as good as published is refused by bad luck.
LEVEL = 0.998


def reach_published(correct, total, published, what):
    """Refuse a checkpoint whose accuracy is too low to be the published one: read wrongly, it would be explained wrongly.

    Parameters
    ----------
    correct : int
        How many examples were classified rightly.
    total : int
        Of how many.
    published : float or None
        The published accuracy, a share in [0, 1]. None where none is known.
    what : str
        Which checkpoint on which data, in words.

    Raises
    ------
    PlumblineError
        Where the published accuracy lies above the Wilson interval of correct / total at `LEVEL`. So a thousand images allow
        .04 at an accuracy of .76, and 50,000 allow .006.
    """
    if published is None or not total:
        return
    _, upper = wilson_interval(correct, total, LEVEL)
    if upper < published:
        raise PlumblineError(
            f"{what}: accuracy {correct / total:.3f} on {total} examples (at most {upper:.3f} by chance), but {published:.3f} is "
            "published: check revision, file and preparation (resize, interpolation, label order), or remove "
            "`published_accuracy`"
        )
