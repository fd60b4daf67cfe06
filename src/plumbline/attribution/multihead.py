"""What explanations of the multi-head classifier there are: the seven of Lopardo et al. 2024, others beside them, and controls.

How they are computed: plumbline.theory.explanations.
"""

from dataclasses import dataclass, replace

from ..registry import Look, Method, Readout

ABSOLUTE = "_abs"  # ends the id of a signed explanation's twin, its absolute values


@dataclass(frozen=True, kw_only=True)
class Explanation(Readout):
    """A readout of a document's tokens.

    Attributes
    ----------
    fitted : {'delete', 'mask', ''}
        The perturbation that the explanation was fitted to. Faithfulness is measured by it as well. Empty: none.
    """

    fitted: str = ""


_LIME = {
    "family": "occlusion",
    "look": Look("#cc78bc", "o"),
    "citation": "Ribeiro et al. 2016, arXiv 1602.04938",
}
_GRADIENT = {"family": "gradient", "look": Look("#d55e00", "o")}
_ATTENTION = {"family": "attention", "look": Look("#029e73", "o")}
_CONTROL = {"family": "control", "look": Look("#949494", "o"), "control": True, "citation": "control"}
_SIGNED = (
    Explanation(id="lime", label="LIME", signed=True, fitted="delete", **_LIME),
    Explanation(id="lime_mask", label="LIME, masking", signed=True, fitted="mask", **_LIME),
    Explanation(id="g_avg", label="G-avg", signed=True, **_GRADIENT),
    Explanation(id="gxi", label="G×I", signed=True, **_GRADIENT),
    Explanation(id="attention_value", label="α × value", signed=True, **_ATTENTION),
)

ENTRY = Method(
    id="multihead",
    label="Explanations of the multi-head classifier",
    family="attention",
    models="multi-head classifier",
    order=100,
    citation="Lopardo et al. 2024, repository gianluigilopardo/attention_meets_xai",
    readouts=(
        *_SIGNED,
        Explanation(id="alpha_avg", label="α-avg", **_ATTENTION),
        Explanation(id="alpha_max", label="α-max", **_ATTENTION),
        Explanation(id="g_l1", label="G-l1", **_GRADIENT),
        Explanation(id="g_l2", label="G-l2", **_GRADIENT),
        *(
            replace(
                entry, id=entry.id + ABSOLUTE, label=f"|{entry.label}|", signed=False, absolute_of=(entry.id,)
            )
            for entry in _SIGNED
        ),
        Explanation(id="random", label="random", stochastic=True, **_CONTROL),
        Explanation(id="position", label="position", **_CONTROL),
        Explanation(id="uniform", label="uniform", **_CONTROL),
    ),
)
EXPLANATIONS = ENTRY.by_id
