"""Blank-out (occlusion): how much the explained probability changes when one token becomes [MASK]."""

from ..registry import Method, Readout

ENTRY = Method(
    id="blankout",
    label="Blank-out",
    family="occlusion",
    order=44,
    needs=("forward",),
    citation="De Cao et al. 2020; Zeiler & Fergus 2014, arXiv 1311.2901 (occlusion)",
    readouts=(
        Readout(id="blankout", label="Blank-out"),
        Readout(
            id="blankout_published",
            label="Blank-out, as published (softmax minus sigmoid)",
            published=True,
            reference="blankout",
        ),
    ),
)


def compute(batch, readouts):
    """blankout: |p(full) - p(token j masked)|, softmax on both sides (agreement: sigmoid at the mask).

    blankout_published: the masked side is the sigmoid of the class's logit, as in the reference; the same as
    blankout for agreement. Special tokens are masked too.
    """
    import torch

    from ..models.inference import Passes

    passes, numbers = Passes(), []
    for ids, position in zip(batch.sequences(), batch.position.tolist(), strict=True):
        variants = [passes.add(ids, position)]
        for place in range(len(ids)):
            masked = ids.copy()
            masked[place] = batch.special("mask")
            variants.append(passes.add(masked, position))
        numbers.append(variants)
    logits = passes.run(batch.model, batch.special("pad"))
    rows = {readout: [] for readout in readouts}
    for variants, target in zip(numbers, batch.target.tolist(), strict=True):
        if batch.agreement:
            softmaxed = plain = logits[variants, 0].sigmoid()
        else:
            softmaxed = logits[variants].softmax(-1)[:, target]
            plain = logits[variants, target].sigmoid()
        differences = {
            "blankout": (softmaxed[0] - softmaxed[1:]).abs(),
            "blankout_published": (softmaxed[0] - plain[1:]).abs(),
        }
        for readout in readouts:
            rows[readout].append(differences[readout].to(torch.float32))
    return {readout: batch.padded(values) for readout, values in rows.items()}
