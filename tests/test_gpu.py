"""CPU against GPU, within the tolerances of docs/performance.md, "Across devices"; skipped where there is no GPU."""

import json

import pytest
import torch
import yaml

from plumbline.attribution import READOUTS, attribute, method_of
from plumbline.faithfulness import KINDS, PROTOCOLS, curves
from plumbline.models import runtime
from plumbline.models.inference import Passes
from tests import workflow
from tests.small_models import ARCHITECTURES, small_batch, small_model, special_ids_of
from tests.test_attribution_api import settings

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU here: CPU and GPU cannot be compared"
)

SCORES, PROBABILITIES, LOW = (
    1e-3,
    1e-5,
    2e-2,
)  # of the largest score of a text; absolute; absolute, in bfloat16


@pytest.fixture(autouse=True)
def prepared(monkeypatch):
    monkeypatch.setattr(runtime, "_share", 1)
    return runtime.prepare("cuda")


def on_gpu(given):
    return {name: value.cuda() if isinstance(value, torch.Tensor) else value for name, value in given.items()}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("task", ["classification", "agreement"])
def test_scores(architecture, task):
    model, special = small_model(architecture, task), special_ids_of(architecture)
    ids, mask, positions = small_batch(architecture)
    place = positions if task == "agreement" else None
    for readout in (entry.id for entry in READOUTS.values() if not entry.noise):
        given = settings(readout, mask, special)
        here = attribute(model.cpu(), ids, mask, readout, position=place, **given)
        there = attribute(
            model.cuda(),
            ids.cuda(),
            mask.cuda(),
            readout,
            position=None if place is None else place.cuda(),
            **on_gpu(given),
        )
        assert there.device.type == "cuda"
        scale = here.abs().amax(-1, keepdim=True).clamp(min=1e-12)
        assert ((there.cpu() - here).abs() < SCORES * scale + 1e-6).all(), readout
        if method_of(readout).control:
            assert torch.equal(there.cpu(), here), readout


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", KINDS)
def test_curves(protocol, kind):
    model, special = small_model("bert"), special_ids_of("bert")
    ids, mask, _ = small_batch("bert", lengths=(5, 9, 12))
    scores = torch.arange(ids.shape[1]).float().expand(ids.shape)
    options = {"protocol": protocol, "kind": kind, "tokenizer_ids": special}
    target = torch.tensor([0, 1, 0])
    here = curves(model.cpu(), ids, mask, scores, target=target, **options)
    there = curves(model.cuda(), ids.cuda(), mask.cuda(), scores, target=target.cuda(), **options)
    tolerance = PROBABILITIES if PROTOCOLS[protocol].precision == "float32" else LOW
    for one, other in zip(here, there, strict=True):
        torch.testing.assert_close(other.cpu(), one, atol=tolerance, rtol=0)


def test_no_tf32():
    """A product of which TF32 would keep ten bits."""
    draw = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 512, 512, generator=draw)
    product = (first.cuda() @ second.cuda()).cpu().double()
    assert (product - first.double() @ second.double()).abs().max() < 1e-3
    assert not torch.backends.cuda.matmul.allow_tf32


def test_a_full_gpu_halves_the_batch(capsys):
    """Not a made-up fault: the allocator itself has no more."""
    model, special = small_model("bert", width=256).cuda(), special_ids_of("bert")
    passes = Passes()
    draw = torch.Generator().manual_seed(0)
    for _ in range(4000):
        passes.add(torch.randint(5, 60, (32,), generator=draw).numpy())
    wanted = passes.run(model, special["pad"], token_budget=2048)
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 200e6) / total)
    try:
        found = passes.run(model, special["pad"], token_budget=10**7)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "out of GPU memory: batches of 1/" in capsys.readouterr().err
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_tiny_run(tmp_path):
    """The whole tiny workflow on the GPU, twice to equal bytes, one GPU job at a time; accuracy as on the CPU."""
    found = []
    for name in ("first", "second"):
        folder = workflow.checkout(tmp_path / name)
        config = yaml.safe_load((folder / workflow.TINY).read_text()) | {"device": "cuda"}
        (folder / "gpu.yaml").write_text(yaml.safe_dump(config))
        done = workflow.snakemake(folder, "--cores", "4", "--configfile", "gpu.yaml")
        assert done.returncode == 0, done.stdout
        found.append(workflow.files(folder / "results/tiny"))
    assert found[0].keys() == found[1].keys()
    assert [name for name in found[0] if found[0][name] != found[1][name]] == []
    metrics = json.loads(found[0]["models/sentiment/tiny/seed0/metrics.json"])
    assert metrics["accuracy"] > 0.5
