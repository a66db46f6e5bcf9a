"""Running targets: batches in worker processes with limits of time and memory, counts, and what failed."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import signal
import tempfile
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from types import FrameType

from sohu.isa import SohuError

from tools.fuzz import cores, elfs, links, programs, rows, runs, sources, words
from tools.fuzz.target import HITS, Target, Wrong

TARGETS = {m.TARGET.name: m.TARGET for m in (rows, words, sources, elfs, links, runs, cores, programs)}
SECONDS = 30  # of processor time that a case may take
MEMORY = 1 << 30  # bytes that a worker may take beyond what it has when it starts
MAX_FILES = 100  # kinds of failures of a target that are saved
_FORMAT = 1  # of the state file
_SHRINKING = 60  # seconds of processor time for one failure


class TooLong(BaseException):
    """A case has used up its time. No handler in the code under test may take it for an error of its own."""


@dataclass
class Failure:
    """A case that failed, made small, and why."""

    why: str
    data: bytes


@dataclass
class Batch:
    """What a batch came to."""

    units: int = 0
    failures: list[Failure] = field(default_factory=list)
    cells: Counter[str] = field(default_factory=Counter)


@dataclass
class Counts:
    """How far a target has come. `batches` is the number of the next one; `cells`: how often each was hit."""

    batches: int = 0
    units: int = 0
    failures: int = 0
    seconds: float = 0.0
    cells: dict[str, int] = field(default_factory=dict)

    def missing(self, target: Target) -> list[str]:
        """Cells of the target that have not been hit often enough."""
        return [c for c in target.cells() if self.cells.get(c, 0) < HITS]


@dataclass
class State:
    """A run: its seed, and how far each target has come."""

    seed: int
    counts: dict[str, Counts] = field(default_factory=lambda: {name: Counts() for name in TARGETS})

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        counts = {name: asdict(c) for name, c in self.counts.items()}
        handle, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as f:
            json.dump({"format": _FORMAT, "seed": self.seed, "counts": counts}, f, indent=1)
        os.replace(scratch, path)


def load_state(path: Path) -> State:
    """The state that `save` wrote; raises SohuError when the file holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != _FORMAT:
            raise ValueError(f"its format is {found['format']}, not {_FORMAT}")
        state = State(int(found["seed"]))
        state.counts |= {name: Counts(**c) for name, c in found["counts"].items() if name in TARGETS}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as e:
        raise SohuError(f"{path} is no state of a fuzz run: {e}") from None
    return state


# -- one batch -----------------------------------------------------------------------------------


def run_batch(name: str, seed: int, number: int) -> Batch:
    """Make and check the cases of a batch."""
    target, out = TARGETS[name], Batch()
    for i in range(target.cases):
        data = target.make(random.Random(f"{name} {seed} {number} {i}"))
        out.units += target.units(data)
        if why := problem(target, data, out.cells):
            out.failures.append(shrink(target, data, why))
    return out


def problem(target: Target, data: bytes, cells: Counter[str] | None = None) -> str:
    """What is wrong with a case: one line, or a traceback; "" when nothing is. `cells`: counts what it has hit."""
    try:
        with _time_limit():
            hit = target.check(data)
        if cells is not None and hit:
            cells.update(hit)
    except Wrong as e:
        return str(e)
    except TooLong:
        return f"it takes more than {SECONDS} seconds of processor time"
    except Exception:  # noqa: BLE001  # whatever it is, it is what we are looking for
        return traceback.format_exc()
    return ""


@contextmanager
def _time_limit() -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS, 1)  # again and again, should one be lost in a callback
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def shrink(target: Target, data: bytes, first: str = "") -> Failure:
    """A failing case without the parts that it fails without, as far as that can be found out in a minute.

    first: what was wrong the first time.
    """
    best = Failure(problem(target, data) or f"it fails only the first time: {first}", data)
    parts, size = target.parts(data), len(target.parts(data)) // 2
    began = time.process_time()
    while size and "seconds" not in best.why:
        at = 0
        while at < len(parts) and time.process_time() - began < _SHRINKING:
            fewer = parts[:at] + parts[at + size :]
            why = problem(target, b"".join(fewer))
            if why and target.kind(why) == target.kind(best.why):
                parts, best = fewer, Failure(why, b"".join(fewer))
            else:
                at += size
        size //= 2
    return best


# -- many batches --------------------------------------------------------------------------------


def run(
    target: Target,
    state: State,
    *,
    goal: int,
    cover: bool,
    seconds: float | None,
    jobs: int,
    failures: Path,
    report: Callable[[Target, Counts], None],
) -> None:
    """Go on with a target until it has counted `goal` units, and covered its cells if `cover`, or `seconds` are over.

    Failures are written to the folder `failures`, one of each kind. `report` is called after each batch; `state` then
    has the counts of all batches up to that one.
    """
    counts = state.counts[target.name]
    began, before = time.monotonic(), counts.seconds
    submitted = counts.batches
    kinds: set[str] = set()
    pending: deque[Future[Batch]] = deque()
    pool = _pool(jobs)
    try:
        while counts.units < goal or (cover and counts.missing(target)):
            if seconds is not None and time.monotonic() - began >= seconds:
                break
            while len(pending) < 2 * jobs:
                pending.append(pool.submit(run_batch, target.name, state.seed, submitted))
                submitted += 1
            try:
                batch = pending.popleft().result()
            except BrokenProcessPool:
                pool.shutdown(cancel_futures=True)
                pending.clear()
                pool, batch = _pool(jobs), _alone(target, state.seed, counts.batches)
                submitted = counts.batches + 1
            for failure in batch.failures:
                counts.failures += 1
                kind = re.sub(r"[0-9a-f]*[0-9][0-9a-f]*", "", failure.why)
                if kind not in kinds and len(kinds) < MAX_FILES:
                    kinds.add(kind)
                    save_failure(failures, target, state.seed, counts, failure)
            counts.batches += 1
            counts.units += batch.units
            for cell, n in batch.cells.items():
                counts.cells[cell] = counts.cells.get(cell, 0) + n
            counts.seconds = before + time.monotonic() - began
            report(target, counts)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _pool(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, get_context("spawn"), _prepare)


def _prepare() -> None:
    """In a new worker: the parent hears of interrupts, and memory is limited."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(tempfile.gettempdir())  # names of files in mutated sources mean nothing there
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, resource.RLIM_INFINITY))


def _alone(target: Target, seed: int, number: int) -> Batch:
    """A batch in a process of its own, since one of those that ran died with it."""
    with _pool(1) as pool:
        try:
            return pool.submit(run_batch, target.name, seed, number).result()
        except BrokenProcessPool:
            why = f"the process died; --batch {number} runs these cases again"
            return Batch(target.cases, [Failure(why, b"")])


def save_failure(folder: Path, target: Target, seed: int, counts: Counts, failure: Failure) -> Path:
    """Write a failing case, and beside it what is wrong and how to see it again."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target.name}-{seed}-{counts.batches}-{counts.failures}{target.suffix}"
    path.write_bytes(failure.data)
    again = f"python -m tools.fuzz {target.name} --check {path}\n"
    batch = f"python -m tools.fuzz {target.name} --seed {seed} --batch {counts.batches}\n"
    path.with_suffix(".txt").write_text(f"{again}{batch}\n{failure.why}\n", encoding="utf-8", errors="backslashreplace")
    return path
