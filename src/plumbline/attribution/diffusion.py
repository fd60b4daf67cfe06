"""Network diffusion of attention matrices. A RECONSTRUCTION: the thesis's code was never released, and its text says only
"diffusion process ... based on singular value transformation".

Each layer's matrix M, rows divided by their sums, is replaced by U f(s / s_max) V^T of its singular values s:

    network_enhancement   f(s) = (1 - a) s / (1 - a s^2), the fixed point of Network Enhancement's diffusion
                          (Wang et al. 2018, Nat. Commun. 9, 3108) on the bipartite graph [[0, M], [M^T, 0]], whose
                          eigenvalues are +-s: f is odd
    pagerank              f(s) = a s / (1 - (1 - a) s), personalised PageRank
    heat                  f(s) = s exp(-a (1 - s)), the heat kernel
    identity              f(s) = s: no diffusion, but the steps around one, dividing by sums and s_max, and clipping

`full_network_enhancement` is that work's whole algorithm. It symmetrises, and so loses the attention's direction.
"""

import torch

from ..errors import unknown

ALPHA = 0.9

SPECTRA = {
    "network_enhancement": lambda s, a: (1 - a) * s / (1 - a * s * s),
    "pagerank": lambda s, a: a * s / (1 - (1 - a) * s),
    "heat": lambda s, a: s * torch.exp(-a * (1 - s)),
}
CONTROL = {"identity": lambda s, a: s}
KINDS = (*CONTROL, *SPECTRA, "full_network_enhancement")


def spectra(matrix, alpha=ALPHA):
    """Compute the singular values s / s_max of a matrix, before diffusion and after each kind.

    Parameters
    ----------
    matrix : torch.Tensor of float, shape (..., n, n)
        M.
    alpha : float
        a.

    Returns
    -------
    dict of str to torch.Tensor of float, shape (..., n)
        `before`, and each of `SPECTRA` -> values, descending.
    """
    before = _shares(torch.linalg.svdvals(_rows(matrix)))
    return {"before": before} | {kind: change(before, alpha) for kind, change in SPECTRA.items()}


def diffused(matrix, kind="network_enhancement", alpha=ALPHA):
    """Diffuse a matrix, signed, not clipped. Rows of M whose sum is near zero are left as they are.

    Parameters
    ----------
    matrix : torch.Tensor of float, shape (..., n, n)
        M.
    kind : str
        One of `KINDS`.
    alpha : float
        a.

    Returns
    -------
    torch.Tensor of float, shape (..., n, n)

    Raises
    ------
    PlumblineError
        For another kind.
    """
    if kind == "full_network_enhancement":
        return network_enhancement(matrix, alpha)
    if kind not in KINDS:
        raise unknown("diffusion", kind, KINDS)
    left, values, right = torch.linalg.svd(_rows(matrix), full_matrices=False)
    values = {**CONTROL, **SPECTRA}[kind](_shares(values), alpha)
    return (left * values[..., None, :]) @ right


def diffusion(kind="network_enhancement", alpha=ALPHA):
    """Make the transform for `mamba.rollout`: diffusion, then negative entries set to zero.

    Parameters
    ----------
    kind, alpha
        See `diffused`.

    Returns
    -------
    callable
        Takes a matrix, shape (..., n, n), returns one of the same shape.
    """
    return lambda matrix: diffused(matrix, kind, alpha).clamp(min=0)


def _shares(values):
    """Singular values over the largest; of a matrix of zeros, zeros."""
    largest = values[..., :1]
    return values / torch.where(largest > 0, largest, torch.ones_like(largest))


def _rows(matrix):
    from .mamba import GUARD

    sums = matrix.sum(-1, keepdim=True)
    return matrix / torch.where(sums.abs() < GUARD, torch.ones_like(sums), sums)


def network_enhancement(matrix, alpha=ALPHA, order=2, neighbours=None):
    """Apply Network Enhancement (Wang et al. 2018). The result is symmetric and at least zero.

    It is computed in double precision and returned in the matrix's.

    Parameters
    ----------
    matrix : torch.Tensor of float, shape (..., n, n)
        Weights of edges.
    alpha : float
        a.
    order : int
        2: the fixed point (1 - a) l / (1 - a l^2) of each eigenvalue l.
    neighbours : int, optional
        K. None: min(20, ceil(n / 10)).

    Returns
    -------
    torch.Tensor of float, shape (..., n, n)
    """
    if matrix.dtype != torch.float64:
        return network_enhancement(matrix.double(), alpha, order, neighbours).to(matrix.dtype)
    if matrix.dim() > 2:
        return torch.stack([network_enhancement(part, alpha, order, neighbours) for part in matrix])
    size = matrix.shape[-1]
    neighbours = min(20, -(-size // 10)) if neighbours is None else neighbours
    found = torch.zeros_like(matrix)
    # Nodes without a link to others are dropped; the others keep their diagonal, as in the authors' code.
    linked = (matrix - torch.diag(matrix.diagonal())).abs().sum(0) > 0
    if not linked.any():
        return found
    within = matrix[linked][:, linked]
    degree = within.abs().sum(0)
    # By sums of absolute values: signed rows have a scale too.
    spread = within / within.abs().sum(-1, keepdim=True).clamp(min=torch.finfo(within.dtype).tiny)
    spread = (spread + spread.mT) / 2
    kept = _strongest(spread.abs(), min(neighbours, len(within) - 1)) * spread.sign()
    kept = kept + torch.eye(len(within)).to(kept) + torch.diag(kept.abs().sum(-1))
    kept = _transition(kept)
    values, vectors = torch.linalg.eigh(kept)
    values = (1 - alpha) * values / (1 - alpha * values.pow(order))
    result = (vectors * values) @ vectors.mT
    own = result.diagonal()
    # A node linked to itself alone keeps 1 there, and nothing elsewhere.
    result = (result - torch.diag(own)) / (1 - own).clamp(min=1e-12)[:, None]
    result = degree[:, None] * result
    result = result.clamp(min=0)
    result = (result + result.mT) / 2
    places = linked.nonzero()[:, 0]
    found[places[:, None], places] = result
    return found


def _strongest(matrix, neighbours):
    """The K largest entries of every row, symmetrised by averaging."""
    values, places = matrix.topk(neighbours, dim=-1)
    kept = torch.zeros_like(matrix).scatter(-1, places, values)
    return (kept + kept.mT) / 2


def _transition(matrix):
    """T = X X^T with X the row-normalised matrix, columns divided by the root of their absolute sums."""
    rows = matrix / matrix.abs().sum(-1, keepdim=True)
    columns = rows / torch.sqrt(rows.abs().sum(0))
    return columns @ columns.mT
