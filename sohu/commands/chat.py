"""Talk with a language model whose every tensor operation runs on the emulated chip.

MODEL is a name (smollm2, downloaded once), a .gguf file, a folder in Hugging Face form, or a llama2.c .bin.
Without a prompt, a conversation starts on a terminal (Ctrl-C stops an answer, Ctrl-D ends it, /clear starts
a new one); elsewhere the prompt is read from stdin. The answer is the most likely one, token by token.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Generator, Sequence
from contextlib import closing

from sohu.arguments import Parser, chip, positive
from sohu.emulator import Device
from sohu.isa import DType, SohuError
from sohu.isa.dtypes import DTYPES
from sohu.models import Pretrained, load
from sohu.models.chat import Answer, Conversation
from sohu.models.image import Image, NoImage, image
from sohu.models.llama import LlamaOnChip, Stats
from sohu.models.weights import Source
from sohu.terminal import harmless, working

_POSITIONS = 2048


def main(argv: Sequence[str]) -> int:
    """Run `sohu chat` and give its exit status. Raises SohuError for a model or prompt that will not do."""
    parser = Parser("chat", __doc__)
    parser.add_argument("model", metavar="MODEL", help="smollm2, a .gguf file, a Hugging Face folder, a .bin")
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="what to say; otherwise a conversation")
    parser.add_argument("--raw", action="store_true", help="continue the text itself, without a chat template")
    parser.add_argument("--max-tokens", type=positive, default=256, metavar="N", help="of an answer (256)")
    parser.add_argument("--dtype", choices=("f32", "bf16", "f16"), default="f32", help="of weights and cache (f32)")
    parser.add_argument("--positions", type=positive, metavar="N", help=f"that the cache holds (at most {_POSITIONS})")
    parser.add_argument(
        "--native", action="store_true", help="products of bf16 by a C function, compiled once: quicker"
    )
    parser.add_argument("--low-memory", action="store_true", help="no float32 copies of the weights: slower")
    parser.add_argument("--chip", type=chip, default="sohu", help="configuration, as `sohu chips` lists them (sohu)")
    parser.add_argument("--stats", action="store_true", help="say on stderr what it took")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the text")
    args = parser.parse(argv)
    talk = args.prompt is None and sys.stdin.isatty()
    if talk and (args.json or args.raw):
        parser.error(f"{'--json' if args.json else '--raw'} needs a prompt")
    prompt = args.prompt if args.prompt is not None or talk else _stdin()
    session = _Session(args)
    if prompt is None:
        return session.talk()
    return session.once(prompt)


def _stdin() -> str:
    try:
        text = sys.stdin.read().strip()
    except UnicodeDecodeError as error:
        raise SohuError(f"stdin is not text: {error}") from None
    if not text:
        raise SohuError("the prompt on stdin is empty", help='sohu chat MODEL "The capital of France is"')
    return text


class _Session:
    """A model on a chip, and how its answers are shown."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        with working(f"reading {args.model}"):
            pretrained: Pretrained = load(args.model)
        self.tokenizer = pretrained.tokenizer
        if self.tokenizer.template is None and not args.raw:
            raise SohuError(f"{args.model} has no chat template", help="with --raw it continues a text as it stands")
        dtype = DTYPES[args.dtype]
        positions = args.positions or min(pretrained.config.max_positions, _POSITIONS)
        with working(f"converting the weights to {dtype} (once)"):
            weights = self._weights(pretrained.source, dtype)
        with working("compiling the kernels"):
            device = Device(args.chip, low_memory=args.low_memory, native=args.native)
            self.model = LlamaOnChip(weights, device, dtype, positions)
        self.chat = Conversation(self.model, self.tokenizer)

    @staticmethod
    def _weights(source: Source, dtype: DType) -> Image | Source:
        """The weights' image; without a place for one, they are converted as they are copied to the chip."""
        try:
            return image(source, dtype)
        except NoImage as error:
            print(f"sohu: the weights are converted at each start: {error}", file=sys.stderr)
            return source

    def once(self, prompt: str) -> int:
        """Answer one prompt."""
        if self.args.raw:
            answer = Answer(self.model, self.tokenizer, self.tokenizer.encode(prompt), self.args.max_tokens)
            self._show(iter(answer))
        else:
            answer = self._ask(prompt)
        if self.args.json:
            print(json.dumps(self._record(prompt, answer), ensure_ascii=False))
        self._report(answer)
        return 0

    def talk(self) -> int:
        """Converse until Ctrl-D."""
        from prompt_toolkit import PromptSession  # slow to import, and only a conversation wants it

        line: PromptSession[str] = PromptSession("> ")
        while True:
            try:
                text = line.prompt().strip()
                if text == "/clear":
                    self.chat.clear()
                elif text:
                    self._report(self._ask(text))
            except EOFError:
                return 0
            except KeyboardInterrupt:
                continue  # the answer, or the line being typed, is given up
            except SohuError as error:
                print(f"sohu: {error}", file=sys.stderr)

    def _ask(self, text: str) -> Answer:
        self._show(self.chat.ask(text, self.args.max_tokens))
        assert self.chat.last is not None
        return self.chat.last

    def _report(self, answer: Answer) -> None:
        if self.args.stats:
            print(_stats(answer, self.model.stats), file=sys.stderr)

    def _show(self, pieces: Generator[str, None, None]) -> None:
        """Print the pieces as they come; with --json only go through them."""
        self.model.stats = Stats()
        with closing(pieces):
            with working("reading the prompt"):
                first = next(pieces, "")
            try:
                self._print(first)
                for piece in pieces:
                    self._print(piece)
            finally:
                self._print("\n")

    def _print(self, text: str) -> None:
        if not self.args.json:
            print(harmless(text), end="", flush=True)

    def _record(self, prompt: str, answer: Answer) -> dict[str, object]:
        stats = self.model.stats
        return {
            "model": self.args.model,
            "dtype": self.args.dtype,
            "chip": self.args.chip.name,
            "prompt": prompt,
            "answer": answer.text,
            "finish": answer.finish,
            "prompt_tokens": len(answer.prompt),
            "tokens": answer.tokens,
            "prompt_seconds": round(answer.prompt_seconds, 4),
            "decode_seconds": round(answer.seconds, 4),
            "decode_steps": answer.steps,
            "launches": stats.launches,
            "instructions": stats.instructions,
        }


def _stats(answer: Answer, stats: Stats) -> str:
    """What an answer took, in one line."""
    speed = f" ({answer.steps / answer.seconds:.1f} tokens/s)" if answer.steps else ""
    return (
        f"prompt of {len(answer.prompt)} tokens: {answer.prompt_seconds:.2f} s; "
        f"{answer.steps} more steps: {answer.seconds:.2f} s{speed}; "
        f"{stats.launches:,} launches, {stats.instructions:,} instructions"
    )
