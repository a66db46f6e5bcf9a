"""Tokenizers: llama.cpp's ids, round trips, streams, chat templates, and what damaged ones say."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from sohu.models import ModelError, Pretrained, Tokenizer
from sohu.models.chat_template import render
from sohu.models.gguf_file import GgufFile
from sohu.models.hf_folder import hf_config
from sohu.models.tokenizer import gguf_tokenizer, hf_tokenizer

LLAMA_CPP = json.loads((Path(__file__).parent / "data" / "llama_cpp.json").read_text(encoding="utf-8"))
USER = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def tiny_tokenizer(write_gguf: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return gguf_tokenizer(GgufFile(write_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf")))


@pytest.fixture(scope="module")
def smollm2_tokenizer(smollm2: Pretrained) -> Tokenizer:
    return smollm2.tokenizer


@pytest.fixture(scope="module")
def stories_tokenizer(stories: Pretrained) -> Tokenizer:
    return stories.tokenizer


@pytest.mark.parametrize("text", LLAMA_CPP["smollm2"]["ids"])
def test_smollm2_ids_are_llama_cpps(smollm2: Pretrained, text: str) -> None:
    ids = smollm2.tokenizer.encode(text)
    assert ids == LLAMA_CPP["smollm2"]["ids"][text]
    assert smollm2.tokenizer.decode(ids) == text


@pytest.mark.parametrize("text", LLAMA_CPP["stories260K"]["ids"])
def test_stories260k_ids_are_llama_cpps(stories: Pretrained, text: str) -> None:
    ids = stories.tokenizer.encode(text)
    assert ids == LLAMA_CPP["stories260K"]["ids"][text]
    assert stories.tokenizer.decode(ids, special=False) == text


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.text("aé 9\n\t'🙂<|>", max_size=40)


def check_round_trip(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text, special=False, bos=False)
    assert tokenizer.decode(ids) == text
    stream = tokenizer.stream()
    parts = [stream.push(i) for i in ids]
    assert "".join(parts) == text, "every character is out by the time its last token is in"
    assert stream.finish() == ""


@given(text=TEXTS)
def test_any_text_survives_byte_level(tiny_tokenizer: Tokenizer, text: str) -> None:
    check_round_trip(tiny_tokenizer, text)


# SmolLM2 has no token for some control characters and for the first byte of the last planes.
@given(text=TEXTS.filter(lambda text: all(c >= " " for c in text) and max(text, default="") < "\U00040000"))
@settings(max_examples=50)
def test_any_text_survives_smollm2(smollm2_tokenizer: Tokenizer, text: str) -> None:
    check_round_trip(smollm2_tokenizer, text)


@given(text=TEXTS.filter(lambda text: "\u2581" not in text))  # SentencePiece reads its own mark as a space
def test_any_text_survives_sentencepiece(stories_tokenizer: Tokenizer, text: str) -> None:
    check_round_trip(stories_tokenizer, text)


def test_a_stream_never_shows_half_a_character(tiny_tokenizer: Tokenizer) -> None:
    ids = [tiny_tokenizer.encode(char)[0] for char in "ab"]
    first, *rest = tiny_tokenizer.encode("\U0001f680")
    assert rest, "this character takes several tokens"
    stream = tiny_tokenizer.stream()
    shown = [stream.push(i) for i in (ids[0], first, *rest, ids[1])]
    assert shown == ["a", *[""] * len(rest), "\U0001f680", "b"]
    assert tiny_tokenizer.decode([ids[0], first]) == "a\ufffd"
    # A control token ends what was unfinished.
    assert tiny_tokenizer.decode([ids[0], first, 1, ids[1]]) == "a\ufffd<|user|>b"


def test_sentencepiece_drops_only_the_space_it_added(stories: Pretrained) -> None:
    tokenizer = stories.tokenizer
    ids = tokenizer.encode("a b", bos=False)
    assert tokenizer.decode(ids) == "a b"
    assert tokenizer.decode(ids, after=tokenizer.encode("x")) == " a b"
    assert tokenizer.decode(tokenizer.encode("  a")) == "<s>  a"


def test_control_tokens_in_a_text(smollm2: Pretrained) -> None:
    tokenizer = smollm2.tokenizer
    text = "<|im_start|>x<|im_end|>"
    assert tokenizer.encode(text) == [1, 104, 2]
    plain = tokenizer.encode(text, special=False)
    assert not set(plain) & tokenizer.special_ids
    assert tokenizer.decode(plain) == text
    assert tokenizer.encode(text) == [1, 104, 2], "one call's choice does not stick"
    assert tokenizer.decode([1, 104, 2], special=False) == "x"


def test_what_smollm2s_file_says(smollm2: Pretrained) -> None:
    tokenizer = smollm2.tokenizer
    assert (tokenizer.vocab_size, tokenizer.bos_id, tokenizer.eos_ids) == (49152, 1, (2,))
    assert tokenizer.stop_ids == {0, 2}  # <|endoftext|>, <|im_end|>
    assert not tokenizer.add_bos
    assert tokenizer.encode("x", bos=True) == [1, 104]


def test_smollm2s_chat_form(smollm2: Pretrained) -> None:
    system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    assert smollm2.tokenizer.chat_text(USER) == (
        f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    talk = [{"role": "system", "content": "Be brief."}, *USER, {"role": "assistant", "content": "Hello"}]
    text = smollm2.tokenizer.chat_text(talk, add_generation_prompt=False)
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nHello<|im_end|>\n"
    )
    ids = smollm2.tokenizer.encode_chat(USER)
    assert ids[0] == 1
    assert ids.count(1) == 3, "<|im_start|> once for each message, and not once more as beginning of text"


DOUBLING = "{{% set n = namespace(s='a') %}}{{% for i in range(40) %}}{{% set n.s = n.s {} n.s %}}{{% endfor %}}"


def test_a_template_sees_the_models_tokens(tiny_tokenizer: Tokenizer) -> None:
    assert tiny_tokenizer.chat_text(USER) == "<|endoftext|><|user|>Hi\n<|assistant|>"
    assert tiny_tokenizer.encode_chat(USER)[:2] == [0, 1]
    assert tiny_tokenizer.stop_ids == {0}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('roles must alternate') }}", "refused: roles must alternate"),
        ("{{ raise_exception('two\nlines' ~ range(99) | join) }}", "refused: two lines0123"),
        ("{% for", "refused: unexpected 'end of template'"),
        ("{{ messages[9].content }}", "refused: list object has no element 9"),
        ("{{ messages.append(1) }}", "refused: .*append.* is unsafe"),
        ("{{ ''.__class__.__mro__ }}", "refused: .*__class__.* unsafe"),
        ("{{ cycler.__init__.__globals__ }}", "refused: .*__init__.* unsafe"),
        ("{% include '/etc/passwd' %}", "failed: TypeError: no loader"),
        ("{{ 'x' * 9999999999 }}", "refused: '.' is only for small numbers"),
        ("{{ 9 ** 9999 }}", "refused: '.*' is only for small numbers"),
        ("{{ '%99999999d' % 1 }}", "refused: '%' is only for small numbers"),
        ("{% for i in range(10 * 1000000) %}{% endfor %}", "failed: OverflowError: Range too big"),
        ("{% for i in range(99999) %}" + "x" * 1000 + "{% endfor %}", "runs away"),
        ("x" * 70000, "70,000 characters"),
        ("{{ 1 / 0 }}", "failed: ZeroDivisionError"),
        ("{{ messages[0].content + 1 }}", "failed: TypeError"),
        ("{{ 'a'.ljust(3000000000) }}", "runs away: it takes more than 512 MiB"),
        ("{{ 'a' | center(3000000000) }}", "runs away: it takes more than 512 MiB"),
        ("{{ '{:3000000000}'.format(1) }}", "runs away: it takes more than 512 MiB"),
        (DOUBLING.format("~"), "runs away: it takes more than 512 MiB"),
        (DOUBLING.format("+"), "runs away: it takes more than 512 MiB"),
        ("{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3, "runs away: it was stopped"),
    ],
)
def test_a_bad_template_is_one_line(template: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as raised:
        render(template, USER, add_generation_prompt=True)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 200


def test_a_template_may_hold_any_text() -> None:
    names = {"eos_token": "\ud800\U0001f600\0"}
    text = render("é{{ eos_token }}{{ messages | length }}", USER, add_generation_prompt=False, **names)
    assert text == "é\ud800\U0001f600\x001"


def test_a_template_can_do_arithmetic_and_json() -> None:
    template = "{{ 7 % 3 }} {{ 2 * 3 }} {{ 2 ** 5 }} {{ {'a': 'é<'} | tojson }}"
    assert render(template, USER, add_generation_prompt=False) == '1 6 32 {"a": "é<"}'


def test_mistakes_with_a_tokenizer_are_one_line(stories: Pretrained, tiny_tokenizer: Tokenizer) -> None:
    for call, message in (
        (lambda: stories.tokenizer.chat_text(USER), "no chat template"),
        (lambda: tiny_tokenizer.decode([5, 320]), "token 320 is outside the vocabulary of 320"),
        (lambda: tiny_tokenizer.decode([-1]), "token -1 is outside"),
        (lambda: tiny_tokenizer.encode("a\ud800"), "not valid Unicode"),
        (lambda: tiny_tokenizer.chat_text([{"role": "user"}]), "needs 'role' and 'content'"),
        (lambda: tiny_tokenizer.chat_text([{"role": "tool", "content": ""}]), "no tools"),
    ):
        with pytest.raises(ModelError, match=message):
            call()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer.ggml.model": "bert"}, "tokenizer model 'bert' is not known"),
        ({"tokenizer.ggml.pre": "qwen2"}, "pre-tokenizer 'qwen2' is not known"),
        ({"tokenizer.ggml.tokens": None}, "'tokenizer.ggml.tokens' is missing"),
        ({"tokenizer.ggml.tokens": ["a"] * 320}, "token 'a' twice"),
        ({"tokenizer.ggml.tokens": 7}, "'tokenizer.ggml.tokens' is not an array of strings"),
        ({"tokenizer.ggml.token_type": [1]}, "320 tokens, 1 token types"),
        ({"tokenizer.ggml.merges": ["ab"]}, "merge 'ab' is no pair"),
        ({"tokenizer.ggml.merges": ["nothere norhere"]}, "damaged tokenizer: .*out of vocabulary"),
        ({"tokenizer.ggml.eos_token_id": 320}, "special token 320 is outside the vocabulary"),
        ({"tokenizer.ggml.model": "llama"}, "'tokenizer.ggml.scores' is missing"),
        ({"tokenizer.ggml.model": "llama", "tokenizer.ggml.scores": [1.0]}, "scores do not match"),
        ({"tokenizer.chat_template": 3}, "'tokenizer.chat_template' is not text"),
    ],
)
def test_a_bad_vocabulary_is_one_line(
    write_gguf: Callable[..., Path], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = write_gguf(tmp_path / "bad.gguf", changes)
    with pytest.raises(ModelError, match=message) as raised:
        gguf_tokenizer(GgufFile(path))
    assert raised.value.where == str(path)


def test_pre_tokenizers_cut_as_their_models_do(write_gguf: Callable[..., Path], tmp_path: Path) -> None:
    def pieces(name: str, text: str) -> list[str]:
        path = write_gguf(tmp_path / f"{name}.gguf", {"tokenizer.ggml.pre": name})
        tokenizer = gguf_tokenizer(GgufFile(path))
        cut = tokenizer._backend.pre_tokenizer.pre_tokenize_str(text)
        return [piece.replace("Ġ", " ").replace("Ċ", "\n") for piece, _ in cut]

    text = "it's 12345\n\n x"
    assert pieces("gpt-2", text) == ["it", "'s", " 12345", "\n\n", " x"]
    assert pieces("smollm", text) == ["it", "'s", " ", "1", "2", "3", "4", "5", "\n\n", " x"]
    assert pieces("llama-bpe", text) == ["it", "'s", " ", "123", "45", "\n\n", " x"]


def test_a_hugging_face_tokenizer_gives_the_same_ids(
    write_hf: Callable[..., Path], tmp_path: Path, tiny_tokenizer: Tokenizer
) -> None:
    folder = write_hf(tmp_path)
    tokenizer = hf_tokenizer(folder, hf_config(folder))
    text = "<|user|>the lazy café 東京 12\n"
    assert tokenizer.encode(text) == tiny_tokenizer.encode(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.chat_text(USER) == tiny_tokenizer.chat_text(USER)
    assert (tokenizer.bos_id, tokenizer.eos_ids, tokenizer.stop_ids) == (0, (0,), {0})


def test_smollm2s_vocabulary_as_a_hugging_face_tokenizer(
    smollm2: Pretrained, write_hf: Callable[..., Path], tmp_path: Path
) -> None:
    folder = write_hf(tmp_path, {"vocab_size": 49152})
    backend = tokenizers.Tokenizer.from_str(smollm2.tokenizer._backend.to_str())
    backend.decoder = tokenizers.decoders.ByteLevel()
    (folder / "tokenizer.json").write_text(backend.to_str(), encoding="utf-8")
    tokenizer = hf_tokenizer(folder, hf_config(folder))
    for text, ids in LLAMA_CPP["smollm2"]["ids"].items():
        assert tokenizer.encode(text) == ids
        assert tokenizer.decode(ids) == text == backend.decode(ids, skip_special_tokens=False)


def test_companions_of_tokenizer_json(write_hf: Callable[..., Path], tmp_path: Path) -> None:
    folder = write_hf(tmp_path, {"bos_token_id": None, "eos_token_id": None})
    options = {"bos_token": {"content": "<|user|>"}, "eos_token": "<|endoftext|>"}
    options["chat_template"] = [{"name": "tools", "template": "no"}, {"name": "default", "template": "yes"}]
    (folder / "tokenizer_config.json").write_text(json.dumps(options))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 1]}))
    tokenizer = hf_tokenizer(folder, hf_config(folder))
    assert (tokenizer.bos_id, tokenizer.eos_ids) == (1, (0, 1))
    assert tokenizer.chat_text(USER) == "yes"
    (folder / "chat_template.jinja").write_text("its own file")
    assert hf_tokenizer(folder, hf_config(folder)).chat_text(USER) == "its own file"

    # A post-processor that puts a token first is how tokenizer.json asks for it.
    description = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    start = {"SpecialToken": {"id": "<|user|>", "type_id": 0}}
    description["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [start, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [start, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|user|>": {"id": "<|user|>", "ids": [1], "tokens": ["<|user|>"]}},
    }
    (folder / "tokenizer.json").write_text(json.dumps(description))
    tokenizer = hf_tokenizer(folder, hf_config(folder))
    assert tokenizer.add_bos
    assert tokenizer.encode("<|endoftext|>") == [1, 0]
    assert tokenizer.encode("<|endoftext|>", bos=False) == [0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON: Expecting value"),
        ("[]", "not a JSON object"),
        ("{}", "neither ByteLevel nor ByteFallback"),
        ('{"decoder": {"type": "WordPiece"}}', "neither ByteLevel nor ByteFallback"),
        ('{"decoder": {"type": "ByteLevel"}}', "damaged tokenizer"),
        ("[" * 100_000, "nested too deep"),
        ('{"decoder": ' + "9" * 5000 + "}", "not JSON that can be read"),
    ],
)
def test_a_bad_tokenizer_json_is_one_line(
    write_hf: Callable[..., Path], tmp_path: Path, content: str, message: str
) -> None:
    folder = write_hf(tmp_path)
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        hf_tokenizer(folder, hf_config(folder))
