"""Attention flow: the largest flow from a token of the last layer to each input token (Abnar & Zuidema 2020).

Edges lead from node (l + 1, i) to (l, j) with capacity A'_l[i, j], A' as in rollout; levels 0, the inputs, to layer + 1.
Each value is an exact maximum flow, by the push-relabel of OR-Tools (Apache 2.0) on capacities scaled to int64:
rounding is 2^-41 an edge. What keeps the solver's work small (docs/performance.md):

- only row i of the top matrix leaves the source, and only column j of the bottom one reaches the sink;
- a bound from above is cheap for all pairs at once, and nearly always the value itself;
- so a graph in which most layers keep their diagonals alone, a flow of which is one of the whole graph too, is solved
  first; the whole graph only where that flow stays below the bound.
"""

import itertools

from ..errors import PlumblineError
from ..registry import Look, Method, Readout

ENTRY = Method(
    id="flow",
    label="Attention flow",
    family="attention",
    order=14,
    needs=("attention",),
    citation="Abnar & Zuidema 2020, arXiv 2005.00928",
    readouts=(
        Readout(id="flow", label="Attention flow", look=Look("#00664b", "*"), shown=()),
        Readout(id="flow_max", label="Attention flow (max)", look=Look("#00664b", ">", "dashed"), shown=()),
    ),
)

SCALE = 2.0**40
# A flow so close to its upper bound is the maximum; far above the rounding of the capacities.
REACHED = 1e-9


def compute(batch, readouts):
    """Score tokens by flows to the last layer's nodes, normalised for each node.

    flow: the flows to the explained position's node. flow_max: the maximum over nodes.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.
    readouts : sequence of str
        Ids of readouts of the method.

    Returns
    -------
    dict of str to torch.Tensor, float32, shape (batch, n)
        Readout -> scores, zero at padding.
    """
    import torch

    from .selective import layer_means, read_out

    layers = batch.attentions()
    found = {readout: [] for readout in readouts}
    for row, length in enumerate(batch.lengths):
        matrices = layer_means([layer[row, :, :length, :length].double() for layer in layers])
        place = int(batch.position[row])
        # One row of flows is all that the explained position needs.
        sources = None if "flow_max" in readouts else [place]
        shares = torch.from_numpy(flow_shares(matrices.cpu().numpy(), sources)).float()
        for readout in readouts:
            at = place if sources is None else 0
            found[readout].append(read_out(shares, None if readout == "flow_max" else at))
    return {readout: batch.padded(rows) for readout, rows in found.items()}


def flow_relevance(attention, layer, position=None):
    """Compute `plumbline.attribution.attention_flow`.

    Parameters
    ----------
    attention, layer, position
        See there.

    Returns
    -------
    numpy.ndarray or torch.Tensor, shape (n,)
        Of the kind and dtype of `attention`.

    Raises
    ------
    PlumblineError
        See there.
    """
    import torch

    from ..arrays import attention as weights
    from ..arrays import is_whole
    from .selective import check_position, layer_means, read_out

    values, restore = weights(attention)
    if not is_whole(layer) or layer not in range(len(values)):
        raise PlumblineError(f"layer {layer!r} is not among the layers 0 to {len(values) - 1}")
    check_position(position, values.shape[-1])
    matrices = layer_means(values[: layer + 1].double()).cpu().numpy()
    shares = flow_shares(matrices, None if position is None else [position])
    return restore(read_out(torch.from_numpy(shares), None if position is None else 0))


def flow_shares(matrices, sources=None):
    """Compute the flows of each source divided by their sum.

    Parameters
    ----------
    matrices, sources
        See `flows`.

    Returns
    -------
    numpy.ndarray, float64, shape (sources, n)
    """
    found = flows(matrices, sources)
    return found / found.sum(1, keepdims=True)


def flows(matrices, sources=None):
    """Compute the maximum flows from tokens of the top level to every input.

    Parameters
    ----------
    matrices : numpy.ndarray, float64, shape (layers, n, n)
        A'_l with the bottom layer first.
    sources : sequence of int, optional
        Tokens of the top level. None: all of them.

    Returns
    -------
    numpy.ndarray, float64, shape (sources, n)
    """
    import numpy as np

    bottom, middle, top = matrices[0], matrices[1:-1][::-1], matrices[-1]
    sources = np.arange(len(bottom)) if sources is None else np.asarray(sources)
    if len(matrices) == 1:
        return bottom[sources].copy()
    bounds = upper_bounds(bottom, middle, top[sources])
    # With two layers no two paths share an edge, so the bound is the flow.
    if len(matrices) == 2:
        return bounds
    graphs = [Graph(middle, full) for full in _full_layers(len(middle))]
    found = np.zeros_like(bounds)
    for row, column in itertools.product(range(len(sources)), range(len(bottom))):
        for graph in graphs:
            found[row, column] = graph.solve(top[sources[row]], bottom[:, column])
            if found[row, column] >= bounds[row, column] - REACHED:
                break
    return found


def upper_bounds(bottom, middle, starts):
    """Compute upper bounds of the flows. With two layers they are the flows themselves.

    What a node takes in is at most the sum over edges of min(capacity, what the edge's start takes in), level by level. No flow
    exceeds what leaves its source or what may reach its sink.

    Parameters
    ----------
    bottom : numpy.ndarray, float64, shape (n, n)
        The bottom layer's matrix.
    middle : numpy.ndarray, float64, shape (layers, n, n)
        The matrices between, the top one first.
    starts : numpy.ndarray, float64, shape (sources, n)
        Rows of the top matrix.

    Returns
    -------
    numpy.ndarray, float64, shape (sources, n)
    """
    import numpy as np

    taken = starts
    for matrix in middle:
        taken = np.stack([np.minimum(matrix, row[:, None]).sum(0) for row in taken])
    through = np.stack([np.minimum(row[:, None], bottom).sum(0) for row in taken])
    return np.minimum(through, np.minimum(starts.sum(1)[:, None], bottom.sum(0)[None]))


def _full_layers(count):
    """Which of the middle layers, top first, keep all their edges: the two ends, then all."""
    ends = sorted({0, count - 1})
    return [ends] if len(ends) == count else [ends, range(count)]


class Graph:
    """The edges between the top and the bottom matrix: all of the layers `full`, diagonals of the others.

    Diagonals that follow each other are one edge a token, of their minimum.

    Parameters
    ----------
    middle : numpy.ndarray, float64, shape (layers, n, n)
        The matrices between, the top one first.
    full : collection of int
        Indices of layers of `middle`.
    """

    def __init__(self, middle, full):
        import numpy as np

        self.size = size = middle.shape[-1]
        places = np.arange(size)
        above, below = (index.ravel() for index in np.indices((size, size)))
        tails, heads, capacities, level = [], [], [], 0
        groups = itertools.groupby(range(len(middle)), key=lambda layer: layer if layer in full else -1)
        for key, layers in groups:
            whole = key >= 0
            tails.append(level * size + (above if whole else places))
            level += 1
            heads.append(level * size + (below if whole else places))
            chosen = middle[list(layers)]
            capacities.append(chosen[0].ravel() if whole else chosen[:, places, places].min(0))
        self.source, self.sink = (level + 1) * size, (level + 1) * size + 1
        self.first, self.last = places.astype(np.int32), (level * size + places).astype(np.int32)
        self.edges = (
            *(np.concatenate(ends).astype(np.int32) for ends in (tails, heads)),
            _scaled(np.concatenate(capacities)),
        )

    def solve(self, start, end):
        """Compute the maximum flow.

        Parameters
        ----------
        start : numpy.ndarray, float64, shape (n,)
            Capacities from the source to the top nodes.
        end : numpy.ndarray, float64, shape (n,)
            Capacities from the bottom nodes to the sink.

        Returns
        -------
        float

        Raises
        ------
        PlumblineError
            Where the solver stops without a maximum.
        """
        import numpy as np
        from ortools.graph.python import max_flow

        solver = max_flow.SimpleMaxFlow()
        solver.add_arcs_with_capacity(*self.edges)
        source, sink = (np.full(self.size, node, dtype=np.int32) for node in (self.source, self.sink))
        solver.add_arcs_with_capacity(source, self.first, _scaled(start))
        solver.add_arcs_with_capacity(self.last, sink, _scaled(end))
        status = solver.solve(self.source, self.sink)
        if status != solver.OPTIMAL:
            raise PlumblineError(f"the flow solver stopped without a maximum ({status})")
        return solver.optimal_flow() / SCALE


def _scaled(capacities):
    import numpy as np

    return np.rint(capacities * SCALE).astype(np.int64)
