"""Translation: each instruction of a program, decoded once, becomes a closure that runs it.

`Code.op(i).run()` executes instruction i on the fast path and returns the index of the next one; it is made when the
instruction is first reached, so that a large program starts at once. `Code.op(i)` has the same instruction in parts
(bind, wait, signal), for schedules, listeners and the timer. Code.blocks has whole blocks (emulator/blocks.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sohu.emulator.bind import Bound, Registers, binder, constant, read_tile, scalar_reader
from sohu.emulator.blocks import Blocks
from sohu.isa import (
    INSTRUCTION_BYTES,
    LOOP_DEPTH,
    ROWS,
    EncodingError,
    Fault,
    Flow,
    Inst,
    Row,
    Signal,
    Tile,
    Wait,
    decode,
)
from sohu.isa.machine import RA
from sohu.isa.operands import XI, Reg, Sem, T, X

if TYPE_CHECKING:
    from sohu.emulator.machine import Machine
    from sohu.emulator.parts import Queue

Run = Callable[[], int]

# Rows that set a semaphore; all others reach theirs by wait and signal
_RESETS = [row for row in ROWS if any(isinstance(o.kind, Sem) for o in row.operands)]
_MIN, _MAX, _WRAP = -(1 << 63), (1 << 63) - 1, 1 << 64
SEMAPHORE_LIMIT = 1 << 32


def wrap64(value: int) -> int:
    """Two's complement of 64 bits."""
    value &= _WRAP - 1
    return value - _WRAP if value > _MAX else value


class Halted(Exception):
    """The program has executed `halt`."""


class Deadlock(Fault):
    """Nothing can move. Who waits for what is said where it is caught, with the sequencer's place."""

    def __init__(self) -> None:
        super().__init__("deadlock", "nothing can run")


class Frame:
    """One active hardware loop: indices of its body [start, end), and how many rounds are left."""

    __slots__ = ("end", "left", "start")

    def __init__(self, start: int, end: int, left: int) -> None:
        self.start = start
        self.end = end
        self.left = left

    def __repr__(self) -> str:
        return f"Frame(start={self.start}, end={self.end}, left={self.left})"


class Issued:
    """An instruction that has issued with its operands resolved, and has not executed yet."""

    __slots__ = ("bound", "op", "run", "value")

    def __init__(self, op: Op, bound: Bound, run: Callable[[], Any], value: int) -> None:
        self.op = op
        self.bound = bound
        self.run = run
        self.value = value  # what the semaphore must reach; meaningless without a wait


class TileOp(NamedTuple):
    """An instruction that makes a descriptor (register `dest`) from one (`source`, operand `name`) and scalars."""

    source: int
    name: str
    scalars: tuple[int, ...]  # registers
    dest: int
    known: dict[
        Any, tuple[Tile, Tile]
    ]  # by id of the source, or (id, *scalars); keeps the source, so its id is its own
    fresh: Callable[[Tile], tuple[Tile, Tile]]  # makes the tile, and adds to `known`


class Op:
    """One instruction of a loaded program."""

    __slots__ = ("bind", "cost", "index", "inst", "queue", "run", "scalars", "signal", "tile", "wait")

    def __init__(self, index: int, inst: Inst | None) -> None:
        self.index = index
        self.inst = inst  # None: no instruction at all; running it faults
        self.run: Run = _unset  # fast path; for what the sequencer executes itself, the only one
        self.queue: Queue | None = None  # None: the sequencer executes it
        self.wait: Wait | None = None if inst is None else inst.wait
        self.signal: Signal | None = None if inst is None else inst.signal
        self.bind: Callable[[], Bound] | None = None  # None: no tile operands, nothing to bind
        self.scalars: tuple[tuple[str, Callable[[], Any]], ...] = ()  # operands from registers, and what reads them
        self.tile: TileOp | None = None
        self.cost: tuple[float, float] | None = None  # filled by the timer when it is always the same

    @property
    def pc(self) -> int:
        """Byte offset in .text."""
        return self.index * INSTRUCTION_BYTES

    def call(self) -> tuple[Bound, Callable[[], Any]]:
        """Resolve all operands now; the second of the pair runs the semantics with them."""
        assert self.bind is not None
        bound = self.bind()
        if self.scalars:
            return bound, partial(bound.invoke, *[read() for _, read in self.scalars])
        return bound, bound.invoke


def _unset() -> int:
    raise AssertionError("an op without translation")


class Code:
    """A program's text, translated for one machine."""

    semaphore_limit = SEMAPHORE_LIMIT
    wrap64 = staticmethod(wrap64)
    issued = Issued

    def __init__(self, text: bytes, machine: Machine) -> None:
        self.machine = machine
        self.size = len(text) // INSTRUCTION_BYTES
        self.blocks = Blocks(self)
        self._text = text
        self._opcodes = (np.frombuffer(text, "<u2")[::8] & np.uint16(0xFFF)).astype(np.intp)
        self._ops: dict[int, Op] = {}
        self._ends = self._loop_ends()
        self.resets = len(self._indices(_RESETS)) > 0
        self.clock = len(self._indices([row for row in ROWS if row.clock])) > 0  # reads the cycle counter

    def op(self, index: int) -> Op:
        """Instruction `index`, translated when first asked for. `index` may be the size: one past the end."""
        op = self._ops.get(index)
        if op is None:
            op = self._ops[index] = self._translate(index)
        return op

    def forget(self) -> None:
        """Bind and compile everything anew."""
        self._ops.clear()
        self.blocks = Blocks(self)

    def ends(self, index: int) -> bool:
        """Whether a hardware loop's body may end at an index."""
        return index in self._ends

    def jumps(self) -> Iterator[tuple[Flow, NDArray[np.int64], NDArray[np.int64] | None]]:
        """Where the instructions stand that do not simply go on to the next, row by row, and where they lead to."""
        words = np.frombuffer(self._text, "<u8").reshape(-1, 2)
        for row in ROWS:
            if row.flow is Flow.NEXT:
                continue
            at = self._indices([row])
            label = row.label_operand
            if label is None:
                yield row.flow, at, None
                continue
            o = row.operands[label]
            half = words[at, o.low // 64] >> np.uint64(o.low % 64)
            yield (
                row.flow,
                at,
                at + (half & np.uint64(0xFFFFFFFF)).astype(np.uint32).view(np.int32) // INSTRUCTION_BYTES,
            )

    def _indices(self, rows: list[Row]) -> NDArray[np.int64]:
        """Where instructions of these rows may be."""
        wanted = np.zeros(1 << 12, bool)
        wanted[[row.opcode for row in rows]] = True
        return np.flatnonzero(wanted[self._opcodes])

    def _loop_ends(self) -> set[int]:
        """Indices where a hardware loop's body may end."""
        ends = set()
        for i in self._indices([row for row in ROWS if row.flow is Flow.LOOP]).tolist():
            raw = self._text[i * INSTRUCTION_BYTES : (i + 1) * INSTRUCTION_BYTES]
            try:
                inst = decode(int.from_bytes(raw, "little"))
            except EncodingError:
                continue  # it faults if it is ever executed
            at = inst.row.label_operand
            assert at is not None
            ends.add(i + inst.values[at] // INSTRUCTION_BYTES)
        return ends

    def _fell_off(self) -> int:
        raise Fault("out-of-bounds", "the pc ran past the end of .text", help="a kernel ends with halt")

    def _translate(self, index: int) -> Op:
        if index == self.size:
            op = Op(index, None)
            op.run = self._fell_off
            return op
        raw = self._text[index * INSTRUCTION_BYTES : (index + 1) * INSTRUCTION_BYTES]
        word = int.from_bytes(raw, "little")
        try:
            inst = decode(word)
        except EncodingError as e:
            known = word & 0xFFF in ROWS.by_opcode
            op = Op(index, None)
            op.run = partial(_refuse, "reserved-bits" if known else "illegal-instruction", e.message)
            return op
        op = Op(index, inst)
        Translator(self, op, inst).translate()
        if not self._ends.isdisjoint(self._successors(op)):
            op.run = _closing(op.run, self.machine.loops, self.machine.arrive)
        return op

    def _successors(self, op: Op) -> set[int]:
        assert op.inst is not None
        row = op.inst.row
        if row.flow is Flow.RET:
            return self._ends
        out = {op.index + 1}
        if row.label_operand is not None:
            out.add(op.index + op.inst.values[row.label_operand] // INSTRUCTION_BYTES)
        return out


def _refuse(category: str, message: str) -> int:
    raise Fault(category, message)


def _noted(run: Run, machine: Machine) -> Run:
    """`run`, for an engine's instruction in a program that resets semaphores: only such a one looks at `drained`."""

    def noted() -> int:
        machine.drained = False
        return run()

    return noted


def _closing(run: Run, loops: list[Frame], arrive: Callable[[int], int]) -> Run:
    """`run`, for an instruction after which a loop's body may end."""

    def closing() -> int:
        index = run()
        if loops:
            frame = loops[-1]
            if frame.end == index:
                if frame.left > 1:  # the usual case, without a call
                    frame.left -= 1
                    return frame.start
                return arrive(index)
        return index

    return closing


class Translator:
    """Makes the closures of one instruction. It reads the row's metadata, never its name."""

    def __init__(self, code: Code, op: Op, inst: Inst) -> None:
        self.op = op
        self.inst = inst
        self.row: Row = inst.row
        self.machine = code.machine
        self.resets = code.resets
        self.next = op.index + 1
        self.size = code.size
        m = code.machine
        r = Registers(m.x, m.t)
        self.registers = r
        self.readers: dict[str, Callable[[], Any]] = {}
        self.constants: dict[str, Any] = {}
        data = {o.name for _, o, _ in self.row.data}
        for o, v in zip(self.row.operands, inst.values, strict=True):
            reader = scalar_reader(o.kind, v, o.name, r)
            if reader is not None:
                self.readers[o.name] = reader
            elif o.name not in data:
                self.constants[o.name] = constant(o.kind, v)
        self.dest: tuple[bool, int] | None = None  # (is a tile register, number)
        for o, v in zip(self.row.operands, inst.values, strict=True):
            if o.kind.writes:
                self.dest = (not isinstance(o.kind, X), v)

    def translate(self) -> None:
        """Fill in the op."""
        row, op = self.row, self.op
        if row.engine.is_async or row.data:
            op.bind = binder(
                self.inst,
                self.registers,
                self.machine.memories,
                self.machine,
                self.constants,
                tuple(self.readers),
            )
            op.scalars = tuple(self.readers.items())
        if row.engine.is_async:
            at = row.queue_operand
            op.queue = self.machine.queue(row.engine, self.inst.values[at] if at is not None else 0)
            op.run = self._engine()
        else:
            op.run = self._synchronized(self._sequencer())

    # -- what engines execute ----------------------------------------------------------------------

    def _engine(self) -> Run:
        machine, op, nxt = self.machine, self.op, self.next
        sems, x = machine.sems, machine.x
        assert op.queue is not None and op.bind is not None
        entries, bind = op.queue.entries, op.bind
        scalars, wait, signal = op.scalars, op.wait, op.signal
        wait_sem, wait_reg, wait_imm = (wait.sem, wait.reg, wait.imm) if wait else (0, 0, 0)
        if self.row.shared:
            return self._shared()

        def run() -> int:
            bound = bind()
            values = [read() for _, read in scalars] if scalars else ()
            if entries or (wait and sems[wait_sem] < x[wait_reg] + wait_imm):
                invoke = partial(bound.invoke, *values) if scalars else bound.invoke
                machine.park(Issued(op, bound, invoke, x[wait_reg] + wait_imm))
                return nxt
            machine.perform(bound, *values)
            if signal:
                machine.signal(signal)
            return nxt

        return _noted(run, machine) if self.resets else run

    def _shared(self) -> Run:
        """By way of the queue, always: other chips may have a part in it, and the machine knows."""
        machine, op, nxt = self.machine, self.op, self.next

        def run() -> int:
            bound, invoke = op.call()
            machine.park(Issued(op, bound, invoke, machine.value(op.wait) if op.wait is not None else 0))
            machine.pump()
            return nxt

        return _noted(run, machine) if self.resets else run

    # -- what the sequencer executes ---------------------------------------------------------------

    def _synchronized(self, run: Run) -> Run:
        """With the wait and the signal of an instruction that blocks the sequencer."""
        machine, op = self.machine, self.op
        if op.wait is None and op.signal is None:
            return run
        wait, signal = op.wait, op.signal

        def synchronized() -> int:
            if wait and not machine.reached(wait):
                raise Deadlock  # in program order, all that could run has run
            nxt = run()
            if signal:
                machine.signal(signal)
            return nxt

        return synchronized

    def _sequencer(self) -> Run:
        flow = self.row.flow
        if flow is Flow.NEXT:
            return self._straight()
        effect = self._effect()
        target = self._target()
        machine, loops, x, nxt = self.machine, self.machine.loops, self.machine.x, self.next
        if flow in (Flow.BRANCH, Flow.JUMP, Flow.CALL, Flow.LOOP) and not 0 <= target <= self.size:
            return partial(_refuse, "out-of-bounds", f"the label is at pc {target * 16:#x}, outside .text")
        if flow is Flow.BRANCH:
            return self._branch(target)
        if flow is Flow.JUMP:

            def jump() -> int:
                effect()
                return target

            return jump
        if flow is Flow.CALL:

            def call() -> int:
                effect()
                x[RA] = nxt * INSTRUCTION_BYTES
                return target

            return call
        if flow is Flow.RET:
            size = self.size

            def ret() -> int:
                effect()
                to, rest = divmod(x[RA], INSTRUCTION_BYTES)
                if rest or not 0 <= to < size:
                    raise Fault(
                        "misaligned" if rest else "out-of-bounds",
                        f"ra (x1) holds {x[RA]:#x}, which is no instruction to return to",
                        help="a kernel ends with halt; a function that calls another saves ra first",
                    )
                return to

            return ret
        if flow is Flow.LOOP:
            if target < nxt:
                return partial(_refuse, "operand", "the end of the loop lies before its body")

            def loop() -> int:
                count = effect()
                if count <= 0 or target == nxt:
                    return target
                if len(loops) == LOOP_DEPTH:
                    raise Fault(
                        "operand",
                        f"loops nest deeper than {LOOP_DEPTH}",
                        help="was a loop's body left by a branch? It must be left through its end",
                    )
                loops.append(Frame(nxt, target, count))
                return nxt

            return loop
        assert flow is Flow.HALT, flow

        def halt() -> int:
            effect()
            machine.halt()
            raise Halted

        return halt

    def _target(self) -> int:
        at = self.row.label_operand
        return -1 if at is None else self.op.index + self.inst.values[at] // INSTRUCTION_BYTES

    def _effect(self) -> Callable[[], Any]:
        """The semantics with its operands read, and its result written to the destination if there is one."""
        compute = self._compute()
        if self.dest is None:
            return compute
        is_tile, d = self.dest
        if is_tile:
            t = self.machine.t

            def write_tile() -> None:
                t[d] = compute()

            return write_tile
        if d == 0:
            return compute
        x = self.machine.x

        def write_scalar() -> None:
            v = compute()
            x[d] = v if _MIN <= v <= _MAX else wrap64(v)

        return write_scalar

    def _compute(self) -> Callable[[], Any]:
        """The semantics with its operands read now; writes no register."""
        row = self.row
        if row.data:
            bind, scalars, perform = self.op.bind, self.op.scalars, self.machine.perform
            assert bind is not None
            return lambda: perform(bind(), *[read() for _, read in scalars])
        semantics = partial(row.semantics, self.machine) if row.takes_machine else row.semantics
        readers = [self.readers.get(o.name) for o in row.operands]
        values = [self.constants.get(o.name) for o in row.operands]
        if not any(readers):
            return partial(semantics, *values)

        def compute() -> Any:
            return semantics(*[v if r is None else r() for r, v in zip(readers, values, strict=True)])

        return compute

    def _straight(self) -> Run:
        """Flow.NEXT. Arithmetic on one or two scalars gets a closure of its own."""
        nxt, x = self.next, self.machine.x
        f: Callable[..., int] = self.row.semantics
        match self._scalar_form():
            case (("const", None), ("reg", a)) if self._writes_scalar():
                d = self._destination()

                def unary() -> int:
                    v = f(None, x[a])
                    x[d] = v if _MIN <= v <= _MAX else wrap64(v)
                    return nxt

                return unary
            case (("const", None), ("reg", a), ("reg", b)) if self._writes_scalar():
                d = self._destination()

                def binary() -> int:
                    v = f(None, x[a], x[b])
                    x[d] = v if _MIN <= v <= _MAX else wrap64(v)
                    return nxt

                return binary
            case (("const", None), ("reg", a), ("const", c)) if self._writes_scalar():
                d = self._destination()

                def immediate() -> int:
                    v = f(None, x[a], c)
                    x[d] = v if _MIN <= v <= _MAX else wrap64(v)
                    return nxt

                return immediate
        if (tile_run := self._tile_run()) is not None:
            return tile_run
        effect = self._effect()

        def straight() -> int:
            effect()
            return nxt

        return straight

    def _tile_run(self) -> Run | None:
        """A descriptor made from one descriptor and scalars; None for anything else.

        The same operands give the same Tile object, whose checked views are then found again.
        """
        if self.dest is None or not self.dest[0] or self.row.takes_machine:
            return None
        source = -1  # position and register of the descriptor
        source_reg, source_name = 0, ""
        scalars: list[tuple[int, int]] = []  # position and register
        args: list[Any] = []
        for i, (o, v) in enumerate(zip(self.row.operands, self.inst.values, strict=True)):
            args.append(self.constants.get(o.name))
            if o.name not in self.readers:
                continue
            if type(o.kind) is T and source < 0:
                source, source_reg, source_name = i, v, o.name
            elif type(o.kind) in (X, XI):
                scalars.append((i, v.index if isinstance(v, Reg) else v))
            else:
                return None
        if source < 0:
            return None
        nxt, x, t, d = self.next, self.machine.x, self.machine.t, self.dest[1]
        semantics = self.row.semantics
        registers = tuple(r for _, r in scalars)
        known: dict[Any, tuple[Tile, Tile]] = {}

        def fresh(tile: Tile) -> tuple[Tile, Tile]:
            values = list(args)
            values[source] = tile
            for i, r in scalars:
                values[i] = x[r]
            made = semantics(*values)
            if len(known) >= _KEPT_TILES:
                known.clear()
            key = (id(tile), *[x[r] for r in registers]) if registers else id(tile)
            entry = known[key] = (tile, made)
            return entry

        self.op.tile = TileOp(source_reg, source_name, registers, d, known, fresh)

        def run() -> int:
            tile = t[source_reg]
            if tile is None or tile.dimregs is not None:
                tile = read_tile(t, source_reg, x, source_name)
            entry = known.get((id(tile), *[x[r] for r in registers]) if registers else id(tile))
            t[d] = (entry or fresh(tile))[1]
            return nxt

        return run

    def _branch(self, target: int) -> Run:
        """Flow.BRANCH, with a closure of its own for the comparison of two scalars."""
        nxt, x = self.next, self.machine.x
        f: Callable[..., bool] = self.row.semantics
        match self._scalar_form():
            case (("reg", a), ("reg", b), ("const", label)):
                return lambda: target if f(x[a], x[b], label) else nxt
            case (("reg", a), ("const", b), ("const", label)):
                return lambda: target if f(x[a], b, label) else nxt
        effect = self._effect()
        return lambda: target if effect() else nxt

    def _writes_scalar(self) -> bool:
        return self.dest is not None and not self.dest[0] and self.dest[1] != 0

    def _destination(self) -> int:
        assert self.dest is not None
        return self.dest[1]

    def _scalar_form(self) -> tuple[tuple[str, Any], ...] | None:
        """Each operand as ("reg", scalar register) or ("const", value); None if any is neither."""
        if self.row.takes_machine or self.row.data:
            return None
        out: list[tuple[str, Any]] = []
        for o, v in zip(self.row.operands, self.inst.values, strict=True):
            if o.name not in self.readers:
                out.append(("const", self.constants[o.name]))
            elif type(o.kind) in (X, XI):
                out.append(("reg", v.index if isinstance(v, Reg) else v))
            else:
                return None
        return tuple(out)


_KEPT_TILES = 1024  # per instruction
