"""Norms of transformed vectors: Norm Rollout (Kobayashi et al. 2021) and GlobEnc (Modarressi et al. 2022)."""

from ..registry import DDOF, Look, Method, Readout

ENTRY = Method(
    id="norms",
    label="Vector norms",
    family="vector",
    order=20,
    needs=("attention",),
    parameters={"ddof": 0},
    legal={"ddof": DDOF},
    citation="Kobayashi et al. 2021 (Attn-Res-LN norms); Modarressi et al. 2022, arXiv 2205.03286",
    readouts=(
        Readout(
            id="norm_rollout", label="Norm Rollout", layered=True, reference="norm", look=Look("#56b4e9", "^")
        ),
        Readout(
            id="globenc",
            label="GlobEnc",
            layered=True,
            look=Look("#56b4e9", "D", "dashed"),
            shown=("curves", "ranks", "examples"),
        ),
        Readout(
            id="globenc_published",
            label="GlobEnc, as published (rows not normalised)",
            layered=True,
            published=True,
            reference="norm2",
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
        Of the standard deviation in the LayerNorms, 0 or 1.

    Returns
    -------
    dict of str to torch.Tensor, float32, shape (batch, n)
        Readout -> scores, zero at padding.
    """
    from .decomposition import token_relevance

    return token_relevance(batch, layer_matrices(readouts, ddof=ddof))


def layer_matrices(readouts, *, ddof=0):
    """Make the function that computes the norms' matrices of a layer.

    norm_rollout: ||T_ij||_2 with rows divided by their sum. globenc: the same with T2, after the second LayerNorm.
    globenc_published: ||T2_ij||_2 raw, as in the reference.

    Parameters
    ----------
    readouts : sequence of str
        Ids of readouts of the method.
    ddof : int
        Of the standard deviation in the LayerNorms, 0 or 1.

    Returns
    -------
    callable
        Takes a `decomposition.Example`, returns a dict: readout -> C, shape (n, n), of its layer.
    """
    from .decomposition import normalise_rows

    def matrices(example):
        found = {}
        if "norm_rollout" in readouts:
            found["norm_rollout"] = normalise_rows(example.first(ddof).l2_norms())
        if "globenc" in readouts or "globenc_published" in readouts:
            stage = example.second(ddof)
            norms = stage.l2_norms()
            found["globenc"] = normalise_rows(norms)
            _, sigma = stage.result()
            found["globenc_published"] = norms / sigma
        return {readout: found[readout] for readout in readouts}

    return matrices
