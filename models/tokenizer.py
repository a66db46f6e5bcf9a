"""Text to token ids and back, from whatever vocabulary a model file carries.

Two families, which are all that Llama models use: byte-level BPE (GPT-2, Llama 3, SmolLM2: bytes spelled as
printable characters) and SentencePiece BPE (Llama 2, llama2.c: spaces spelled as U+2581, other bytes as
<0xNN>). The `tokenizers` package does the encoding. Decoding is done here, token by token into bytes, so
that a stream and a whole text cannot disagree.
"""

from __future__ import annotations

import codecs
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sohu.models import chat_template
from sohu.models.chat_template import Message
from sohu.models.config import LlamaConfig
from sohu.models.errors import ModelError, optional, read_text
from sohu.models.gguf_file import GgufFile
from sohu.models.hf_folder import JSON_LIMIT, parse_json, read_json, token_ids
from sohu.models.llama2c import Llama2cVocabulary

_SPACE = "\u2581"  # how SentencePiece spells a space
_MAX_PIECE = 1 << 10  # characters; finding a piece's merges takes its length squared

# Control tokens that end a turn or a text, by the name the published models give them. A chat model's file
# names only one of them as end of text.
_ENDS = {"<|endoftext|>", "<|im_end|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "</s>"}

# GGUF token types (ggml's llama_token_type).
_UNKNOWN, _CONTROL, _USER = 2, 3, 4
_TEMPLATE = "tokenizer.chat_template"

# tokenizer.ggml.pre -> how text is cut before the merges. None: GPT-2's own pattern, built into ByteLevel.
_GPT2_PATTERN = None
_LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class _Pre:
    digits: bool  # every digit a piece of its own
    pattern: str | None
    whole_words: bool = False  # a word that is a token is taken as it is, whatever the merges say


_PRE = {
    "gpt-2": _Pre(False, _GPT2_PATTERN),
    "smollm": _Pre(True, _GPT2_PATTERN),
    "llama-bpe": _Pre(False, _LLAMA3_PATTERN, whole_words=True),
}


def _gpt2_bytes() -> dict[str, int]:
    """The character that spells each byte in a byte-level vocabulary (GPT-2's encoder.py), reversed."""
    table: dict[str, int] = {}
    spare = 256
    for byte in range(256):
        if 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or 0xAE <= byte <= 0xFF:
            table[chr(byte)] = byte
        else:
            table[chr(spare)] = byte
            spare += 1
    return table


_BYTE_OF = _gpt2_bytes()


def _byte_level_bytes(piece: str) -> bytes:
    try:
        return bytes(_BYTE_OF[char] for char in piece)
    except KeyError:  # a token added as plain text
        return piece.encode()


def _sentencepiece_bytes(piece: str) -> bytes:
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        try:
            return bytes([int(piece[3:5], 16)])
        except ValueError:
            pass
    return piece.replace(_SPACE, " ").encode()


class Tokenizer:
    """A model's vocabulary: `encode`, `decode`, streaming decode, and its chat template.

    `stop_ids` end a generated text: the model's end-of-text ids and the known end-of-turn tokens.
    """

    def __init__(
        self,
        backend: Any,
        *,
        to_bytes: Callable[[str], bytes],
        bos_id: int | None = None,
        eos_ids: Sequence[int] = (),
        add_bos: bool = False,
        space_prefix: bool = False,
        template: str | None = None,
    ) -> None:
        """Wrap a `tokenizers.Tokenizer`. Use `gguf_tokenizer`, `hf_tokenizer` or `llama2c_tokenizer`.

        `to_bytes` gives the bytes of an ordinary token's spelling; `add_bos` puts the beginning-of-text
        token before an encoded text; `space_prefix` says encoding puts a space before the text, so that
        decoding takes it off again.
        """
        self._backend = backend
        self._space_prefix = space_prefix
        self.bos_id, self.add_bos = bos_id, add_bos and bos_id is not None
        self.template = template
        added: Mapping[int, Any] = backend.get_added_tokens_decoder()
        self.special_ids = frozenset(i for i, token in added.items() if token.special)
        spelling = {i: piece for piece, i in backend.get_vocab(with_added_tokens=True).items()}
        self.vocab_size = 1 + max(spelling, default=-1)
        self._spelling, self._added, self._to_bytes = spelling, frozenset(added), to_bytes
        ends = {i for i in self.special_ids if spelling.get(i) in _ENDS}
        self.eos_ids = tuple(eos_ids)
        self.stop_ids = frozenset(ends | set(eos_ids))

    def encode(self, text: str, *, bos: bool | None = None, special: bool = True) -> list[int]:
        """The ids of `text`, after the beginning-of-text token if `bos` (None: as the model file says).

        Control tokens spelled in the text, such as `<|im_start|>`, become their ids; with `special=False`
        they are ordinary characters, which is what text from a stranger should be. A byte for which the
        vocabulary has no token (SmolLM2 lacks some control characters) is left out, as elsewhere. Raises
        ModelError for text with lone surrogates.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ModelError(f"the text is not valid Unicode (character {error.start})") from error
        self._backend.encode_special_tokens = not special
        ids = list(self._backend.encode(text, add_special_tokens=False).ids)
        if (self.add_bos if bos is None else bos) and self.bos_id is not None:
            ids.insert(0, self.bos_id)
        return ids

    def decode(self, ids: Iterable[int], *, special: bool = True, after: Sequence[int] = ()) -> str:
        """The text of `ids`; bytes that are no UTF-8 become U+FFFD. `special=False` drops control tokens.

        `after` are the ids of the text that these continue: SentencePiece spells a leading space into the
        first token, which belongs to the text only when something comes before it. Raises ModelError for
        an id outside the vocabulary.
        """
        stream = self.stream(special=special, after=after)
        return "".join(stream.push(i) for i in ids) + stream.finish()

    def stream(self, *, special: bool = True, after: Sequence[int] = ()) -> StreamDecoder:
        """A decoder that takes one token at a time. `special` and `after` (the prompt) as in `decode`."""
        return StreamDecoder(self, special=special, after=after)

    def token_bytes(self, token: int) -> bytes:
        """The bytes a token stands for (a control token: its name); ModelError outside the vocabulary."""
        if not 0 <= token < self.vocab_size:
            raise ModelError(f"token {token} is outside the vocabulary of {self.vocab_size}")
        piece = self._spelling.get(token, "")
        return piece.encode() if token in self._added else self._to_bytes(piece)

    def chat_text(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """The conversation as the model's chat template lays it out, ending where the answer starts.

        Raises ModelError when the model has no template, or the template refuses the messages.
        """
        if self.template is None:
            raise ModelError("this model has no chat template", help="give it a plain text to continue instead")
        names = {"bos_token": self._name(self.bos_id), "eos_token": self._name(*self.eos_ids[:1])}
        return chat_template.render(self.template, messages, add_generation_prompt=add_generation_prompt, **names)

    def encode_chat(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> list[int]:
        """The ids of `chat_text`. A template that wants the beginning-of-text token writes it itself."""
        return self.encode(self.chat_text(messages, add_generation_prompt=add_generation_prompt), bos=False)

    def _name(self, token: int | None = None) -> str:
        return "" if token is None else self.token_bytes(token).decode(errors="replace")


class StreamDecoder:
    """Decodes token by token, giving text only once its bytes are whole characters."""

    def __init__(self, tokenizer: Tokenizer, *, special: bool, after: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._special = special
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._strip = tokenizer._space_prefix
        for token in after:
            self.push(token)

    def push(self, token: int) -> str:
        """The text that `token` completes: none while it ends inside a character."""
        data = self._tokenizer.token_bytes(token)
        if token in self._tokenizer.special_ids:
            # The encoder puts its space after a control token too.
            self._strip = self._tokenizer._space_prefix
            return self.finish() + (data.decode() if self._special else "")
        if self._strip:
            data = data.removeprefix(b" ")
            self._strip = False
        return self._utf8.decode(data)

    def finish(self) -> str:
        """What is left: U+FFFD when the last character is unfinished, else nothing."""
        return self._utf8.decode(b"", final=True)


def gguf_tokenizer(file: GgufFile) -> Tokenizer:
    """The tokenizer in a GGUF file's metadata. Raises ModelError when it is missing, damaged or unknown."""
    where = file.where
    model = file.string("tokenizer.ggml.model")
    pieces = file.strings("tokenizer.ggml.tokens")
    kinds = file.numbers("tokenizer.ggml.token_type").tolist()
    if len(kinds) != len(pieces) or not pieces:
        raise ModelError(f"{len(pieces)} tokens, {len(kinds)} token types", where=where)
    _check_unique(pieces, where)
    if model == "gpt2":
        name = file.string("tokenizer.ggml.pre", "gpt-2")
        if name not in _PRE:
            raise file.error(f"pre-tokenizer {name[:40]!r} is not known (known: {', '.join(_PRE)})")
        merges = _split_merges(file.strings("tokenizer.ggml.merges"), where)
        backend = _byte_level(pieces, merges, _PRE[name], where)
        to_bytes, prefix = _byte_level_bytes, False
    elif model == "llama":
        scores = file.numbers("tokenizer.ggml.scores").tolist()
        unknown = next((i for i, kind in enumerate(kinds) if kind == _UNKNOWN), None)
        prefix = file.flag("tokenizer.ggml.add_space_prefix", True)
        backend = _sentencepiece(pieces, scores, unknown, prefix, where)
        to_bytes = _sentencepiece_bytes
    else:
        raise file.error(f"tokenizer model {model[:40]!r} is not known (known: gpt2, llama)")
    _add_tokens(backend, pieces, kinds)
    bos, eos = file.token("bos"), file.token("eos")
    for token in (bos, eos):
        if token is not None and not 0 <= token < len(pieces):
            raise file.error(f"special token {token} is outside the vocabulary of {len(pieces)}")
    return Tokenizer(
        backend,
        to_bytes=to_bytes,
        bos_id=bos,
        eos_ids=() if eos is None else (eos,),
        add_bos=file.flag("tokenizer.ggml.add_bos_token", model == "llama"),
        space_prefix=prefix,
        template=file.string(_TEMPLATE) if _TEMPLATE in file.metadata else None,
    )


def _check_unique(pieces: Sequence[str], where: str) -> None:
    if len(set(pieces)) != len(pieces):
        (twice, _), *_ = Counter(pieces).most_common(1)
        raise ModelError(f"damaged tokenizer: token {twice[:40]!r} twice", where=where)


def _split_merges(merges: Iterable[str], where: str) -> list[tuple[str, str]]:
    pairs = []
    for merge in merges:
        # A part may itself be a space only at its start, so the split is at the first space after that.
        cut = merge.find(" ", 1)
        if cut < 0:
            raise ModelError(f"damaged tokenizer: merge {merge[:40]!r} is no pair", where=where)
        pairs.append((merge[:cut], merge[cut + 1 :]))
    return pairs


def _bpe(where: str, pieces: Sequence[str], merges: list[tuple[str, str]], **options: Any) -> Any:
    tk = optional("tokenizers")
    vocab = {piece: i for i, piece in enumerate(pieces)}
    try:
        return tk.Tokenizer(tk.models.BPE(vocab=vocab, merges=merges, **options))
    except Exception as error:  # the package raises bare Exception for everything it dislikes
        raise ModelError(f"damaged tokenizer: {error}", where=where) from error


def _byte_level(pieces: Sequence[str], merges: list[tuple[str, str]], pre: _Pre, where: str) -> Any:
    tk = optional("tokenizers")
    backend = _bpe(where, pieces, merges, ignore_merges=pre.whole_words)
    steps = [tk.pre_tokenizers.Digits(individual_digits=True)] if pre.digits else []
    if pre.pattern is not None:
        steps.append(tk.pre_tokenizers.Split(tk.Regex(pre.pattern), behavior="isolated"))
    steps.append(tk.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre.pattern is None))
    backend.pre_tokenizer = tk.pre_tokenizers.Sequence(steps)
    return backend


def _sentencepiece(
    pieces: Sequence[str], scores: Sequence[float], unknown: int | None, prefix: bool, where: str
) -> Any:
    """SentencePiece BPE as merges: two pieces may join when the whole is a piece, best score first."""
    if len(scores) != len(pieces) or not all(map(math.isfinite, scores)):
        raise ModelError("damaged tokenizer: scores do not match the tokens", where=where)
    if max(map(len, pieces)) > _MAX_PIECE:
        raise ModelError(f"damaged tokenizer: a token of more than {_MAX_PIECE} characters", where=where)
    tk = optional("tokenizers")
    rank = {piece: i for i, piece in enumerate(pieces)}
    ranked = []
    for piece, score in zip(pieces, scores, strict=True):
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in rank and right in rank:
                ranked.append((-score, rank[left], rank[right], left, right))
    merges = [(left, right) for *_, left, right in sorted(ranked)]
    unk = None if unknown is None else pieces[unknown]
    backend = _bpe(where, pieces, merges, byte_fallback=True, fuse_unk=True, unk_token=unk)
    steps = [tk.normalizers.Prepend(_SPACE)] if prefix else []
    backend.normalizer = tk.normalizers.Sequence([*steps, tk.normalizers.Replace(" ", _SPACE)])
    return backend


def _add_tokens(backend: Any, pieces: Sequence[str], kinds: Sequence[int]) -> None:
    added = optional("tokenizers").AddedToken
    backend.add_special_tokens([added(p, special=True) for p, k in zip(pieces, kinds, strict=True) if k == _CONTROL])
    backend.add_tokens([added(p, normalized=False) for p, k in zip(pieces, kinds, strict=True) if k == _USER])


def llama2c_tokenizer(vocabulary: Llama2cVocabulary, config: LlamaConfig, *, where: str) -> Tokenizer:
    """The tokenizer of a llama2.c model: SentencePiece BPE, a space before the text, and a BOS token."""
    pieces = [piece.replace(" ", _SPACE) for piece in vocabulary.pieces]
    if len(pieces) < 3:
        raise ModelError(f"damaged tokenizer: {len(pieces)} tokens", where=where)
    pieces[:3] = ["<unk>", "<s>", "</s>"]  # the file spells these for display
    _check_unique(pieces, where)
    backend = _sentencepiece(pieces, vocabulary.scores, 0, True, where)
    _add_tokens(backend, pieces[1:3], [_CONTROL, _CONTROL])
    return Tokenizer(
        backend,
        to_bytes=_sentencepiece_bytes,
        bos_id=config.bos_id,
        eos_ids=config.eos_ids,
        add_bos=True,
        space_prefix=True,
    )


def hf_tokenizer(folder: Path, config: LlamaConfig) -> Tokenizer:
    """The tokenizer of a Hugging Face folder: tokenizer.json, template and tokens from its companions."""
    path = folder / "tokenizer.json"
    where = str(path)
    text = read_text(path, limit=JSON_LIMIT)
    kinds = _types(parse_json(text, path).get("decoder"))
    if "ByteLevel" in kinds:
        to_bytes = _byte_level_bytes
    elif "ByteFallback" in kinds:
        to_bytes = _sentencepiece_bytes
    else:
        raise ModelError("the decoder is neither ByteLevel nor ByteFallback: not a Llama's tokenizer", where=where)
    try:
        backend = optional("tokenizers").Tokenizer.from_str(text)
    except Exception as error:  # the package raises bare Exception for everything it dislikes
        raise ModelError(f"damaged tokenizer: {error}", where=where) from error
    if backend.get_vocab_size() > config.vocab_size:
        raise ModelError(
            f"{backend.get_vocab_size()} tokens; the model's vocabulary has {config.vocab_size}", where=where
        )
    options = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    bos = config.bos_id if config.bos_id is not None else _token_id(backend, options.get("bos_token"))
    named_eos = _token_id(backend, options.get("eos_token"))
    eos = config.eos_ids if config.eos_ids or named_eos is None else (named_eos,)
    if (folder / "generation_config.json").exists():
        generation = folder / "generation_config.json"
        eos += token_ids(read_json(generation).get("eos_token_id"), "eos_token_id", str(generation))
    start = backend.encode("", add_special_tokens=True).ids
    return Tokenizer(
        backend,
        to_bytes=to_bytes,
        bos_id=bos,
        eos_ids=tuple(dict.fromkeys(eos)),
        add_bos=bos is not None and start[:1] == [bos],
        space_prefix="Strip" in kinds,
        template=_hf_template(folder, options),
    )


def _types(node: object) -> set[str]:
    """Every "type" in a tokenizer.json decoder and the decoders it is a sequence of."""
    if not isinstance(node, dict):
        return set()
    inner = node.get("decoders")
    found = {str(node.get("type"))}
    return found.union(*(_types(child) for child in inner)) if isinstance(inner, list) else found


def _token_id(backend: Any, token: object) -> int | None:
    name = token.get("content") if isinstance(token, dict) else token
    return backend.token_to_id(name) if isinstance(name, str) else None


def _hf_template(folder: Path, options: Mapping[str, Any]) -> str | None:
    """chat_template.jinja where there is one, else the entry of tokenizer_config.json."""
    if (folder / "chat_template.jinja").exists():
        return read_text(folder / "chat_template.jinja", limit=1 << 20)
    template = options.get("chat_template")
    if isinstance(template, list):  # several, by name
        named = {t.get("name"): t.get("template") for t in template if isinstance(t, dict)}
        template = named.get("default")
    if template is not None and not isinstance(template, str):
        raise ModelError(
            f"chat_template is {json.dumps(template)[:40]}, not text",
            where=str(folder / "tokenizer_config.json"),
        )
    return template
