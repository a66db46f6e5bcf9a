"""How long the debugger takes to show a stop: to find what has changed, and to draw the context or the full screen."""

from __future__ import annotations

import io
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from prompt_toolkit.input import DummyInput
from prompt_toolkit.output import DummyOutput
from sohu.debugger import Session
from sohu.debugger.fullscreen import Screen
from sohu.debugger.shell import Shell
from sohu.debugger.stops import Stop
from sohu.dsl.kernels.matmul import matmul
from sohu.emulator import Arguments, Device, Loaded, Result
from sohu.isa.dtypes import f32
from sohu.models import load
from sohu.models.image import image
from sohu.models.llama import LlamaOnChip

from benchmarks.measure import Table
from benchmarks.peers.llama import small

STOPS = 60
COLUMNS, ROWS = 160, 50
Launch = tuple[Any, str, Arguments]


class Terminal(io.StringIO):
    """A terminal with colours."""

    columns = COLUMNS

    def isatty(self) -> bool:
        """Yes."""
        return True


class Kept(Device):
    """A device that keeps what it was asked to launch last."""

    last: Launch

    def launch(self, program: Loaded | Any, kernel: str, args: Arguments = ()) -> Result:
        """As that of any device."""
        self.last = program, kernel, args
        return super().launch(program, kernel, args)


def run(*, quick: bool) -> Iterator[Table]:
    """One table: milliseconds for each way to stop."""
    table = Table("the debugger shows a stop, ms", ["median", "p95", "changes", "full screen", "tiles"])
    for name, session in (_decode(quick), _matmul(quick)):
        session.begin()
        moves: dict[str, Callable[[], Stop]] = {
            "stepi": session.stepi,
            "step": session.step,
            "stepi 1,000": lambda s=session: s.stepi(1000),  # type: ignore[misc]  # mypy knows no default of a lambda
        }
        for how, move in moves.items():
            table.add(f"{name}: {how}", *_measure(session, move, 5 if quick else STOPS))
    yield table


def _measure(session: Session, move: Callable[[], Stop], stops: int) -> list[float]:
    shell = Shell(session, Terminal())
    screen = Screen(shell, input=DummyInput(), output=DummyOutput())
    shown, looked, drawn = [], [], []
    for _ in range(stops):
        stop = move()
        if not session.running:
            stop = session.begin()
        began = time.perf_counter()
        shell.changes = shell.observer.observe()
        middle = time.perf_counter()
        shell.show_again(stop)
        shown.append(time.perf_counter() - began)
        looked.append(middle - began)
        began = time.perf_counter()
        screen.refresh()
        for pane in screen.panes.values():
            content = pane.create_content(COLUMNS // 2, ROWS // 2)
            for i in range(content.line_count):
                content.get_line(i)
        drawn.append(time.perf_counter() - began)
    tiles = sum(t is not None for t in session.machine.t)
    p95 = sorted(shown)[int(len(shown) * 0.95)]
    seconds = (statistics.median(shown), p95, statistics.median(looked), statistics.median(drawn))
    return [*(s * 1e3 for s in seconds), tiles]


def _decode(quick: bool) -> tuple[str, Session]:
    device = Kept(workers=int(os.environ["OPENBLAS_NUM_THREADS"]))
    weights = small() if quick else image(load("smollm2").source, f32)
    model = LlamaOnChip(weights, device, f32, min(512, weights.config.max_positions))
    for token in range(8):
        model.next([token])
    name = "a small Llama" if quick else "SmolLM2-135M"
    return f"{name}, a token", _session(device)


def _matmul(quick: bool) -> tuple[str, Session]:
    side = 64 if quick else 1024
    device = Kept(workers=int(os.environ["OPENBLAS_NUM_THREADS"]))
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {name: rng.standard_normal((side, side), dtype=np.float32) for name in "abc"}
    tensors = {name: device.tensor(a, writable=name == "c") for name, a in arrays.items()}
    device.launch(device.load(matmul.compile(**arrays).program), matmul.name, tensors)
    return f"matmul {side}^3", _session(device)


def _session(device: Kept) -> Session:
    program, kernel, args = device.last
    assert isinstance(args, Mapping)
    return Session(program.program, kernel, args, device=device)
