"""Vision Mamba in Vim-small's geometry (24 layers, 384 wide, 197 tokens, random weights) on two threads: `make bench`.

Seconds an image (median of three) of a forward pass (batch 4), of all three maps with their gradients, of whole hidden matrices and their
diffusion, and the largest memory. For the scan alone: beside a plain loop, one step a token.
"""

import argparse
import json
import resource
import time

import torch

from plumbline.attribution import diffusion, image_maps
from plumbline.attribution.hidden_attention import hidden_matrices, hidden_rows
from plumbline.attribution.mamba import mamba_maps
from plumbline.models.vim import SelectiveScan, VisionMamba


def plain_scan(x, delta, A, B, C):
    """The recurrence, one step a token."""
    state, found = 0, []
    for t in range(x.shape[-1]):
        step = delta[..., t, None]
        state = (step * A).exp() * state + step * B[:, None, :, t] * x[..., t, None]
        found.append((state * C[:, None, :, t]).sum(-1))
    return torch.stack(found, -1)


def seconds(call, repeats=3):
    """(median seconds of some calls, what the last one gave)."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = call()
        taken.append(time.perf_counter() - start)
    return sorted(taken)[repeats // 2], found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = VisionMamba(224, 16, 24, 384, 1000).requires_grad_(False).eval()
    images = torch.randn(options.batch, 3, 224, 224)
    facts = {"network": {"embed_dim": 384, "d_state": 16}}
    numbers = {}
    with torch.no_grad():
        model(images[:1])
        taken, _ = seconds(lambda: model(images))
    numbers["forward, seconds an image"] = taken / options.batch

    def maps(image):
        trace = []
        logits = model(image, trace)
        gradients = torch.autograd.grad(logits.max(), [layer.residual for layer in trace])
        with torch.no_grad():
            rows = hidden_rows(trace, 98, published=True)
            mamba_maps(rows, torch.stack(gradients), start_layer=15, class_position=98)
        return trace

    taken, trace = seconds(lambda: maps(images[:1]))
    numbers["three maps, seconds an image"] = taken
    numbers["largest memory so far, GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    with torch.no_grad():
        taken, matrices = seconds(lambda: hidden_matrices(trace))
        numbers["whole matrices, seconds an image"] = taken
        numbers["their diffusion, seconds an image"] = seconds(lambda: diffusion.diffused(matrices))[0]
    taken, _ = seconds(lambda: image_maps.compute(model, images[:1], start_layer=15, alpha=0.9, seeds=[0]))
    numbers["all maps of the study, seconds an image"] = taken
    numbers["images of one pass"] = image_maps.batch_size(model, facts)
    x, delta = torch.randn(1, 768, 197), torch.rand(1, 768, 197) / 10
    inputs = (x, delta, -torch.rand(768, 16), torch.randn(1, 16, 197), torch.randn(1, 16, 197))
    with torch.no_grad():
        ratios = []
        for _ in range(5):
            slow, wanted = seconds(lambda: plain_scan(*inputs), 1)
            fast, found = seconds(lambda: SelectiveScan.apply(*inputs), 1)
            ratios.append(slow / fast)
    numbers["plain loop over chunked scan, median ratio"] = sorted(ratios)[2]
    numbers["largest difference of the two"] = (wanted - found).abs().max().item()
    numbers["largest memory, GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    for name, value in numbers.items():
        print(f"{name:45s} {value:.3g}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(numbers, out, indent=1)


if __name__ == "__main__":
    main()
