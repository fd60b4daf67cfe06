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

    index       which node of the layer's input; selected: whether it is a cause.
    mean, variance       of the logit under the intervention, y^do; sample variance (ddof 1).
    te, te_variance      mean and sample variance of the total effect y^do - y, in logits.
    rte         mean relative effect y^do / y - 1, over the images where y is not 0.
    z, p        statistic of the graph's test, and its one-sided p value (lower tail).
    kl          mean Kullback-Leibler divergence of the softmax outputs, KL(p^do || p), in nats.
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

    u           what the weights were set to; None at the input layer, where nothing is changed.
    causes, effects      node indices, ascending; the effects are the causes of the layer above.
    rule        test, fallback (no node passed the test, but some had a small effect), none (not even that: the graph
                ends here) or input (the lowest layer: the input, one node, is its cause).
    candidates  how many nodes feed the layer; `nodes` are fewer where the number tested was capped.
    mean, variance       of the observed logit over the same images; None at the input layer.
    nodes       of each candidate tested, in ascending order of its index.
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
    """Cause `cause` -> effect `effect` of a layer; weight: L2 norm of the weights between the two."""

    layer: str
    cause: int
    effect: int
    weight: float


@dataclass(frozen=True)
class CausalGraph:
    """The graph of the class `target`, from the top layer down.

    label       the class's name; n_used: images, all rightly classified.
    soft        whether weights were set to a small draw and not to 0; test: welch or paired; correction: none or bh.
    level       of the Benjamini-Hochberg correction; seed: of the images drawn and of u.
    held_out    share of each class's images of which none is among those that the graph is learnt from (`held_out_rows`).
    rows        numbers of the images that the graph is learnt from, ascending.
    truncated   whether no cause was found somewhere, so that the layers below are missing.
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
        """The record of a layer. Raises PlumblineError, with the legal names, where the graph has none."""
        for record in self.layers:
            if record.layer == name:
                return record
        raise unknown(
            f"layer of the graph of class '{self.label}'", name, [item.layer for item in self.layers]
        )

    def to_dict(self):
        """The graph as JSON holds it."""
        return {"schema_version": SCHEMA_VERSION, **_plain(asdict(self))}

    @classmethod
    def from_dict(cls, content):
        """The graph of a dict that `to_dict` made. Raises PlumblineError for another version or other keys."""
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
        """A networkx.DiGraph, edges from cause to effect.

        Nodes "<layer>:<index>", of the layer whose output they are, with `layer`, `index` and, where the node was tested,
        `effect` (mean total effect, logits); edges with `layer`, through which they run, and `weight`.
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
        """The text of a GraphML file of `networkx`."""
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
    """The CausalGraph of a graph.json. Raises PlumblineError where it is missing, broken or of another version."""
    from ..artefacts import read_json

    return CausalGraph.from_dict(read_json(path))
