"""Reading GGUF: a strict header parser, and a Llama checkpoint out of it.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian). The
`gguf` package knows the block formats and dequantizes; its own reader is not used, because it trusts the
file's counts (a damaged length makes it loop without end) and takes seconds over a large vocabulary.
"""

from __future__ import annotations

import math
import mmap
import re
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.models.config import LlamaConfig
from sohu.models.errors import ModelError, file_size, optional
from sohu.models.weights import F32, Checkpoint, Source, check_tensors, interleaved_to_half_split

MAGIC = b"GGUF"

Scalar = int | float | bool | str
Value = Scalar | list[str] | NDArray[Any]

# Value types of the format: NumPy dtype of each scalar, and the two that are not scalars.
_SCALARS = dict(enumerate(("<u1", "<i1", "<u2", "<i2", "<u4", "<i4", "<f4", "?")))
_SCALARS |= {10: "<u8", 11: "<i8", 12: "<f8"}
_STRING, _ARRAY = 8, 9
_MAX_DIMS = 4
_MAX_KEY, _MAX_TENSOR_NAME = 1 << 16, 1 << 8


@dataclass(frozen=True)
class TensorInfo:
    """One tensor's place: `shape` in C order, `kind` a ggml type number, `offset` from the file's start."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int
    nbytes: int


class _Cursor:
    """Reads forward through the header; every length is checked against what is left of the file."""

    def __init__(self, data: mmap.mmap, where: str) -> None:
        self.data, self.where, self.pos, self.size = data, where, 0, len(data)

    def fail(self, message: str) -> ModelError:
        return ModelError(f"damaged GGUF: {message} (byte {self.pos:,})", where=self.where)

    def take(self, nbytes: int) -> int:
        """Move over `nbytes` and give the offset where they start."""
        if nbytes > self.size - self.pos:
            raise self.fail(f"{nbytes:,} bytes wanted, {self.size - self.pos:,} left: the file is cut short")
        self.pos += nbytes
        return self.pos - nbytes

    def u32(self) -> int:
        return int(struct.unpack_from("<I", self.data, self.take(4))[0])

    def u64(self) -> int:
        return int(struct.unpack_from("<Q", self.data, self.take(8))[0])

    def count(self, what: str, smallest: int) -> int:
        """A count of items, each at least `smallest` bytes long."""
        n = self.u64()
        if n * smallest > self.size - self.pos:
            raise self.fail(f"{n:,} {what} cannot fit into the file")
        return n

    def string(self, limit: int | None = None) -> str:
        n = self.u64()
        if limit is not None and n > limit:
            raise self.fail(f"a name of {n:,} bytes")
        start = self.take(n)
        try:
            return self.data[start : start + n].decode("utf-8")
        except UnicodeDecodeError:
            raise self.fail("text that is not UTF-8") from None

    def strings(self, n: int) -> list[str]:
        """n strings: what `string` does, for the hundred thousand of a vocabulary."""
        out: list[str] = []
        data, pos, size, unpack = self.data, self.pos, self.size, struct.Struct("<Q").unpack_from
        for _ in range(n):
            start = pos + 8
            end = start + unpack(data, pos)[0] if start <= size else size + 1
            if end > size:
                self.pos = pos
                out.append(self.string())  # which says what is wrong
            try:
                out.append(data[start:end].decode())
            except UnicodeDecodeError:
                self.pos = end
                raise self.fail("text that is not UTF-8") from None
            pos = end
        self.pos = pos
        return out

    def value(self) -> Value:
        kind = self.u32()
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.scalars(kind, 1)[0].item()  # type: ignore[no-any-return]
        item = self.u32()
        if item == _STRING:
            return self.strings(self.count("strings", 8))
        return self.scalars(item, self.u64())

    def scalars(self, kind: int, n: int) -> NDArray[Any]:
        if kind not in _SCALARS:
            raise self.fail(f"value type {kind}, which is no scalar of the format")
        dtype = np.dtype(_SCALARS[kind])
        start = self.take(n * dtype.itemsize)
        return np.frombuffer(self.data[start : self.pos], dtype=dtype)


class GgufFile:
    """An open GGUF file: `metadata` (key -> value) and `tensors` (name -> TensorInfo), fully checked.

    Every tensor lies inside the file, on its alignment, and over no other. Raises ModelError for anything
    else. The data stays on disk until `read` asks for it.
    """

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        file_size(path)
        try:
            with path.open("rb") as file:
                if file.read(4) != MAGIC:
                    raise self.error("not a GGUF file")
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise self.error(f"cannot be read: {error.strerror}") from error
        cursor = _Cursor(self._data, self.where)
        cursor.take(len(MAGIC))
        version = cursor.u32()
        if version not in (2, 3):
            big = version & 0xFFFF == 0
            raise self.error("big-endian GGUF" if big else f"GGUF version {version}; 2 and 3 are read")
        n_tensors = cursor.count("tensors", 32)
        n_values = cursor.count("metadata values", 13)
        self.metadata: dict[str, Value] = {}
        for _ in range(n_values):
            key = cursor.string(_MAX_KEY)
            if key in self.metadata:
                raise cursor.fail(f"metadata key {key[:80]!r} twice")
            self.metadata[key] = cursor.value()
        align = self.integer("general.alignment", 32)
        if not 8 <= align <= 1 << 20 or align & (align - 1):
            raise self.error(f"damaged GGUF: alignment {align}")
        found = [_tensor_info(cursor) for _ in range(n_tensors)]
        self.tensors = self._placed(found, start=-(-cursor.pos // align) * align, align=align)

    def error(self, message: str) -> ModelError:
        """A ModelError about this file."""
        return ModelError(message, where=self.where)

    def _placed(self, found: list[TensorInfo], *, start: int, align: int) -> dict[str, TensorInfo]:
        """The tensors with offsets from the file's start, after checking that each has a place of its own."""
        placed: dict[str, TensorInfo] = {}
        end, size = start, len(self._data)
        for info in sorted(found, key=lambda t: t.offset):
            what = f"damaged GGUF: tensor {info.name!r}"
            info = replace(info, offset=start + info.offset)
            if info.name in placed:
                raise self.error(f"{what} twice")
            if info.offset % align:
                raise self.error(f"{what} is misaligned")
            if info.offset < end:
                raise self.error(f"{what} lies over another")
            end = info.offset + info.nbytes
            if end > size:
                raise self.error(f"{what} ends at byte {end:,} of {size:,}: the file is cut short")
            placed[info.name] = info
        return placed

    def read(self, name: str) -> F32:
        """The tensor `name`, dequantized to a new float32 array."""
        gguf = optional("gguf")
        info = self.tensors[name]
        kind = gguf.GGMLQuantizationType(info.kind)
        raw = np.frombuffer(self._data, dtype=np.uint8, count=info.nbytes, offset=info.offset)
        if kind.name in ("F32", "F16"):
            return raw.view("<f4" if kind.name == "F32" else "<f2").reshape(info.shape).astype(np.float32)
        block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        out = np.empty(math.prod(info.shape), np.float32)
        # About a million elements at a time: small temporaries, and few enough calls for threads to help.
        step = max(1, (1 << 20) // block)
        try:
            for i in range(0, out.size // block, step):
                some = raw[i * block_bytes : (i + step) * block_bytes]
                out[i * block : (i + step) * block] = gguf.dequantize(some[None], kind)[0]
        except NotImplementedError as error:
            raise self.error(f"tensor {name!r} is stored as {kind.name}, which cannot be read") from error
        return out.reshape(info.shape)

    def integer(self, key: str, default: int | None = None) -> int:
        """The metadata integer `key`; ModelError when it is missing (and has no default) or is no integer."""
        value = self.metadata.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._bad(key, value, "an integer")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """The metadata number `key`, as `integer`."""
        value = self.metadata.get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self._bad(key, value, "a number")
        return float(value)

    def string(self, key: str, default: str | None = None) -> str:
        """The metadata text `key`, as `integer`."""
        value = self.metadata.get(key, default)
        if not isinstance(value, str):
            raise self._bad(key, value, "text")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """The metadata boolean `key`, as `integer`."""
        value = self.metadata.get(key, default)
        if not isinstance(value, bool):
            raise self._bad(key, value, "a boolean")
        return value

    def strings(self, key: str) -> list[str]:
        """The metadata array of strings `key`; ModelError when it is missing or something else."""
        value = self.metadata.get(key)
        if not isinstance(value, list):
            raise self._bad(key, value, "an array of strings")
        return value

    def numbers(self, key: str) -> NDArray[Any]:
        """The metadata array of numbers `key`; ModelError when it is missing or something else."""
        value = self.metadata.get(key)
        if not isinstance(value, np.ndarray):
            raise self._bad(key, value, "an array of numbers")
        return value

    def token(self, name: str) -> int | None:
        """The id of the special token `name` ("bos", "eos", ...), or None if the file has none."""
        key = f"tokenizer.ggml.{name}_token_id"
        return self.integer(key) if key in self.metadata else None

    def _bad(self, key: str, value: object, wanted: str) -> ModelError:
        return self.error(f"metadata {key!r} is " + ("missing" if value is None else f"not {wanted}"))


def _tensor_info(cursor: _Cursor) -> TensorInfo:
    """The next tensor of the header; its offset is still from the start of the data."""
    name = cursor.string(_MAX_TENSOR_NAME)
    n_dims = cursor.u32()
    if not 1 <= n_dims <= _MAX_DIMS:
        raise cursor.fail(f"tensor {name!r} with {n_dims} dimensions")
    shape = tuple(cursor.u64() for _ in range(n_dims))[::-1]
    kind, offset = cursor.u32(), cursor.u64()
    sizes = optional("gguf").GGML_QUANT_SIZES
    if kind not in sizes:
        raise cursor.fail(f"tensor {name!r} of ggml type {kind}, which is not known")
    block, block_bytes = sizes[kind]
    if 0 in shape or shape[-1] % block:
        raise cursor.fail(f"tensor {name!r} of shape {list(shape)}: no whole number of blocks of {block}")
    return TensorInfo(name, shape, kind, offset, math.prod(shape) // block * block_bytes)


_NAMES = {
    "token_embd.weight": "tok_embed",
    "output_norm.weight": "final_norm",
    "output.weight": "lm_head",
}
_LAYER_NAMES = {
    "attn_norm": "attn_norm",
    "attn_q": "wq",
    "attn_k": "wk",
    "attn_v": "wv",
    "attn_output": "wo",
    "ffn_norm": "mlp_norm",
    "ffn_gate": "w_gate",
    "ffn_up": "w_up",
    "ffn_down": "w_down",
}
_LAYER_TENSOR = re.compile(r"blk\.(0|[1-9]\d*)\.(\w+)\.weight", re.ASCII)


def _canonical(name: str) -> str | None:
    if match := _LAYER_TENSOR.fullmatch(name):
        layer, tensor = match.groups()
        return f"layers.{layer}.{_LAYER_NAMES[tensor]}" if tensor in _LAYER_NAMES else None
    return _NAMES.get(name)


def gguf_config(file: GgufFile) -> LlamaConfig:
    """The LlamaConfig of a GGUF file; ModelError for another architecture or a variant not built here."""
    arch = file.string("general.architecture")
    if arch != "llama":
        raise file.error(f"the architecture is {arch[:40]!r}; only 'llama' is built here")
    dim, heads = file.integer("llama.embedding_length"), file.integer("llama.attention.head_count")
    if not 1 <= heads <= dim:
        raise file.error(f"{heads} attention heads over a width of {dim}")
    head_dim = file.integer("llama.attention.key_length", dim // heads)
    for key, plain in (
        ("llama.attention.value_length", head_dim),
        ("llama.rope.dimension_count", head_dim),
        ("llama.expert_count", 0),
        ("llama.attention.sliding_window", 0),
    ):
        if (value := file.integer(key, plain)) != plain:
            raise file.error(f"metadata {key!r} is {value}; only {plain} is built here")
    scaling = file.string("llama.rope.scaling.type", "none")
    if scaling != "none":
        raise file.error(f"RoPE scaling {scaling[:40]!r} is not built here")
    tokens = file.metadata.get("tokenizer.ggml.tokens")
    eos = file.token("eos")
    try:
        return LlamaConfig(
            dim=dim,
            n_layers=file.integer("llama.block_count"),
            n_heads=heads,
            n_kv_heads=file.integer("llama.attention.head_count_kv", heads),
            head_dim=head_dim,
            ffn_dim=file.integer("llama.feed_forward_length"),
            vocab_size=file.integer("llama.vocab_size", len(tokens) if isinstance(tokens, list) else None),
            max_positions=file.integer("llama.context_length"),
            rope_theta=file.number("llama.rope.freq_base", 10000.0),
            norm_eps=file.number("llama.attention.layer_norm_rms_epsilon"),
            tied="output.weight" not in file.tensors,
            bos_id=file.token("bos"),
            eos_ids=() if eos is None else (eos,),
        )
    except ModelError as error:
        raise file.error(error.message) from error


def load_gguf(file: GgufFile) -> Checkpoint:
    """Dequantize a whole GGUF Llama to a Checkpoint; raises ModelError as `open_gguf` does."""
    return open_gguf(file).checkpoint()


def open_gguf(file: GgufFile) -> Source:
    """The weights of a GGUF Llama, dequantized when they are read, Q and K rows put in half-split RoPE order.

    Names and shapes are checked before anything is allocated, and what is allocated is at most about 20
    times the file (the smallest blocks take 1.5 bits an element). Raises ModelError.
    """
    config = gguf_config(file)
    found: dict[str, str] = {}
    for name in file.tensors:
        canonical = _canonical(name)
        if canonical is None:
            why = "biases, experts and scaled RoPE are not built here"
            raise file.error(f"tensor {name!r} is no part of a plain Llama ({why})")
        found[canonical] = name
    check_tensors(config, {name: file.tensors[raw].shape for name, raw in found.items()}, where=file.where)
    heads = {"wq": config.n_heads, "wk": config.n_kv_heads}

    def read(name: str) -> F32:
        array = file.read(found[name])
        kind = name.rpartition(".")[2]
        return interleaved_to_half_split(array, heads[kind]) if kind in heads else array

    return Source(config, read, file.where, (Path(file.where),))
