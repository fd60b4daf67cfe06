"""Blank-out (occlusion): how much the explained probability changes when one token becomes [MASK]."""

from ..registry import Look, Method, Readout

ENTRY = Method(
    id="blankout",
    label="Blank-out",
    family="occlusion",
    order=44,
    needs=("forward",),
    citation="De Cao et al. 2020; Zeiler & Fergus 2014, arXiv 1311.2901 (occlusion)",
    readouts=(
        Readout(
            id="blankout", label="Blank-out", look=Look("#cc78bc", "v"), shown=("examples", "words_agreement")
        ),
        Readout(
            id="blankout_published",
            label="Blank-out, as published (softmax minus sigmoid)",
            published=True,
            reference="blankout",
        ),
    ),
)


def compute(batch, readouts):
    """Score tokens by the change of the explained probability p (`encoders.explained_probability`) when the token is masked.

    blankout: |p(full) - p(token j masked)|. blankout_published: the masked side is the sigmoid of the class's logit, as in the
    reference. This is the same as blankout where p is a sigmoid. Special tokens are masked too.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.
    readouts : sequence of str
        Ids of readouts of the method.

    Returns
    -------
    dict of str to torch.Tensor, float32, shape (batch, n)
        Readout -> scores, in probability, zero at padding.
    """
    import torch

    from ..models.encoders import explained_logit, explained_probability
    from ..models.inference import Passes

    passes, numbers = Passes(), []
    inputs = zip(batch.sequences(), batch.position.tolist(), batch.segments(), strict=True)
    for ids, position, types in inputs:
        variants = [passes.add(ids, position, types)]
        for place in range(len(ids)):
            masked = ids.copy()
            masked[place] = batch.special("mask")
            variants.append(passes.add(masked, position, types))
        numbers.append(variants)
    logits = passes.run(batch.model, batch.pad)
    rows = {readout: [] for readout in readouts}
    for variants, target in zip(numbers, batch.target.tolist(), strict=True):
        read, classes = logits[variants], torch.full((len(variants),), target)
        chance = explained_probability(read, classes, multi_label=batch.multi_label)
        # Of one logit both sides are its sigmoid.
        plain = chance if read.shape[1] == 1 else explained_logit(read, classes).sigmoid()
        differences = {
            "blankout": (chance[0] - chance[1:]).abs(),
            "blankout_published": (chance[0] - plain[1:]).abs(),
        }
        for readout in readouts:
            rows[readout].append(differences[readout].to(torch.float32))
    return {readout: batch.padded(values) for readout, values in rows.items()}
