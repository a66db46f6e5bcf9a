"""How long `sohu-asm` takes for files of all lengths, as a process, beside llvm-mc; and what memory it takes."""

from __future__ import annotations

import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import sources
from benchmarks.measure import Table

COLD = 100  # lines of the file that shows what a process takes to begin
LENGTHS = (COLD, 1_000, 10_000, 100_000, 1_000_000)
SHORT, LONG = 11, 5  # rounds, for short and for long files
LLVM = ("llvm-mc", "-triple=riscv64", "-filetype=obj")


@dataclass
class Runs:
    """One command, run again and again."""

    command: Sequence[str]
    environment: dict[str, str]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: int = 0  # bytes of memory, of the largest run

    def once(self) -> None:
        """Run it; raises RuntimeError when it fails."""
        began = time.perf_counter()
        process = subprocess.Popen(self.command, env=self.environment)
        _, status, usage = os.wait4(process.pid, 0)
        self.seconds.append(time.perf_counter() - began)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(self.command)} gave exit code {process.returncode}")
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.peak = max(self.peak, usage.ru_maxrss * 1024)

    @property
    def median(self) -> float:
        """Seconds by the clock."""
        return statistics.median(self.seconds)

    @property
    def cpu_median(self) -> float:
        """Seconds of the processors: what other programs do at the time shows less in them."""
        return statistics.median(self.cpu)


def run(*, quick: bool) -> Iterator[Table]:
    """One table: a row for each length."""
    table = Table(
        "assembling to ELF with places and symbols, beside llvm-mc of as many RISC-V lines",
        ["distinct %", "sohu (s)", "llvm (s)", "llvm -g (s)", "sohu/llvm", "in CPU time", "us/line", "bytes/line"],
    )
    lengths = LENGTHS[:2] if quick else LENGTHS
    taken = [_measure(lines, 1 if quick else SHORT if lines < 100_000 else LONG) for lines in lengths]
    cold = taken[0]["sohu"]
    for lines, runs in zip(lengths, taken, strict=True):
        sohu, llvm, places = runs["sohu"].median, *(runs[n].median if n in runs else None for n in ("llvm", "llvm -g"))
        extra = runs["sohu"].peak - cold.peak
        table.add(
            f"{lines:,} lines" + (", a cold start" if lines == COLD else ""),
            100 * sources.distinct(sources.sohu(lines)),
            sohu,
            llvm,
            places,
            llvm and sohu / llvm,
            runs["sohu"].cpu_median / runs["llvm"].cpu_median if llvm else None,
            sohu / lines * 1e6,
            extra / lines if lines > COLD else None,
        )
    table.note = _growth(lengths, [runs["sohu"].median for runs in taken])
    if "llvm" not in taken[0]:
        table.note += "; llvm-mc is not installed: nothing to compare with"
    yield table


def _measure(lines: int, rounds: int) -> dict[str, Runs]:
    """All contenders in turns."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "sohu.s").write_text(sources.sohu(lines), encoding="utf-8")
        (folder / "riscv.s").write_text(sources.riscv(lines), encoding="utf-8")
        # as installed: with the byte code of its modules, which the first run writes
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        env["PYTHONPYCACHEPREFIX"] = scratch
        ours = [sys.executable, "-m", "sohu.asm.cli", str(folder / "sohu.s"), "-o", str(folder / "sohu.elf")]
        theirs = [str(folder / "riscv.s"), "-o", str(folder / "riscv.o")]
        contenders = {"sohu": Runs(ours, env)}
        if shutil.which(LLVM[0]):
            contenders |= {"llvm": Runs([*LLVM, *theirs], env), "llvm -g": Runs([*LLVM, "-g", *theirs], env)}
        subprocess.run(
            [sys.executable, "-m", "sohu.asm.cli", "--version"], env=env, check=True, stdout=subprocess.DEVNULL
        )
        for _ in range(rounds):
            for contender in contenders.values():
                contender.once()
    return contenders


def _growth(lengths: Sequence[int], seconds: Sequence[float]) -> str:
    """The exponent of the time beyond a cold start, as a function of the length, over the longer files."""
    points = [
        (math.log(n), math.log(s - seconds[0]))
        for n, s in zip(lengths, seconds, strict=True)
        if n >= 10_000 and s > seconds[0]
    ]
    if len(points) < 2:
        return "too few lengths to say how the time grows"
    exponent = statistics.linear_regression(*zip(*points, strict=True)).slope
    return f"beyond a cold start the time grows as lines ** {exponent:.2f}"
