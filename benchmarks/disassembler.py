"""How long a million instructions take to become text, beside llvm-objdump, and to become arrays."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from sohu.asm import Program, assemble, write_elf
from sohu.asm.lines import Lines
from sohu.isa import ROWS
from sohu.isa.sample import random_words
from sohu.isa.vector import decode_all

from benchmarks import sources
from benchmarks.measure import Table, interleaved


def programs(count: int) -> dict[str, Program]:
    """What a compiler might have written in so many lines, with and without source places; and as many instructions
    of all rows, at random."""
    program = assemble(sources.sohu(count), "a.s")
    code = random_words(list(ROWS), len(program), np.random.default_rng(1))
    return {
        "random code, to text": Program(code),
        "a program, to text": replace(program, lines=Lines()),
        "with source places": program,
    }


def run(*, quick: bool) -> Iterator[Table]:
    """One table: seconds of both, and how many times llvm-objdump's that is."""
    count = 10_000 if quick else 1_000_000
    table = Table(
        f"code of {count:,} lines, beside llvm-objdump -d of as many lines of RISC-V",
        ["sohu (s)", "llvm (s)", "sohu/llvm", "llvm/sohu"],
    )
    contenders: dict[str, Callable[[], object]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for i, (name, program) in enumerate(programs(count).items()):
            file = folder / f"{i}.elf"
            file.write_bytes(write_elf(program))
            contenders[name] = partial(_run, sys.executable, "-m", "sohu.asm.cli", "-d", str(file))
            if "text" in name:
                contenders[name.replace("text", "arrays")] = partial(decode_all, program.text)
        if shutil.which("llvm-mc") and shutil.which("llvm-objdump"):
            source, other = folder / "riscv.s", folder / "riscv.o"
            source.write_text(sources.riscv(count), encoding="utf-8")
            _run("llvm-mc", "-triple=riscv64", "-mattr=+m", "-filetype=obj", "-o", str(other), str(source))
            contenders["llvm"] = partial(_run, "llvm-objdump", "-d", str(other))
        else:
            table.note = "llvm-mc and llvm-objdump are not installed: nothing to compare with"
        seconds = interleaved(contenders, 1 if quick else 7)
    llvm = seconds.pop("llvm", None)
    for name, ours in seconds.items():
        table.add(name, ours, llvm, llvm and ours / llvm, llvm and llvm / ours)
    yield table


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
