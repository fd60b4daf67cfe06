"""Public functions called with random and malformed arguments: an answer, or one line."""

import copy
import functools
import inspect
import math
import numbers
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import plumbline.attribution
import plumbline.causal
import plumbline.faithfulness
import plumbline.stats
import plumbline.theory
from plumbline.attribution import attention_flow, attribute, mamba_maps, mamba_maps_full, selective_rollout
from plumbline.errors import PlumblineError
from plumbline.faithfulness import aopc, comp_suff, curves
from plumbline.faithfulness.ranking import ranked, tied_share
from tests.small_models import TOKENIZER_IDS, small_model

CALLS = settings(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
SCALARS = [
    None, True, False, -1, 0, 1, 3, 10**30, 0.5, -2.5, math.nan, math.inf, -math.inf, 1j, "", "text", b"bytes", object(),
    np.float32(0.25), np.int16(-7), np.bool_(True), np.datetime64("2020-01-01"), torch.tensor(2), torch.tensor(math.nan),
]  # fmt: skip
CONTAINERS = [
    [], (), {}, {"pad": 0}, {1: 2}, [[]], [None], ["a", "b"], [[1], [1, 2]], [0.5, math.nan], {1, 2}, range(3), iter([1]),
    np.zeros(0), np.zeros((0, 4)), np.zeros((2, 0)), np.ones(3), np.ones((3, 3)), np.ones((2, 2, 2, 2)), np.full((2, 4), np.nan),
    np.full((2, 4), -1), np.full((2, 4), 10**6), np.array([["a"]]), np.array([1j]), np.array([object()]), np.array(None),
    torch.zeros(0), torch.ones(2, 4), torch.ones(2, 4, dtype=torch.bool), torch.full((2, 4), math.inf), torch.ones(2, 4, 1),
    torch.ones(1, 3, dtype=torch.int64), torch.eye(4).to_sparse(), torch.ones(2, 4, requires_grad=True),
    [torch.ones(2), torch.ones(3)], [torch.ones(2, requires_grad=True)] * 2, torch.complex(torch.ones(2), torch.ones(2)),
]  # fmt: skip
JUNK = [*SCALARS, *CONTAINERS]


def array(value):
    """The value as an array of real numbers, None where it is none."""
    try:
        if isinstance(value, torch.Tensor):
            value = value.detach().to_dense().resolve_conj().numpy()
        elif isinstance(value, list | tuple) and any(isinstance(part, torch.Tensor) for part in value):
            value = [part.detach().numpy() for part in value]
        found = np.asarray(value)
    except (TypeError, ValueError):
        return None
    return found if found.dtype.kind in "biuf" else None


def whole(value, low, high=math.inf):
    value = value.item() if isinstance(value, np.generic | torch.Tensor) and value.shape == () else value
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def integers(low, high, shapes):
    def legal(value):
        found = array(value)
        if found is None or found.dtype.kind not in "iu" or found.shape not in shapes:
            return False
        return bool(((found >= low) & (found <= high)).all())

    return legal


def real(shape, low=-math.inf, high=math.inf):
    def legal(value):
        found = array(value)
        if found is None or found.shape != shape:
            return False
        return bool(np.isfinite(found).all() and (found >= low).all() and (found <= high).all())

    return legal


def number(low, high=math.inf):
    def legal(value):
        value = value.item() if isinstance(value, np.generic | torch.Tensor) and value.shape == () else value
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and low <= value <= high
        )

    return legal


def either(*legal):
    return lambda value: any(one(value) for one in legal)


def nothing(value):
    return value is None


def one_of(*names):
    return lambda value: isinstance(value, str) and value in names


def never(value):
    return False


def some_ids(value):
    return isinstance(value, dict) and all(whole(item, 0, 59) for item in value.values() if item is not None)


def two_curves(value):
    """Two rows of probabilities, which need not be as long: a curve of an agreement model ends sooner."""
    if not isinstance(value, list | tuple | np.ndarray | torch.Tensor) or getattr(value, "shape", 2) == ():
        return False
    if len(value) != 2:
        return False
    rows_ = [array(row) for row in value]
    return all(row is not None and row.ndim == 1 and ((row >= 0) & (row <= 1)).all() for row in rows_)


IDS = np.array([[2, 7, 8, 3], [2, 9, 3, 0]])
MASK = np.array([[1, 1, 1, 1], [1, 1, 1, 0]])
SCORES = np.array([[0.1, 0.7, 0.3, 0.0], [0.2, 0.5, 0.1, 0.0]])
ATTENTION = np.full((3, 2, 4, 4), 0.25)


def a_mask(value):
    found = array(value)
    return nothing(value) or (
        found is not None
        and found.shape == (2, 4)
        and bool(np.isin(found, (0, 1)).all())
        and found[:, 0].all()
        and bool((np.diff(found.astype(float), axis=1) <= 0).all())
    )


INPUTS = {
    "input_ids": (IDS, integers(0, 59, [(2, 4)])),
    "attention_mask": (MASK, a_mask),
    "token_type_ids": (None, either(nothing, integers(0, 1, [(2, 4)]))),
    "target": (None, either(nothing, integers(0, 1, [(), (2,)]))),
    "position": (None, either(nothing, integers(0, 2, [(), (2,)]))),
    "tokenizer_ids": (TOKENIZER_IDS, either(nothing, some_ids)),
    "seed": ([1, 2], either(nothing, integers(0, 2**63 - 1, [(), (2,)]))),
}
PROTOCOLS = ("standard", "mask", "published_bins", "standard_bfloat16")


@functools.cache
def model():
    return small_model("bert", layers=1)


def of_model(function, *names, **more):
    """A call of a function of a model, with scores where it takes them; more: name -> (value, what is legal)."""
    taken = (
        {name: INPUTS[name] for name in (*names, *INPUTS)[: len(names) or None]} if names else dict(INPUTS)
    )
    return (lambda **given: function(model(), **given)), taken | more


def known_readouts(value):
    from plumbline.attribution import METHODS, READOUTS

    return isinstance(value, str) and (value in READOUTS or (value in METHODS and METHODS[value].principal))


def theory(name):
    """A function of the multi-head classifier."""

    def call(**given):
        from plumbline import theory as module

        torch.manual_seed(0)
        return getattr(module, name)(module.MultiHeadClassifier(30, 8, 4, 4, 2, 8), **given)

    return call


@functools.cache
def pictures():
    """(network, images, labels: the classes it tells them to be, the graph of class 1)."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2)).eval()
    images = torch.rand(12, 1, 6, 6)
    with torch.no_grad():
        logits = network(images)
        network[3].bias[0] -= (logits[:, 0] - logits[:, 1]).median() + 1e-4  # half of them of each class
        labels = network(images).argmax(1)
    return network, images, labels, graph_of(network, images, labels, 1)


def graph_of(network, images, labels, target, **more):
    from plumbline.causal import learn_graph

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few images are unsure
        return learn_graph(network, images, labels, target, **{"samples": 4} | more)


def learnt(**given):
    network, images, labels, _ = pictures()
    return list(graph_of(network, **{"images": images, "labels": labels, "target": 1} | given).rows)


def explained(**given):
    from plumbline.causal.explanations import explain

    network, images, _, graph = pictures()
    given = {"method": "causal", "graphs": {1: graph}} | given
    return explain(given.pop("method"), network, **{"images": images[:2], "targets": [1, 1]} | given)


def stats(name):
    def call(**given):
        from plumbline import stats as module

        return getattr(module, name)(**given)

    return call


def theirs(package, name):
    return lambda **given: getattr(getattr(plumbline, package), name)(**given)


def a_level(value):
    return number(0, 1)(value) and 0 < float(value) < 1


LEVEL = {"level": (0.95, a_level)}
DRAWS = {"resamples": (20, lambda value: whole(value, 1)), "seed": (0, lambda value: whole(value, 0))}
DOCUMENT = np.array([[0, 5, 6, 7, 1, 1, 1, 1], [0, 8, 9, 1, 1, 1, 1, 1]])
some_documents = integers(0, 29, [(rows, tokens) for rows in range(1, 5) for tokens in range(1, 9)])


def numbers_of(*dimensions):
    """Any numbers of so many dimensions; NaN is a missing cell."""

    def legal(value):
        found = array(value)
        return found is not None and found.ndim in dimensions and found.size > 0 and not np.isinf(found).any()

    return legal


def no_columns(value):
    """Examples of no readout, of which there is an answer: none."""
    found = array(value)
    return found is not None and found.ndim == 2 and len(found) > 0 and found.size == 0


def an_end(value):
    """Of an interval: any number, NaN and infinity among them."""
    found = array(value)
    return found is not None and found.ndim == 0 and found.dtype.kind in "iuf"


def a_p(value):
    found = array(value)
    return found is not None and not ((found < 0) | (found > 1)).any()


VALUES = np.random.default_rng(0).random((4, 6, 3))
FUNCTIONS = {
    "attribute": of_model(attribute, method=("grad_l2", known_readouts)),
    "random": of_model(functools.partial(attribute, method="random")),
    "ig": of_model(functools.partial(attribute, method="ig"), steps=(4, lambda value: whole(value, 1, 10**5) or (isinstance(value, str) and value == "auto"))),
    "curves": of_model(
        curves, scores=(SCORES, real((2, 4))), protocol=("standard", one_of(*PROTOCOLS, "published_steps")),
        kind=("comp", one_of("comp", "suff")), cap=(30, lambda value: whole(value, 1)),
    ),
    "comp_suff": of_model(comp_suff, scores=(SCORES, real((2, 4))), protocol=("mask", one_of(*PROTOCOLS))),
    "aopc": (aopc, {
        "curves": ([[0.9, 0.5, 0.4]] * 2, two_curves), "full_probability": ([0.9, 0.8], real((2,), 0, 1)),
        "protocol": ("standard", one_of(*PROTOCOLS)),
    }),
    "selective_rollout": (selective_rollout, {
        "attention": (ATTENTION, never), "threshold": (1.0, number(0)), "residual": (True, lambda value: value is True or value is False),
        "position": (0, either(nothing, lambda value: whole(value, 0, 3))),
    }),
    "attention_flow": (attention_flow, {
        "attention": (ATTENTION, never), "layer": (1, lambda value: whole(value, 0, 2)),
        "position": (0, either(nothing, lambda value: whole(value, 0, 3))),
    }),
    "mamba_maps": (mamba_maps, {
        "hidden": (np.ones((2, 1, 3, 4)), never), "residual_gradients": (np.ones((2, 1, 4, 3)), never),
        "start_layer": (0, lambda value: whole(value, 0, 1)), "class_position": (2, lambda value: whole(value, 0, 3)),
        "published": (True, lambda value: value is True or value is False), "transform": (None, nothing),
    }),
    "mamba_maps_full": (mamba_maps_full, {
        "matrices": (np.full((2, 1, 4, 4), 0.25), never), "residual_gradients": (np.ones((2, 1, 4, 3)), never),
        "start_layer": (0, lambda value: whole(value, 0, 1)), "class_position": (2, lambda value: whole(value, 0, 3)),
        "published": (False, lambda value: value is True or value is False), "transform": (None, nothing),
    }),
    "ranked": (ranked, {
        "scores": ([0.5, 0.1, 0.5], lambda value: array(value) is not None and array(value).ndim == 1 and np.isfinite(array(value)).all()),
        "seed": (0, lambda value: whole(value, 0)), "draws": (2, lambda value: whole(value, 1, 10**6)),
    }),
    "tied_share": (tied_share, {
        "scores": ([0.5, 0.1], lambda value: array(value) is not None and array(value).ndim == 1 and np.isfinite(array(value)).all()),
    }),
    "learn_graph": (learnt, {
        "images": (np.random.default_rng(1).random((12, 1, 6, 6)), never), "labels": ([1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0], never),
        "target": (1, lambda value: whole(value, 0, 1)), "samples": (4, lambda value: whole(value, 2)),
        "soft": (True, lambda value: isinstance(value, bool | np.bool_)), "test": ("paired", one_of("welch", "paired")),
        "correction": ("bh", one_of("none", "bh")), "seed": (0, lambda value: whole(value, -math.inf)),
        "cap": (2, lambda value: whole(value, 1)), "layers": (["0", "3"], nothing),
        "held_out": (0.0, lambda value: number(0, 1)(value) and value < 1),
    }),
    "held_out_rows": (theirs("causal", "held_out_rows"), {
        "labels": ([1, 1, 0, 0, 0], lambda value: array(value) is not None and array(value).ndim == 1 and array(value).dtype.kind in "iu" and (array(value) >= 0).all()),
        "share": (0.5, lambda value: number(0, 1)(value) and value < 1),
    }),
    "explain": (explained, {
        "method": ("grad_cam", never), "images": (np.random.default_rng(1).random((2, 1, 6, 6)), never),
        "targets": ([1, 1], integers(0, 1, [(2,)])), "graphs": (None, lambda value: value is None or value == {}),
        "seeds": ([3, 4], either(nothing, integers(0, 2**63 - 1, [(2,)]))), "layer": ("0", nothing),
    }),
    "lime_limit": (theory("lime_limit"), {
        "ids": (DOCUMENT, some_documents), "formula": ("mean_field", one_of("published", "rho", "mean_field", "first_order")),
        "kernel_width": (25.0, either(nothing, lambda value: number(0)(value) and value > 0)),
        "lengths": (None, either(nothing, integers(0, 7, [(2,)]))), "words": (None, nothing),
    }),
    "closed_form_gradient": (theory("closed_form_gradient"), {
        "ids": (DOCUMENT, some_documents), "corrected": (True, lambda value: value is True or value is False),
    }),
    "lime_coefficients": (theory("lime_coefficients"), {
        "ids": (DOCUMENT, some_documents), "mode": ("mask", one_of("mask", "delete")),
        "samples": (20, lambda value: whole(value, 2)), "seed": (0, lambda value: whole(value, 0)),
        "lengths": (None, either(nothing, integers(1, 7, [(2,)]))),
    }),
    "bootstrap_interval": (stats("bootstrap_interval"), {"values": (VALUES[0], either(numbers_of(1, 2), no_columns)), **DRAWS, **LEVEL}),
    "wilson_interval": (stats("wilson_interval"), {
        "successes": (3, lambda value: whole(value, 0, 7)), "n": (7, lambda value: whole(value, 3, 2**53)), **LEVEL,
    }),
    "t_interval": (stats("t_interval"), {"values": ([0.1, 0.4, 0.3], numbers_of(1, 2, 3, 4)), **LEVEL}),
    "mean_interval": (stats("mean_interval"), {"values": (VALUES, numbers_of(2, 3)), **DRAWS, **LEVEL}),
    "over_seeds": (stats("over_seeds"), {"values": (VALUES, numbers_of(3)), **DRAWS, **LEVEL}),
    "pair_interval": (stats("pair_interval"), {"values": (VALUES[0, :3, :3] + VALUES[0, :3, :3].T, numbers_of(2)), **LEVEL}),
    "paired_differences": (stats("paired_differences"), {
        "values": (VALUES, numbers_of(3)), "reference": (0, lambda value: whole(value, 0, 2)), **LEVEL,
    }),
    "max_statistic_interval": (stats("max_statistic_interval"), {"values": (VALUES, numbers_of(3)), **DRAWS, **LEVEL}),
    "all_pairs": (stats("all_pairs"), {"values": (VALUES, numbers_of(3)), **LEVEL}),
    "complete_mean": (stats("complete_mean"), {"values": (VALUES, numbers_of(2, 3))}),
    "summary_interval": (stats("summary_interval"), {
        "means": (VALUES[:, 0], numbers_of(2)), "deviations": (VALUES[:, 1], numbers_of(2)), "examples": (np.full((4, 3), 9), numbers_of(2)), **LEVEL,
    }),
    "median_differences": (stats("median_differences"), {
        "values": (VALUES, numbers_of(3)), "reference": (0, lambda value: whole(value, 0, 2)), **DRAWS, **LEVEL,
    }),
    "is_testable": (stats("is_testable"), {
        "seeds": (3, lambda value: whole(value, 1, 10**7)), "comparisons": (2, lambda value: whole(value, 0)), **LEVEL,
    }),
    "equivalence_of_samples": (stats("equivalence_of_samples"), {
        "mean": (0.5, number(-math.inf)), "error": (0.1, number(0)), "published": (0.4, number(-math.inf)),
        "published_error": (0.1, number(0)), "margin": (0.3, either(nothing, number(0))), "rounding": (0.0, number(0)), **LEVEL,
    }),
    "holm": (stats("holm"), {"p": ([0.1, 0.01], a_p)}),
    "verdict": (stats("verdict"), {"lower": (0.1, an_end), "upper": (0.3, an_end)}),
    "equivalence": (stats("equivalence"), {
        "values": (VALUES[:, :, 0], numbers_of(2)), "published": (0.5, number(-math.inf)), "margin": (0.1, number(0)),
        "rounding": (0.0, number(0)), **LEVEL,
    }),
}  # fmt: skip


def calls():
    return [(name, argument) for name, (_, taken) in FUNCTIONS.items() for argument in taken]


def finite(found):
    """Whether an answer holds finite numbers alone."""
    if isinstance(found, dict):
        return all(map(finite, found.values()))
    if isinstance(found, list | tuple):
        return all(map(finite, found))
    if isinstance(found, torch.Tensor | np.ndarray):
        return bool(
            np.isfinite(np.asarray(found.detach() if isinstance(found, torch.Tensor) else found)).all()
        )
    return isinstance(found, str) or (isinstance(found, numbers.Real) and math.isfinite(found))


@pytest.mark.slow
@CALLS
@given(call=st.sampled_from(calls()), junk=st.integers(0, len(JUNK) - 1))
def test_malformed_calls(call, junk):
    name, argument = call
    function, taken = FUNCTIONS[name]
    arguments = {key: copy.deepcopy(value) for key, (value, _) in taken.items()} | {argument: JUNK[junk]}
    legal = taken[argument][1](JUNK[junk])
    try:
        found = function(**arguments)
    except PlumblineError as fault:
        assert "\n" not in str(fault)
        return  # what is legal alone may not be with the other arguments
    assert legal, f"{name}({argument}={JUNK[junk]!r}) is answered by {found}"
    # Statistics say NaN where too few numbers are left.
    assert hasattr(plumbline.stats, name) or finite(found), f"{name}({argument}={JUNK[junk]!r}) gives {found}"


# Public names that take no user's values: what they take is an answer of another one, or is made by the workflow.
OF_ANSWERS = {
    "method_of",
    "readout_of",
    "shown_in",
    "protocol_module",
    "resampled_counts",
    "told_apart",
    "rank_ranges",
    "simultaneous_interval",
    "resampled_means",
    "pseudo_value_interval",
    "resampled_interval",
    "resampled_medians",
    "paired_medians",
    "percentiles",
}


def test_every_public_function_is_called():
    public = {*plumbline.theory.__all__, *plumbline.causal.__all__, "ranked", "tied_share"}
    for module in (plumbline.attribution, plumbline.faithfulness, plumbline.stats):
        public |= {
            name
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
        }
    public -= {name for name in public if name[0].isupper()}  # classes
    assert public - OF_ANSWERS <= set(FUNCTIONS) | {"explain"}
    for name, (function, taken) in FUNCTIONS.items():  # every argument of theirs
        if inspect.isfunction(function) and function.__module__.startswith("plumbline."):
            assert {*inspect.signature(function).parameters} == {*taken}, name


def test_well_formed_calls_are_answered():
    """The calls that the fuzz spoils are legal, so that what it sees is refused for the one argument's sake."""
    for name, (function, taken) in FUNCTIONS.items():
        found = function(**{key: value for key, (value, _) in taken.items()})
        # NaN of a reference beside itself.
        assert name in ("paired_differences", "all_pairs") or finite(found), name
