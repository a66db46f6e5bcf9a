"""Contenders that wait in processes of their own (peers/serve.py says how), each with its own Python."""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent / "peers"
_REST = 0.06  # seconds after each turn: threads of BLAS and OpenMP spin for a while on the cores of whoever comes next
_PATIENT = 0.5  # seconds that a slow contender takes: it gets fewer rounds
_SAME = 0.05  # of the largest element, by which results may differ


@dataclass
class Contender:
    """One process. seconds: of each round, by work; peak: bytes of memory; missing: why it is not there."""

    name: str
    process: subprocess.Popen[str] | None = None
    about: str = ""
    works: Sequence[str] = ()
    seconds: dict[str, list[float]] = field(default_factory=dict)
    probes: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    peak: int = 0
    missing: str = ""

    def once(self, work: str) -> None:
        """Run a work once, unless it has failed."""
        if self.process is None or work not in self.works or work in self.errors:
            return
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{work}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            self.errors[work] = "it ended"
            return
        said: dict[str, Any] = json.loads(answer)
        if "error" in said:
            self.errors[work] = said["error"]
            return
        self.seconds.setdefault(work, []).append(said["seconds"])
        self.probes[work] = said["probe"]
        self.peak = said.get("peak", 0)

    def median(self, work: str) -> float | None:
        """Seconds; None where it has no (right) result."""
        return statistics.median(self.seconds[work]) if work in self.seconds and work not in self.errors else None

    def ratio(self, work: str, other: Contender) -> float | None:
        """The median of the rounds' ratios to another contender's seconds."""
        if self.median(work) is None or other.median(work) is None:
            return None
        pairs = zip(self.seconds[work], other.seconds[work], strict=False)
        return statistics.median(mine / theirs for mine, theirs in pairs)

    def compare(self, work: str, other: Contender) -> None:
        """Take a result that is not like another contender's as an error."""
        mine, theirs = self.probes.get(work), other.probes.get(work)
        if mine and theirs:
            largest = max(map(abs, theirs))
            if not all(abs(x - y) <= _SAME * largest for x, y in zip(mine, theirs, strict=True)):
                self.errors[work] = "a wrong result"


def python_of(package: str, variable: str) -> str:
    """The Python that a peer runs with: of $SOHU_BENCH_<variable>_PYTHON, or this one; "" when neither has it."""
    given = os.environ.get(f"SOHU_BENCH_{variable}_PYTHON")
    return given or (sys.executable if importlib.util.find_spec(package) else "")


@contextmanager
def started(
    commands: Mapping[str, Sequence[str]], threads: int, folder: Path | None = None
) -> Iterator[list[Contender]]:
    """All contenders, by name, with so many threads each. A command whose Python is "" is missing."""
    env = os.environ | {f"{x}_NUM_THREADS": str(threads) for x in ("OPENBLAS", "OMP", "MKL", "VECLIB_MAXIMUM")}
    if threads == 1:
        env["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    with ExitStack() as stack:
        made = []
        for name, command in commands.items():
            contender = Contender(name)
            made.append(contender)
            if not command[0]:
                contender.missing = "not installed"
                continue
            process = subprocess.Popen(
                command, env=env, cwd=folder, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            stack.callback(_end, process)
            assert process.stdout is not None
            hello = process.stdout.readline()
            if not hello:
                contender.missing = "it does not start"
                continue
            said = json.loads(hello)
            contender.process, contender.about, contender.works = process, said["about"], said["works"]
        yield made


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def take_turns(contenders: Sequence[Contender], works: Sequence[str], rounds: int) -> None:
    """Every work, in rounds in which all contenders take turns; slow ones sit out after the third."""
    for work in works:
        for n in range(rounds):
            for c in contenders:
                slow = (c.median(work) or 0) > _PATIENT
                if not (slow and n >= 3):
                    c.once(work)
                time.sleep(_REST)


def excuses(contenders: Sequence[Contender]) -> str:
    """What has no figures, and why."""
    out = [f"{c.name}: {c.missing}" for c in contenders if c.missing]
    out += [f"{c.name}, {work}: {why}" for c in contenders for work, why in c.errors.items()]
    return "; ".join(out)
