"""The model as plain NumPy: what every compiled kernel is checked against.

Llama as published (arXiv:2302.13971), float32 throughout: half-split RoPE (arXiv:2104.09864), grouped-query
attention (arXiv:2305.13245), RMSNorm (arXiv:1910.07467), SwiGLU (arXiv:2002.05202).

Shapes: T new positions, S positions in the cache after them, D model width, H query heads in K groups of G,
h elements per head, F MLP width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import ml_dtypes
import numpy as np
from sohu.models.config import LlamaConfig
from sohu.models.errors import ModelError
from sohu.models.weights import F32, Checkpoint, LayerWeights

Rounding = Callable[[str, F32], F32]
"""`q(point, x)` gives `x` with the values the chip would hold at that point, still float32, same shape."""

POINTS = (
    "embed",  # [T, D] rows of the embedding
    "norm",  # [T, D] after each RMSNorm
    "q", "k", "v",  # [T, H*h], [T, K*h] after their linear layers
    "q_rope", "k_rope",  # [T, H, h], [T, K, h] after RoPE; k_rope and v are what the cache holds
    "scores",  # [K, G*T, S] scaled, before the mask
    "weights",  # [K, G*T, S] exp(score - largest), before the division by their sum
    "attn",  # [T, H*h] weighted values
    "wo",  # [T, D] after the output projection
    "gate", "up",  # [T, F] after their linear layers
    "swiglu",  # [T, F]
    "down",  # [T, D] after the down projection
    "residual",  # [T, D] after each addition to the residual stream
    "logits",  # [T, V]
)  # fmt: skip
"""Every point at which `forward` calls its rounding, in the order of a layer's dataflow."""


def exact(point: str, x: F32) -> F32:
    """The default rounding: none."""
    return x


def bfloat16(point: str, x: F32) -> F32:
    """Round to bfloat16 (to nearest, ties to even) at every point; also fits `Checkpoint.map`."""
    return x.astype(ml_dtypes.bfloat16).astype(np.float32)


class KVCache:
    """Keys (after RoPE) and values of the positions seen so far, as float32 [layers, K, capacity, h]."""

    def __init__(self, config: LlamaConfig, capacity: int) -> None:
        """Room for `capacity` positions; ModelError beyond the model's `max_positions`."""
        if not 1 <= capacity <= config.max_positions:
            raise ModelError(f"a cache of {capacity} positions; this model has 1 to {config.max_positions}")
        shape = (config.n_layers, config.n_kv_heads, capacity, config.head_dim)
        self.k = np.zeros(shape, np.float32)
        self.v = np.zeros(shape, np.float32)
        self.capacity = capacity
        self.length = 0


def rms_norm(x: F32, weight: F32, eps: float) -> F32:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis, [T, D] -> [T, D]."""
    root: F32 = np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(eps))
    return x / root * weight


def rope_tables(config: LlamaConfig, positions: range) -> tuple[F32, F32]:
    """Cosines and sines [T, 1, h/2] of position * theta^(-2i/h), computed in float64, rounded once."""
    i = np.arange(config.head_dim // 2)
    angle = np.outer(np.asarray(positions), config.rope_theta ** (-2.0 * i / config.head_dim))[:, None, :]
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def rope(x: F32, cos: F32, sin: F32) -> F32:
    """Turn each head's pairs (i, i + h/2) of [T, heads, h] by the angles of `rope_tables`."""
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def silu(x: F32) -> F32:
    """x / (1 + e^-x), elementwise."""
    with np.errstate(over="ignore"):  # e^-x = inf gives the right -0
        e: F32 = np.exp(-x)
    return x / (1 + e)


def forward(
    model: Checkpoint,
    tokens: Sequence[int],
    cache: KVCache | None = None,
    *,
    last: bool = False,
    rounding: Rounding | None = None,
) -> F32:
    """Run T tokens at the positions after those in `cache` and give the logits [T, V] as float32.

    Without a cache the tokens start at position 0. With one, their keys and values are appended: prefill
    passes many tokens, decoding one. `last` computes the head only for the last token and gives [1, V].
    `rounding` is called at every point of POINTS; None leaves float32 alone. Raises ModelError when there is
    no token, one outside the vocabulary, or more than the cache or the model has positions for.
    """
    config, q = model.config, rounding or exact
    ids = check_tokens(config, tokens)
    cache = cache or KVCache(config, len(ids))
    start, end = cache.length, cache.length + len(ids)
    if end > cache.capacity:
        raise ModelError(f"{end} positions; the cache holds {cache.capacity}")
    cos, sin = rope_tables(config, range(start, end))
    x = q("embed", model.tok_embed[ids])
    for i, layer in enumerate(model.layers):
        x = attention(config, layer, x, cos, sin, cache.k[i, :, :end], cache.v[i, :, :end], q)
        x = mlp(config, layer, x, q)
    cache.length = end
    x = x[-1:] if last else x
    return q("logits", q("norm", rms_norm(x, model.final_norm, config.norm_eps)) @ model.lm_head.T)


def attention(
    config: LlamaConfig,
    layer: LayerWeights,
    x: F32,
    cos: F32,
    sin: F32,
    k_cache: F32,
    v_cache: F32,
    q: Rounding,
) -> F32:
    """x + causal grouped-query attention of x [T, D]; writes the last T rows of the [K, S, h] caches."""
    t, s = len(x), k_cache.shape[1]
    groups, per_group, h = config.n_kv_heads, config.group, config.head_dim
    n = q("norm", rms_norm(x, layer.attn_norm, config.norm_eps))
    query = q("q_rope", rope(q("q", n @ layer.wq.T).reshape(t, -1, h), cos, sin))
    key = q("k_rope", rope(q("k", n @ layer.wk.T).reshape(t, -1, h), cos, sin))
    k_cache[:, s - t :] = key.swapaxes(0, 1)
    v_cache[:, s - t :] = q("v", n @ layer.wv.T).reshape(t, -1, h).swapaxes(0, 1)

    # Query head j reads key/value head j // G: heads of a group lie together, one product serves them all.
    query = query.reshape(t, groups, per_group, h).transpose(1, 2, 0, 3).reshape(groups, per_group * t, h)
    scores = q("scores", query @ k_cache.swapaxes(1, 2) * np.float32(h**-0.5))
    later = np.arange(s) > np.arange(s - t, s)[:, None]  # [T, S]: keys after the query's own position
    scores = np.where(np.tile(later, (per_group, 1)), np.float32(-np.inf), scores)
    weights: F32 = np.exp(scores - scores.max(axis=-1, keepdims=True))
    total: F32 = weights.sum(axis=-1, keepdims=True)
    mixed = (
        (q("weights", weights) @ v_cache / total).reshape(groups, per_group, t, h).transpose(2, 0, 1, 3).reshape(t, -1)
    )
    return q("residual", x + q("wo", q("attn", mixed) @ layer.wo.T))


def mlp(config: LlamaConfig, layer: LayerWeights, x: F32, q: Rounding) -> F32:
    """x + W_down (silu(W_gate n) * W_up n) with n the normalized x, [T, D] -> [T, D]."""
    n = q("norm", rms_norm(x, layer.mlp_norm, config.norm_eps))
    gated = q("swiglu", silu(q("gate", n @ layer.w_gate.T)) * q("up", n @ layer.w_up.T))
    return q("residual", x + q("down", gated @ layer.w_down.T))


def check_tokens(config: LlamaConfig, tokens: Sequence[int]) -> list[int]:
    """The tokens as a list of ints; ModelError when there are none, too many, or one is no token."""
    ids = [int(token) for token in tokens]
    if not ids:
        raise ModelError("no tokens to run")
    if len(ids) > config.max_positions:
        raise ModelError(f"{len(ids)} tokens; this model has {config.max_positions} positions")
    for token in ids:
        if not 0 <= token < config.vocab_size:
            raise ModelError(f"token {token} is outside the vocabulary of {config.vocab_size}")
    return ids


def generate(
    model: Checkpoint,
    prompt: Sequence[int],
    max_tokens: int,
    *,
    stop: frozenset[int] | None = None,
    rounding: Rounding | None = None,
) -> Iterator[int]:
    """Yield up to `max_tokens` tokens that continue `prompt`, each the most likely (on a tie, the lowest).

    Ends before a token of `stop` (None: the model's end-of-text ids), and when the positions run out.
    """
    config = model.config
    tokens = check_tokens(config, prompt)
    ends = frozenset(config.eos_ids) if stop is None else stop
    # The last token generated needs no position: nothing is computed from it.
    steps = min(max_tokens, config.max_positions - len(tokens) + 1)
    cache = KVCache(config, len(tokens) + max(steps, 1) - 1)
    for _ in range(steps):
        token = int(forward(model, tokens, cache, last=True, rounding=rounding)[0].argmax())
        if token in ends:
            return
        yield token
        tokens = [token]
