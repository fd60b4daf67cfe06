"""ExplainNN: causal graphs of a network's own nodes, learnt by interventions on its weights (Ahmad et al., WACV 2024).

    graph = learn_graph(model, images, labels, target)
    graph.layer("fc3").causes

The specification of what is computed, and where it departs from the released code, stands in docs/definitions.md.
"""

__all__ = ["CausalGraph", "Edge", "LayerGraph", "NodeEffect", "learn_graph"]


def __getattr__(name):
    """Names of the interface, imported where they are asked for: `learn_graph` imports torch."""
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from . import graph

    if name == "learn_graph":
        from .learn import learn_graph

        return learn_graph
    return getattr(graph, name)
