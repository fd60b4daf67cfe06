"""ExplainNN: causal graphs of a network's own nodes, learnt by interventions on its weights (docs/studies/explainn.md).

    learn_graph   the causal graph of one class of a model
    held_out_rows which images `learn_graph` leaves for measuring what is said of the graph
    CausalGraph   what it returns, with LayerGraph, NodeEffect and Edge inside it

torch is imported when learn_graph is asked for: the workflow's own modules read this package's lists without it.
"""

import importlib

_HOME = {
    **dict.fromkeys(("learn_graph", "held_out_rows"), "plumbline.causal.learn"),
    **dict.fromkeys(("CausalGraph", "LayerGraph", "NodeEffect", "Edge"), "plumbline.causal.graph"),
}
__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
