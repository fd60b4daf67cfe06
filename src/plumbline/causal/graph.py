"""The causal graph of one class: typed records, JSON (schema version 2) and GraphML. No torch.

A node is an output channel of a convolution, a unit of a linear layer, or the whole input. Between two layers the graph is
complete: every cause of a layer has an edge to every effect of it.
"""

from dataclasses import asdict, dataclass

from ..errors import PlumblineError, unknown

SCHEMA_VERSION = 2
THRESHOLD = -1.65  # a node is a cause where its z lies below: one-sided, nominal 5 %
FALLBACK = -0.001  # where the test finds none: mean total effect below this share of |mean logit|
INPUT = "input"  # the name under which networkx() and GraphML hold the input node


@dataclass(frozen=True)
class NodeEffect:
    """What the intervention on one candidate node did to the target's logit y, over n images (float64).

    Attributes
    ----------
    index : int
        Which node of the layer's input.
    selected : bool
        Whether it is a cause.
    mean, variance : float
        Of the logit under the intervention, y^do; sample variance (ddof 1).
    te, te_variance : float
        Mean and sample variance of the total effect y^do - y, in logits.
    rte : float
        Mean relative effect y^do / y - 1, over the images where y is not 0.
    z, p : float
        Statistic of the graph's test, and its one-sided p value (lower tail).
    kl : float
        Mean Kullback-Leibler divergence of the softmax outputs, KL(p^do || p), in nats.
    """

    index: int
    selected: bool
    mean: float
    variance: float
    te: float
    te_variance: float
    rte: float
    z: float
    p: float
    kl: float


@dataclass(frozen=True)
class LayerGraph:
    """One layer: which of the nodes that feed it (`causes`) move the class through which of its own (`effects`).

    Attributes
    ----------
    layer : str
        Its name.
    u : float or None
        What the weights were set to. None at the input layer, where nothing is changed.
    causes, effects : tuple of int
        Node indices, ascending. The effects are the causes of the layer above.
    rule : {'test', 'fallback', 'none', 'input'}
        fallback: no node passed the test, but some had a small effect. none: not even that, the graph ends here. input: the
        lowest layer, whose cause is the input, one node.
    candidates : int
        How many nodes feed the layer; `nodes` are fewer where the number tested was capped.
    mean, variance : float or None
        Of the observed logit over the same images. None at the input layer.
    nodes : tuple of NodeEffect
        Of each candidate tested, in ascending order of its index.
    """

    layer: str
    u: float | None
    causes: tuple[int, ...]
    effects: tuple[int, ...]
    rule: str
    candidates: int
    mean: float | None
    variance: float | None
    nodes: tuple[NodeEffect, ...]


@dataclass(frozen=True)
class Edge:
    """An edge from a cause to an effect of a layer.

    Attributes
    ----------
    layer : str
        The layer's name.
    cause, effect : int
        Indices of the nodes.
    weight : float
        L2 norm of the weights between the two.
    """

    layer: str
    cause: int
    effect: int
    weight: float


@dataclass(frozen=True)
class CausalGraph:
    """The graph of one class, from the top layer down.

    Attributes
    ----------
    target : int
        The class.
    label : str
        The class's name.
    n_used : int
        Number of images, all rightly classified.
    soft : bool
        Whether weights were set to a small draw and not to 0.
    test : {'welch', 'paired'}
        See `learn_graph`.
    correction : {'none', 'bh'}
        See `learn_graph`.
    level : float
        Of the Benjamini-Hochberg correction.
    seed : int
        Of the images drawn and of u.
    held_out : float
        Share of each class's images of which none is among those that the graph is learnt from (`held_out_rows`).
    rows : tuple of int
        Numbers of the images that the graph is learnt from, ascending.
    truncated : bool
        Whether no cause was found somewhere, so that the layers below are missing.
    layers : tuple of LayerGraph
        From the top down.
    edges : tuple of Edge
        From every cause of a layer to every effect of it.
    """

    target: int
    label: str
    n_used: int
    soft: bool
    test: str
    correction: str
    level: float
    seed: int
    held_out: float
    rows: tuple[int, ...]
    truncated: bool
    layers: tuple[LayerGraph, ...]
    edges: tuple[Edge, ...]

    def layer(self, name):
        """Return the record of a layer.

        Parameters
        ----------
        name : str
            The layer's name.

        Returns
        -------
        LayerGraph

        Raises
        ------
        PlumblineError
            Where the graph has no such layer, with the legal names.
        """
        for record in self.layers:
            if record.layer == name:
                return record
        raise unknown(
            f"layer of the graph of class '{self.label}'", name, [item.layer for item in self.layers]
        )

    def to_dict(self):
        """Return the graph as JSON holds it."""
        return {"schema_version": SCHEMA_VERSION, **_plain(asdict(self))}

    @classmethod
    def from_dict(cls, content):
        """Make the graph of a dict that `to_dict` returned.

        Parameters
        ----------
        content : dict
            As JSON holds it.

        Returns
        -------
        CausalGraph

        Raises
        ------
        PlumblineError
            For another version or other keys.
        """
        version = content.get("schema_version") if isinstance(content, dict) else None
        if version != SCHEMA_VERSION:
            raise PlumblineError(
                f"a causal graph has schema version {version}, {SCHEMA_VERSION} is read: learn it again"
            )
        content = {name: value for name, value in content.items() if name != "schema_version"}
        try:
            layers = tuple(
                LayerGraph(
                    **{**_tuples(layer), "nodes": tuple(NodeEffect(**node) for node in layer["nodes"])}
                )
                for layer in content["layers"]
            )
            edges = tuple(Edge(**edge) for edge in content["edges"])
            return cls(**{**_tuples(content), "layers": layers, "edges": edges})
        except (KeyError, TypeError) as fault:
            raise PlumblineError(
                f"a causal graph lacks a key or has one too many ({fault}): learn it again"
            ) from None

    def networkx(self):
        """Return the graph for networkx, edges from cause to effect.

        Returns
        -------
        networkx.DiGraph
            Nodes "<layer>:<index>", of the layer whose output they are, with `layer`, `index` and, where the node was tested,
            `effect` (mean total effect, logits). Edges with `layer`, through which they run, and `weight`.
        """
        import networkx as nx

        found = nx.DiGraph(target=self.target, label=self.label)
        found.add_node(f"{self.layers[0].layer}:{self.target}", layer=self.layers[0].layer, index=self.target)
        below = [record.layer for record in self.layers[1:]] + [INPUT]
        names = {record.layer: name for record, name in zip(self.layers, below, strict=True)}
        for record in self.layers:
            effects = {node.index: {"effect": node.te} for node in record.nodes}
            for cause in record.causes:
                name = names[record.layer]
                found.add_node(f"{name}:{cause}", layer=name, index=cause, **effects.get(cause, {}))
        for edge in self.edges:
            ends = f"{names[edge.layer]}:{edge.cause}", f"{edge.layer}:{edge.effect}"
            found.add_edge(*ends, layer=edge.layer, weight=edge.weight)
        return found

    def graphml(self):
        """Return the text of a GraphML file of `networkx`."""
        import networkx as nx

        return "\n".join(nx.generate_graphml(self.networkx())) + "\n"


def _tuples(record):
    return {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}


def _plain(value):
    """Tuples as lists, so that what is written equals what is read."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def read_graph(path):
    """Read a graph.json.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    CausalGraph

    Raises
    ------
    PlumblineError
        Where the file is missing, broken or of another version.
    """
    from ..artefacts import read_json

    return CausalGraph.from_dict(read_json(path))
