"""A model's weights in one form, checked by name and shape before anything is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from sohu.models.config import LlamaConfig
from sohu.models.errors import ModelError

F32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False, repr=False)
class LayerWeights:
    """One decoder layer. H query heads and K key/value heads of h elements, model width D, MLP width F."""

    attn_norm: F32  # [D]
    wq: F32  # [H*h, D], half-split RoPE order within each head
    wk: F32  # [K*h, D], the same
    wv: F32  # [K*h, D]
    wo: F32  # [D, H*h]
    mlp_norm: F32  # [D]
    w_gate: F32  # [F, D]
    w_up: F32  # [F, D]
    w_down: F32  # [D, F]


LAYER_TENSORS = tuple(f.name for f in fields(LayerWeights))


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A whole model. `tensors` holds each tensor under its canonical name (see `LlamaConfig.shapes`).

    Every array is float32, C-contiguous and read-only.
    """

    config: LlamaConfig
    tensors: Mapping[str, F32] = field(repr=False)

    @property
    def tok_embed(self) -> F32:
        """The embedding [V, D]."""
        return self.tensors["tok_embed"]

    @cached_property
    def layers(self) -> tuple[LayerWeights, ...]:
        """The tensors of each layer, by attribute."""
        return tuple(
            LayerWeights(**{name: self.tensors[f"layers.{i}.{name}"] for name in LAYER_TENSORS})
            for i in range(self.config.n_layers)
        )

    @property
    def final_norm(self) -> F32:
        """The weight [D] of the RMSNorm before the head."""
        return self.tensors["final_norm"]

    @property
    def lm_head(self) -> F32:
        """The head [V, D]: the embedding itself when the two are tied."""
        return self.tensors["tok_embed" if self.config.tied else "lm_head"]

    def map(self, change: Callable[[str, F32], F32]) -> Checkpoint:
        """A new checkpoint of `change(name, array)`, same shapes (for one, weights rounded to bfloat16)."""
        return assemble(self.config, lambda name: change(name, self.tensors[name]), where="changed weights")


def interleaved_to_half_split(rows: F32, heads: int) -> F32:
    """Reorder the rows [heads*h, D] of a Q or K matrix from interleaved to half-split RoPE.

    Interleaved RoPE (Meta's code, GGUF, llama2.c) turns rows 2i and 2i+1 of a head together; half-split
    (Hugging Face) turns i and i + h/2. Attention scores do not change: Q and K are reordered alike.
    """
    total, dim = rows.shape
    return rows.reshape(heads, total // heads // 2, 2, dim).swapaxes(1, 2).reshape(total, dim)


def check_tensors(config: LlamaConfig, found: Mapping[str, tuple[int, ...]], *, where: str) -> None:
    """Raise ModelError unless `found` (canonical name -> shape) has exactly the tensors of `config`."""
    for name, shape in config.shapes():
        if name not in found:
            raise ModelError(f"tensor {name} is missing", where=where)
        if found[name] != shape:
            has, wants = list(found[name]), list(shape)
            raise ModelError(f"tensor {name} has shape {has}; the configuration says {wants}", where=where)
    if extra := set(found).difference(name for name, _ in config.shapes()):
        raise ModelError(f"tensor {min(extra)} has no place in the configuration", where=where)


@dataclass(frozen=True, eq=False)
class Source:
    """A model's weights where they are kept, each read when it is asked for.

    files: what they are kept in. `raw(canonical name)` gives a float32 array of the configured shape.
    """

    config: LlamaConfig
    raw: Callable[[str], F32] = field(repr=False)
    where: str
    files: tuple[Path, ...] = ()

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of each tensor, by canonical name."""
        return dict(self.config.shapes())

    def read(self, name: str) -> F32:
        """One tensor, checked, C-contiguous and read-only; ModelError when it holds NaN or infinity."""
        shape, array = self.shapes[name], np.ascontiguousarray(self.raw(name), dtype=np.float32)
        if array.shape != shape:
            raise ModelError(f"tensor {name} was read as {list(array.shape)}, not {list(shape)}", where=self.where)
        # One pass, no temporary: NaN and infinity survive a sum, and sums of real weights do not overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.isfinite(array.sum())
        if not finite:
            raise ModelError(f"tensor {name} holds NaN, infinity or absurdly large values", where=self.where)
        array = array.view()  # a caller's own array stays writable
        array.flags.writeable = False
        return array

    def checkpoint(self) -> Checkpoint:
        """All of it in memory; raises ModelError as `read` does."""

        def one(name: str) -> tuple[str, F32]:
            return name, self.read(name)

        # Dequantizing is NumPy work that releases the interpreter's lock.
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            return Checkpoint(self.config, MappingProxyType(dict(pool.map(one, self.shapes))))


def assemble(config: LlamaConfig, read: Callable[[str], F32], *, where: str) -> Checkpoint:
    """Build a Checkpoint from `read(canonical name)`, as Source has it; raises ModelError."""
    return Source(config, read, where).checkpoint()
