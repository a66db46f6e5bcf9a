"""The NumPy reference: against a slow one written from the papers, against llama.cpp, and against itself."""

import cmath
import json
import math
from pathlib import Path

import numpy as np
import pytest
from sohu.models import Checkpoint, ModelError, Pretrained
from sohu.models.reference import POINTS, KVCache, bfloat16, forward, generate

LLAMA_CPP = json.loads((Path(__file__).parent / "data" / "llama_cpp.json").read_text(encoding="utf-8"))


def slow_logits(model: Checkpoint, tokens: list[int]) -> list[list[float]]:
    """The logits of `tokens`, element by element in float64.

    RoPE is the paper's own: dimensions (2i, 2i+1) as one complex number, multiplied by e^(i m theta_i). The
    weights' half-split order is undone by picking element i and i + h/2 for such a pair.
    """
    c = model.config

    def dot(a: list[float], b: np.ndarray) -> float:
        return math.fsum(x * float(y) for x, y in zip(a, b, strict=True))

    def linear(w: np.ndarray, a: list[float]) -> list[float]:
        return [dot(a, row) for row in w]

    def norm(a: list[float], weight: np.ndarray) -> list[float]:
        rms = math.sqrt(math.fsum(x * x for x in a) / len(a) + c.norm_eps)
        return [x / rms * float(w) for x, w in zip(a, weight, strict=True)]

    def turned(a: list[float], position: int) -> list[complex]:
        half = c.head_dim // 2
        return [
            complex(a[i], a[i + half]) * cmath.exp(1j * position * c.rope_theta ** (-2 * i / c.head_dim))
            for i in range(half)
        ]

    x = [[float(v) for v in model.tok_embed[token]] for token in tokens]
    for layer in model.layers:
        keys: list[list[list[complex]]] = []
        values: list[list[list[float]]] = []
        for t, row in enumerate(x):
            n = norm(row, layer.attn_norm)
            q, k, v = linear(layer.wq, n), linear(layer.wk, n), linear(layer.wv, n)
            h = c.head_dim
            keys.append([turned(k[j * h : (j + 1) * h], t) for j in range(c.n_kv_heads)])
            values.append([v[j * h : (j + 1) * h] for j in range(c.n_kv_heads)])
            mixed: list[float] = []
            for head in range(c.n_heads):
                kv = head // (c.n_heads // c.n_kv_heads)
                query = turned(q[head * h : (head + 1) * h], t)
                # The dot product of two vectors of pairs is the real part of the complex one.
                scores = [
                    sum((a * b.conjugate()).real for a, b in zip(query, keys[s][kv], strict=True)) / math.sqrt(h)
                    for s in range(t + 1)
                ]
                weights = [math.exp(s - max(scores)) for s in scores]
                for i in range(h):
                    mixed.append(sum(w * values[s][kv][i] for s, w in enumerate(weights)) / sum(weights))
            x[t] = [a + b for a, b in zip(row, linear(layer.wo, mixed), strict=True)]
        for t, row in enumerate(x):
            n = norm(row, layer.mlp_norm)
            gate, up = linear(layer.w_gate, n), linear(layer.w_up, n)
            inner = [g / (1 + math.exp(-g)) * u for g, u in zip(gate, up, strict=True)]
            x[t] = [a + b for a, b in zip(row, linear(layer.w_down, inner), strict=True)]
    return [linear(model.lm_head, norm(row, model.final_norm)) for row in x]


def test_forward_is_the_papers_arithmetic(tiny: Checkpoint) -> None:
    tokens = [5, 300, 17, 17, 2, 255, 90]
    logits = forward(tiny, tokens)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, slow_logits(tiny, tokens), rtol=0, atol=2e-5)


def test_prefill_and_decoding_give_the_same_logits(tiny: Checkpoint) -> None:
    tokens = list(range(40, 60))
    whole = forward(tiny, tokens)
    for sizes in ([1] * 20, [7, 1, 12], [19, 1]):
        cache = KVCache(tiny.config, 20)
        parts, at = [], 0
        for size in sizes:
            parts.append(forward(tiny, tokens[at : at + size], cache))
            at += size
            assert cache.length == at
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=2e-5)
    np.testing.assert_allclose(forward(tiny, tokens, last=True), whole[-1:], rtol=0, atol=2e-5)


def test_a_token_never_changes_what_came_before_it(tiny: Checkpoint) -> None:
    a, b = forward(tiny, [1, 2, 3, 4, 5, 6]), forward(tiny, [1, 2, 3, 4, 99, 6])
    np.testing.assert_array_equal(a[:4], b[:4])
    assert np.abs(a[4:] - b[4:]).min(axis=1).max() > 0


def test_rounding_is_called_at_every_point_with_its_shape(tiny: Checkpoint) -> None:
    c = tiny.config
    t, q, kv, group = 3, c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim, c.group
    shapes = {
        "embed": (t, c.dim),
        "norm": (t, c.dim),
        "q": (t, q),
        "k": (t, kv),
        "v": (t, kv),
        "q_rope": (t, c.n_heads, c.head_dim),
        "k_rope": (t, c.n_kv_heads, c.head_dim),
        "scores": (c.n_kv_heads, group * t, t),
        "weights": (c.n_kv_heads, group * t, t),
        "attn": (t, q),
        "wo": (t, c.dim),
        "gate": (t, c.ffn_dim),
        "up": (t, c.ffn_dim),
        "swiglu": (t, c.ffn_dim),
        "down": (t, c.dim),
        "residual": (t, c.dim),
        "logits": (t, c.vocab_size),
    }
    assert tuple(shapes) == POINTS
    seen: dict[str, int] = {}

    def look(point: str, x: np.ndarray) -> np.ndarray:
        assert x.shape == shapes[point], point
        assert x.dtype == np.float32, point
        seen[point] = seen.get(point, 0) + 1
        return x

    np.testing.assert_array_equal(forward(tiny, [1, 2, 3], rounding=look), forward(tiny, [1, 2, 3]))
    twice = {"norm": 2 * c.n_layers + 1, "residual": 2 * c.n_layers, "embed": 1, "logits": 1}
    assert seen == {point: twice.get(point, c.n_layers) for point in POINTS}


def test_every_rounding_point_reaches_the_logits(tiny: Checkpoint) -> None:
    exact = forward(tiny, [1, 2, 3])
    for point in POINTS:
        halved = forward(tiny, [1, 2, 3], rounding=lambda p, x, point=point: x * np.float32(0.5 if p == point else 1))
        assert np.abs(halved - exact).max() > 1e-4, point


def test_bfloat16_rounds_to_nearest_even() -> None:
    x = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, -3.14159274], np.float32)
    np.testing.assert_array_equal(bfloat16("q", x), np.float32([1, 1, 1 + 2**-6, -3.140625]))


def test_mistakes_are_one_line(tiny: Checkpoint) -> None:
    for tokens, message in (
        ([], "no tokens to run"),
        ([1, 320], "token 320 is outside the vocabulary of 320"),
        ([-1], "token -1 is outside the vocabulary of 320"),
        ([1] * 49, "49 tokens; this model has 48 positions"),
    ):
        with pytest.raises(ModelError, match=f"^{message}$"):
            forward(tiny, tokens)
    cache = KVCache(tiny.config, 3)
    forward(tiny, [1, 2], cache)
    with pytest.raises(ModelError, match=r"^4 positions; the cache holds 3$"):
        forward(tiny, [3, 4], cache)
    assert cache.length == 2
    with pytest.raises(ModelError, match="cache of 49 positions"):
        KVCache(tiny.config, 49)


def test_generate_stops_where_it_should(tiny: Checkpoint) -> None:
    free = list(generate(tiny, [3, 4], 12, stop=frozenset()))
    assert len(free) == 12
    assert list(generate(tiny, [3, 4], 0)) == []
    stop = free[5]
    assert list(generate(tiny, [3, 4], 12, stop=frozenset({stop}))) == free[: free.index(stop)]
    # 48 positions: 46 prompt tokens leave room for two, and the token after the last is still known.
    assert len(list(generate(tiny, [7] * 46, 12, stop=frozenset()))) == 3


def check_against_llama_cpp(model: Pretrained, case: dict, atol: float) -> None:
    """Greedy tokens equal, and the log-probabilities of llama.cpp's five best at every step within `atol`."""
    prompt, expected = model.tokenizer.encode(case["prompt"]), case["tokens"]
    got = list(generate(model.checkpoint, prompt, len(expected), stop=frozenset()))
    assert got == expected, model.tokenizer.decode(got)
    logits = forward(model.checkpoint, prompt + expected[:-1])[len(prompt) - 1 :].astype(np.float64)
    for row, best in zip(logits, case["best"], strict=True):
        ids = [token for token, _ in best]
        total = row.max() + math.log(np.exp(row - row.max()).sum())
        np.testing.assert_allclose(row[ids] - total, [logprob for _, logprob in best], rtol=0, atol=atol)


@pytest.mark.parametrize("case", LLAMA_CPP["smollm2"]["generated"], ids=lambda case: case["prompt"][:24])
def test_smollm2_is_what_llama_cpp_computes(smollm2: Pretrained, case: dict) -> None:
    check_against_llama_cpp(smollm2, case, atol=1e-3)


@pytest.mark.parametrize("case", LLAMA_CPP["stories260K"]["generated"], ids=lambda case: case["prompt"][:24])
def test_stories260k_is_what_llama_cpp_computes(stories: Pretrained, case: dict) -> None:
    check_against_llama_cpp(stories, case, atol=1e-4)


def test_smollm2_knows_the_capital_of_france(smollm2: Pretrained) -> None:
    prompt = smollm2.tokenizer.encode("The capital of France is")
    answer = list(generate(smollm2.checkpoint, prompt, 2))
    assert smollm2.tokenizer.decode(answer, after=prompt) == " Paris."


def test_smollm2_answers_a_chat_and_ends_its_turn(smollm2: Pretrained) -> None:
    prompt = smollm2.tokenizer.encode_chat([{"role": "user", "content": "What is the capital of France?"}])
    answer = list(generate(smollm2.checkpoint, prompt, 40, stop=smollm2.tokenizer.stop_ids))
    assert "Paris" in smollm2.tokenizer.decode(answer)
    assert len(answer) < 40


def test_stories260k_tells_a_story(stories: Pretrained) -> None:
    prompt = stories.tokenizer.encode("Once upon a time")
    text = stories.tokenizer.decode(generate(stories.checkpoint, prompt, 40), after=prompt)
    assert text.startswith(", there was a little girl named Lily. She loved to play outside in the park.")


def test_bfloat16_everywhere_still_agrees(smollm2: Pretrained) -> None:
    """What to expect of bf16 kernels: rounded weights and rounding at every point, over 64 positions."""
    text = (
        "The tower was built in 1889 by engineers who had to argue with the artists of the city, and the "
        "answer they gave was that iron, too, has a beauty of its own; a bridge, they said, must be strong "
        "before it is fair, and so must a tower, or the wind will take it away one night in winter."
    )
    tokens = smollm2.tokenizer.encode(text)[:64]
    exact = forward(smollm2.checkpoint, tokens)
    rounded = forward(smollm2.checkpoint.map(bfloat16), tokens, rounding=bfloat16)
    assert 0.01 < np.abs(rounded - exact).max() < 2
    assert (rounded.argmax(axis=1) == exact.argmax(axis=1)).mean() >= 0.9
