"""Basic blocks as Python functions: what the fast path runs once a block has proved to be worth the compilation.

A block is straight code: from an instruction where something can jump to, up to the next such, or to one that always
jumps; branches may leave it on the way. Its function runs it, and itself again where it is a loop of one block, and
returns the index of the next instruction. Operands of scalar instructions are inlined; engine instructions become:
bind, park or execute, signal. The semantics of each instruction is its row's; only the calls around it are saved.

Which instruction was at work when something is raised is told by the line of the generated function (`at`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from sohu.emulator import inline
from sohu.emulator.bind import read_tile
from sohu.emulator.codegen import FILE, function
from sohu.emulator.observed import observed
from sohu.isa import INSTRUCTION_BYTES, Engine, Flow, Space
from sohu.isa.operands import XF, XFI, XI, Reg, T, X, bits_f32

if TYPE_CHECKING:
    from sohu.emulator.checks.registry import Hooks
    from sohu.emulator.translate import Code, Op

Run = Callable[[], int]

HOT = 4  # runs of a block before it is compiled
LONGEST = 200  # instructions in a block; what is left of a limit on instructions is not less
_MIN, _MAX = -(1 << 63), (1 << 63) - 1


class Untranslated(Exception):
    """A block has not run before: Blocks.first translates it."""


def _untranslated() -> int:
    raise Untranslated


class Blocks:
    """The blocks of one program on one machine, with the hooks of checkers in them or without.

    `run[i]()` executes the block that begins at instruction i, and gives the index of the next one.
    """

    def __init__(self, code: Code, hooks: Hooks | None = None) -> None:
        self.code = code
        self.hooks = hooks
        self.run: list[Run] = [_untranslated] * (code.size + 1)
        self._leaders: list[int] | None = None
        self._observed: dict[int, Run] = {}

    def first(self, index: int) -> None:
        """The block from `index` is about to run for the first time."""
        self.run[index] = self._cold(index)

    def one(self, index: int) -> int:
        """Execute a single instruction; where to go on."""
        machine = self.code.machine
        machine.at = index
        index = self._step(index)()
        machine.count[0] += 1
        return index

    def _step(self, index: int) -> Run:
        op = self.code.op(index)
        if self.hooks is None:
            return op.run
        known = self._observed.get(index)
        if known is None:
            known = self._observed[index] = observed(op, self.code, self.hooks)
        return known

    # -- where blocks begin and end ----------------------------------------------------------------

    def end(self, start: int) -> int:
        """Index after the last instruction of the block that `start` lies in."""
        if self._leaders is None:
            self._leaders = self._find_leaders()
        i = bisect_right(self._leaders, start)
        end = self._leaders[i] if i < len(self._leaders) else self.code.size
        return max(min(end, start + LONGEST), start + 1)  # one past the last instruction is a block too

    def begin(self, index: int) -> int:
        """Index of the first instruction of the block that `index` lies in."""
        if self._leaders is None:
            self._leaders = self._find_leaders()
        i = bisect_right(self._leaders, index)
        return self._leaders[i - 1] if i else 0

    def around(self, stops: frozenset[int]) -> frozenset[int]:
        """All instructions of the blocks that hold these."""
        return frozenset(i for stop in stops for i in range(self.begin(stop), self.end(self.begin(stop))))

    def _find_leaders(self) -> list[int]:
        """Where jumps and loops lead to, and what follows an instruction that jumps whatever happens, in order."""
        size = self.code.size
        leads = np.zeros(size + 1, bool)
        leads[0] = True
        for flow, at, targets in self.code.jumps():
            if flow is not Flow.BRANCH:
                leads[at + 1] = True
            if targets is not None:
                leads[targets[(targets >= 0) & (targets <= size)]] = True
        return list(np.flatnonzero(leads).tolist())

    # -- running them ------------------------------------------------------------------------------

    def _cold(self, start: int) -> Run:
        """The block from `start`, one instruction after the other, until it has run often enough."""
        machine = self.code.machine
        count, quota = machine.count, machine.quota
        end = self.end(start)
        steps = list(zip(range(start, end), map(self._step, range(start, end)), strict=True))
        hits = 0

        def run() -> int:
            nonlocal hits
            hits += 1
            if hits > HOT:
                compiled = self.run[start] = _Writer(self.code, start, end, self._step, self.hooks).function()
                return compiled()
            at = nxt = start
            try:
                for at, step in steps:
                    if quota[0] < 0:  # interrupted
                        count[0] += at - start
                        return at
                    nxt = step()
                    if nxt != at + 1:
                        break
            except BaseException:
                machine.at = at
                count[0] += at - start
                raise
            count[0] += at - start + 1
            return nxt

        return run


def at(trace: TracebackType | None) -> tuple[int, int] | None:
    """The first instruction of the block that raised, and the one that did; None if no compiled block did."""
    found = None
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_filename == FILE and "start_" in frame.f_locals:
            start, lines = frame.f_locals["start_"], frame.f_locals["lines_"]
            found = start, start + bisect_right(lines, trace.tb_lineno) - 1
        trace = trace.tb_next
    return found


class _Writer:
    """Writes the function of one block."""

    def __init__(self, code: Code, start: int, end: int, step: Callable[[int], Run], hooks: Hooks | None) -> None:
        self.code = code
        self.machine = code.machine
        self.step = step
        self.hooks = hooks
        self.start = start
        self.end = end
        self.body: list[str] = []
        self.lines: list[int] = []  # of the function, at which each instruction begins
        m = code.machine
        self.constants: dict[str, Any] = {
            "x": m.x, "t": m.t, "sems": m.sems, "loops": m.loops, "m": m, "D": m.memories.deferrals,
            "count": m.count, "quota": m.quota, "start_": start, "lines_": self.lines,
        }  # fmt: skip

    def function(self) -> Run:
        for i in range(self.start, self.end):
            self.lines.append(len(self.body) + 3)  # after `def` and `while`
            done = self._instruction(self.code.op(i), i)
            if done:
                break
        else:
            self._leave()
        return function((), ["while True:", *(" " + line for line in self.body)], self.constants)

    def _use(self, name: str, value: Any) -> str:
        self.constants[name] = value
        return name

    def _instruction(self, op: Op, index: int) -> bool:
        """One instruction; True when it has left the block."""
        n = index - self.start
        out = self.body
        inst = op.inst
        if op.queue is not None and inst is not None and not inst.row.shared:
            self._engine(op, n)
            self._stop(index)
            return False
        flow = None if inst is None else inst.row.flow
        step = self.step(index)
        if op.wait is None and op.signal is None and step is op.run:
            if flow is Flow.NEXT and (self._scalar(op, n) or self._tile(op, n)):
                return False
            if flow is Flow.BRANCH and self._branch(op, n, index):
                return False
        run = f"{self._use(f'run{n}', step)}()"
        if flow is Flow.NEXT and not self.code.ends(index + 1):
            out.append(run)
            if step is not op.run:
                self._stop(index)
            return False
        out.append(f"next_ = {run}")  # which closes a loop that ends here
        self._goto("next_", n + 1)
        return True

    def _stop(self, index: int) -> None:
        """After an instruction whose hooks may want the run to come back."""
        if self.hooks is not None and self.hooks.stops:
            following = f"m.arrive({index + 1})" if self.code.ends(index + 1) else str(index + 1)
            self.body.append(f"if quota[0] < 0: count[0] += {index + 1 - self.start}; return {following}")

    def _leave(self) -> None:
        """The end of a block that runs into the next one, perhaps the end of a loop."""
        n, end, out = self.end - self.start, self.end, self.body
        if not self.code.ends(end):
            out += [f"count[0] += {n}", f"return {end}"]
            return
        out += [
            f"count[0] += {n}",
            "if loops:",
            " loop_ = loops[-1]",
            f" if loop_.end == {end}:",
            "  if loop_.left > 1:",
            "   loop_.left -= 1",
            f"   if loop_.start == {self.start} and count[0] < quota[0]: continue",
            "   return loop_.start",
            f"  return m.arrive({end})",
            f"return {end}",
        ]

    def _goto(self, target: str, done: int) -> None:
        """On to an index that is an expression, after so many instructions."""
        self.body += [
            f"count[0] += {done}",
            f"if {target} == {self.start} and count[0] < quota[0]: continue",
            f"return {target}",
        ]

    # -- scalars -----------------------------------------------------------------------------------

    def _arguments(self, op: Op) -> dict[str, str] | None:
        """Text for each operand of an instruction of scalar registers and constants; None for any other."""
        assert op.inst is not None
        row = op.inst.row
        if row.takes_machine or row.data:
            return None
        out = {}
        for o, v in zip(row.operands, op.inst.values, strict=True):
            text = self._scalar_operand(o.kind, v)
            if text is None:
                return None
            out[o.name] = text
        return out

    def _scalar_operand(self, kind: Any, value: Any) -> str | None:
        if isinstance(kind, T) or (isinstance(kind, X) and kind.writes):
            return "None" if kind.writes and not isinstance(kind, T) else None
        if isinstance(kind, (XF, XFI)):
            reg = value.index if isinstance(value, Reg) else value
            if isinstance(kind, XFI) and not isinstance(value, Reg):
                return None
            return f"{self._use('bits_f32', bits_f32)}(x[{reg}])"
        if isinstance(kind, XI):
            return f"x[{value.index}]" if isinstance(value, Reg) else f"({int(value)})"
        if isinstance(kind, X):
            return f"x[{value}]"
        return f"({value})" if isinstance(value, int) else None

    def _value(self, op: Op, n: int, arguments: dict[str, str]) -> tuple[list[str], str, bool]:
        """Statements and an expression for what the semantics returns, and whether it has 64 bits for certain."""
        assert op.inst is not None
        row = op.inst.row
        found = inline.expression(row.semantics)
        if found is None:
            f = self._use(f"f{n}", row.semantics)
            return [], f"{f}({', '.join(arguments[o.name] for o in row.operands)})", False
        named = {p: arguments[o.name] for p, o in zip(found.parameters, row.operands, strict=True)}
        guards, text = found.source(named, lambda name, value: self._use(f"g{n}_{name}", value))
        return guards, text, found.closed

    def _scalar(self, op: Op, n: int) -> bool:
        """An instruction that computes a scalar from scalars."""
        assert op.inst is not None
        row = op.inst.row
        writes = [v for o, v in zip(row.operands, op.inst.values, strict=True) if o.kind.writes]
        arguments = self._arguments(op)
        if arguments is None or any(isinstance(o.kind, T) for o in row.operands) or len(writes) != 1:
            return False
        if any(type(o.kind).__name__ == "FImm" for o in row.operands):
            return False
        guards, text, closed = self._value(op, n, arguments)
        d = writes[0]
        if d == 0:
            self.body += [*guards, text]
        elif closed:
            self.body += [*guards, f"x[{d}] = {text}"]
        else:
            wrap = self._use("wrap64", self.code.wrap64)
            self.body += [*guards, f"v = {text}", f"x[{d}] = v if {_MIN} <= v <= {_MAX} else {wrap}(v)"]
        return True

    def _branch(self, op: Op, n: int, index: int) -> bool:
        """A comparison of scalars, after which the block may be left."""
        assert op.inst is not None
        row = op.inst.row
        at = row.label_operand
        assert at is not None
        target = index + op.inst.values[at] // INSTRUCTION_BYTES
        if not 0 <= target <= self.code.size:
            return False
        arguments = self._arguments(op)
        if arguments is None:
            return False
        guards, text, _ = self._value(op, n, arguments)
        self.body += [*guards, f"if {text}:", f" count[0] += {n + 1}"]
        if target == self.start:
            self.body.append(" if count[0] < quota[0]: continue")
        self.body.append(f" return m.arrive({target})" if self.code.ends(target) else f" return {target}")
        return True

    def _tile(self, op: Op, n: int) -> bool:
        """A descriptor made from one descriptor and scalars, by the rows' own function and a memory of its results."""
        found = op.tile
        if found is None:
            return False
        key = ", ".join(["id(u)", *(f"x[{r}]" for r in found.scalars)])
        self.body += [
            f"u = t[{found.source}]",
            f"if u is None or u.dimregs is not None: u = {self._use('read_tile', read_tile)}"
            f"(t, {found.source}, x, {self._use(f'name{n}', found.name)})",
            f"e = {self._use(f'known{n}', found.known)}.get({f'({key})' if found.scalars else key})",
            f"t[{found.dest}] = e[1] if e is not None else {self._use(f'fresh{n}', found.fresh)}(u)[1]",
        ]
        return True

    # -- engines -----------------------------------------------------------------------------------

    def _engine(self, op: Op, n: int) -> None:
        inst, queue, out = op.inst, op.queue, self.body
        assert inst is not None and queue is not None and op.bind is not None
        row = inst.row
        if row.engine is Engine.MXU and n:  # products can take long, and whoever interrupts must not wait for many
            out.append(f"if quota[0] < 0: count[0] += {n}; return {op.index}")
        hooks = self.hooks
        if self.code.resets or hooks:
            out.append("m.drained = False")
        out.append(f"b = {self._use(f'bind{n}', op.bind)}()")
        scalars = self._engine_scalars(op, n)
        value = "0"
        entries = self._use(f"q_{queue.name}", queue.entries)
        waits = ""
        if op.wait is not None:
            value = f"x[{op.wait.reg}] + {op.wait.imm}" if op.wait.reg else str(op.wait.imm)
            if hooks:
                out.append(f"w = {value}")
                value = "w"
            waits = f" or sems[{op.wait.sem}] < {value}"
        issued, part, this = self._use("Issued", self.code.issued), self._use("partial", partial), f"op{n}"
        run = f"{part}({', '.join(['b.invoke', *scalars])})" if scalars else "b.invoke"
        out += [f"if {entries}{waits}:", f" i = {issued}({self._use(this, op)}, b, {run}, {value})", " m.park(i)"]
        if hooks:
            out += [f" {self._use(f'parked_{i}', hook)}(i)" for i, hook in enumerate(hooks.parked)]
        out.append("else:")
        if hooks:
            out += [f" {self._use(f'before_{i}', hook)}({this}, b, {value})" for i, hook in enumerate(hooks.before)]
        given = ", ".join(scalars)
        if row.copies:
            out += [" d = b.deferred", " if d is not None: D.defer(d)", " else:"]
        pad = "  " if row.copies else " "
        if any(k.writes_data and Space.HBM in row.spaces(k) for _, _, k in row.data):
            out.append(f"{pad}if D.sourced: m.hbm_write(b)")
        on_chip = [f"b.v{i}.cover.live" for i, (_, _, k) in enumerate(row.data) if Space.SRAM in row.spaces(k)]
        if on_chip:
            out += [f"{pad}if {' or '.join(on_chip)}: b.redirected(D)({given})", f"{pad}else: b.invoke({given})"]
        else:
            out.append(f"{pad}b.invoke({given})")
        if hooks:
            out += [f" {self._use(f'after_{i}', hook)}({this}, b, {value})" for i, hook in enumerate(hooks.after)]
        self._signal(op, n)

    def _signal(self, op: Op, n: int) -> None:
        if op.signal is None:
            return
        signal = self._use(f"signal{n}", op.signal)
        if self.hooks:
            self.body += [f" {self._use('hooks', self.hooks)}.op = op{n}", f" m.signal({signal})"]
            return
        self.body += [
            f" v = sems[{op.signal.sem}] + {op.signal.inc}",
            f" if v >= {self.code.semaphore_limit}: m.signal({signal})",
            f" sems[{op.signal.sem}] = v",
            " if m.parked: m.pump()",
        ]

    def _engine_scalars(self, op: Op, n: int) -> list[str]:
        """What is read from registers when the instruction issues; a name per scalar operand."""
        assert op.inst is not None
        out = []
        values = {o.name: (o.kind, v) for o, v in zip(op.inst.row.operands, op.inst.values, strict=True)}
        for i, (name, reader) in enumerate(op.scalars):
            text = self._scalar_operand(*values[name]) or f"{self._use(f'read{n}_{i}', reader)}()"
            self.body.append(f"s{i} = {text}")
            out.append(f"s{i}")
        return out
