"""How a Llama's weights lie in HBM: stacked over layers, each matrix as the kernels read it fastest.

| tensor | shape | from |
|---|---|---|
| embed, head | C V | transposed; a tied model has no head of its own |
| attn_norm, mlp_norm | L C | |
| wqkv | L C Q | transposed, side by side: queries (group by group, a head of each key/value head), keys, values |
| wo | L O C | transposed |
| gate_up | L C U | transposed, side by side |
| down | L C M | as checkpoints have it |
| final_norm | C | |

A row vector times a matrix of many columns reads memory at full speed when rows are contiguous; `down` has few columns,
and many rows, where the transposed product is the faster one (docs/adr/0014-one-program-a-step.md).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sohu.models.config import LlamaConfig
from sohu.models.weights import F32

VERSION = 1  # of the layout; images of another one are made anew

Read = Callable[[str], F32]


def shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """Each tensor of HBM and its shape, in the order in which `pieces` gives them."""
    c, n = config.dim, config.n_layers
    o = config.n_heads * config.head_dim
    q = o + 2 * config.n_kv_heads * config.head_dim
    out: dict[str, tuple[int, ...]] = {
        "embed": (c, config.vocab_size),
        "attn_norm": (n, c),
        "wqkv": (n, c, q),
        "wo": (n, o, c),
        "mlp_norm": (n, c),
        "gate_up": (n, c, 2 * config.ffn_dim),
        "down": (n, c, config.ffn_dim),
        "final_norm": (c,),
    }
    return out if config.tied else out | {"head": (c, config.vocab_size)}


def pieces(config: LlamaConfig, name: str) -> list[Callable[[Read], F32]]:
    """What makes a tensor, piece by piece in the order of its memory: each of a `read` of canonical names."""
    if name in _WHOLE:
        source, change = _WHOLE[name]
        return [lambda read: change(read(source))]
    make = _OF_LAYER[name]

    def of_layer(i: int) -> Callable[[Read], F32]:
        return lambda read: make(config, lambda tensor: read(f"layers.{i}.{tensor}"))

    return [of_layer(i) for i in range(config.n_layers)]


def _transposed(array: F32) -> F32:
    return array.T


def _same(array: F32) -> F32:
    return array


def _wqkv(config: LlamaConfig, read: Read) -> F32:
    heads, group, width = config.n_kv_heads, config.group, config.head_dim
    q = read("wq").reshape(heads, group, width, config.dim).transpose(3, 1, 0, 2).reshape(config.dim, -1)
    return np.concatenate([q, read("wk").T, read("wv").T], axis=1)


_WHOLE: dict[str, tuple[str, Callable[[F32], F32]]] = {
    "embed": ("tok_embed", _transposed),
    "head": ("lm_head", _transposed),
    "final_norm": ("final_norm", _same),
}
_OF_LAYER: dict[str, Callable[[LlamaConfig, Read], F32]] = {
    "attn_norm": lambda _, read: read("attn_norm"),
    "wqkv": _wqkv,
    "wo": lambda _, read: read("wo").T,
    "mlp_norm": lambda _, read: read("mlp_norm"),
    "gate_up": lambda _, read: np.concatenate([read("w_gate").T, read("w_up").T], axis=1),
    "down": lambda _, read: read("w_down"),
}
