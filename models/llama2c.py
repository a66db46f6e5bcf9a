"""Reading the llama2.c form: `model.bin`, seven integers and flat float32 tensors, and `tokenizer.bin`.

Format: https://github.com/karpathy/llama2.c (export.py, version 0, and tokenizer.py). Tiny trained models
come in it, which make fast tests.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sohu.models.config import LlamaConfig
from sohu.models.errors import ModelError, file_size, read_bytes
from sohu.models.weights import F32, Checkpoint, Source, interleaved_to_half_split

_HEADER = struct.Struct("<7i")
_MAX_PIECE = 1 << 10
# The format has no place for these; they are llama2.c's own constants.
_THETA, _EPS, BOS, EOS = 10000.0, 1e-5, 1, 2
_TENSORS = ("attn_norm", "wq", "wk", "wv", "wo", "mlp_norm", "w_gate", "w_down", "w_up")


def llama2c_config(path: Path) -> LlamaConfig:
    """The LlamaConfig in the header of a llama2.c model; ModelError when it cannot be one."""
    if file_size(path) < _HEADER.size:
        raise ModelError("not a llama2.c model: shorter than its header", where=str(path))
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path)) from error
    dim, ffn, layers, heads, kv_heads, vocab, positions = _HEADER.unpack(header)
    if not (1 <= heads <= dim and dim % heads == 0):
        raise ModelError(f"not a llama2.c model: {heads} heads over a width of {dim}", where=str(path))
    try:
        return LlamaConfig(
            dim=dim,
            n_layers=layers,
            n_heads=heads,
            n_kv_heads=kv_heads,
            head_dim=dim // heads,
            ffn_dim=ffn,
            vocab_size=abs(vocab),  # negative: the classifier is not the embedding
            max_positions=positions,
            rope_theta=_THETA,
            norm_eps=_EPS,
            tied=vocab > 0,
            bos_id=BOS,
            eos_ids=(EOS,),
        )
    except ModelError as error:
        raise ModelError(f"not a llama2.c model: {error.message}", where=str(path)) from error


def load_llama2c(path: Path) -> Checkpoint:
    """Load a llama2.c model to a Checkpoint; raises ModelError as `open_llama2c` does."""
    return open_llama2c(path).checkpoint()


def open_llama2c(path: Path) -> Source:
    """The weights of a llama2.c model, Q and K rows put in half-split RoPE order.

    The header must account for the file's size to the byte. Raises ModelError.
    """
    config = llama2c_config(path)
    shapes = dict(config.shapes())
    order = [
        "tok_embed",
        *(f"layers.{i}.{t}" for t in _TENSORS for i in range(config.n_layers)),
        "final_norm",
    ]
    rope_tables = config.max_positions * config.head_dim  # cosines and sines, stored but derivable
    offsets: dict[str, int] = {}
    offset = _HEADER.size
    for name in order:
        offsets[name] = offset
        offset += 4 * math.prod(shapes[name])
    offset += 4 * rope_tables
    if not config.tied:
        offsets["lm_head"] = offset
        offset += 4 * math.prod(shapes["lm_head"])
    if (size := file_size(path)) != offset:
        raise ModelError(
            f"not a llama2.c model: its header asks for {offset:,} bytes, it has {size:,}", where=str(path)
        )
    heads = {"wq": config.n_heads, "wk": config.n_kv_heads}

    def read(name: str) -> F32:
        shape = shapes[name]
        array = np.fromfile(path, dtype="<f4", count=math.prod(shape), offset=offsets[name]).reshape(shape)
        suffix = name.rpartition(".")[2]
        return interleaved_to_half_split(array, heads[suffix]) if suffix in heads else array

    return Source(config, read, str(path), (path,))


@dataclass(frozen=True)
class Llama2cVocabulary:
    """Pieces and merge scores by token id; the pieces spell a space as a space."""

    pieces: list[str]
    scores: list[float]


def load_llama2c_vocabulary(path: Path, vocab_size: int) -> Llama2cVocabulary:
    """Read tokenizer.bin: int32 longest piece, then for each token float32 score, int32 length, bytes."""
    data = read_bytes(path, limit=4 + vocab_size * (8 + _MAX_PIECE))
    pieces: list[str] = []
    scores: list[float] = []
    pos = 4
    try:
        for _ in range(vocab_size):
            score, length = struct.unpack_from("<fi", data, pos)
            pos += 8 + length
            if not 0 <= length <= _MAX_PIECE or pos > len(data) or not math.isfinite(score):
                raise ModelError(f"damaged tokenizer: token {len(pieces)} of {vocab_size}", where=str(path))
            pieces.append(data[pos - length : pos].decode("utf-8"))
            scores.append(score)
    except (struct.error, UnicodeDecodeError) as error:
        raise ModelError(f"damaged tokenizer: token {len(pieces)} of {vocab_size}: {error}", where=str(path)) from error
    if pos != len(data):
        raise ModelError(
            f"{len(data) - pos} bytes after {vocab_size} tokens: not this model's tokenizer", where=str(path)
        )
    return Llama2cVocabulary(pieces, scores)
