"""Models of compiled kernels on the emulated chip, against the NumPy reference of the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sohu.emulator import Device
from sohu.emulator.schedules import Spec
from sohu.isa import DType, bf16, f16, f32
from sohu.models import Checkpoint, ModelError, Pretrained, reference
from sohu.models.kernels import logits, next_token
from sohu.models.llama import LlamaOnChip
from sohu.models.weights import F32

TEXT = (
    "The history of the transformer begins with attention. In 2017 a network was proposed that dispenses with "
    "recurrence entirely, and relies on a mechanism that draws global dependencies between input and output. Since "
    "then, models have grown from millions to hundreds of billions of parameters, and chips are built only to run "
    "them, quickly and cheaply."
)


def rounded_weights(checkpoint: Checkpoint, dtype: DType) -> Checkpoint:
    """The same model with the weights as a chip of that dtype holds them."""
    return checkpoint.map(lambda _, a: a.astype(dtype.np).astype(np.float32))


def expected(model: LlamaOnChip, checkpoint: Checkpoint, tokens: list[int]) -> F32:
    """Logits of the reference that rounds where the model does."""
    return reference.forward(rounded_weights(checkpoint, model.dtype), tokens, rounding=model.rounding())


@pytest.mark.parametrize("chip", ["sohu", "small"])
def test_random_model_in_float32(tiny: Checkpoint, chip: str) -> None:
    """Prefill, decode and a second prefill agree with one pass of the reference."""
    tokens = np.random.default_rng(1).integers(0, tiny.config.vocab_size, 40).tolist()
    model = LlamaOnChip(tiny, Device(chip), max_positions=48)
    parts = [tokens[:17], *([t] for t in tokens[17:25]), tokens[25:]]
    got = np.concatenate([model.forward(p) for p in parts])
    np.testing.assert_allclose(got, reference.forward(tiny, tokens), atol=2e-4)
    model.reset()
    np.testing.assert_allclose(model.forward(tokens), got, atol=2e-4)


@pytest.mark.parametrize("seed", ["timed", *range(4)])
def test_random_schedules_change_no_bit(tiny: Checkpoint, seed: Spec) -> None:
    tokens = list(range(20))
    first = LlamaOnChip(tiny, Device("small"), max_positions=48).forward(tokens)
    again = LlamaOnChip(tiny, Device("small", schedule=seed), max_positions=48).forward(tokens)
    assert first.tobytes() == again.tobytes()


@pytest.mark.parametrize("dtype", [bf16, f16], ids=str)
def test_random_model_in_narrow_floats(tiny: Checkpoint, dtype: DType) -> None:
    tokens = list(range(40))
    model = LlamaOnChip(tiny, dtype=dtype, max_positions=48)
    got = model.forward(tokens)
    want = expected(model, tiny, tokens)
    step = 2.0 ** {"bf16": -8, "f16": -11}[dtype.name]
    assert np.abs(got - want).max() <= 16 * step * np.abs(want).max()
    # and the rounding points matter: the exact model is further away on average
    exact = reference.forward(tiny, tokens)
    assert np.abs(got - want).mean() < np.abs(got - exact).mean()


def test_next_is_the_arg_max_of_the_logits(tiny: Checkpoint) -> None:
    model = LlamaOnChip(tiny, max_positions=48)
    tokens = [3, 1, 4, 1, 5, 9, 2, 6]
    want = reference.forward(tiny, tokens).argmax(axis=1)
    for i, t in enumerate(tokens):
        assert model.next([t]) == want[i]
    assert model.position == len(tokens)
    assert model.stats.launches == len(tokens)  # one program a step


@pytest.mark.parametrize("chip", ["sohu", "small"])
@pytest.mark.parametrize("dtype", [f32, bf16], ids=str)
def test_a_prompt_of_several_blocks_of_rows(tiny: Checkpoint, chip: str, dtype: DType, monkeypatch: Any) -> None:
    """Prompts are cut into blocks of rows, the cache into blocks of positions: it shows nowhere."""
    for kernel in (next_token, logits):
        monkeypatch.setitem(kernel.constants, "rows", 8)
        monkeypatch.setitem(kernel.constants, "bk", 16)
        monkeypatch.setattr(kernel, "_own_key", ())
    tokens = np.random.default_rng(2).integers(0, tiny.config.vocab_size, 45).tolist()
    model = LlamaOnChip(tiny, Device(chip), dtype, max_positions=48)
    want = expected(model, tiny, tokens)
    tolerance = 2e-4 if dtype == f32 else 16 * 2.0**-8 * np.abs(want).max()
    np.testing.assert_allclose(model.forward(tokens), want, atol=tolerance)
    model.reset()
    top = [model.next(tokens[:29]), *(model.next([t]) for t in tokens[29:])]
    for token, scores in zip(top, want[28:], strict=True):
        assert scores[token] >= scores.max() - 2 * tolerance
    assert model.position == 45


def test_weights_are_read_only(tiny: Checkpoint) -> None:
    model = LlamaOnChip(tiny, max_positions=8)
    model.next([1, 2, 3])
    frozen = {a.name for a in model.device.hbm.allocations if not a.writable}
    assert {"embed", "head", "wqkv", "wo", "gate_up", "down", "attn_norm", "mlp_norm", "final_norm"} <= frozen
    assert {"keys", "values", "token"}.isdisjoint(frozen)


def test_wrong_input_is_refused_in_one_line(tiny: Checkpoint) -> None:
    model = LlamaOnChip(tiny, max_positions=4)
    with pytest.raises(ModelError, match="no tokens"):
        model.next([])
    with pytest.raises(ModelError, match="outside the vocabulary"):
        model.next([10**9])
    with pytest.raises(ModelError, match="5 positions; the cache holds 4"):
        model.next([1, 2, 3, 4, 5])
    with pytest.raises(ModelError, match="a cache of 0 positions"):
        LlamaOnChip(tiny, max_positions=0)
    assert model.position == 0  # nothing half done


def test_stories(stories: Pretrained) -> None:
    """A trained model of another shape (8 heads of 8, odd MLP width): logits and greedy story agree."""
    prompt = stories.tokenizer.encode("Once upon a time")
    want = list(reference.generate(stories.checkpoint, prompt, 40))
    model = LlamaOnChip(stories.checkpoint, max_positions=256)
    got, feed = [], prompt
    while len(got) < len(want):
        got.append(model.next(feed))
        feed = got[-1:]
    assert got == want
    model.reset()
    tokens = [*prompt, *want]
    error = np.abs(model.forward(tokens) - reference.forward(stories.checkpoint, tokens)).max()
    assert error <= 1e-3


@pytest.fixture(scope="module")
def passage(smollm2: Pretrained) -> list[int]:
    tokens = smollm2.tokenizer.encode(TEXT)[:64]
    assert len(tokens) == 64
    return tokens


def test_smollm2_knows_the_capital_of_france(smollm2: Pretrained) -> None:
    model = LlamaOnChip(smollm2.checkpoint, max_positions=64)
    token = model.next(smollm2.tokenizer.encode("The capital of France is"))
    assert smollm2.tokenizer.decode([token]) == " Paris"


def test_smollm2_in_float32(smollm2: Pretrained, passage: list[int], record_property: Callable[..., None]) -> None:
    """64 positions: largest error of a logit at most 1e-3, the same top token everywhere."""
    got = LlamaOnChip(smollm2.checkpoint, max_positions=64).forward(passage)
    want = reference.forward(smollm2.checkpoint, passage)
    worst = float(np.abs(got - want).max())
    record_property("max_logit_error", worst)
    assert worst <= 1e-3
    assert (got.argmax(axis=1) == want.argmax(axis=1)).all()


def test_smollm2_in_bfloat16(smollm2: Pretrained, passage: list[int], record_property: Callable[..., None]) -> None:
    """64 positions against the reference that rounds where the chip rounds: the same top token at 95 %."""
    model = LlamaOnChip(smollm2.checkpoint, dtype=bf16, max_positions=64)
    got = model.forward(passage)
    want = expected(model, smollm2.checkpoint, passage)
    top1 = float((got.argmax(axis=1) == want.argmax(axis=1)).mean())
    record_property("top1", top1)
    record_property("max_logit_error", float(np.abs(got - want).max()))
    assert top1 >= 0.95


def test_the_default_is_float32(tiny: Checkpoint) -> None:
    model = LlamaOnChip(tiny, max_positions=8)
    assert model.dtype == f32 and model.rounding() is None
