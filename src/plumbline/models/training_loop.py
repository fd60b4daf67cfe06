"""The one training loop: of text models, image models and the multi-head classifier."""

import math

import numpy as np
import torch

from ..errors import PlumblineError
from .muon import Muon


def steps(network, batches, losses, training, *, schedule=None, clip=None):
    """Train in place, and yield the loss after each step.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode again after the last step.
    batches : iterable
        One a step.
    losses : callable
        Takes a batch and yields scalar tensors that add up to its loss. Each one's gradient is computed before the next one
        is asked for, so that the parts of a large batch are not in memory together.
    training : dict
        learning_rate, weight_decay, and optimiser: 'adamw', also where there is none, or 'muon' (`optimisers_of`).
    schedule : callable, optional
        Takes the optimiser and returns a scheduler of torch; None leaves the learning rate as it is.
    clip : float, optional
        The largest norm of a step's gradient; None leaves it as it is.

    Yields
    ------
    float

    Raises
    ------
    PlumblineError
        For a loss that is not finite.
    """
    optimisers = optimisers_of(network, training)
    schedulers = [schedule(optimiser) for optimiser in optimisers] if schedule else []
    network.train()
    for step, batch in enumerate(batches, 1):
        network.zero_grad()
        loss = 0.0
        for part in losses(batch):
            part.backward()
            loss += part.item()
        if not math.isfinite(loss):
            raise PlumblineError(f"the loss is not finite at step {step}: lower the learning rate")
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
        for optimiser in optimisers:
            optimiser.step()
        for scheduler in schedulers:
            scheduler.step()
        yield loss
    network.eval()


def optimisers_of(network, training):
    """Make the optimisers of a model.

    There is AdamW of all parameters; with `optimiser: muon` Muon of the weights of linear layers, and AdamW of the rest. The
    last linear layer, which makes the logits, belongs to the rest, and so do embeddings (Jordan et al. 2024).

    Parameters
    ----------
    network : torch.nn.Module
        The model.
    training : mapping
        learning_rate, weight_decay and, where it is not AdamW, optimiser.

    Returns
    -------
    list of torch.optim.Optimizer
    """
    options = {"lr": training["learning_rate"], "weight_decay": training["weight_decay"]}
    linear = [module.weight for module in network.modules() if isinstance(module, torch.nn.Linear)]
    matrices = linear[:-1] if training.get("optimiser") == "muon" else []
    others = [weight for weight in network.parameters() if all(weight is not matrix for matrix in matrices)]
    adamw = torch.optim.AdamW(others, fused=True, **options)
    return [Muon(matrices, **options), adamw] if matrices else [adamw]


def curve(losses):
    """Summarise the losses of all steps by about twenty points, each the mean since the last point.

    Parameters
    ----------
    losses : sequence of float
        One a step.

    Returns
    -------
    list of dict
        {step, loss}.
    """
    every = max(1, len(losses) // 20)
    ends = [*range(every, len(losses), every), len(losses)]
    return [
        {"step": end, "loss": float(np.mean(losses[start:end]))}
        for start, end in zip([0, *ends], ends, strict=False)
    ]
