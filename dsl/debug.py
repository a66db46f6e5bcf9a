"""What the compiler tells debuggers: of each instruction its inlined calls and IR operation, and where variables live.

Read off the finished machine IR. Walking its instructions in order shows, for every register and every place in
SRAM and ACC, from where to where it holds which value: until it is written again, or something that shares bytes
with it is. What a loop writes holds nothing for certain at the beginning of a turn, but for what the loop carries.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from sohu.asm import debuginfo
from sohu.asm.debuginfo import IrOp, KernelDebug, Location, Place, Run, Variable, constant, is_function, is_variable
from sohu.dsl.errors import Scope
from sohu.dsl.ir import FLOAT, VIEW_OPS, Binding, Block, Function, Op, ScalarType, TileType, Value, root
from sohu.dsl.ir_text import op_lines
from sohu.dsl.mir import Buffer, MInst, MKernel, MLoop, MNode, Operand, VReg
from sohu.dsl.sync import overlap
from sohu.isa import ROWS
from sohu.isa.machine import SP

_LONGEST = 4000  # characters of an operation's text

Spot = VReg | Buffer | tuple[str, int]  # what holds a value: a place in memory, or a register by bank and number
Stretch = tuple[int, int]  # instructions [start, end)


def describe(f: Function, kernel: MKernel, registers: dict[VReg, int], entry: int) -> KernelDebug:
    """The description of a compiled kernel whose code begins at pc `entry`."""
    return Describer(f, kernel, registers).run(entry)


class Describer:
    """Reads a compiled kernel. lives: during which instructions each value is where the kernel keeps it."""

    def __init__(self, f: Function, kernel: MKernel, registers: dict[VReg, int]) -> None:
        self.f = f
        self.kernel = kernel
        self.registers = registers
        self.first = len(kernel.params) + sum(1 + len(b.aliases) for b in kernel.buffers)  # after the prologue
        self.at = self.first
        self.places: list[tuple[int, Scope | None, Op | None]] = []  # of each instruction after the prologue
        self.ends: dict[Op, int] = {}  # where the code of each operation ends
        self.extents: dict[Block, Stretch] = {}  # the code of each block
        self.held: dict[Spot, list[tuple[Value, int]]] = {}  # what each spot holds now, and since when
        self.lives: dict[Value, list[Stretch]] = {}
        self.slots: dict[Operand, VReg] = {offset: v for v, (base, offset) in kernel.spilled.items() if base == SP}
        self.rivals: dict[Buffer, list[Buffer]] = {
            b: [x for x in kernel.buffers if overlap(b, x)] for b in kernel.buffers
        }

    def run(self, entry: int) -> KernelDebug:
        """The description of the kernel, whose code begins at pc `entry`."""
        for p in self.f.params:
            self.hold(p.value)
        self.block(self.kernel.nodes)
        size = self.at
        self.extents[self.f.body] = (self.first, size)
        for spot in list(self.held):
            self.release(spot)
        ops, op_runs = self.operations()
        scopes, numbers, scope_runs = self.scopes()
        return KernelDebug(entry, size, scopes, scope_runs, ops, op_runs, self.variables(numbers, scope_runs, size))

    # -- what holds which value ------------------------------------------------------------------

    def spot(self, home: VReg | Buffer) -> Spot | None:
        """Where a register or buffer really is."""
        if isinstance(home, Buffer) or home in self.kernel.spilled:
            return home
        number = self.registers.get(home, home.fixed)
        return None if number is None else (home.bank, number)

    def hold(self, v: Value) -> None:
        """From here on a value's home holds it (too)."""
        home = self.kernel.homes.get(v)
        spot = None if home is None else self.spot(home)
        if spot is not None:
            self.held.setdefault(spot, []).append((v, self.at))

    def release(self, spot: Spot) -> None:
        """From here on a spot holds nothing that is known."""
        for v, since in self.held.pop(spot, ()):
            if since < self.at:
                self.lives.setdefault(v, []).append((since, self.at))

    def written(self, n: MInst) -> Iterable[Spot]:
        """What an instruction writes."""
        target = n.defines
        if target is not None and (spot := self.spot(target)) is not None:
            yield spot
        if n.row is ROWS["sd"] and (spilled := self.slots.get(n.operands[2])) is not None:
            yield spilled
        for place in n.writes:
            if isinstance(place, Buffer):
                yield from self.rivals.get(place, ())

    def block(self, nodes: list[MNode]) -> None:
        """The instructions of a block, in order."""
        for n in nodes:
            self.places.append((self.at, n.loc.scope if n.loc is not None else None, n.op))
            self.at += 1
            if isinstance(n, MLoop):
                self.loop(n)
            else:
                for spot in self.written(n):
                    self.release(spot)
                for v in n.makes:
                    self.hold(v)
            if n.op is not None:
                self.ends[n.op] = max(self.ends.get(n.op, 0), self.at)

    def loop(self, n: MLoop) -> None:
        """A loop's body, from the instruction after its own."""
        written = {spot for inst in _flat(n.body) for spot in self.written(inst)}
        for spot in written:
            self.release(spot)
        start = self.at
        body = n.op.body if n.op is not None else None
        for v in body.args if body is not None else ():
            self.hold(v)
        self.block(n.body)
        for spot in written:
            self.release(spot)
        for v in n.op.results if n.op is not None else ():
            self.hold(v)
        if body is not None:
            self.extents[body] = (start, self.at)

    # -- values ----------------------------------------------------------------------------------

    def located(self, v: Value) -> list[Place]:
        """When a value is somewhere, and where."""
        if v.op is not None and v.op.name == "const":
            number = v.op.attrs["value"]
            return [Place(0, self.at, constant(float(number) if v.type == FLOAT else number))]
        home = self.kernel.homes.get(v)
        if home is None:
            return []
        lives = self.lives.get(v, [])
        if isinstance(home, Buffer):
            where = Location("tile", self.registers[home.reg]) if home.reg in self.registers else None
        elif isinstance(v.type, ScalarType):
            kind: debuginfo.ScalarType = "f32" if v.type == FLOAT else "i64"
            if home in self.kernel.spilled:
                base, offset = self.kernel.spilled[home]
                where = Location("memory", base, kind, offset)
            else:
                where = Location("register", self.registers[home], kind) if home in self.registers else None
        else:
            where = Location("tile", self.registers[home]) if home in self.registers else None
            owner = root(v)
            if isinstance(v.type, TileType) and v.op is not None and v.op.name in VIEW_OPS:
                data = self.lives.get(owner, [])  # a view is there while its descriptor is, and what it sees
                lives = data if home.pinned else _both(lives, data)
        return [] if where is None else [Place(a, b, where) for a, b in lives]

    # -- operations and scopes -------------------------------------------------------------------

    def operations(self) -> tuple[tuple[IrOp, ...], tuple[Run, ...]]:
        """The operations of the IR that have code, and which."""
        lines = op_lines(self.f)
        used = {op for _, _, op in self.places if op is not None}
        order = [op for op in lines if op in used]
        number = {op: i for i, op in enumerate(order)}
        ops = tuple(IrOp(lines[op][0], _short(lines[op][1])) for op in order)
        return ops, _runs((at, None if op is None else number.get(op)) for at, _, op in self.places)

    def scopes(self) -> tuple[tuple[debuginfo.Scope, ...], dict[Scope, int], tuple[Run, ...]]:
        """The functions that have code, callers first; and which code each has."""
        own = self.f.loc.scope if self.f.loc is not None else None
        if own is None:
            name, file, line = self.f.name, f"{self.f.name}.ir", 1
            own = Scope(name, file, line)
        numbers: dict[Scope, int] = {own: 0}
        found = [debuginfo.Scope(_called(own.function), own.file, max(own.line, 1))]

        def number(s: Scope) -> int:
            if s not in numbers:
                parent = number(s.parent) if s.parent is not None else 0
                c = s.caller
                call = (c.file, c.line, c.column) if c is not None else (own.file, own.line, 0)
                numbers[s] = len(found)
                found.append(debuginfo.Scope(_called(s.function), s.file, s.line, parent, call))
            return numbers[s]

        runs = _runs((at, (number(s) or None) if s is not None else None) for at, s, _ in self.places)
        return tuple(found), numbers, runs

    # -- variables -------------------------------------------------------------------------------

    def variables(self, numbers: dict[Scope, int], runs: tuple[Run, ...], size: int) -> tuple[Variable, ...]:
        """What the names of the source mean, where."""
        hulls = self.hulls(numbers, runs, size)
        position = self.positions()
        named: dict[tuple[int, str], list[Binding]] = {}
        for b in self.f.bindings:
            if b.scope in numbers and is_variable(b.name):
                named.setdefault((numbers[b.scope], b.name), []).append(b)
        out = []
        for (scope, name), bindings in sorted(named.items(), key=lambda item: item[0][0]):
            if not any(isinstance(b.values, (int, float)) or b.values for b in bindings):
                continue  # never anything but a function, a dtype or the like
            painted = self.painted(bindings, position)
            low, high = hulls[scope]
            places = [p for start, end, b in painted for p in self.shown(b, max(start, low), min(end, high))]
            out.append(Variable(name, scope, _joined(places)))
        return tuple(out)

    def hulls(self, numbers: dict[Scope, int], runs: tuple[Run, ...], size: int) -> list[Stretch]:
        """From where to where each function has code, with what is inlined in it."""
        out: list[Stretch] = [(0, size)] + [(size, 0)] * (len(numbers) - 1)
        parents = {i: numbers.get(s.parent, 0) if s.parent else 0 for s, i in numbers.items() if i}
        for r in runs:
            scope = r.of
            while scope:
                out[scope] = (min(out[scope][0], r.start), max(out[scope][1], r.end))
                scope = parents[scope]
        return out

    def positions(self) -> Callable[[Binding], int]:
        """Before which instruction a binding takes effect: the first after the code of the last operation before it."""
        tables: dict[Block, tuple[list[int], list[int]]] = {}

        def table(block: Block) -> tuple[list[int], list[int]]:
            if block not in tables:
                at = self.extents[block][0]
                ends = []
                for op in block.ops:
                    at = max(at, self.ends.get(op, 0))
                    ends.append((op.order, at))
                latest = 0
                orders, where = [], []
                for order, end in sorted(ends):
                    latest = max(latest, end)
                    orders.append(order)
                    where.append(latest)
                tables[block] = orders, where
            return tables[block]

        def position(b: Binding) -> int:
            orders, where = table(b.block)
            i = bisect_left(orders, b.order) - 1
            return where[i] if i >= 0 else self.extents[b.block][0]

        return position

    def painted(self, bindings: list[Binding], position: Callable[[Binding], int]) -> list[tuple[int, int, Binding]]:
        """Which binding of a name counts for which instructions.

        It is the last before them, in the innermost block that has one.
        """
        blocks: dict[Block, list[tuple[int, Binding]]] = {}
        for b in bindings:
            if b.block in self.extents:
                blocks.setdefault(b.block, []).append((position(b), b))
        out: list[tuple[int, int, Binding]] = []
        for block, found in sorted(blocks.items(), key=lambda item: self.extents[item[0]][0]):  # outer ones first
            end = self.extents[block][1]
            found.sort(key=lambda item: item[0])
            starts = [at for at, _ in found] + [end]
            for (start, b), stop in zip(found, starts[1:], strict=True):
                if start < stop:
                    out = _over(out, (start, stop, b))
        return out

    def shown(self, b: Binding, start: int, end: int) -> list[Place]:
        """Where the value of a binding is, within these instructions."""
        if isinstance(b.values, (int, float)):
            return [Place(start, end, constant(_plain(b.values)))] if start < end and _fits(b.values) else []
        out: list[Place] = []
        for v in b.values:
            for p in self.located(v):
                out = _under(out, Place(max(p.start, start), min(p.end, end), p.location))
        return sorted(out, key=lambda p: p.start)


def _flat(nodes: list[MNode]) -> list[MInst]:
    out: list[MInst] = []
    for n in nodes:
        out += _flat(n.body) if isinstance(n, MLoop) else [n]
    return out


def _called(name: str) -> str:
    """The name of a function; Python lets it be any text."""
    return name if is_function(name) else "<function>"


def _plain(value: int | float) -> int | float:
    return value if isinstance(value, float) else int(value)  # and no bool


def _fits(value: int | float) -> bool:
    return isinstance(value, float) or -(1 << 63) <= value < 1 << 63


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _both(a: list[Stretch], b: list[Stretch]) -> list[Stretch]:
    """What lies in both."""
    out = [(max(p, r), min(q, s)) for p, q in a for r, s in b]
    return sorted((p, q) for p, q in out if p < q)


def _over(painted: list[tuple[int, int, Binding]], new: tuple[int, int, Binding]) -> list[tuple[int, int, Binding]]:
    """Paint over what is there, which is in order and stays so."""
    start, end, _ = new
    if not painted or painted[-1][1] <= start:
        return [*painted, new]
    out = [new]
    for a, b, what in painted:
        out += [(p, q, what) for p, q in ((a, min(b, start)), (max(a, end), b)) if p < q]
    return sorted(out, key=lambda p: p[0])


def _under(there: list[Place], new: Place) -> list[Place]:
    """Add a place where there is none yet."""
    left = [(new.start, new.end)] if new.start < new.end else []
    for p in there:
        left = [(a, b) for x, y in left for a, b in ((x, min(y, p.start)), (max(x, p.end), y)) if a < b]
    return there + [Place(a, b, new.location) for a, b in left]


def _joined(places: list[Place]) -> tuple[Place, ...]:
    """Adjacent places at one location as one."""
    out: list[Place] = []
    for p in sorted(places, key=lambda p: p.start):
        if out and out[-1].end == p.start and out[-1].location == p.location:
            out[-1] = Place(out[-1].start, p.end, p.location)
        else:
            out.append(p)
    return tuple(out)


def _runs(entries: Iterable[tuple[int, int | None]]) -> tuple[Run, ...]:
    """Neighbouring instructions of the same number as one; None is left out."""
    out: list[Run] = []
    for at, number in entries:
        if number is None:
            continue
        if out and out[-1].of == number and out[-1].end == at:
            out[-1] = Run(out[-1].start, at + 1, number)
        else:
            out.append(Run(at, at + 1, number))
    return tuple(out)
