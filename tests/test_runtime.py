"""A job's device, its precision, and batches that shrink where the memory of a GPU does not suffice."""

import platform
import resource

import numpy as np
import pytest
import torch

from plumbline.errors import PlumblineError, one_line_errors
from plumbline.models import runtime
from plumbline.models.inference import Passes
from tests.small_models import small_model


@pytest.fixture(autouse=True)
def whole(monkeypatch):
    monkeypatch.setattr(runtime, "_share", 1)


def test_auto_takes_the_gpu_where_there_is_one():
    assert runtime.prepare("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert runtime.prepare("cpu").type == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_is_said():
    with pytest.raises(
        PlumblineError, match="device 'cuda' is not there: set `device: auto` or `device: cpu`"
    ):
        runtime.prepare("cuda")


def test_tf32_is_off():
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    runtime.prepare("auto")
    assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32


def narrow(model, most):
    """Make a model's forward pass fail above so many tokens, as a full GPU does; returns the sizes that came."""
    sizes, forward = [], model.forward

    def limited(*args, input_ids, **kwargs):
        sizes.append(input_ids.numel())
        if input_ids.numel() > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(*args, input_ids=input_ids, **kwargs)

    model.forward = limited
    return sizes


def passes():
    draw = np.random.default_rng(0)
    found = Passes()
    for length in draw.integers(4, 12, size=40):
        found.add(draw.integers(5, 40, size=length))
    return found


def test_a_full_gpu_halves_the_batch_and_says_so(capsys):
    model = small_model("bert")
    wanted = passes().run(model, 0)
    sizes = narrow(model, 60)
    again = passes()
    found = again.run(model, 0)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert max(sizes) > 60 and sizes[-1] <= 60
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "plumbline: perturbation passes: out of GPU memory: batches of 1/2 from here on"
    assert again.work.rows == len(again.sequences)  # what failed is not counted
    # The smaller size stays: the next passes start with it.
    sizes.clear()
    passes().run(model, 0)
    assert max(sizes) <= 60
    assert capsys.readouterr().err == ""


def test_one_text_that_does_not_fit_is_one_clear_line():
    model = small_model("bert")
    narrow(model, 3)
    with pytest.raises(PlumblineError, match="does not suffice for one text or image: set `device: cpu`"):
        passes().run(model, 0)


def test_training_that_does_not_fit_is_one_line(capsys):
    with pytest.raises(SystemExit), one_line_errors():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
    assert "lower `batch_size`" in capsys.readouterr().err


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the heap is set for glibc alone")
def test_a_job_keeps_the_memory_of_its_passes():
    """Twelve tensors of 8 MiB, 2,048 pages each, again and again: soon no page of them is asked for any more."""
    runtime.prepare()

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        tensors = [torch.ones(2**21) for _ in range(12)]
        del tensors
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    rounds = [faults() for _ in range(15)]
    assert sum(rounds[5:]) < 2048
