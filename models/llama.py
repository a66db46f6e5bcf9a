"""A Llama on the chip: one launch reads a prompt or decodes a token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sohu.dsl import CompiledKernel, CompileError, Kernel
from sohu.dsl.kernels.rotary import rope_tables
from sohu.emulator import Device, Loaded, Result, Tensor
from sohu.isa import DType, f32, i32
from sohu.models import layout
from sohu.models.errors import ModelError
from sohu.models.image import Image
from sohu.models.kernels import ROUNDED, logits, next_token
from sohu.models.reference import Rounding, check_tokens
from sohu.models.weights import F32, Checkpoint, Source

_HALVED = ("bc", "bk", "bm", "bv", "rows")  # compile-time parameters of the kernels: sizes of blocks
_SMALLEST = 8


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


class LlamaOnChip:
    """A model in a chip's HBM, with its key/value cache: feed tokens, get the next one or all logits.

    weights: in memory, in a model file (converted tensor by tensor, so that memory holds no copy of it), or an image of
    it, which is mapped. dtype: of weights, cache and factors of products (f32, or the image's); sums and the residual
    stream are float32 in any case. max_positions: what the cache has room for. Raises ModelError (positions, dtype),
    SohuError (memory).
    """

    def __init__(
        self,
        weights: Checkpoint | Source | Image,
        device: Device | None = None,
        dtype: DType | None = None,
        max_positions: int = 2048,
    ) -> None:
        config = weights.config
        if not 1 <= max_positions <= config.max_positions:
            raise ModelError(f"a cache of {max_positions} positions; this model has 1 to {config.max_positions}")
        if isinstance(weights, Image) and dtype not in (None, weights.dtype):
            raise ModelError(f"the image holds {weights.dtype}, not {dtype}", where=str(weights.path))
        self.config = config
        self.device = device or Device()
        self.dtype = weights.dtype if isinstance(weights, Image) else dtype or f32
        self.max_positions = max_positions
        self.position = 0
        self.stats = Stats()
        self._programs: dict[str, Loaded] = {}
        if isinstance(weights, Image):
            self._weights = weights.map(self.device)
        else:
            read = weights.read if isinstance(weights, Source) else weights.tensors.__getitem__
            self._weights = {name: self._upload(read, name, shape) for name, shape in layout.shapes(config).items()}
        self._make_tensors()

    # -- setting up -----------------------------------------------------------------------------

    def _upload(self, read: layout.Read, name: str, shape: tuple[int, ...]) -> Tensor:
        """A tensor of the weights, as layout.py lays it out, rounded to the model's dtype."""
        made = self.device.empty(shape, self.dtype, name)
        view, at = made.view().reshape(-1), 0
        for make in layout.pieces(self.config, name):
            piece = make(read)
            view[at : at + piece.size].reshape(piece.shape)[...] = piece
            at += piece.size
        made.freeze()
        return made

    def _make_tensors(self) -> None:
        c, put = self.config, self.device.tensor
        cos, sin = rope_tables(self.max_positions, c.head_dim, c.rope_theta)
        cache = (c.n_layers, c.n_kv_heads, self.max_positions, c.head_dim)
        self._arguments: dict[str, Any] = self._weights | {
            "head": self._weights["embed" if c.tied else "head"],
            "cos": put(cos, "cos", writable=False),
            "sin": put(sin, "sin", writable=False),
            "keys": self.device.zeros(cache, self.dtype, "keys"),
            "values": self.device.zeros(cache, self.dtype, "values"),
            "scale": c.head_dim**-0.5,
        }
        self._token = self.device.empty((1,), i32, "token")
        self._one = self.device.empty((1,), i32, "ids")

    def _program(self, name: str) -> Loaded:
        """A kernel of KERNELS, compiled and loaded when it is first wanted."""
        if name not in self._programs:
            kernel, decodes = _KERNELS[name]
            sizes = {d: n for a, spec in kernel.specs.items() for d, n in self._sizes(a, spec)}
            if decodes:
                sizes["N"] = 1
            self._programs[name] = self.device.load(self._compile(kernel, sizes, decodes).program)
        return self._programs[name]

    def _sizes(self, argument: str, spec: Any) -> list[tuple[str, int]]:
        tensor = self._arguments.get(argument)
        return list(zip(spec.dims, tensor.shape, strict=True)) if isinstance(tensor, Tensor) else []

    def _compile(self, kernel: Kernel, sizes: Mapping[str, int], decodes: bool) -> CompiledKernel:
        """With blocks as large as the chip has room for: those of the kernel, or halvings of them."""
        dtypes = {a: self._arguments[a].dtype for a in kernel.specs if isinstance(self._arguments.get(a), Tensor)}
        most = {
            "bc": max(sizes["C"], sizes["O"]),
            "bk": sizes["S"],
            "bm": sizes["M"],
            "bv": sizes["V"],
            "rows": 1 << 30,
        }
        blocks = {name: min(int(kernel.constants[name]), most.get(name, 1 << 16)) for name in _HALVED}
        if decodes:
            blocks |= {"rows": 1, "bk": sizes["S"]}
        while True:
            try:
                options: dict[str, Any] = {"ids": i32, "eps": self.config.norm_eps, **dtypes, **blocks}
                return kernel.compile(chip=self.device.chip, sizes=sizes, **options)
            except CompileError as e:
                largest = max(blocks, key=lambda name: (blocks[name], name))
                if e.code != "K060" or blocks[largest] <= _SMALLEST:
                    raise
                blocks[largest] = -(-blocks[largest] // 2)

    # -- running --------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget all tokens."""
        self.position = 0

    def next(self, tokens: Sequence[int]) -> int:
        """Append tokens and give the most likely one to follow (on a tie, the lowest).

        Raises ModelError for tokens outside the vocabulary and when the cache is full.
        """
        ids = self._check(tokens)
        self._launch("decode" if len(ids) == 1 else "prefill", ids, token=self._token)
        return int(self._token.view()[0])

    def forward(self, tokens: Sequence[int]) -> F32:
        """Append T tokens and give the logits [T, V] at each. Raises ModelError as `next` does."""
        y = self._launch("logits", self._check(tokens)).outputs["y"]
        out: F32 = y.numpy()
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

    def _launch(self, name: str, ids: list[int], **more: Any) -> Result:
        """All tokens through all layers."""
        program = self._program(name)
        tokens = self._one if len(ids) == 1 else self.device.empty((len(ids),), i32, "ids")
        tokens.view()[...] = ids
        arguments = self._arguments | more | {"ids": tokens, "pos": self.position}
        result = self.device.launch(program, _KERNELS[name][0].name, arguments)
        self.position += len(ids)
        self.stats.add(result)
        return result


_KERNELS: dict[str, tuple[Kernel, bool]] = {
    "decode": (next_token, True),
    "prefill": (next_token, False),
    "logits": (logits, False),
}
