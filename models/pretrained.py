"""One way in: a model by name, file or folder, as weights and tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sohu.models.config import LlamaConfig
from sohu.models.errors import ModelError, PathLike, file_size
from sohu.models.fetch import resolve
from sohu.models.gguf_file import MAGIC, GgufFile, open_gguf
from sohu.models.hf_folder import open_hf
from sohu.models.llama2c import load_llama2c_vocabulary, open_llama2c
from sohu.models.tokenizer import Tokenizer, gguf_tokenizer, hf_tokenizer, llama2c_tokenizer
from sohu.models.weights import Checkpoint, Source


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A model as its files have it: weights (with their configuration), not read yet, and tokenizer."""

    path: Path
    source: Source
    tokenizer: Tokenizer

    @property
    def config(self) -> LlamaConfig:
        """Its hyperparameters."""
        return self.source.config

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The weights in memory, as float32; read when this is first asked for. Raises ModelError."""
        return self.source.checkpoint()


def load(model: PathLike) -> Pretrained:
    """Load a named model (`smollm2`, fetched on first use), a .gguf file, a Hugging Face folder, or a
    llama2.c .bin with its tokenizer (`tokenizer.bin` or `tok<vocab_size>.bin`) beside it.

    Raises ModelError for anything missing, damaged, inconsistent, or of an architecture not built here.
    """
    path = resolve(model)
    if path.is_dir():
        source = open_hf(path)
        tokenizer = hf_tokenizer(path, source.config)
    elif _starts_with(path, MAGIC):
        file = GgufFile(path)
        tokenizer = gguf_tokenizer(file)  # first: cheap, and it may refuse
        source = open_gguf(file)
    elif path.suffix == ".bin":
        source = open_llama2c(path)
        tokenizer = _llama2c_tokenizer(path, source.config)
    else:
        raise ModelError(
            "not a model file",
            where=str(path),
            help="a .gguf file, a Hugging Face folder or a llama2.c .bin is read",
        )
    if tokenizer.vocab_size > source.config.vocab_size:
        raise ModelError(
            f"the tokenizer has {tokenizer.vocab_size} tokens, the model {source.config.vocab_size}",
            where=str(path),
        )
    return Pretrained(path, source, tokenizer)


def _starts_with(path: Path, magic: bytes) -> bool:
    file_size(path)
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _llama2c_tokenizer(path: Path, config: LlamaConfig) -> Tokenizer:
    names = (f"tok{config.vocab_size}.bin", "tokenizer.bin")
    for name in names:
        beside = path.with_name(name)
        if beside.exists():
            vocabulary = load_llama2c_vocabulary(beside, config.vocab_size)
            return llama2c_tokenizer(vocabulary, config, where=str(beside))
    raise ModelError(f"no tokenizer beside it ({' or '.join(names)})", where=str(path))
