"""The engine of the debugger: one launch of one kernel, stopped and moved. It prints nothing.

Every movement returns a Stop (sohu.debugger.stops). In program order an engine's instruction completes as it
issues unless it must wait (`Session.queues` tells), so tiles are consistent wherever the program stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.asm import Line, Program
from sohu.asm import Names as Printer
from sohu.debugger.assign import assign, assign_file
from sohu.debugger.breakpoints import Breakpoint, resolve
from sohu.debugger.errors import CommandError
from sohu.debugger.expressions import evaluate
from sohu.debugger.names import Names
from sohu.debugger.stops import BreakpointHit, Exited, Faulted, Interrupted, Started, Stepped, Stop
from sohu.debugger.symbols import Symbols
from sohu.debugger.values import Lookup, Value, Values
from sohu.emulator import Argument, Device, Machine, MachineError, Queue, Result
from sohu.emulator import Stop as Why
from sohu.emulator.run_cli import pick_kernel
from sohu.emulator.snapshot_file import SnapshotFile
from sohu.isa import INSTRUCTION_BYTES, Flow
from sohu.isa.machine import RA


@dataclass(frozen=True)
class Frame:
    """One level of the backtrace. `line` is None without debug information."""

    pc: int
    line: Line | None


class Session:
    """A program under the debugger.

    program: what to debug; kernel: which of its kernels (may be left out when it has one); args: by parameter.
    Arrays are copied for each run, so that every run starts from the same data; tensors of the device are used in
    place. device: the chip to run on; by default a new one. Raises SohuError for a kernel that is not there.
    """

    def __init__(
        self,
        program: Program,
        kernel: str | None = None,
        args: Mapping[str, Argument] | None = None,
        *,
        device: Device | None = None,
    ) -> None:
        self.program = program
        self.symbols = Symbols(program)
        self.device = device or Device()
        self.loaded = self.device.load(program)
        self.kernel = pick_kernel(program, kernel)
        self.args: dict[str, Argument] = dict(args or {})
        self.breakpoints: dict[int, Breakpoint] = {}
        self.stop: Stop | None = None  # the last one; None before the first run
        self.names = Names(self)
        self.values = Values()  # printed and named ones
        self._printer = Printer(program)
        self.file: SnapshotFile | None = None  # that it looks at
        self._given: dict[str, Argument] = {}  # to the launch at hand
        self._numbers = 0

    @classmethod
    def of_file(cls, file: SnapshotFile) -> Session:
        """The machine of a core file, as it was stopped, or of a snapshot, which can go on.

        Raises SohuError for a file whose contents contradict each other.
        """
        device = file.device()
        args = device.arguments() if device.kernel is not None else {}
        session = cls(file.program, file.kernel, args, device=device)
        session.file = file
        machine = device.machine
        if (error := machine.fault) is not None:
            session.stop = Faulted(error.pc, machine.instructions, error)
        elif device.kernel is not None:
            session.stop = Stepped(machine.pc, machine.instructions)
        return session

    # -- where it stands ---------------------------------------------------------------------------

    @property
    def machine(self) -> Machine:
        """The emulated chip. Look, and change nothing."""
        return self.device.machine

    @property
    def running(self) -> bool:
        """True when there is a launch to look at: started, and neither ended nor killed."""
        return self.stop is not None and not isinstance(self.stop, Exited)

    @property
    def alive(self) -> bool:
        """True when it can go on."""
        return self.running and not isinstance(self.stop, Faulted)

    @property
    def pc(self) -> int:
        """The instruction that comes next; before a run, the kernel's first. At a fault, the one to blame."""
        if isinstance(self.stop, Faulted):
            return self.stop.pc
        return self.machine.pc if self.running else self.kernel.entry

    @property
    def line(self) -> Line | None:
        """The source place of `pc`."""
        return self.symbols.line_at(self.pc)

    @property
    def queues(self) -> list[Queue]:
        """The engines' queues, with what has issued and not executed yet."""
        return self.machine.queues

    def current_file(self) -> str | None:
        """The source file that a bare line number means."""
        line = self.line or self.symbols.line_at(self.symbols.body(self.kernel))
        files = self.symbols.files()
        return line.file if line else files[0] if files else None

    def need_run(self) -> None:
        """Raises CommandError unless there is a launch to look at."""
        if not self.running:
            raise CommandError("the program is not being run", help="" if self.file else "start or run it first")

    def _need_alive(self) -> None:
        self.need_run()
        if isinstance(self.stop, Faulted):
            again = "a core file can only be looked at" if self.file is not None else "run starts it again"
            raise CommandError("the program was stopped by an error and cannot go on", help=again)

    # -- breakpoints -------------------------------------------------------------------------------

    def add_breakpoint(self, where: str, *, temporary: bool = False) -> Breakpoint:
        """Stop at a place: *PC, a label or kernel, FILE:LINE, LINE, or "" for where it stands.

        Raises CommandError for a place that is not there.
        """
        pcs = resolve(self, where)
        self._numbers += 1
        made = Breakpoint(self._numbers, where.strip() or f"*{pcs[0]:#06x}", pcs, temporary)
        self.breakpoints[made.number] = made
        return made

    def delete_breakpoint(self, number: int) -> None:
        """Raises CommandError when there is none with that number."""
        if self.breakpoints.pop(number, None) is None:
            have = ", ".join(map(str, self.breakpoints))
            raise CommandError(f"no breakpoint {number}", help=f"there are: {have}" if have else "")

    def _stops(self) -> frozenset[int]:
        return frozenset(pc for b in self.breakpoints.values() for pc in b.pcs)

    # -- moving ------------------------------------------------------------------------------------

    def start(self) -> Stop:
        """Launch, and stop before the first instruction. Raises ArgumentError for arguments that do not fit."""
        if self.file is not None:
            raise CommandError(
                f"{self.file.path} shows a machine as it was, nothing can be started in it",
                help="debug the program itself: sohu-dbg PROGRAM",
            )
        self.kill()
        self._given = {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in self.args.items()}
        self.device.start(self.loaded, self.kernel.name, self._given)
        self.stop = Started(self.kernel.entry, 0, self.kernel.name)
        return self.stop

    def run(self) -> Stop:
        """Launch, and run to the first breakpoint or the end."""
        self.start()
        if (hit := self._hit()) is not None:
            return self._end(hit)
        return self.cont()

    def begin(self) -> Stop:
        """Launch, and stop after the kernel's prologue, where its names have values."""
        stop = self.start()
        body = self.symbols.body(self.kernel)
        return stop if body == self.kernel.entry else self._go(self._stops() | {body})

    def kill(self) -> None:
        """Give up the launch."""
        self.stop = None

    def cont(self) -> Stop:
        """Run to the next breakpoint or the end."""
        self._need_alive()
        return self._go(self._stops() or None)  # without any, the machine's fastest loop

    def stepi(self, count: int = 1) -> Stop:
        """Execute, or hand to its engine, `count` instructions."""
        return self._count(count, over=False)

    def nexti(self, count: int = 1) -> Stop:
        """Like stepi, but a call and what it executes is one instruction."""
        return self._count(count, over=True)

    def step(self, count: int = 1) -> Stop:
        """Go on to another source line; from code without lines, to the first that has one."""
        return self._lines(count, over=False)

    def next(self, count: int = 1) -> Stop:
        """Like step, but what a call executes belongs to the line that calls."""
        return self._lines(count, over=True)

    def finish(self) -> Stop:
        """Run until the function at hand returns; raises CommandError in the kernel itself."""
        self._need_alive()
        if len(self.backtrace()) < 2:
            raise CommandError("nobody called this code", help="continue runs on to the next breakpoint")
        return self._until(lambda depth: depth < 0)

    def _count(self, count: int, over: bool) -> Stop:
        left = count

        def done(depth: int) -> bool:
            nonlocal left
            left -= not over or depth <= 0
            return left <= 0

        return self._until(done)

    def _lines(self, count: int, over: bool) -> Stop:
        self._need_alive()
        if not self.program.lines:
            raise CommandError("the program has no line information", help="stepi goes on by one instruction")
        before = self._here()
        left = count

        def done(depth: int) -> bool:
            nonlocal before, left
            if over and depth > 0:
                return False
            here = self._here()
            if here is not None and here != before:
                before = here
                left -= 1
            return left <= 0

        return self._until(done)

    def _here(self) -> tuple[str, int] | None:
        line = self.symbols.line_at(self.machine.pc)
        return None if line is None else (line.file, line.line)

    def _until(self, done: Callable[[int], bool]) -> Stop:
        """Run until `done(depth)`, asked after each instruction: depth counts calls less returns since here."""
        self._need_alive()
        stops = self._stops()
        depth = 0
        last = self.symbols.inst(self.machine.pc)

        def test(machine: Machine) -> bool:
            nonlocal depth, last
            if last is not None:
                depth += (last.row.flow is Flow.CALL) - (last.row.flow is Flow.RET)
            last = self.symbols.inst(machine.pc)
            return machine.pc in stops or done(depth)

        return self._go(test)

    def _go(self, until: frozenset[int] | Callable[[Machine], bool] | None) -> Stop:
        try:
            why = self.machine.run(until)
        except MachineError as e:
            return self._end(Faulted(e.pc, self.machine.instructions, e))
        pc, count = self.machine.pc, self.machine.instructions
        if why is Why.HALTED:
            result = self.device.finish()
            return self._end(Exited(pc, count, self.kernel.name, self._outputs(result), result.cycles))
        if why is Why.INTERRUPTED:
            return self._end(Interrupted(pc, count))
        return self._end(self._hit() or Stepped(pc, count))

    def _end(self, stop: Stop) -> Stop:
        if isinstance(stop, BreakpointHit):
            for b in stop.breakpoints:
                b.hits += 1
                if b.temporary:
                    del self.breakpoints[b.number]
        self.stop = stop
        return stop

    def _hit(self) -> BreakpointHit | None:
        pc = self.machine.pc
        hit = tuple(b for b in self.breakpoints.values() if pc in b.pcs)
        return BreakpointHit(pc, self.machine.instructions, hit) if hit else None

    def _outputs(self, result: Result) -> dict[str, NDArray[Any]]:
        out: dict[str, NDArray[Any]] = {}
        for p in self.kernel.params:
            if p.direction in ("out", "inout"):
                value = result.outputs.get(p.name, self._given.get(p.name))
                out[p.name] = np.copy(value) if isinstance(value, np.ndarray) else value.numpy()  # type: ignore[union-attr]  # tensors
        return out

    def interrupt(self) -> None:
        """Stop a program that runs, soon. Safe in a signal handler."""
        self.machine.interrupt()

    # -- looking -----------------------------------------------------------------------------------

    def evaluate(self, text: str) -> Value:
        """The value of an expression over registers, tiles and symbols: `t[0:4, :]`, `x5 + 1`, `$pc`.

        Raises CommandError for what can't be read, and Fault for a tile that does not lie in its memory.
        """
        return evaluate(text, self.lookup)

    def assign(self, target: str, expression: str) -> None:
        """Change a register, a semaphore, elements of a tile, or keep a value as `$name` (sohu.debugger.assign).

        Raises CommandError for what cannot be changed so.
        """
        assign(self, target, expression)

    def assign_file(self, target: str, path: Path) -> None:
        """Read a .npy file into a tile; raises CommandError, SohuError for a bad file."""
        assign_file(self, target, path)

    @property
    def lookup(self) -> Lookup:
        """What names mean in expressions now: also printed values, named ones, and $arg.NAME of the next run."""
        return self.values.over(self.names.lookup, self.args)

    def backtrace(self) -> list[Frame]:
        """Where it stands and, while ra tells, who called: innermost first.

        ra (x1) is believed when a call to the code at hand stands right before the place it names. There is
        no unwinding further up: a function that calls another saves ra where it likes.
        """
        frames = [Frame(self.pc, self.line)]
        if self.running:
            call = self.machine.x[RA] - INSTRUCTION_BYTES
            inst = self.symbols.inst(call)
            if inst is not None and inst.row.flow is Flow.CALL:
                at = inst.row.label_operand
                assert at is not None
                here, callee = self.symbols.place(self.pc), self.symbols.place(call + inst.values[at])
                if here is not None and callee is not None and here[0] == callee[0]:
                    frames.append(Frame(call, self.symbols.line_at(call)))
        return frames

    def assembly(self, pc: int) -> tuple[str, str, str]:
        """Mnemonic, operands, and wait and signal of the instruction at `pc`; of what is none, its word."""
        inst = self.symbols.inst(pc)
        if inst is None:
            raw = self.program.text[pc : pc + INSTRUCTION_BYTES]
            return "(no instruction)", f"{int.from_bytes(raw, 'little'):#034x}", ""
        return self._printer.parts(inst, pc)
