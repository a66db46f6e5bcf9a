"""The machine running: registers, sequencer, engine queues and semaphores, under a schedule (schedules.py).

Queues are as deep as every chip's are at least, so that a program which runs here runs on any; the timer, and
with it timed order, alone knows the depth of the configuration.

`run` takes the fast path (blocks.py) when nothing listens, with the checkers' hooks in it where there are some; else
each instruction goes through `step`, which shares its binding and semantics. None of them changes results.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from sohu.asm import Program, format_inst
from sohu.emulator import checks as checkers
from sohu.emulator import running
from sohu.emulator.bind import Bound, resolve
from sohu.emulator.checks.deadlock import explain
from sohu.emulator.errors import MachineError
from sohu.emulator.limits import resident
from sohu.emulator.listener import Listener
from sohu.emulator.memory import Memories
from sohu.emulator.parts import Hit, Queue, Stop
from sohu.emulator.schedules import Spec, schedule_of
from sohu.emulator.services import Services
from sohu.emulator.timing import Timer
from sohu.emulator.translate import SEMAPHORE_LIMIT, Code, Deadlock, Frame, Halted, Issued, Op
from sohu.emulator.workers import at_work, usable
from sohu.isa import (
    INSTRUCTION_BYTES,
    MIN_QUEUE_DEPTH,
    NUM_SCALARS,
    NUM_SEMAPHORES,
    NUM_TILES,
    Chip,
    Engine,
    Fault,
    Inst,
    Signal,
    SohuError,
    Tile,
    Wait,
)
from sohu.isa.machine import ARGS, GP, RA, SP
from sohu.isa.products import Native

if TYPE_CHECKING:
    from sohu.emulator.group import Group

QUEUES = sum(e.queues for e in Engine)
_NO_RETURN = -INSTRUCTION_BYTES  # ra at entry: nobody called


class Machine(Services):
    """One chip's state, and what moves it.

    x: scalar registers; t: tile registers; sems: semaphores; loops: active hardware loops, innermost last;
    queues: all engine queues; memories: HBM, SRAM, ACC; halted; instructions: how many the sequencer has
    executed or issued since the launch; fault: the MachineError that stopped it, or None; group: the chips it
    runs with, or None; parked: how many instructions all queues hold; hooks: of the checkers that are on.
    """

    def __init__(
        self,
        chip: Chip,
        memories: Memories,
        *,
        schedule: Spec = None,
        timing: bool = False,
        max_instructions: int | None = None,
        max_seconds: float | None = None,
        max_memory: int | None = None,
        workers: int | None = None,
        native: Native | None = None,
        output: Callable[[str], None] = print,
        checks: str | Collection[str] | None = None,
    ) -> None:
        super().__init__(memories)
        self.config = chip
        self.workers = usable() if workers is None else workers
        self.native = native
        self.chip = 0  # number in its group
        self.chips = 1
        self.group: Group | None = None
        self.schedule = schedule
        self.max_instructions = max_instructions
        for name, limit in (("max_seconds", max_seconds), ("max_memory", max_memory)):
            if limit is not None and not limit > 0:
                raise SohuError(f"{name} = {limit!r} is no limit", help="give a positive number, or None for no limit")
        self.max_seconds = max_seconds
        self.max_memory = max_memory
        self._seconds = 0.0  # of runs since the launch, while there is a limit
        self._base = 0 if max_memory is None else resident()
        self.output = output
        self.x: list[int] = [0] * NUM_SCALARS
        self.t: list[Tile | None] = [None] * NUM_TILES
        self.sems: list[int] = [0] * NUM_SEMAPHORES
        self.loops: list[Frame] = []
        places = [(e, n) for e in Engine if e.is_async for n in range(e.queues)]
        self.queues: list[Queue] = [Queue(e, n, MIN_QUEUE_DEPTH, i) for i, (e, n) in enumerate(places)]
        self.order = schedule_of(schedule, self)
        self.timing = timing = timing or self.order.timed
        self.timer: Timer | None = self._new_timer() if timing else None
        self.listeners: list[Listener] = []
        self.halted = True
        self.count = [0]  # `instructions`, where generated code reaches it
        self.quota = [0]  # blocks are begun while `count` is below
        self.at = 0  # index of the instruction that raised, where no generated code did
        self.fault: MachineError | None = None
        self._code = Code(b"", self)
        self._index = 0
        self.parked = 0
        self.drained = True  # no engine instruction has issued since the last drain
        self._interrupted = self._poked = False
        self.poked: Callable[[], None] | None = None  # what a run calls after `poke`, between two instructions
        self.hits: list[Hit] = []  # what hooks have stopped the run for
        self.pardoned = False  # checkers let the current instruction pass
        self._watching: checkers.Hooks | None = None  # of the last `watching`
        self.ending = False  # the sequencer has halted, and engines still work
        self.announced = False  # listeners know that the current instruction will issue
        self.entry = 0  # pc where the kernel started
        self.outputs: list[tuple[str, Tile]] = []  # names and tensors that hold nothing until the kernel writes them
        self.hooks = checkers.hooks(self, checks)

    # -- state -------------------------------------------------------------------------------------

    @property
    def pc(self) -> int:
        """Byte offset in .text of the instruction that comes next (or is blocked)."""
        return self._index * INSTRUCTION_BYTES

    @property
    def op(self) -> Op:
        """The instruction that comes next (or is blocked)."""
        return self._code.op(self._index)

    @property
    def instructions(self) -> int:
        """How many the sequencer has executed or issued since the launch."""
        return self.count[0]

    @instructions.setter
    def instructions(self, value: int) -> None:
        self.count[0] = value

    @property
    def cycles(self) -> int | None:
        """Cycles since the launch, up to the last completion known.

        None without timing, unless the program has an instruction that reads the cycle counter.
        """
        return None if self.timer is None else self.timer.cycles

    @property
    def time(self) -> float | None:
        """In timed order, the cycle up to which the effects of engines are there; None in others."""
        return self.timer.time if self.timer is not None and self.order.timed else None

    def inst_at(self, pc: int) -> Inst | None:
        """The instruction at a pc; None when there is none, or it is no legal one."""
        index, rest = divmod(pc, INSTRUCTION_BYTES)
        return None if rest or not 0 <= index < self._code.size else self._code.op(index).inst

    def op_at(self, index: int) -> Op:
        """An instruction of the running program by its index in .text."""
        return self._code.op(index)

    def view(self, tile: Tile) -> NDArray[Any]:
        """The elements of a descriptor as stored, in place, its sizes read from the registers of now.

        Raises Fault when they are not all in memory (HBM: in one allocation).
        """
        self.memories.settle()
        return self.memories.view(resolve(tile, self.x)).array

    def queue(self, engine: Engine, number: int = 0) -> Queue:
        """A queue by engine and number."""
        return next(q for q in self.queues if q.engine is engine and q.number == number)

    def load(self, program: Program, code: Code) -> None:
        """Have another program, and leave all else as it is: for state that comes from elsewhere."""
        self.program = program
        self._code = code

    def reset(self, program: Program, code: Code, entry: int, *, sp: int, gp: int, args: int) -> None:
        """The state in which a kernel starts (docs/abi.md): all registers and semaphores zero but these."""
        self.load(program, code)
        self.memories.deferrals.forget_all()
        self.x[:] = [0] * NUM_SCALARS
        self.x[RA], self.x[SP], self.x[GP], self.x[ARGS] = _NO_RETURN, sp, gp, args
        self.t[:] = [None] * NUM_TILES
        self.sems[:] = [0] * NUM_SEMAPHORES
        self.loops.clear()
        if self.parked:
            for q in self.queues:
                q.entries.clear()
            self.parked = 0
        self._index = entry // INSTRUCTION_BYTES
        self.entry = entry
        self.halted = False
        self.instructions = 0
        self.fault = None
        self.drained = True
        self._interrupted = self.ending = self.announced = False
        self.hits.clear()
        self._seconds = 0.0
        if self.timing or code.clock:
            self.timer = self.timer or self._new_timer()
            self.timer.reset()
        else:
            self.timer = None
        self.order.reset()
        self.hooks = self.hooks.whole
        for launch in self.hooks.launch:
            launch()

    def check(self, spec: str | Collection[str] | None) -> None:
        """Switch checkers: "all", "none", or names (sohu.emulator.checks); between launches.

        Raises SohuError for an unknown name, and while a program runs.
        """
        if not self.halted and self.fault is None:
            raise SohuError("checkers are switched between launches")
        self.hooks = checkers.hooks(self, spec)

    def _new_timer(self) -> Timer:
        return Timer(self.config, [(q.engine, q.name) for q in self.queues])

    # -- running -----------------------------------------------------------------------------------

    def step(self) -> bool:
        """Execute or issue exactly one sequencer instruction, and what engines can then run.

        False when it could not, until another chip of the group has moved. Raises MachineError for a fault of the
        program, SohuError when it has halted.
        """
        if self.halted:
            raise SohuError("the program has halted", help="launch a kernel first")
        self.memories.settle()
        if self.group is not None:
            self.group.begin_turn()
        with np.errstate(all="ignore"), at_work(self.workers, self.native):
            return self._step()

    def run(
        self,
        until: running.Until = None,
        *,
        until_cycle: int | None = None,
        until_instruction: int | None = None,
        when: Callable[[], bool] | None = None,
    ) -> Stop:
        """Run until the program halts, or `until`: a collection of pcs to stop at, or a test of the machine.

        Stops before the instruction at such a pc, if `when`, asked there, is true; the one at which it stands is
        executed first. A test is asked after each instruction. Raises MachineError for a fault of the program or a
        reached limit, and, after Ctrl-C, KeyboardInterrupt: the current instruction has ended then, and the machine
        can go on.

        until_instruction: stop when so many have executed or issued since the launch; at once when they have already.

        until_cycle, in timed order: stop at a cycle since the launch. The sequencer has then taken every instruction
        that it takes before that cycle, and every effect of an engine up to and including it is there. Raises
        SohuError in other orders.
        """
        self._interrupted = False
        return running.run(self, until, until_cycle, until_instruction, when)

    def interrupt(self) -> None:
        """Ask a running `run` to come back after the current instruction. Safe in a signal handler, and in a thread."""
        self._interrupted = True
        self.quota[0] = -1

    def poke(self) -> None:
        """Ask a running `run` to call `poked` between two instructions, and go on. Safe in a thread."""
        self._poked = True
        self.quota[0] = -1

    def hit(self, hit: Hit) -> None:
        """For hooks (Check.stops): let `run` come back when the current instruction has ended."""
        self.hits.append(hit)
        self.quota[0] = -1

    @contextmanager
    def watching(self, extra: Sequence[checkers.Check]) -> Iterator[None]:
        """A context in which more hooks are called than those of the checkers that are on, after them."""
        before = self.hooks
        key = (*before.checks, *extra)
        if self._watching is None or self._watching.checks != key:
            self._watching = checkers.Hooks(key, before.whole)
        if extra:
            self.hooks = self._watching
        try:
            yield
        finally:
            self.hooks = before

    def _check_limit(self) -> None:
        limit = self.max_instructions
        if limit is not None and self.count[0] >= limit:
            self.at = self._index
            raise Fault("limit", f"{limit:,} instructions have run, the limit that was set")

    def _step(self) -> bool:
        """One instruction; False when it cannot go on: by the timer's limit, or until another chip has moved."""
        op = self._code.op(self._index)
        before = self.count[0]
        try:
            if self.ending:
                return self._finish()
            self._check_limit()
            self.order.before(op)
            self._issue(op)
            self.pump()
        except Halted:
            return self._finish()
        except Deadlock as e:
            if not self._may_go_on():
                self.stop(e, op)
            return False
        except MachineError:  # of an engine's instruction
            if not self.ending:
                self.count[0], self._index = before, op.index
            raise
        except (Fault, MemoryError, *running.REFUSALS) as e:
            self.stop(e, op)
        return True

    def _may_go_on(self) -> bool:
        """True for a machine that stands still when that may be for a time."""
        return self.group is not None or (self.order.timed and self.timer is not None and self.timer.next < inf)

    def _issue(self, op: Op) -> None:
        value = self.value(op.wait) if op.wait is not None else 0
        timer = self.timer if op.inst is not None else None
        place = None if op.queue is None else op.queue.place
        if timer is not None and not timer.arrive(place, op.wait, value) and self.order.timed:
            raise Deadlock
        if not self.announced:
            for listener in self.listeners:
                listener.will_issue(self, op)
            self.announced = True
        halted = False
        hooks = self.hooks
        if op.queue is None:
            hooks.op = op
            bound = op.bind() if (timer is not None or hooks) and op.bind is not None else None
            if op.wait is not None:
                for waited in hooks.waited:
                    waited(op, value)
            if bound is not None:
                for before in hooks.before:
                    before(op, bound, value)
            try:
                self._index = op.run()
            except Halted:
                halted = True
            if bound is not None:
                for after in hooks.after:
                    after(op, bound, value)
        else:
            bound, run = op.call()
            if self.group is not None:
                self.group.admit(self, op)
            self.drained = False
            issued = Issued(op, bound, run, value)
            for parked in hooks.parked:
                parked(issued)
            op.queue.entries.append(issued)
            self.parked += 1
            self._index = self.arrive(op.index + 1)
        self.instructions += 1
        if timer is not None:
            timer.issue(op, bound, place, value)
        self.announced = False
        for listener in self.listeners:
            listener.did_issue(self, op)
        if halted:
            raise Halted

    def stop(self, e: Exception, op: Op) -> NoReturn:
        """Raise the MachineError of an exception that `op` raised, and keep it as `fault`."""
        cause = None if isinstance(e, Fault) else e
        self.halted = False  # an engine can fail after the sequencer has halted
        if isinstance(e, Deadlock):
            e = explain(self, op)
        if not isinstance(e, Fault):
            kind = "limit" if isinstance(e, MemoryError) else "operand"
            text = "the host has no memory left" if isinstance(e, MemoryError) else str(e)
            e = Fault(kind, text)
        if e.pc is not None:
            op = self.op_at(e.pc // INSTRUCTION_BYTES)
        self.fault = MachineError(
            e.category,
            e.message,
            pc=op.pc,
            line=self.program.line_at(op.pc),
            instruction=self.text(op),
            operand=e.operand,
            help=e.help,
            chip=self.chip if self.group is not None else None,
            notes=checkers.sides(self, e.notes),
            element=e.element,
        )
        raise self.fault from cause

    def text(self, op: Op) -> str:
        """An instruction as assembly text."""
        return "" if op.inst is None else format_inst(op.inst, op.pc, self.program)

    # -- engines -----------------------------------------------------------------------------------

    def value(self, wait: Wait) -> int:
        """What a wait asks for, read from registers now."""
        return self.x[wait.reg] + wait.imm

    def reached(self, wait: Wait) -> bool:
        """True when the semaphore has the value that the wait asks for (read from registers now)."""
        return self.sems[wait.sem] >= self.x[wait.reg] + wait.imm

    def ready(self, q: Queue) -> bool:
        """True when the head of a queue may execute: its wait is met, and all chips have come to a collective."""
        if not q.entries:
            return False
        head = q.entries[0]
        wait = head.op.wait
        if wait is not None and self.sems[wait.sem] < head.value:
            return False
        return self.group is None or self.group.ready(self, head)

    def may_issue(self, op: Op) -> bool:
        """True when the sequencer may take an instruction: there is room in its queue, or its wait is met."""
        if op.queue is not None:
            return len(op.queue.entries) < op.queue.depth
        return op.wait is None or self.reached(op.wait)

    def execute(self, q: Queue) -> None:
        """Execute the head of a queue, which is ready; raises MachineError."""
        issued = q.entries.popleft()
        self.parked -= 1
        if self.memories.deferrals.live:
            self.memories.deferrals.settle()
        op, bound, value = issued.op, issued.bound, issued.value
        try:
            for listener in self.listeners:
                listener.will_execute(self, issued)
            for before in self.hooks.before:
                before(op, bound, value)
            known = False
            if self.group is None:
                issued.run()
            else:
                known = self.group.execute(self, issued)
            for after in self.hooks.after:
                if not known or after not in self.hooks.met:
                    after(op, bound, value)
            for listener in self.listeners:
                listener.did_execute(self, issued)
            if op.signal is not None:
                if self.group is None:
                    self.add(op.signal, op)
                else:
                    self.group.signal(self, issued, op.signal)
        except (Fault, MemoryError, *running.REFUSALS) as e:
            self.stop(e, issued.op)

    def pump(self) -> None:
        """In program order: execute all that can execute."""
        self.order.pump()

    def add(self, signal: Signal, op: Op | None = None) -> None:
        """Add to a semaphore, no more; raises Fault (semaphore) on overflow. `op` has signalled, if it is known."""
        value = self.sems[signal.sem] + signal.inc
        if value >= SEMAPHORE_LIMIT:
            raise Fault("semaphore", f"s{signal.sem} passes {SEMAPHORE_LIMIT - 1}, all that 32 bits hold")
        self.sems[signal.sem] = value
        if op is not None:
            for signalled in self.hooks.signalled:
                signalled(op, signal.sem, value)

    def _finish(self) -> bool:
        """After halt: what is still queued runs; the program has ended when all queues are empty. False: as _step."""
        try:
            if self.parked or self.order.timed:
                self.ending, self.halted = True, False
                if not self.order.drain():
                    if not self._may_go_on():
                        self.stop(Deadlock(), self._code.op(self._index))
                    return False
            self.ending, self.halted = False, True
            try:
                for halted in self.hooks.halted:
                    halted()
            except Fault as e:
                self.stop(e, self._code.op(self._index))
        except MachineError:
            self.instructions -= 1  # halt has not ended
            raise
        if self.timer is not None:
            self.timer.drain()
        return True

    # -- what translated code calls ----------------------------------------------------------------

    def perform(self, bound: Bound, *scalars: Any) -> Any:
        """Execute an instruction on the fast path, where copies may be deferred and are read from their sources."""
        deferrals = self.memories.deferrals
        if deferrals.sourced:
            self.hbm_write(bound)
        if bound.deferred is not None:
            return deferrals.defer(bound.deferred)
        if deferrals.live and any(v.cover.live is not None for v in bound.views):
            return bound.redirected(deferrals)(*scalars)
        return bound.invoke(*scalars)

    def hbm_write(self, bound: Bound) -> None:
        """An instruction is about to execute: copies of what it overwrites in HBM are made before."""
        for low, high in bound.hbm_writes:
            self.memories.deferrals.hbm_write(low, high)

    def signal(self, signal: Signal) -> None:
        """Add to a semaphore; in program order, whatever parked can now run, runs.

        Raises Fault (semaphore) on overflow.
        """
        self.add(signal, self.hooks.op)
        if self.parked:
            self.pump()

    def park(self, issued: Issued) -> None:
        """Put an instruction into its queue, in program order; raises Fault (deadlock) when that is full."""
        q = issued.op.queue
        assert q is not None
        if len(q.entries) >= q.depth:
            raise Deadlock
        if self.group is not None:
            self.group.admit(self, issued.op)
        q.entries.append(issued)
        self.parked += 1

    def arrive(self, index: int) -> int:
        """Where the sequencer goes on when it comes to `index`: to the start of a loop that ends there."""
        loops = self.loops
        while loops and loops[-1].end == index:
            frame = loops[-1]
            frame.left -= 1
            if frame.left:
                return frame.start
            loops.pop()
        return index

    def halt(self) -> None:
        """The sequencer stops."""
        self.halted = True

    # -- what semantics may ask for (isa.instruction.Machine) --------------------------------------

    def cycle(self) -> int:
        """Cycles since the launch at which the sequencer is: those of the instructions before the current one."""
        assert self.timer is not None, "reset made one, since the program holds such a row"
        return round(self.timer.now)

    def drain(self) -> None:
        """Run until every queue is empty; raises Fault (deadlock) when that cannot be."""
        if not self.order.drain():
            raise Deadlock
        self.drained = True
        for drained in self.hooks.drained:
            drained()
        if self.timer is not None:
            self.timer.drain()

    def reset_semaphore(self, sem: int) -> None:
        """Set a semaphore to zero; raises Fault (semaphore) when an engine got work since the last drain.

        It may have done that work by now, but not under every schedule.
        """
        if not self.drained:
            raise Fault("semaphore", f"s{sem} is reset while engines may be at work", help="drain first")
        self.sems[sem] = 0
        for cleared in self.hooks.cleared:
            cleared(sem)
        if self.timer is not None:
            self.timer.reset_semaphore(sem)
