"""Talking with a model: answers, conversations that keep the cache, and the command in all its forms."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from sohu.isa import f32
from sohu.models import ModelError, Pretrained, load, reference
from sohu.models.chat import Answer, Conversation
from sohu.models.llama import LlamaOnChip

from sohu.terminal import harmless
from tests.front.conftest import BIN, TEMPLATE, Run, environment

QUESTION = "which chip hums?"
PROMPT = re.escape("\x1b[?2004h")  # bracketed paste on: a line is being asked for


@pytest.fixture(scope="module")
def small(small_model: Path) -> Pretrained:
    return load(small_model)


@pytest.fixture(scope="module")
def chip(small: Pretrained) -> LlamaOnChip:
    return LlamaOnChip(small.checkpoint, dtype=f32, max_positions=160)


def expected(small: Pretrained, prompt: list[int], count: int) -> list[int]:
    """What the plain NumPy model answers."""
    stop = small.tokenizer.stop_ids
    return list(reference.generate(small.checkpoint, prompt, count, stop=stop))


def test_an_answer_is_the_references(small: Pretrained, chip: LlamaOnChip) -> None:
    prompt = small.tokenizer.encode("the kernel waits")
    chip.reset()
    answer = Answer(chip, small.tokenizer, prompt, 20)
    pieces = list(answer)
    assert answer.tokens == expected(small, prompt, 20)
    assert "".join(pieces) == answer.text == small.tokenizer.decode(answer.tokens, special=False, after=prompt)
    assert answer.finish == ("length" if len(answer.tokens) == 20 else "stop")
    assert answer.prompt_seconds > 0 and answer.seconds > 0


def test_it_ends_before_a_stop_token(small: Pretrained, chip: LlamaOnChip, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = small.tokenizer.encode("tile")
    whole = expected(small, prompt, 12)
    third = whole[3]
    monkeypatch.setattr(small.tokenizer, "stop_ids", frozenset({third}))
    chip.reset()
    answer = Answer(chip, small.tokenizer, prompt, 12)
    list(answer)
    assert answer.tokens == whole[: whole.index(third)]
    assert answer.finish == "stop"


def test_it_ends_when_the_cache_is_full(small: Pretrained) -> None:
    prompt = small.tokenizer.encode("tile")
    tight = LlamaOnChip(small.checkpoint, max_positions=len(prompt) + 2)
    answer = Answer(tight, small.tokenizer, prompt, 100)
    list(answer)
    assert answer.finish == "length"
    assert answer.tokens == expected(small, prompt, 3)
    assert tight.position == tight.max_positions


def test_a_conversation_runs_only_what_is_new_and_answers_as_if_all_were(small: Pretrained, chip: LlamaOnChip) -> None:
    talk = Conversation(chip, small.tokenizer)
    said = []
    for question in ("a chip", "the tile", "and the kernel?"):
        text = "".join(talk.ask(question, 6))
        assert talk.last is not None
        whole = small.tokenizer.encode_chat([*said, {"role": "user", "content": question}])
        assert talk.last.tokens == expected(small, whole, 6)
        said = [*talk.messages]
        assert said[-1] == {"role": "assistant", "content": text}
    assert len(said) == 6


def test_what_the_cache_holds_is_not_run_again(small: Pretrained, chip: LlamaOnChip) -> None:
    talk = Conversation(chip, small.tokenizer)
    "".join(talk.ask("a chip", 1))
    first = talk.last
    assert first is not None
    # an answer of one token whose text is encoded as that token: all of it is found again
    again = small.tokenizer.encode_chat([*talk.messages, {"role": "user", "content": "x"}])
    "".join(talk.ask("x", 1))
    assert talk.last is not None
    if again[: len(first.prompt)] == first.prompt:
        assert len(talk.last.prompt) == len(again) - len(first.prompt)
    talk.clear()
    assert talk.messages == [] and chip.position == 0


def test_an_answer_given_up_stays_and_the_next_one_is_right(small: Pretrained, chip: LlamaOnChip) -> None:
    talk = Conversation(chip, small.tokenizer)
    pieces = talk.ask("the tile", 30)
    next(pieces)
    pieces.close()
    assert talk.last is not None and talk.last.finish == "interrupted"
    assert talk.messages[-1] == {"role": "assistant", "content": talk.last.text}
    whole = small.tokenizer.encode_chat([*talk.messages, {"role": "user", "content": "go on"}])
    "".join(talk.ask("go on", 5))
    assert talk.last.tokens == expected(small, whole, 5)


def test_a_conversation_too_long_is_refused_and_not_kept(small: Pretrained, chip: LlamaOnChip) -> None:
    talk = Conversation(chip, small.tokenizer)
    with pytest.raises(ModelError, match="the cache holds 160"):
        list(talk.ask("tile " * 400, 5))
    assert talk.messages == []


# -- the command ---------------------------------------------------------------------------------


def test_one_answer_as_text_and_as_json(run: Run, small_model: Path, small: Pretrained) -> None:
    options = ["--max-tokens", "8"]
    text = run("sohu", "chat", small_model, QUESTION, *options, "--stats")
    record = json.loads(run("sohu", "chat", small_model, QUESTION, *options, "--json").stdout)
    prompt = small.tokenizer.encode_chat([{"role": "user", "content": QUESTION}])
    assert record["tokens"] == expected(small, prompt, 8)
    assert text.stdout == record["answer"] + "\n"
    assert record["prompt_tokens"] == len(prompt) and record["finish"] in ("stop", "length")
    assert text.stderr.startswith(f"prompt of {len(prompt)} tokens: ")
    assert text.stderr.endswith(f" launches, {record['instructions']:,} instructions\n")


def test_raw_text_from_stdin_in_bfloat16_on_the_small_chip(run: Run, small_model: Path) -> None:
    words = ["--raw", "--max-tokens", "4", "--json", "--dtype", "bf16", "--chip", "small"]
    done = run("sohu", "chat", small_model, *words, input="the tile\n")
    record = json.loads(done.stdout)
    assert (record["prompt"], record["dtype"], record["chip"]) == ("the tile", "bf16", "small")
    assert len(record["tokens"]) <= 4


@pytest.mark.parametrize(
    ("words", "given", "message", "status"),
    [
        ([], "  \n", "the prompt on stdin is empty", 1),
        (["x " * 300], "", "the cache holds 160", 1),
        (["hi", "--positions", "1000"], "", "this model has 1 to 160", 1),
        (["hi", "--dtype", "f23"], "", "invalid choice: 'f23'", 2),
    ],
)
def test_what_cannot_be_answered(
    words: list[str], given: str, message: str, status: int, run: Run, small_model: Path
) -> None:
    done = run("sohu", "chat", small_model, *words, input=given)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr


def test_a_model_without_a_template_says_raw(run: Run, small_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    for path in small_model.iterdir():
        if path.name != "tokenizer_config.json":
            (folder / path.name).write_bytes(path.read_bytes())
    assert TEMPLATE  # what is missing now
    done = run("sohu", "chat", "plain", "hi")
    assert done.returncode == 1
    assert "has no chat template" in done.stderr and "--raw" in done.stderr
    assert run("sohu", "chat", "plain", "hi", "--raw", "--max-tokens", "2").returncode == 0


def test_a_conversation_on_a_terminal(small_model: Path, small: Pretrained) -> None:
    """Two questions, Ctrl-C in the middle of an answer, /clear, and Ctrl-D."""
    env = environment(TERM="xterm", PROMPT_TOOLKIT_NO_CPR="1")
    words = ["chat", str(small_model), "--max-tokens", "100000", "--positions", "160"]
    terminal = pexpect.spawn(str(BIN / "sohu"), words, env=env, encoding="utf-8", timeout=60, dimensions=(30, 200))
    try:
        terminal.expect(PROMPT)
        terminal.sendline("hello")
        terminal.expect(PROMPT)
        terminal.sendline("a chip")
        terminal.sendintr()
        terminal.expect(PROMPT)
        terminal.sendline("/clear")
        terminal.expect(PROMPT)
        terminal.sendline("tile " * 400)
        terminal.expect("the cache holds 160")
        terminal.expect(PROMPT)
        terminal.sendeof()
        terminal.expect(pexpect.EOF)
    finally:
        terminal.close()
    assert terminal.exitstatus == 0
    assert "Traceback" not in (terminal.before or "")


def test_ctrl_c_ends_the_line_of_an_answer_and_exits_with_130(small_model: Path) -> None:
    words = [BIN / "sohu", "chat", str(small_model), "hello", "--positions", "160", "--max-tokens", "160"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, env=environment(), **pipes) as process:
        assert process.stdout is not None
        began = process.stdout.read(1)  # it has begun to answer
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, b"")
    assert (began + rest).endswith(b"\n")


def test_escape_sequences_of_a_model_do_not_reach_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "red \x1b[31m\tnaïve\n"
    assert harmless(text) == text  # into a file it goes as it is
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert harmless(text) == "red \N{REPLACEMENT CHARACTER}[31m\tnaïve\n"
