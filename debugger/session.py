"""The engine of the debugger: one launch of one kernel, stopped and moved. It prints nothing.

Every movement returns a Stop (sohu.debugger.stops). In program order an engine's instruction completes as it
issues unless it must wait (`Session.queues` tells), so tiles are consistent wherever the program stands.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sohu.asm import Line, Program
from sohu.asm import Names as Printer
from sohu.asm.names import nearest
from sohu.debugger import backward, forward, marks
from sohu.debugger.assign import assign, assign_file
from sohu.debugger.breakpoints import births, find_target, resolve
from sohu.debugger.errors import CommandError
from sohu.debugger.expressions import compile_expression, evaluate
from sohu.debugger.forward import ANYWHERE, Goal, Level
from sohu.debugger.frames import Frame, Outlook, frames, return_address
from sohu.debugger.marks import Mark
from sohu.debugger.movement import movement
from sohu.debugger.names import Names
from sohu.debugger.points import CATCHES, Breakpoint, Catch, Point, Watch, WatchHook
from sohu.debugger.recheck import recheck
from sohu.debugger.stops import BreakpointHit, Caught, Exited, Faulted, Started, Stepped, Stop, Watched
from sohu.debugger.symbols import Symbols
from sohu.debugger.trace import Trace
from sohu.debugger.values import Lookup, Value, Values
from sohu.emulator import Argument, Device, Machine, MachineError, Queue, Result
from sohu.emulator import Stop as Why
from sohu.emulator.checks import category_of, chosen
from sohu.emulator.provenance import Recorder
from sohu.emulator.run_cli import pick_kernel, read_arguments
from sohu.emulator.snapshot import Snapshot
from sohu.emulator.snapshot_file import SnapshotFile
from sohu.emulator.timeline import Timeline
from sohu.isa import INSTRUCTION_BYTES, SohuError, Tile

if TYPE_CHECKING:
    from sohu.debugger.sql import Database

_P = TypeVar("_P", bound=Point)


class Session:
    """A program under the debugger.

    program: what to debug; kernel: which of its kernels (may be left out when it has one); args: by parameter.
    Arrays are copied for each run, so that every run starts from the same data; tensors of the device are used in
    place. device: the chip to run on; by default a new one. checks: checkers that are on and stop the program for
    good (catches leave it able to go on). record: make checkpoints while it runs. Raises SohuError for a kernel or a
    checker that is not there.
    """

    moving = False  # a movement is under way
    wanted = False  # an end of it
    switched = False  # the last movement has made another chip the one that is looked at

    def __init__(
        self,
        program: Program,
        kernel: str | None = None,
        args: Mapping[str, Argument] | None = None,
        *,
        device: Device | None = None,
        checks: str | Collection[str] | None = None,
        record: bool = True,
    ) -> None:
        self.program = program
        self.symbols = Symbols(program)
        self.device = device or Device()
        self.loaded = self.device.load(program)
        self.kernel = pick_kernel(program, kernel)
        self.args: dict[str, Argument] = dict(args or {})
        self.timeline = self._new_timeline()
        self.timeline.recording = record
        self.points: dict[int, Point] = {}  # breakpoints, watchpoints and catches by number
        self.wrote: list[Tile] = []  # what `assign` has written, until the timeline knows
        self.marks: dict[int, Mark] = {}
        self.pardoned = -1  # position before an instruction whose error has been shown, and lets it go on
        self.earlier: list[tuple[int, MachineError]] = []  # what a new catch has found before here, and let pass
        self._hook: WatchHook | None = None
        self.writers: dict[tuple[str, int, str], frozenset[int]] = {}  # pcs that can access a register
        self.checks = chosen(checks)  # from the start
        self.checked: tuple[str, ...] = self.checks
        if self.checks:
            self.switch_checks(self.checks)
        self.stop: Stop | None = None  # the last one; None before the first run
        self.engine = ""  # the queue, or the engine with all its queues, that alone is looked at; "": all
        self.level = 0  # of the backtrace: the frame whose variables names mean
        self.names = Names(self)
        self.values = Values()  # printed and named ones
        self.recorder: Recorder | None = None  # of `why`, once it has been asked
        self.trace: Trace | None = None  # what `trace on` records
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
            session.timeline.begin()
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
        stop = self.stop
        return self.running and not isinstance(stop, Faulted) and not (isinstance(stop, Caught) and not stop.alive)

    @property
    def pc(self) -> int:
        """The instruction that comes next; before a run, the kernel's first. At a fault, the one to blame."""
        if isinstance(self.stop, Faulted):
            return self.stop.pc
        return self.machine.pc if self.running else self.kernel.entry

    @property
    def line(self) -> Line | None:
        """The source place of `pc`, or of the call in the selected frame."""
        if self.level and self.running:
            every = self.backtrace()
            return every[min(self.level, len(every) - 1)].line
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
        if not self.alive:
            again = "a core file can only be looked at" if self.file is not None else "it can go back, or run again"
            raise CommandError("the program was stopped by an error and cannot go on", help=again)

    def need_past(self) -> None:
        """Raises CommandError unless there is a launch to go back in."""
        if not self.running and not isinstance(self.stop, Exited):
            self.need_run()
        if self.file is not None and self.machine.fault is not None:
            raise CommandError("a core file can only be looked at", help="debug the program itself: sohu-dbg PROGRAM")
        self.pardoned = -1
        if isinstance(self.stop, Exited):
            self.stop = Stepped(self.machine.pc, self.position)  # names have values again, on the way back

    # -- points ------------------------------------------------------------------------------------

    @property
    def breakpoints(self) -> dict[int, Point]:
        """The same as `points`."""
        return self.points

    def add_breakpoint(
        self,
        where: str,
        *,
        temporary: bool = False,
        condition: str = "",
        pending: bool = False,
        instruction: int | None = None,
        cycle: int | None = None,
    ) -> Breakpoint:
        """Stop at a place: *PC, a label or kernel, FILE:LINE, LINE, or "" for where it stands; or when so many
        instructions, or cycles (timed order), have passed.

        Raises CommandError for a place that is not there, unless it may be `pending`: then it is looked for again at
        each launch.
        """
        text = where.strip()
        made = Breakpoint(self._numbers + 1, text, temporary, instruction=instruction, cycle=cycle)
        if cycle is not None and not self.machine.order.timed:
            raise CommandError("cycles can be stopped at in timed order only", help="sohu-dbg --schedule timed")
        self.set_condition(made, condition)
        if instruction is None and cycle is None:
            try:
                made.pcs = resolve(self, where)
                made.where = text or f"*{made.pcs[0]:#06x}"
            except CommandError as e:
                if not pending:
                    raise
                made.pending = str(e)
        return self._add(made)

    def add_watch(self, expression: str, *, access: str = "write", condition: str = "") -> Watch:
        """Stop after an instruction that changes (access "write"), reads ("read") or accesses ("any") something.

        expression: a tile or a slice of one, `*ADDRESS:BYTES` or `sram:ADDRESS:BYTES`, a register. The place is where
        it lies now; a name without a value yet stays pending. Raises CommandError.
        """
        made = Watch(self._numbers + 1, expression.strip(), access=access)
        self.set_condition(made, condition)
        made.target, made.pending = find_target(self, made.where)
        made.births = births(self, made.where)
        if made.target is not None and made.target.file == "s" and access != "write":
            raise CommandError("of a semaphore only changes can be watched", help=f"watch {made.where}")
        return self._add(made)

    def add_catch(self, what: str, *, limit: float | None = None) -> Catch:
        """Stop where a checker finds something: a name of CATCHES. `limit` belongs to "error".

        A program that runs is run again up to here, with the checker watching. Raises CommandError.
        """
        if what not in CATCHES:
            hint = nearest(what, CATCHES) or f"there are: {', '.join(CATCHES)}"
            raise CommandError(f"nothing called {what!r} can be caught", help=hint)
        if (limit is None) is (what == "error"):
            raise CommandError("it is written catch error>1e-3" if limit is None else f"{what} has no limit")
        name = what if limit is None else f"{what}>{limit:g}"
        made = self._add(Catch(self._numbers + 1, name, what=what, limit=limit))
        try:
            self.recheck()
        except (SohuError, KeyboardInterrupt):
            del self.points[made.number]
            raise
        return made

    def delete_breakpoint(self, number: int) -> None:
        """Raises CommandError when there is none with that number."""
        gone = self.point(number)
        del self.points[number]
        if isinstance(gone, Catch):
            self.recheck()

    def point(self, number: int) -> Point:
        """A breakpoint, watchpoint or catch by its number; raises CommandError."""
        found = self.points.get(number)
        if found is None:
            have = ", ".join(map(str, self.points))
            raise CommandError(f"no breakpoint {number}", help=f"there are: {have}" if have else "")
        return found

    def enable(self, number: int, on: bool = True) -> None:
        """Let a point stop the program, or not. Raises CommandError."""
        point = self.point(number)
        point.enabled = on
        if isinstance(point, Catch):
            self.recheck()

    def place(self, point: Point) -> None:
        """Look again for the place of what is pending."""
        point.pending = ""
        if isinstance(point, Breakpoint):
            try:
                point.pcs = resolve(self, point.where)
            except CommandError as e:
                point.pending = str(e)
        elif isinstance(point, Watch):
            try:
                target, why = find_target(self, point.where)
                point.target, point.pending = target or point.target, "" if point.target is not None else why
            except CommandError as e:
                point.pending = "" if point.target is not None else str(e)

    def recheck(self) -> None:
        """Have the checkers on that catches ask for, and those that were asked for from the start."""
        recheck(self)

    def caught_categories(self) -> frozenset[str]:
        """Categories of the errors of checkers that are on."""
        return frozenset(map(category_of, self.checked))

    def only_caught(self, category: str) -> bool:
        """True when the checker of a category is on for catches alone, which do not ask for this one."""
        return category not in map(category_of, self.checks)

    def holds(self, point: Point) -> bool:
        """Whether a point's condition is true now. Raises CommandError for one that cannot be computed."""
        try:
            value = self.evaluate(point.condition).data
        except SohuError as e:
            raise CommandError(f"condition of {point.number}: {e.message}", help=e.help) from None
        return bool(np.all(value)) if isinstance(value, np.ndarray) else bool(value)

    def hooks(self, watches: Sequence[Watch]) -> list[WatchHook]:
        """The hook that stops for watched memory; the same one for the same places, whose code is compiled then."""
        if not watches:
            return []
        if self._hook is None or not self._hook.knows(watches):
            self._hook = WatchHook(self.machine, watches)
        return [self._hook]

    def set_condition(self, point: Point, condition: str) -> None:
        """Stop only where this is true; "" for always. Raises CommandError for what can't be read."""
        if condition := condition.strip():
            compile_expression(condition)
        point.condition = condition

    def _add(self, point: _P) -> _P:
        self._numbers = point.number
        self.points[point.number] = point
        return point

    # -- moving ------------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """How many instructions have been executed or issued since the launch."""
        return self.machine.instructions

    @property
    def cycle(self) -> int | None:
        """In timed order the cycle up to which effects are there, else that of the last completion known; None where
        cycles are not counted.
        """
        time = self.time
        return self.machine.cycles if time is None else int(time)

    @property
    def record(self) -> bool:
        """Whether checkpoints are made while it runs."""
        return self.timeline.recording

    @record.setter
    def record(self, on: bool) -> None:
        self.timeline.recording = on

    def start(self) -> Stop:
        """Launch, and stop before the first instruction. Raises ArgumentError for arguments that do not fit."""
        if self.file is not None:
            raise CommandError(
                f"{self.file.path} shows a machine as it was, nothing can be started in it",
                help="debug the program itself: sohu-dbg PROGRAM",
            )
        self.kill()
        for p in self.points.values():
            if isinstance(p, Watch):
                p.born.clear()
                if p.births or (p.target is not None and p.target.moves):
                    p.target, p.pending = None, "its place is known once the program runs"
        self._launch()
        self.timeline.begin()
        if self.trace is not None:
            self.trace.cut(0)
        self.stop = Started(self.kernel.entry, 0, self.kernel.name)
        return self.stop

    @movement
    def run(self) -> Stop:
        """Launch, and run to the first breakpoint or the end."""
        started = self.start()
        here = [p for p in self.points.values() if isinstance(p, Breakpoint) and p.active and started.pc in p.pcs]
        if hit := tuple(b for b in here if forward.counts(self, b)):
            return self.ended(BreakpointHit(started.pc, 0, hit))
        body = self.symbols.body(self.kernel)
        if body != self.kernel.entry and any(p.pending for p in self.points.values()):
            stop = self.go(Goal(frozenset({body})))  # where names have values
            if not isinstance(stop, Stepped):
                return stop
        return self.cont()

    @movement
    def begin(self) -> Stop:
        """Launch, and stop after the kernel's prologue, where its names have values."""
        stop = self.start()
        body = self.symbols.body(self.kernel)
        return stop if body == self.kernel.entry else self.go(Goal(frozenset({body})))

    def kill(self) -> None:
        """Give up the launch."""
        self.stop = None
        self.level = 0

    @movement
    def cont(self, *, reverse: bool = False) -> Stop:
        """Run to the next breakpoint, watchpoint or catch, or the end; back to the last one, or the beginning."""
        if reverse:
            self.need_past()
            return backward.cont(self)
        self._need_alive()
        return self.go()

    @movement
    def step(self, count: int = 1, *, level: Level = Level.LINE, over: bool = False, reverse: bool = False) -> Stop:
        """Go on, or back, by so many steps of a level; with `over`, calls are part of the step that calls."""
        if reverse:
            self.need_past()
        else:
            self._need_alive()
        outlook = Outlook(self) if over and level is Level.LINE and self.running else None
        stop = (backward.step if reverse else forward.step)(self, count, level, over)
        if outlook is not None and isinstance(stop, Stepped):
            self.level = outlook.level(stop.pc) or 0  # what is inlined in the line that it came to is not entered yet
        return stop

    def stepi(self, count: int = 1, *, reverse: bool = False) -> Stop:
        """Execute, or hand to its engine, `count` instructions; or undo so many."""
        return self.step(count, level=Level.INSTRUCTION, reverse=reverse)

    def nexti(self, count: int = 1, *, reverse: bool = False) -> Stop:
        """Like stepi, but a call and what it executes is one instruction."""
        return self.step(count, level=Level.INSTRUCTION, over=True, reverse=reverse)

    def next(self, count: int = 1, *, reverse: bool = False) -> Stop:
        """Like step, but what a call executes belongs to the line that calls."""
        return self.step(count, over=True, reverse=reverse)

    @movement
    def finish(self, *, reverse: bool = False) -> Stop:
        """Run until the function at hand returns, or back to its call; raises CommandError in the kernel itself."""
        if reverse:
            self.need_past()
            return backward.finish(self)
        self._need_alive()
        every = self.backtrace()
        if every[min(self.level, len(every) - 1)].inlined:
            function = Outlook(self)
            return forward.until(self, lambda depth: depth <= 0 and function.left(self.machine.pc))
        if return_address(self) is None:
            raise CommandError("nobody called this code", help="continue runs on to the next breakpoint")
        return forward.until(self, lambda depth: depth < 0)

    @movement
    def until(self, where: str = "") -> Stop:
        """Run to a place, or until the function at hand returns; without a place, to a later line than this one."""
        self._need_alive()
        if where.strip():
            pcs = frozenset(resolve(self, where))
            return forward.until(self, lambda depth: depth < 0 or self.machine.pc in pcs)
        before = self.line
        if before is None:
            raise CommandError("no source line is known here", help="until PLACE, or nexti")

        def later(depth: int) -> bool:
            here = self.symbols.line_at(self.machine.pc)
            return depth < 0 or (
                depth == 0 and here is not None and (here.file, here.line) > (before.file, before.line)
            )

        return forward.until(self, later)

    @movement
    def advance(self, where: str) -> Stop:
        """Run to a place."""
        self._need_alive()
        return self.go(Goal(frozenset(resolve(self, where))))

    @movement
    def goto(self, instruction: int | None = None, cycle: int | None = None) -> Stop:
        """Go to a position, ahead or back: so many instructions, or cycles, after the launch.

        Breakpoints on the way are passed. Raises CommandError for one that the launch does not have.
        """
        before = self.stop
        self.need_past()
        if instruction is not None:
            if instruction < self.timeline.start.instruction:
                raise CommandError(
                    f"there is no instruction {instruction}", help=f"from {self.timeline.start.instruction} on"
                )
            self.to(instruction)
        elif cycle is not None:
            if self.machine.cycles is None:
                raise CommandError("cycles are not counted", help="--timing counts them")
            self.timeline.goto_cycle(cycle)
        if self._halted:  # it may have been there, and all been given out
            return self.ended(before) if isinstance(before, Exited) else self.exited()
        return self.ended(Stepped(self.machine.pc, self.position))

    def mark(self) -> Mark:
        """Keep the machine as it is now, for `restart`. Raises CommandError at an error."""
        return marks.mark(self)

    @movement
    def restart(self, number: int) -> Stop:
        """Be where a mark was made, whatever has changed since. Raises CommandError."""
        return marks.restart(self, number)

    def ended(self, stop: Stop) -> Stop:
        """A movement ended with this stop."""
        if isinstance(stop, (BreakpointHit, Watched)):
            for b in stop.breakpoints:
                if b.temporary:
                    self.points.pop(b.number, None)
        self.stop = stop
        self.level = 0
        return stop

    def exited(self) -> Stop:
        """The kernel has run to its end."""
        machine = self.machine
        result = self.device.finish()
        return self.ended(Exited(machine.pc, self.position, self.kernel.name, self._outputs(result), result.cycles))

    def _outputs(self, result: Result) -> dict[str, NDArray[Any]]:
        out: dict[str, NDArray[Any]] = {}
        for p in self.kernel.params:
            if p.direction in ("out", "inout"):
                value = result.outputs.get(p.name, self._given.get(p.name))
                out[p.name] = np.copy(value) if isinstance(value, np.ndarray) else value.numpy()  # type: ignore[union-attr]  # tensors
        return out

    def interrupt(self) -> None:
        """Stop a program that runs, soon. Safe in a signal handler."""
        self.wanted = True
        self.machine.interrupt()

    def heed(self) -> None:
        """Raises KeyboardInterrupt when the user has asked for an end of the movement at hand."""
        if self.wanted:
            raise KeyboardInterrupt

    # -- what is otherwise with several chips ------------------------------------------------------

    def _new_timeline(self) -> Timeline:
        return Timeline(self.device)

    def switch_checks(self, spec: tuple[str, ...]) -> None:
        """Have these checkers on, between launches."""
        self.machine.check(spec)

    def _launch(self) -> None:
        self._given = copied(self.args)
        self.device.start(self.loaded, self.kernel.name, self._given)

    def snapshot(self) -> Snapshot:
        """All of the machine."""
        return self.device.snapshot()

    def put_back(self, snapshot: Snapshot) -> None:
        """Have the machine be what it was."""
        self.device.restore(snapshot)

    @property
    def _halted(self) -> bool:
        return self.machine.halted

    @property
    def time(self) -> float | None:
        """In timed order, the cycle up to which all effects are there; None in others."""
        return self.machine.time

    @property
    def output(self) -> Callable[[str], None]:
        """Where the program's own prints go."""
        return self.machine.output

    @output.setter
    def output(self, output: Callable[[str], None]) -> None:
        self.machine.output = output

    @contextmanager
    def on_chip(self, chip: int | None) -> Iterator[None]:
        """A context in which another chip is looked at, where there are several; None for the one that is."""
        yield

    def give(self, texts: Sequence[str]) -> None:
        """Arguments of the next run, as NAME=VALUE (sohu run). Raises SohuError."""
        self.args |= read_arguments(self.kernel, texts)

    def go(self, goal: Goal = ANYWHERE) -> Stop:
        """Run to a goal, or to what stops the program before."""
        return forward.go(self, goal)

    def to(self, position: int) -> None:
        """Have the machine stand where so many instructions have executed or issued."""
        self.heed()
        if self.timeline.goto(position) is Why.INTERRUPTED:
            raise KeyboardInterrupt
        self.heed()

    def looks_at(self, queue: Queue) -> bool:
        """Whether a queue is one of the engine that is looked at."""
        return self.engine in ("", queue.name, queue.engine.value)

    def follow(self, note: Callable[[Machine], bool]) -> Why:
        """Run on past everything; `note` is asked after each instruction whether to stop."""
        self.heed()
        why, _ = self.timeline.run(note, replay=True)
        if why is Why.INTERRUPTED:
            raise KeyboardInterrupt
        return why

    @property
    def progress(self) -> tuple[int, int]:
        """Instructions to where it stands, and to the furthest place that is known."""
        return self.position, self.timeline.last

    def goto_end(self) -> Stop:
        """Go to the furthest place that is known."""
        return self.goto(self.timeline.last)

    # -- looking -----------------------------------------------------------------------------------

    def evaluate(self, text: str) -> Value:
        """The value of an expression over registers, tiles and symbols: `t[0:4, :]`, `x5 + 1`, `$pc`.

        Raises CommandError for what can't be read, and Fault for a tile that does not lie in its memory.
        """
        return evaluate(text, self.lookup)

    def assign(self, target: str, expression: str) -> None:
        """Change a register, a semaphore, elements of a tile, or keep a value as `$name` (sohu.debugger.assign).

        What is changed belongs to the run from here on. Raises CommandError for what cannot be changed so.
        """
        try:
            changed = assign(self, target, expression)
        except MachineError as e:  # what waited for a semaphore has executed
            self.ended(Faulted(e.pc, self.position, e))
            raise
        if changed:
            self._edited()

    def assign_file(self, target: str, path: Path) -> None:
        """Read a .npy file into a tile; raises CommandError, SohuError for a bad file."""
        assign_file(self, target, path)
        self._edited()

    def _edited(self) -> None:
        """Somebody has changed the machine where it stands."""
        self.timeline.edited(self.wrote)
        self.wrote = []
        if self.trace is not None:
            self.trace.cut(self.position)

    @functools.cached_property
    def database(self) -> Database:
        """The trace and the program as tables (sohu.debugger.sql)."""
        from sohu.debugger.sql import Database  # SQLite is loaded when it is wanted

        return Database(self)

    @property
    def lookup(self) -> Lookup:
        """What names mean in expressions now: also printed values, named ones, and $arg.NAME of the next run."""
        return self.values.over(self.names.lookup, self.args)

    def backtrace(self) -> list[Frame]:
        """Where it stands and who called: innermost first (sohu.debugger.frames)."""
        return frames(self)

    def operation(self, pc: int) -> object | None:
        """What stands for the operation of the compiler's IR that an instruction belongs to; None without one.

        Raises CommandError for programs without IR.
        """
        debug = self.program.debug
        if not any(k.ops for k in debug.kernels):
            raise CommandError(
                "the program has no IR in its debug information", help="stepi goes on by one instruction"
            )
        return debug.op(pc)

    def assembly(self, pc: int) -> tuple[str, str, str]:
        """Mnemonic, operands, and wait and signal of the instruction at `pc`; of what is none, its word."""
        inst = self.symbols.inst(pc)
        if inst is None:
            raw = self.program.text[pc : pc + INSTRUCTION_BYTES]
            return "(no instruction)", f"{int.from_bytes(raw, 'little'):#034x}", ""
        return self._printer.parts(inst, pc)


def copied(args: Mapping[str, Argument]) -> dict[str, Argument]:
    """Arguments for one launch: arrays of its own, tensors in place."""
    return {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in args.items()}
