"""A Llama on the chip: every tensor operation of the model is a compiled kernel; the host loops over layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.dsl import CompileError, Kernel
from sohu.dsl.kernels.lookup import embedding
from sohu.dsl.kernels.rotary import rope_tables
from sohu.emulator import Device, Loaded, Result, Tensor
from sohu.isa import DType, f32, i32
from sohu.models.errors import ModelError
from sohu.models.kernels import ROUNDED, attention_block, logits, mlp_block, next_token
from sohu.models.reference import Rounding, check_tokens
from sohu.models.weights import F32, Checkpoint

MAX_CHUNK = 256  # tokens of a prompt that go through the layers together


@dataclass
class Stats:
    """What a model has cost so far. cycles: None unless the device counts them."""

    launches: int = 0
    instructions: int = 0
    seconds: float = 0.0
    cycles: int | None = None

    def add(self, r: Result) -> None:
        """Count one launch."""
        self.launches += 1
        self.instructions += r.instructions
        self.seconds += r.stats["seconds"]
        if r.cycles is not None:
            self.cycles = (self.cycles or 0) + r.cycles


@dataclass(frozen=True)
class _Activations:
    """Tensors between kernels for a number of tokens, and each layer's arguments made of them."""

    ids: Tensor
    streams: tuple[Tensor, Tensor]
    layers: list[tuple[dict[str, Any], dict[str, Any]]]


class LlamaOnChip:
    """A model in a chip's HBM, with its key/value cache: feed tokens, get the next one or all logits.

    dtype: of weights, cache and activations between kernels (sums are float32 in any case).
    max_positions: what the cache has room for. Raises ModelError (positions), SohuError (memory).
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: Device | None = None,
        dtype: DType = f32,
        max_positions: int = 2048,
    ) -> None:
        config = checkpoint.config
        if not 1 <= max_positions <= config.max_positions:
            raise ModelError(f"a cache of {max_positions} positions; this model has 1 to {config.max_positions}")
        self.config = config
        self.device = device or Device()
        self.dtype = dtype
        self.max_positions = max_positions
        self.position = 0
        self.stats = Stats()
        self._programs: dict[str, Loaded] = {}
        self._activations: dict[int, _Activations] = {}
        self._upload(checkpoint)
        self._compile()

    # -- setting up -----------------------------------------------------------------------------

    def _upload(self, checkpoint: Checkpoint) -> None:
        c, put = self.config, self._put
        h, g, d = c.n_kv_heads, c.group, c.head_dim
        self.embed = put(checkpoint.tok_embed, "tok_embed")
        self.head = self.embed if c.tied else put(checkpoint.lm_head, "lm_head")
        self.final_norm = put(checkpoint.final_norm, "final_norm")
        cos, sin = rope_tables(self.max_positions, d, c.rope_theta)
        self.cos, self.sin = self.device.tensor(cos, "cos"), self.device.tensor(sin, "sin")
        self.scale = d**-0.5
        self.layers: list[dict[str, Tensor]] = []
        for i, w in enumerate(checkpoint.layers):
            arrays = {
                "attn_norm": w.attn_norm,
                "wq": w.wq.reshape(h, g, d, c.dim),
                "wk": w.wk.reshape(h, d, c.dim),
                "wv": w.wv.reshape(h, d, c.dim),
                "wo": w.wo.T,
                "mlp_norm": w.mlp_norm,
                "gate": w.w_gate,
                "up": w.w_up,
                "down": w.w_down.T,
            }
            layer = {name: put(a, f"layers.{i}.{name}") for name, a in arrays.items()}
            for name in ("keys", "values"):
                shape = (h, self.max_positions, d)
                layer[name] = self.device.zeros(shape, self.dtype, f"layers.{i}.{name}")
            self.layers.append(layer)
        self._token = self.device.empty((1,), i32, "token")

    def _put(self, array: NDArray[Any], name: str) -> Tensor:
        return self.device.tensor(array.astype(self.dtype.np, copy=False), name)

    def _compile(self) -> None:
        c, eps = self.config, {"eps": self.config.norm_eps}
        t = self.dtype
        width = {"C": c.dim}
        heads = {"H": c.n_kv_heads, "G": c.group, "D": c.head_dim, "E": c.head_dim // 2}
        self._load(embedding, (i32, t), {"D": c.dim}, "rows")
        self._load(attention_block, (t,), width | heads, "rows", "bk", bh=min(4, c.n_kv_heads), **eps)
        self._load(mlp_block, (t,), width, "bm", "bq", "rows", **eps)
        self._load(logits, (t,), width, "bv", "rows", **eps)
        self._load(next_token, (t,), width, "bv", **eps)

    def _load(
        self, kernel: Kernel, dtypes: tuple[DType, ...], bounds: dict[str, int], *blocks: str, **constants: float
    ) -> None:
        """Compile with the kernel's own block sizes, or with the largest halvings of `blocks` that fit the chip."""
        sizes = {name: int(kernel.constants[name]) for name in blocks}
        while True:
            try:
                compiled = kernel.compile(*dtypes, chip=self.device.chip, bounds=bounds, **sizes, **constants)
                break
            except CompileError as e:
                largest = max(sizes, key=lambda name: (sizes[name], name), default=None)
                if e.code != "K060" or largest is None or sizes[largest] <= 8:
                    raise
                sizes[largest] //= 2
        self._programs[kernel.name] = self.device.load(compiled.program)

    def _for(self, n: int) -> _Activations:
        """Tensors for n tokens; kept, since decoding comes back to n = 1 every time."""
        if n in self._activations:
            return self._activations[n]
        c, empty = self.config, self.device.empty
        a, b = (empty((n, c.dim), self.dtype, f"stream {i}") for i in (0, 1))
        mixed = empty((n, c.n_kv_heads, c.group, c.head_dim), self.dtype, "mixed")
        flat = mixed.reshape(n, -1)
        layers = []
        for i, w in enumerate(self.layers):
            x, y = (a, b) if i % 2 == 0 else (b, a)
            one = {k: w[k] for k in ("wq", "wk", "wv", "keys", "values")}
            one |= {"x": x, "norm": w["attn_norm"], "cos": self.cos, "sin": self.sin, "mixed": mixed}
            two = {k: w[k] for k in ("wo", "gate", "up", "down")} | {
                "x": x,
                "mixed": flat,
                "norm": w["mlp_norm"],
                "y": y,
            }
            layers.append((one | {"pos": 0, "scale": self.scale}, two))
        made = _Activations(empty((n,), i32, "ids"), (a, b), layers)
        if n > 1:  # prompts come in all lengths: keep the tensors of the last one only
            self._activations = {k: v for k, v in self._activations.items() if k == 1}
        self._activations[n] = made
        return made

    # -- running --------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget all tokens."""
        self.position = 0

    def next(self, tokens: Sequence[int]) -> int:
        """Append tokens and give the most likely one to follow (on a tie, the lowest).

        Raises ModelError for tokens outside the vocabulary and when the cache is full.
        """
        ids = self._check(tokens)
        for start in range(0, len(ids), MAX_CHUNK):
            x = self._run(ids[start : start + MAX_CHUNK])
        at = x.shape[0] - 1
        args = {"x": x, "norm": self.final_norm, "head": self.head, "token": self._token, "at": at}
        self._launch("next_token", args)
        return int(self._token.view()[0])

    def forward(self, tokens: Sequence[int]) -> F32:
        """Append T tokens and give the logits [T, V] at each. Raises ModelError as `next` does."""
        ids = self._check(tokens)
        out = np.empty((len(ids), self.config.vocab_size), np.float32)
        for start in range(0, len(ids), MAX_CHUNK):
            x = self._run(ids[start : start + MAX_CHUNK])
            result = self._launch("logits", {"x": x, "norm": self.final_norm, "head": self.head})
            y = result.outputs["y"]
            out[start : start + MAX_CHUNK] = y.view()
            y.free()
        return out

    def rounding(self) -> Rounding | None:
        """For `reference.forward`: rounds where this model's kernels round; None for float32."""
        if self.dtype == f32:
            return None

        def rounded(point: str, x: F32) -> F32:
            return x.astype(self.dtype.np).astype(np.float32) if point in ROUNDED else x

        return rounded

    def _check(self, tokens: Sequence[int]) -> list[int]:
        ids = check_tokens(self.config, tokens)
        if self.position + len(ids) > self.max_positions:
            raise ModelError(
                f"{self.position + len(ids)} positions; the cache holds {self.max_positions}",
                help="make the model with a larger max_positions, or reset it",
            )
        return ids

    def _run(self, ids: list[int]) -> Tensor:
        """One chunk of tokens through all layers; gives the residual stream [N, C] after them."""
        act = self._for(len(ids))
        act.ids.view()[...] = ids
        self._launch("embedding", {"ids": act.ids, "table": self.embed, "y": act.streams[0]})
        for attention, mlp in act.layers:
            attention["pos"] = self.position
            self._launch("attention_block", attention)
            self._launch("mlp_block", mlp)
        self.position += len(ids)
        return act.streams[len(self.layers) % 2]

    def _launch(self, kernel: str, args: dict[str, Any]) -> Result:
        result = self.device.launch(self._programs[kernel], kernel, args)
        self.stats.add(result)
        return result
