"""The whole road on one screen: a kernel from Python to its binary, the debugger in it, a model's answer.

`make demo` runs this. All files it makes are left in ./demo-out. When the model cannot be fetched, the demo
says so and goes on; with --require-model its exit status is 1 then.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from types import ModuleType

import numpy as np
from rich.console import Console
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

from sohu.asm import read_elf
from sohu.asm.lexer import SohuLexer
from sohu.dsl import CompiledKernel, Kernel
from sohu.dsl.kernel import default_device
from sohu.files import write
from sohu.isa import SohuError
from sohu.terminal import harmless, working

PROMPT = "The capital of France is"
QUESTION = "What is the capital of France?"
MAX_TOKENS = 32
SHAPE = (300, 70)  # two whole blocks of rows, and a short one

_WIDTH = 110


class Demo:
    """The parts of the demonstration, in order. Everything is printed on `console`, files go to `folder`."""

    def __init__(self, console: Console, folder: Path) -> None:
        self.console = console
        self.folder = folder
        self.part = 0

    def title(self, text: str, note: str = "") -> None:
        """Begin the next part."""
        self.part += 1
        self.console.print()
        self.console.print(Rule(f"[bold]{self.part}. {text}[/bold]", align="left", style="cyan"))
        if note:
            self.say(note)

    def say(self, text: str) -> None:
        """A remark."""
        self.console.print(Text(text, style="italic"), soft_wrap=True)

    def code(self, text: str, lexer: str | SohuLexer) -> None:
        """Text with colours, as it is: nothing is wrapped."""
        syntax = Syntax("", lexer, theme="ansi_dark")
        self.console.print(syntax.highlight(text.rstrip("\n")), soft_wrap=True, end="")

    def command(self, words: Sequence[str], shown: str = "") -> None:
        """Run a command of ours or the system's, with its output. Raises SohuError when it fails."""
        self.console.print(Text(f"$ {shown or shlex.join(words)}", style="bold green"), soft_wrap=True)
        with working("running"):
            done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=False)
        self.console.print(Text.from_ansi(done.stdout.rstrip()), soft_wrap=True)
        if done.returncode:
            raise SohuError(f"{words[0]} failed: {done.stderr.strip()}")

    # -- the parts ------------------------------------------------------------------------------

    def kernel(self, module: ModuleType, kernel: Kernel) -> CompiledKernel:
        """Python, IR, assembly and binary of a kernel."""
        path = Path(module.__file__ or "")
        source, first = function_source(path, kernel.name)
        self.title("A kernel is a Python function", f"{path.name}:{first}, from the kernel library")
        self.code(source, "python")

        x = np.random.default_rng(0).normal(0, 3, SHAPE).astype(np.float32)
        np.save(self.folder / "x.npy", x)
        with working("compiling"):
            compiled = kernel.compile(x)
        write(self.folder / f"{kernel.name}.ir", compiled.ir)
        write(self.folder / f"{kernel.name}.s", compiled.asm)
        write(self.folder / f"{kernel.name}.elf", compiled.elf)
        self.title(
            "Its IR",
            f"SSA; sizes of tiles are values, so one binary serves all lengths. Compiled in "
            f"{compiled.seconds * 1e3:.0f} ms, all the way to the binary.",
        )
        self.code(compiled.ir, "text")
        self.title(
            "Its assembly",
            "Each instruction carries what it waits for and what it signals; the compiler put that there.\n"
            f"The loop, and above it the tiles; the whole of it is in {self.folder.name}/{kernel.name}.s",
        )
        self.code(excerpt(compiled.asm), SohuLexer())
        return compiled

    def binary(self, name: str) -> None:
        """What other people's tools say about the binary."""
        self.title("Its binary", "An ELF file with a symbol table and DWARF line numbers, as any other.")
        elf = self.folder / f"{name}.elf"
        if shutil.which("readelf"):
            self.command(["readelf", "-h", elf.name])
        else:
            program = read_elf(elf.read_bytes(), elf.name)
            for kernel in program.kernels.values():
                self.say(f"(no readelf here) {elf.name}: {len(program)} instructions, kernel {kernel.name}")

    def run(self, module: ModuleType, kernel: Kernel) -> None:
        """The result on the emulated chip beside NumPy's."""
        self.title("It runs", f"y = {kernel.name}(x), x float32 {list(SHAPE)}: the last block of rows is a short one.")
        x = np.load(self.folder / "x.npy")
        y, want = kernel(x), getattr(module, f"{kernel.name}_reference")(x)
        machine = default_device().machine
        self.console.print(
            f"{machine.instructions} instructions; largest difference to NumPy {abs(y - want).max():.2g}"
        )

    def debug(self, module: ModuleType, kernel: Kernel) -> None:
        """A scripted debugger session that stops inside the kernel, on a line of Python."""
        path = Path(module.__file__ or "")
        source, first = function_source(path, kernel.name)
        line = first + next(i for i, text in enumerate(source.splitlines()) if " exp(" in text)
        self.title("The debugger", f"It stops on line {line} of the Python source, where t is a tile in SRAM.")
        script = [f"break {path.name}:{line}", "run", "print t[0:4, 0:5]", "next", "print e[0:4, 0:5]", "info tiles"]
        words = ["-batch", f"{kernel.name}.elf", "--arg", "x=x.npy"]
        words += [word for command in script for word in ("-ex", command)]
        debugger = [sys.executable, "-c", "import sys; from sohu.debugger.cli import main; sys.exit(main())"]
        self.command([*debugger, *words], shown=shlex.join(["sohu-dbg", *words]))

    def model(self) -> None:
        """A language model on the chip, token by token. Raises SohuError when it cannot be had."""
        from sohu.models import load
        from sohu.models.chat import Answer, Conversation
        from sohu.models.llama import LlamaOnChip

        self.title(
            "A language model", "SmolLM2-135M-Instruct: every tensor operation is a kernel on the emulated chip."
        )
        pretrained = load("smollm2")  # shows its own progress
        tokenizer = pretrained.tokenizer
        with working("copying 135 million weights to the chip, compiling the kernels"):
            model = LlamaOnChip(pretrained.checkpoint, max_positions=256)
        answer = Answer(model, tokenizer, tokenizer.encode(PROMPT), MAX_TOKENS)
        self.console.print(Text(PROMPT, style="bold"))
        began = time.perf_counter()
        pieces = iter(answer)
        while True:
            with working("running the layers"):
                piece = next(pieces, None)
            if piece is None or piece.isspace():
                break
            now = time.perf_counter()
            self.console.print(f"  token {answer.tokens[-1]:5}  {piece!r:12} after {now - began:.2f} s", markup=False)
            began = now
            if piece.strip().endswith("."):
                break
        pieces.close()
        self.console.print(Text(f"{PROMPT}{harmless(answer.text).rstrip()}", style="bold"))

        self.console.print()
        self.console.print(Text(f"> {QUESTION}", style="bold"))
        chat = Conversation(model, tokenizer)
        spoken = chat.ask(QUESTION, MAX_TOKENS)
        with working("reading the prompt"):
            first = next(spoken, "")
        for piece in chain([first], spoken):
            self.console.print(harmless(piece), end="", markup=False)
        self.console.print()
        assert chat.last is not None
        speed = chat.last.steps / chat.last.seconds if chat.last.steps else 0.0
        stats = model.stats
        self.say(
            f"{speed:.1f} tokens/s; in all {stats.launches:,} kernel launches, {stats.instructions:,} instructions, "
            f"{stats.seconds:.1f} s"
        )


def function_source(path: Path, name: str) -> tuple[str, int]:
    """A function of a Python file with its decorators, and its first line."""
    text = path.read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno]), first
    raise SohuError(f"{path} has no function {name}")


def excerpt(asm: str) -> str:
    """The declarations of a kernel's assembly and its outermost loop."""
    lines = asm.splitlines()
    declared = [i for i, line in enumerate(lines) if line.split()[:1] in ([".param"], [".tile"])]
    loop = next(i for i, line in enumerate(lines) if line.split()[:1] == ["loop"])
    return "\n".join([*lines[declared[0] - 1 : declared[-1] + 1], "        ...", *lines[loop:]])


def show(demo: Demo, *, with_model: bool) -> SohuError | None:
    """Run all parts; gives why the model's part could not be shown. Raises SohuError for anything else."""
    module = importlib.import_module("sohu.dsl.kernels.softmax")
    kernel: Kernel = module.softmax
    demo.kernel(module, kernel)
    demo.binary(kernel.name)
    demo.run(module, kernel)
    demo.debug(module, kernel)
    if with_model:
        try:
            demo.model()
        except SohuError as error:
            demo.console.print(Text(f"This part is left out: {error}", style="bold red"), soft_wrap=True)
            return error
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration and give its exit status."""
    parser = argparse.ArgumentParser(prog="sohu.demo", description=__doc__, allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="where files go (demo-out)")
    parser.add_argument("--no-model", action="store_true", help="leave the language model out")
    parser.add_argument("--require-model", action="store_true", help="fail when the model cannot be had")
    args = parser.parse_args(argv)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    began = time.perf_counter()
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        missing = show(Demo(console, args.out), with_model=not args.no_model)
    except SohuError as error:
        print(f"sohu.demo: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"sohu.demo: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    console.print()
    console.print(f"{time.perf_counter() - began:.0f} s. All files are in {args.out}/. Next: docs/tutorial.md")
    return 1 if missing is not None and args.require_model else 0


if __name__ == "__main__":
    sys.exit(main())
