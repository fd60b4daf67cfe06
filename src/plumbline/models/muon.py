"""Muon: momentum whose every step is orthogonalised, for the weight matrices of a model that is trained from scratch.

A small encoder learns the generated data in a third of the sentences that AdamW needs. `torch.optim.Muon` computes the same in
bfloat16, which takes over ten times as long on a CPU without instructions for it (docs/performance.md has both).
"""

import torch

# Of the polynomial a x + b x^3 + c x^5 that brings singular values near 1 (Jordan et al. 2024): the largest slope at 0.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """W <- (1 - lr wd) W - lr .2 sqrt(max(rows, columns)) O, with O the orthogonalised Nesterov momentum of W's gradients.

    The factor gives a step the usual size of one of AdamW, so that both take the same learning rate (Liu et al. 2025, arXiv
    2502.16982, eq. 4). Matrices of one shape are computed at once.

    Parameters
    ----------
    params : iterable of torch.Tensor
        Matrices. One without a gradient stays as it is, as with AdamW.
    lr, weight_decay, momentum : float
        Learning rate, decoupled weight decay, and the share of the momentum that a step keeps.
    """

    def __init__(self, params, lr, weight_decay=0.0, momentum=0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        """Take one step."""
        for group in self.param_groups:
            by_shape = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape.setdefault(weight.shape, []).append(weight)
            for shape, weights in by_shape.items():
                updates = orthogonalised(self._momentum(weights, group["momentum"]))
                for weight, update in zip(weights, updates, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(update, alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)

    def _momentum(self, weights, share):
        """Nesterov's momentum of some weights of one shape; (weights, rows, columns)."""
        gradients = torch.stack([weight.grad for weight in weights])
        state = self.state[weights[0]]
        if not state:
            state["momentum"] = torch.zeros_like(gradients)
        state["momentum"].lerp_(gradients, 1 - share)
        return gradients.lerp_(state["momentum"], share)


def orthogonalised(matrices, steps=5):
    """Compute the orthogonal factor U V^T of every matrix U S V^T, roughly: singular values come near 1.

    Parameters
    ----------
    matrices : torch.Tensor
        (count, rows, columns).
    steps : int
        Of Newton and Schulz's iteration (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon).

    Returns
    -------
    torch.Tensor
        Like `matrices`.
    """
    first, second, third = COEFFICIENTS
    wide = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
    wide = wide / (torch.linalg.matrix_norm(wide)[:, None, None] + 1e-7)
    for _ in range(steps):
        product = wide @ wide.mT
        factor = torch.baddbmm(product, product, product, beta=second, alpha=third)
        wide = torch.baddbmm(wide, factor, wide, beta=first)
    return wide.mT if matrices.shape[1] > matrices.shape[2] else wide
