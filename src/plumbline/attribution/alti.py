"""ALTI: how much closer a source token's transformed vector brings the layer's result (Ferrando et al. 2022)."""

from ..registry import DDOF, Look, Method, Readout

ENTRY = Method(
    id="alti",
    label="ALTI",
    family="vector",
    order=30,
    needs=("attention",),
    parameters={"ddof": 0},
    legal={"ddof": DDOF},
    citation="Ferrando, Gallego, Costa-jussà 2022, arXiv 2203.04212",
    readouts=(
        Readout(id="alti", label="ALTI", layered=True, reference="ours", look=Look("#0173b2", "o")),
        Readout(
            id="alti_l2",
            label="ALTI (L2)",
            layered=True,
            reference="ours_l2",
            look=Look("#0173b2", "s", "dashed"),
            shown=("curves", "ranks", "examples"),
        ),
        Readout(
            id="alti_ln2",
            label="ALTI (+LN2)",
            layered=True,
            reference="ours2",
            look=Look("#0173b2", "p", "dotted"),
            shown=(),
        ),
        Readout(
            id="alti_published",
            label="ALTI, as published (ddof 1)",
            layered=True,
            published=True,
            reference="ours",
        ),
        Readout(
            id="alti_l2_published",
            label="ALTI (L2), as published (ddof 1)",
            layered=True,
            published=True,
            reference="ours_l2",
        ),
        Readout(
            id="alti_ln2_published",
            label="ALTI (+LN2), as published (ddof 1)",
            layered=True,
            published=True,
            reference="ours2",
        ),
    ),
)


def compute(batch, readouts, *, ddof=0):
    """Score tokens by the matrices of `layer_matrices`, multiplied over the layers.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.
    readouts : sequence of str
        Ids of readouts of the method.
    ddof : int
        See `layer_matrices`.

    Returns
    -------
    dict of str to torch.Tensor, float32, shape (batch, n)
        Readout -> scores, zero at padding.
    """
    from .decomposition import token_relevance

    return token_relevance(batch, layer_matrices(readouts, ddof=ddof))


def layer_matrices(readouts, *, ddof=0):
    """Make the function that computes ALTI's matrices of a layer.

    C_ij = max(0, ||y_i|| - ||y_i - T_ij||) with rows divided by their sum.

    alti: L1 distances. alti_l2: Euclidean distances. alti_ln2: L1 distances after the second LayerNorm. Each `_published`: with
    the Bessel-corrected standard deviation (ddof 1) of the code that made the published numbers.

    Parameters
    ----------
    readouts : sequence of str
        Ids of readouts of the method.
    ddof : int
        Of the standard deviation in the LayerNorms, 0 or 1. `_published` readouts have 1.

    Returns
    -------
    callable
        Takes a `decomposition.Example`, returns a dict: readout -> C, shape (n, n), of its layer.
    """
    from .decomposition import normalise_rows

    closeness = {
        "alti": lambda example: example.first(ddof).l1_closeness(),
        "alti_l2": lambda example: example.first(ddof).l2_closeness(),
        "alti_ln2": lambda example: example.second(ddof).l1_closeness(),
        "alti_published": lambda example: example.first(1).l1_closeness(),
        "alti_l2_published": lambda example: example.first(1).l2_closeness(),
        "alti_ln2_published": lambda example: example.second(1).l1_closeness(),
    }

    def matrices(example):
        return {readout: normalise_rows(closeness[readout](example).clamp(min=0)) for readout in readouts}

    return matrices
