"""Perturbation curves against plain loops, and what every curve must satisfy."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plumbline.artefacts import read_rows, write_rows
from plumbline.errors import PlumblineError
from plumbline.faithfulness import KINDS, PROTOCOLS, aopc, artefact, comp_suff, curves, ranking
from plumbline.faithfulness.perturbation import bin_counts, envelope, orders
from plumbline.models import tokenisation
from plumbline.models.encoders import explained_probability
from tests.small_models import TOKENIZER_IDS, small_batch, small_model, special_ids_of


def naive(model, ids, scores, protocol, kind, special, position, target):
    """One curve of distinct scores, the way one would write it first: one input at a time."""
    agreement = position is not None
    places = [place for place in range(1, len(ids) - 1) if place != position]
    places.sort(key=lambda place: scores[place], reverse=True)
    count = len(places)
    if protocol == "mask":
        steps = [math.ceil(count * tenth / 10) for tenth in range(10)]
    elif protocol == "published_steps":
        steps = [step for step in range(count + 1) if step < 30 and not (agreement and 0 < count <= step)]
    else:
        steps = [0, *(math.ceil(count * share) for share in (0.01, 0.05, 0.1, 0.2, 0.5))]
    found, best = [], 1.0 if kind == "comp" else 0.0
    for step in steps:
        if protocol == "published_bins" and agreement and found and step >= count:
            break
        gone = set(places[:step] if kind == "comp" else places[step:])
        if protocol == "mask":
            row, place = (
                [special["mask"] if index in gone else token for index, token in enumerate(ids)],
                position,
            )
        else:
            row = [token for index, token in enumerate(ids) if index not in gone]
            place = None if position is None else sum(index not in gone for index in range(position))
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row])).logits
        value = explained_probability(logits, torch.tensor([target]), torch.tensor([place or 0])).item()
        if protocol.startswith("published"):
            best = value = min(best, value) if kind == "comp" else max(best, value)
        found.append(value)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("bert", "classification"),
        ("roberta", "agreement"),
        ("distilbert", "agreement"),
        ("albert", "agreement"),
        ("roberta", "classification"),
    ],
)
def test_curves_equal_a_plain_loop(architecture, task, protocol, kind):
    model, special = small_model(architecture, task), special_ids_of(architecture)
    ids, mask, positions = small_batch(architecture, lengths=(5, 9, 3, 12, 2))
    positions[4] = 1
    draw = np.random.default_rng(3)
    scores = torch.from_numpy(draw.normal(size=ids.shape).astype(np.float32))
    given_position = positions if task == "agreement" else None
    ours = curves(
        model, ids, mask, scores, protocol=protocol, kind=kind, tokenizer_ids=special, position=given_position
    )
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    for row, length in enumerate(mask.sum(-1).tolist()):
        place = int(positions[row]) if task == "agreement" else None
        target = int(logits[row].argmax()) if place is None else int(logits[row, place, 0] >= 0)
        want = naive(model, ids[row, :length].tolist(), scores[row], protocol, kind, special, place, target)
        assert len(ours[row]) == len(want)
        # A bfloat16 has eight bits: what passes in it differ by from the plain loop's float32 is theirs to show.
        np.testing.assert_allclose(
            ours[row], want, atol=1e-5 if PROTOCOLS[protocol].precision == "float32" else 2e-2
        )


def test_bfloat16_is_only_where_it_is_declared():
    model, special = small_model("bert"), special_ids_of("bert")
    ids, mask, _ = small_batch("bert", lengths=(5, 9, 12))
    scores = torch.from_numpy(np.random.default_rng(0).random(ids.shape))
    options = {"kind": "comp", "tokenizer_ids": special}
    low, full, mean = (
        torch.cat(curves(model, ids, mask, scores, protocol=protocol, **options))
        for protocol in ("standard_bfloat16", "standard", "mask")
    )
    assert low.dtype == full.dtype == torch.float32
    assert 0 < (low - full).abs().max() < 2e-2
    assert {p.id for p in PROTOCOLS.values() if p.precision != "float32"} == {"standard_bfloat16"}
    # Weights are untouched, and what follows is float32 again.
    assert next(model.parameters()).dtype == torch.float32
    again = torch.cat(curves(model, ids, mask, scores, protocol="mask", **options))
    assert torch.equal(again, mean)


def test_ends_of_the_curves():
    """Index 0: the full text for comp, special tokens alone for suff."""
    model, special = small_model("bert"), special_ids_of("bert")
    ids, mask, _ = small_batch("bert", lengths=(9,))
    target = model(input_ids=ids).logits.argmax(-1)
    bare = torch.tensor([[special["cls"], special["sep"]]])
    masked = ids.clone()
    masked[:, 1:-1] = special["mask"]
    for protocol in ("standard", "mask"):
        ends = {"comp": ids, "suff": masked if protocol == "mask" else bare}
        for kind, text in ends.items():
            (curve,) = curves(
                model, ids, mask, torch.rand(1, 9), protocol=protocol, kind=kind, tokenizer_ids=special
            )
            with torch.no_grad():
                want = model(input_ids=text).logits.softmax(-1)[0, target].item()
            assert curve[0].item() == pytest.approx(want, abs=1e-6)


def test_scores():
    curve = [torch.tensor([0.9, 0.9, 0.8, 0.6, 0.5, 0.1])]
    falls = [0.0, 0.1, 0.3, 0.4, 0.8]
    assert aopc(curve, [0.9], "published_bins").item() == pytest.approx(sum(falls) / 6)
    assert aopc(curve, [0.9], "standard").item() == pytest.approx(sum(falls) / 5)
    nine = [torch.linspace(1, 0.1, 10)]
    assert aopc(nine, [1.0], "mask").item() == pytest.approx(0.5)
    with pytest.raises(PlumblineError, match="curve only"):
        aopc(curve, [0.9], "published_steps")


@pytest.mark.parametrize(
    ("change", "text"),
    [({"protocol": "standrad"}, "did you mean 'standard'"), ({"kind": "com"}, "'comp' or 'suff'")],
)
def test_errors(change, text):
    model = small_model("bert")
    ids, mask, _ = small_batch("bert")
    arguments = {"protocol": "standard", "kind": "comp", "tokenizer_ids": special_ids_of("bert")} | change
    with pytest.raises(PlumblineError, match=text):
        curves(model, ids, mask, torch.rand(ids.shape), **arguments)


@pytest.mark.slow
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_envelope(values):
    values = torch.tensor(values)
    low, high = envelope(values, "comp"), envelope(values, "suff")
    assert (low.diff() <= 0).all()
    assert (high.diff() >= 0).all()
    assert (low <= values).all()
    assert (high >= values).all()
    assert low[-1] == values.min()
    assert high[-1] == values.max()


@given(st.integers(0, 600))
def test_bin_counts(candidates):
    counts = bin_counts(candidates)
    assert len(counts) == 6
    assert counts == sorted(counts)
    assert counts[-1] <= candidates
    assert candidates == 0 or counts[1] >= 1


@pytest.mark.slow
@pytest.mark.parametrize("length", [4, 9, 25])
def test_comp_and_suff_by_hand(length):
    """The equations of docs/definitions.md, f one forward pass a text: falls over five bins, divided by 5 or, published, 6."""
    model, special = small_model("bert"), special_ids_of("bert")
    ids, mask, _ = small_batch("bert", lengths=(length,))
    scores = torch.from_numpy(np.random.default_rng(length).permutation(length).astype(float))[None]
    text, inner = ids[0].tolist(), range(1, length - 1)

    def f(kept):
        with torch.no_grad():
            row = torch.tensor(
                [[token for place, token in enumerate(text) if place in {0, length - 1, *kept}]]
            )
            return model(input_ids=row).logits.softmax(-1)[0, 1].item()

    def best(count):
        return {
            place for place in inner if sum(scores[0, other] > scores[0, place] for other in inner) < count
        }

    tops = [best(math.ceil(share * len(inner))) for share in (0.01, 0.05, 0.1, 0.2, 0.5)]
    left = {"comp": [f(set(inner) - top) for top in tops], "suff": [f(top) for top in tops]}
    for kind, start, running in (("comp", f(inner), min), ("suff", f(()), max)):
        falls = {
            "standard": [f(inner) - value for value in left[kind]],
            "published_bins": [
                f(inner) - value for value in itertools.accumulate([start, *left[kind]], running)
            ][1:],
        }
        for protocol, divisor in (("standard", 5), ("published_bins", 6)):
            found = curves(
                model, ids, mask, scores, protocol=protocol, kind=kind, tokenizer_ids=special, target=1
            )
            score = aopc(found, [f(inner)], protocol).item()
            assert score == pytest.approx(sum(falls[protocol]) / divisor, abs=1e-6)


def test_orders_hold_the_candidates():
    scores = np.array([9.0, 1, 5, 3, 4, 9])
    found, tied = orders(scores, position=2, agreement=True, seed=0)
    assert found.tolist() == [[4, 3, 1]]
    assert tied == 0
    found, tied = orders(scores, position=0, agreement=False, seed=0)
    assert found.tolist() == [[2, 4, 3, 1]]
    found, tied = orders(np.array([0.0, 2, 2, 1, 3, 0]), position=0, agreement=False, seed=0)
    assert tied == 0.5
    assert len(found) == ranking.DRAWS
    assert (found[:, 0] == 4).all()
    assert (found[:, 3] == 3).all()


@pytest.mark.slow
def test_a_curve_of_tied_scores_is_the_mean_over_their_orders():
    """Of constant scores: nearer the mean over all 120 orders than one order is, and blind to where a token stands."""
    model, special = small_model("bert"), special_ids_of("bert")
    ids, _, _ = small_batch("bert", lengths=(7,))
    options = {"protocol": "standard", "kind": "comp", "tokenizer_ids": special, "target": 1}
    every = torch.stack(
        [
            curves(model, ids, None, torch.tensor([[0.0, *order, 0.0]]), **options)[0]
            for order in itertools.permutations(range(5))
        ]
    )
    mean, spread = every.mean(0), every.std(0)
    flat = torch.zeros(ids.shape)
    draws = torch.stack([curves(model, ids, None, flat, **options, seed=seed)[0] for seed in range(200)])
    off = (draws.mean(0) - mean).abs()
    assert (off <= 4 * spread / math.sqrt(ranking.DRAWS * 200) + 1e-6).all()
    # Variance of a mean over DRAWS orders; one order, as before, has the whole.
    assert (draws.std(0)[1:] < 1.2 * spread[1:] / math.sqrt(ranking.DRAWS)).all()
    assert (draws.std(0)[1:] > 0).any()


@pytest.mark.slow
def test_ties_hang_on_the_example_alone():
    """By default on its tokens, so not on the batch; with seeds, on its own."""
    model, special = small_model("bert"), special_ids_of("bert")
    ids, mask, _ = small_batch("bert", lengths=(9, 12, 5))
    scores = torch.zeros(ids.shape, dtype=torch.uint8)
    scores[:, 3] = 255
    options = {"protocol": "mask", "kind": "suff", "tokenizer_ids": special, "target": 0}
    for seeds in (None, torch.tensor([5, 2**62, 7])):
        together = curves(model, ids, mask, scores, **options, seed=seeds)
        for row, length in enumerate((9, 12, 5)):
            own = None if seeds is None else seeds[row : row + 1]
            alone = curves(model, ids[[row], :length], None, scores[[row], :length], **options, seed=own)
            torch.testing.assert_close(together[row], alone[0], atol=1e-6, rtol=0)
    one, other = (torch.cat(curves(model, ids, mask, scores, **options, seed=seed)) for seed in (1, 2))
    assert (one - other).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("number", "text"), [(float("nan"), "finite: nan at 0, 2"), (float("inf"), "finite: inf at 0, 2")]
)
def test_curves_refuse_scores_without_order(number, text):
    model, special = small_model("bert"), special_ids_of("bert")
    ids, mask, _ = small_batch("bert", lengths=(9,))
    scores = torch.zeros(ids.shape)
    scores[0, 2] = number
    with pytest.raises(PlumblineError, match=text):
        curves(model, ids, mask, scores, protocol="standard", kind="comp", tokenizer_ids=special)


def test_a_curve_has_30_points_where_no_cap_is_given():
    model, ids = small_model("bert"), small_batch("bert", (36,))[0]
    scores = np.random.default_rng(0).normal(size=ids.shape)
    (curve,) = curves(model, ids, torch.ones_like(ids), scores, protocol="published_steps", kind="comp")
    assert len(curve) == 30


def test_protocols_stand_in_the_order_of_the_tables():
    assert list(PROTOCOLS) == ["published_bins", "published_steps", "standard", "mask", "standard_bfloat16"]


@pytest.mark.slow
def test_the_stages_file_holds_the_curves_of_its_rows(tmp_path, monkeypatch):
    """Five rows in blocks of two, two of them cut: whose curves are there, and that each is what `curves` gives of it alone."""
    model = small_model("bert")
    monkeypatch.setattr(artefact, "load", lambda folder, device: (model, None))
    monkeypatch.setattr(artefact, "special_ids", lambda tokenizer: TOKENIZER_IDS)
    monkeypatch.setattr(artefact, "blocks", lambda rows: tokenisation.blocks(rows, 2))
    monkeypatch.setattr(artefact, "block_range", lambda *given: tokenisation.block_range(*given, 2))
    lengths, cut, targets = (5, 9, 6, 12, 7), [0, 3, 0, 0, 2], [1, 0, 1, 1, 0]
    padded = small_batch("bert", lengths)[0]
    ids = [padded[row, :length].tolist() for row, length in enumerate(lengths)]
    draw = np.random.default_rng(0)
    scores = {
        name: [draw.normal(size=length).astype(np.float32) for length in lengths] for name in ("one", "two")
    }
    scores["two"][0][1:3] = 0.5  # two of three candidates are tied
    write_rows(
        tmp_path / "method.parquet",
        {
            "id": range(5),
            "tokens": [list(map(str, row)) for row in ids],
            "input_ids": ids,
            "target": targets,
            "probability": [0.5] * 5,
            "position": [0] * 5,
            "cut": cut,
        }
        | {f"scores_{name}": row for name, row in scores.items()},
        kind="attributions",
    )
    protocols = [
        {"protocol": "standard", "readouts": ["one"], "examples": None, "cap": 30},
        {"protocol": "mask", "readouts": ["two", "one"], "examples": 2, "cap": 30},
        {"protocol": "published_steps", "readouts": ["one"], "examples": 2, "cap": 4},
    ]

    def written(shard=None):
        file = tmp_path / f"curves{shard}.parquet"
        artefact.write_faithfulness(
            model="folder",
            attributions=tmp_path / "method.parquet",
            protocols=protocols,
            output=file,
            shard=shard,
            work=tmp_path / "work.json",
        )
        return read_rows(file)

    whole = written()
    assert json.loads((tmp_path / "work.json").read_text())["rows"] > 0
    # Protocols of two examples take the first two that are whole: 0 and 2.
    wanted = {(row, "one", "standard", kind) for row in range(5) for kind in KINDS}
    for row, kind in itertools.product((0, 2), KINDS):
        wanted |= {(row, readout, "mask", kind) for readout in ("one", "two")} | {
            (row, "one", "published_steps", kind)
        }
    keys = list(zip(whole["id"], whole["readout"], whole["protocol"], whole["kind"], strict=True))
    assert len(keys) == len(wanted) and set(keys) == wanted
    for row in whole.itertuples():
        assert row.cut == cut[row.id]
        tied = row.readout == "two" and row.id == 0
        assert row.tied == pytest.approx(2 / 3 if tied else 0)
        points = {"standard": 6, "mask": 10, "published_steps": min(4, lengths[row.id] - 1)}[row.protocol]
        removed = list(row.removed)
        assert len(removed) == points and removed[0] == (0 if row.kind == "comp" else lengths[row.id] - 2)
        assert (row.score is None or np.isnan(row.score)) == (row.protocol == "published_steps")
        if tied:
            continue
        one = torch.tensor([ids[row.id]])
        given = {
            "scores": scores[row.readout][row.id][None],
            "protocol": row.protocol,
            "target": targets[row.id],
            "tokenizer_ids": TOKENIZER_IDS,
        }
        (curve,) = curves(model, one, torch.ones_like(one), kind=row.kind, cap=4, **given)
        np.testing.assert_allclose(row.probability, curve, atol=1e-6)
        if row.protocol != "published_steps":
            score = getattr(comp_suff(model, one, torch.ones_like(one), **given), row.kind).item()
            assert row.score == pytest.approx(score, abs=1e-6)
    parts = [written((number, 3)) for number in range(3)]
    assert [sorted(set(part["id"])) for part in parts] == [[0, 1], [2, 3], [4]]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole, rtol=1e-5, atol=1e-6)


def refused(call, *arguments, match, **more):
    with pytest.raises(PlumblineError, match=match) as caught:
        call(*arguments, **more)
    assert "\n" not in str(caught.value)


def test_comp_and_suff_have_their_own_full_probability():
    from plumbline.faithfulness import comp_suff, curves

    model, (ids, mask, _) = small_model("bert", layers=2), small_batch("bert", lengths=(9, 12, 5))
    scores = torch.from_numpy(np.random.default_rng(0).random(ids.shape))
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    full = logits.softmax(-1).max(-1).values
    for protocol, points in (("standard", 5), ("mask", 9)):
        comp, suff = comp_suff(model, ids, mask, scores, protocol=protocol, tokenizer_ids=TOKENIZER_IDS)
        for kind, values in (("comp", comp), ("suff", suff)):
            found = curves(
                model, ids, mask, scores, protocol=protocol, kind=kind, tokenizer_ids=TOKENIZER_IDS
            )
            want = [(p - curve[1:]).sum() / points for p, curve in zip(full, found, strict=True)]
            torch.testing.assert_close(values, torch.stack(want), rtol=1e-4, atol=1e-6)
    assert comp_suff(model, ids, mask, scores).suff.shape == (3,)
    refused(comp_suff, model, ids, mask, scores, protocol="published_steps", match="curve only")
    refused(comp_suff, model, ids, mask, scores, protocol="mask", match="'mask' token: give tokenizer_ids")
    refused(comp_suff, model, ids, mask, scores, protocol="standrad", match="did you mean 'standard'")


@pytest.mark.parametrize(
    ("curves", "full", "text"),
    [
        ([[0.9, 0.5]], [0.9, 0.8], "one to one"),
        ([], [], "row of probabilities|one to one"),
        ([[0.9, float("nan")]], [0.9], "curve 0 is not finite"),
        ([[0.9, 1.5]], [0.9], "from 0 to 1"),
        ([[0.9, 0.5]], [7], "from 0 to 1"),
        ([[0.9]], [0.9], "not finite"),
        ([0.9], [0.9], "row of probabilities"),
        ("curves", [0.9], "list of them"),
        (None, [0.9], "list of them"),
        ([[0.9, 0.5]], None, "full_probability must hold real numbers"),
    ],
)
def test_areas_of_what_is_no_curve(curves, full, text):
    from plumbline.faithfulness import aopc

    refused(aopc, curves, full, "standard", match=text)
