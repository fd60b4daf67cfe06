"""The one training loop: of text models, image models and the multi-head classifier."""

import math

import numpy as np
import torch

from ..errors import PlumblineError


def steps(network, batches, losses, training, *, schedule=None, clip=None):
    """Train in place with AdamW, and yield the loss after each step.

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
        learning_rate, weight_decay.
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
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=training["learning_rate"], weight_decay=training["weight_decay"], fused=True
    )
    scheduler = schedule(optimiser) if schedule else None
    network.train()
    for step, batch in enumerate(batches, 1):
        optimiser.zero_grad()
        loss = 0.0
        for part in losses(batch):
            part.backward()
            loss += part.item()
        if not math.isfinite(loss):
            raise PlumblineError(f"the loss is not finite at step {step}: lower the learning rate")
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimiser.step()
        if scheduler:
            scheduler.step()
        yield loss
    network.eval()


def curve(losses):
    """About twenty points [{step, loss}] of the losses of all steps, each the mean since the last point."""
    every = max(1, len(losses) // 20)
    ends = [*range(every, len(losses), every), len(losses)]
    return [
        {"step": end, "loss": float(np.mean(losses[start:end]))}
        for start, end in zip([0, *ends], ends, strict=False)
    ]
