"""Consistency between all eleven released MultiBERTs seeds: seed 10 too, which the published figure leaves out.

inputs: released. options: scale, released_seeds. Drawn as seed_consistency; pairs with seed 10 are black crosses and
stay out of the boxes. The released matrices (`released_seeds: matrices`) end with seed 9, and the figure says so.
"""

from ..datasets.multiberts import PUBLISHED_SEEDS, SEEDS
from ..errors import PlumblineError
from ..registry import Output
from ..seed_pairs import TRAINED, sources
from .seed_consistency import boxes
from .style import styled

ENTRY = Output(
    id="seed_consistency_extended",
    label="Consistency between all released seeds",
    needs=("released",),
    options=("released_seeds",),
    formats=("pdf", "png"),
)

(EXTRA,) = set(SEEDS) - set(PUBLISHED_SEEDS)


@styled
def draw(inputs, options):
    """The figure; PlumblineError where no released seeds are configured."""
    if not inputs.get("released"):
        raise PlumblineError(
            "'seed_consistency_extended' shows the released seeds: set `released_seeds` in the config, or take it out "
            "of `figures`"
        )
    (block,) = [block for block in sources(inputs, options) if block["source"] != TRAINED]
    remark = f"Crosses: pairs with seed {EXTRA}, which the published figure leaves out; not in the boxes. "
    if EXTRA not in set(block["rows"]["second"]):
        remark = (
            f"Seed {EXTRA} and the other readouts need the released arrays (released_seeds: mirror or url); the "
            f"published matrices end with seed {PUBLISHED_SEEDS[-1]}. "
        )
    return boxes([block], options, apart=EXTRA, remark=remark)
