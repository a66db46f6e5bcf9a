"""The hyperparameters of a Llama-family model, whatever file they came from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from sohu.models.errors import ModelError

# No published Llama comes near these; a damaged file does. They bound every size computed from a config.
_LIMITS = {
    "dim": 1 << 17,
    "n_layers": 1 << 10,
    "n_heads": 1 << 10,
    "n_kv_heads": 1 << 10,
    "head_dim": 1 << 10,
    "ffn_dim": 1 << 20,
    "vocab_size": 1 << 22,
    "max_positions": 1 << 27,
}


@dataclass(frozen=True)
class LlamaConfig:
    """Shape and constants of one decoder-only Llama: RMSNorm, RoPE, grouped-query attention, SwiGLU.

    RoPE has one style here, the half-split one (element i turns with element i + head_dim/2, as Hugging
    Face has it): files that interleave have their Q and K rows permuted as they are loaded.

    `bos_id` is None for a model without one; `eos_ids` are all the ids that end a text. Raises ModelError
    when a value is out of range or two of them contradict each other.
    """

    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    ffn_dim: int
    vocab_size: int
    max_positions: int
    rope_theta: float
    norm_eps: float
    tied: bool
    bos_id: int | None = None
    eos_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            if not 1 <= value <= limit:
                raise ModelError(f"{name} is {value}; it must be 1 to {limit}")
        if self.n_heads % self.n_kv_heads:
            raise ModelError(f"{self.n_heads} heads cannot share {self.n_kv_heads} key/value heads evenly")
        if self.head_dim % 2:
            raise ModelError(f"head_dim is {self.head_dim}; RoPE turns pairs, so it must be even")
        if not (math.isfinite(self.rope_theta) and self.rope_theta > 0):
            raise ModelError(f"rope_theta is {self.rope_theta}; it must be a positive number")
        if not 0 < self.norm_eps < 1:
            raise ModelError(f"norm_eps is {self.norm_eps}; it must lie between 0 and 1")
        special = self.eos_ids if self.bos_id is None else (self.bos_id, *self.eos_ids)
        for token in special:
            if not 0 <= token < self.vocab_size:
                raise ModelError(f"special token {token} is outside the vocabulary of {self.vocab_size}")

    @property
    def group(self) -> int:
        """Query heads that share one key/value head."""
        return self.n_heads // self.n_kv_heads

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Canonical name and shape of every tensor, matrices as [rows out, columns in].

        `tok_embed`, then `layers.N.` with attn_norm wq wk wv wo mlp_norm w_gate w_up w_down, `final_norm`,
        and `lm_head` unless it is tied to the embedding.
        """
        q, kv = self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim
        yield "tok_embed", (self.vocab_size, self.dim)
        for i in range(self.n_layers):
            yield f"layers.{i}.attn_norm", (self.dim,)
            yield f"layers.{i}.wq", (q, self.dim)
            yield f"layers.{i}.wk", (kv, self.dim)
            yield f"layers.{i}.wv", (kv, self.dim)
            yield f"layers.{i}.wo", (self.dim, q)
            yield f"layers.{i}.mlp_norm", (self.dim,)
            yield f"layers.{i}.w_gate", (self.ffn_dim, self.dim)
            yield f"layers.{i}.w_up", (self.ffn_dim, self.dim)
            yield f"layers.{i}.w_down", (self.dim, self.ffn_dim)
        yield "final_norm", (self.dim,)
        if not self.tied:
            yield "lm_head", (self.vocab_size, self.dim)
