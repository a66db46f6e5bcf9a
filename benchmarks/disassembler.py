"""How long a million instructions take to become text, beside llvm-objdump, and to become arrays."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from sohu.asm import Program, write_elf
from sohu.asm.lines import Lines
from sohu.isa import INSTRUCTION_BYTES, ROWS
from sohu.isa.sample import random_words
from sohu.isa.vector import decode_all

from benchmarks.measure import Table, interleaved

REGISTERS = ("a0", "a1", "a2", "t0", "t1", "s2", "s3", "a7")


def programs(count: int) -> dict[str, Program]:
    """Random instructions of all rows, alone and with a source place each as the assembler writes them."""
    code = random_words(list(ROWS), count, np.random.default_rng(1))
    at = np.arange(count)
    places = Lines(("a.s",), at * INSTRUCTION_BYTES, np.zeros(count), at + 1, np.full(count, 9))
    return {"to text, code alone": Program(code), "to text, with places": Program(code, lines=places)}


def riscv(count: int) -> Iterator[str]:
    """RISC-V assembly: arithmetic, loads, and branches to labels, of which every tenth instruction has one."""
    rng = random.Random(1)
    for i in range(count):
        a, b, c = rng.choices(REGISTERS, k=3)
        if i % 10 == 0:
            yield f"L{i}:"
        yield rng.choice(
            (
                f"{rng.choice(('add', 'sub', 'xor', 'mul'))} {a}, {b}, {c}",
                f"{rng.choice(('addi', 'andi', 'ori'))} {a}, {b}, {rng.randrange(-2048, 2048)}",
                f"lw {a}, {rng.randrange(-2048, 2048)}({b})",
                f"beq {a}, {b}, L{i // 10 * 10}",
            )
        )


def run(*, quick: bool) -> Iterator[Table]:
    """One table: seconds of both, and how many times llvm-objdump's that is."""
    count = 10_000 if quick else 1_000_000
    table = Table(
        f"{count:,} instructions, beside llvm-objdump -d of as many RISC-V instructions",
        ["sohu (s)", "llvm (s)", "sohu/llvm", "llvm/sohu"],
    )
    contenders: dict[str, Callable[[], object]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for i, (name, program) in enumerate(programs(count).items()):
            file = folder / f"{i}.elf"
            file.write_bytes(write_elf(program))
            contenders[name] = partial(_run, sys.executable, "-m", "sohu.asm.cli", "-d", str(file))
            contenders["decoded to arrays"] = partial(decode_all, program.text)
        if shutil.which("llvm-mc") and shutil.which("llvm-objdump"):
            source, other = folder / "riscv.s", folder / "riscv.o"
            source.write_text("\n".join(riscv(count)) + "\n", encoding="utf-8")
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
