"""IR to machine IR: every op is one instruction, give or take constants, sizes and loop counts."""

from __future__ import annotations

from typing import Any

from sohu.asm.names import is_name
from sohu.dsl.errors import Loc
from sohu.dsl.ir import (
    INDEX,
    VIEW_OPS,
    Block,
    Function,
    MemType,
    Op,
    ScalarType,
    TileType,
    Value,
    caps,
    root,
    slots,
    tied,
    walk,
)
from sohu.dsl.mir import Alias, Buffer, MInst, MKernel, MLoop, MNode, Operand, Place, Tensor, VReg
from sohu.dsl.places import Places
from sohu.isa import ROWS, Data
from sohu.isa.operands import XF, XFI, XI, T, TOut, X, XOut


def lower(f: Function) -> MKernel:
    """Lower a verified kernel whose tiles have their memories."""
    return _Lowering(f).run()


class _Lowering:
    def __init__(self, f: Function) -> None:
        self.f = f
        self.places = Places(f)
        self.nodes: list[MNode] = []
        self.regs: dict[Value, VReg] = {}
        self.buffers: dict[Value, Buffer] = {}
        self.tensors: dict[Value, Tensor] = {}
        self.taken: set[str] = {*f.dims}
        self.loc: Loc | None = None
        self.at: Op | None = None  # what is being lowered
        # Blocks being built, innermost last, and at which of them each value came to be: what a descriptor's
        # size depends on is set once in the outermost of them that knows it, not at each turn of a loop.
        self.open: list[list[MNode]] = [self.nodes]
        self.loops: list[Op] = []  # those being built
        self.depth: dict[Value, int] = dict.fromkeys(f.dims.values(), 0)
        self.sized: set[tuple[VReg, int, int]] = set()

    def run(self) -> MKernel:
        params = {}
        for p in self.f.params:
            self.taken.add(p.name)
            is_tensor = isinstance(p.value.type, MemType)
            reg = VReg("t" if is_tensor else "x", p.name, pinned=is_tensor)
            params[p.name] = self.regs[p.value] = reg
            if is_tensor:
                self.tensors[p.value] = Tensor(p.name)
        self.loc = self.f.loc
        for name, v in self.f.dims.items():
            p = next(p for p in self.f.params if name in p.dims)
            self.put("tget", [self.reg(v), self.regs[p.value], p.dims.index(name)], makes=(v,))
        self.block(self.f.body)
        self.loc, self.at = self.f.loc, None
        self.put("drain", [])
        self.put("halt", [])
        _drop_unused(self.nodes)
        return MKernel(self.f.name, self.nodes, params, list(self.buffers.values()), self.homes())

    def homes(self) -> dict[Value, VReg | Buffer]:
        """Where each value is that is anywhere."""
        homes: dict[Value, VReg | Buffer] = {**self.regs}
        for op in walk(self.f.body):
            for v in (*op.results, *(op.body.args if op.body is not None else ())):
                if isinstance(v.type, TileType) and (found := self.buffers.get(self.places.find(v))) is not None:
                    homes.setdefault(v, found)
        return homes

    # -- pieces ---------------------------------------------------------------------------------

    def put(self, mnemonic: str, operands: list[Operand], **kw: Any) -> MInst:
        inst = MInst(ROWS[mnemonic], operands, self.loc, op=self.at, **kw)
        self.nodes.append(inst)
        return inst

    def reg(self, v: Value) -> VReg:
        if v not in self.regs:
            self.regs[v] = VReg("x" if isinstance(v.type, ScalarType) else "t", v.hint)
        return self.regs[v]

    def name(self, hint: str) -> str:
        base = hint or "tmp"
        n, name = 1, base
        while name in self.taken or not is_name(name):
            n += 1
            name = f"{base}_{n}"
        self.taken.add(name)
        return name

    def buffer(self, v: Value) -> Buffer:
        place = self.places.find(v)
        if place not in self.buffers:
            t = place.tile
            size = caps(t.dims)
            assert size is not None and t.space is not None
            hint = place.hint or v.hint
            name = self.name(hint)
            sizes = tuple(d.size for d in t.dims)
            self.buffers[place] = Buffer(name, t.space, t.dtype, size, VReg("t", name, pinned=True), sizes, self.loc)
        return self.buffers[place]

    def place(self, v: Value) -> Place:
        """The memory behind a tile, a tensor, or a view of either."""
        while v.op is not None and v.op.name in VIEW_OPS:
            v = v.op.operands[0]
        return self.tensors[v] if isinstance(v.type, MemType) else self.buffer(v)

    def tile(self, v: Value) -> VReg:
        """The tile register with a value's descriptor."""
        if isinstance(v.type, MemType) or (v.op is not None and v.op.name in VIEW_OPS):
            return self.reg(v)
        return self.buffer(v).reg

    def scalar(self, v: Value) -> VReg | int:
        """A scalar in a register (0: x0)."""
        if v.op is None or v.op.name != "const":
            return self.reg(v)
        value = v.op.attrs["value"]
        if value == 0 and str(value)[0] != "-":
            return VReg("x", "zero", fixed=0)
        temp = VReg("x", v.hint)
        self.put("li" if v.type == INDEX else "lf", [temp, value])
        return temp

    def scalar_or_constant(self, v: Value) -> Operand:
        if v.op is not None and v.op.name == "const":
            value = v.op.attrs["value"]
            return value if v.type != INDEX else self.immediate(int(value))
        return self.scalar(v)

    # -- ops ------------------------------------------------------------------------------------

    def block(self, b: Block) -> None:
        for op in b.ops:
            self.loc, self.at = op.loc, op
            if op.name == "for":
                self.loop(op)
            elif op.name == "reshape":
                self.reshape(op)
            elif op.name not in ("const", "yield"):
                self.op(op)

    def op(self, op: Op) -> None:
        row = op.row
        assert row is not None
        self.depth.update(dict.fromkeys(op.results, len(self.open) - 1))
        tied_results = {r for _, r in tied(op)}
        for i, r in enumerate(op.results):
            if isinstance(r.type, TileType) and op.name not in VIEW_OPS and i not in tied_results:
                self.set_sizes(r)
        operands: list[Operand] = []
        reads: list[Place] = []
        writes: list[Place] = []
        for s in slots(row):
            value = op.operands[s.operand] if s.operand is not None else None
            result = op.results[s.result] if s.result is not None else None
            kind = s.kind
            if isinstance(kind, Data):
                v = value if value is not None else result
                assert v is not None
                operands.append(self.tile(v))
                if kind.reads_data:
                    reads.append(self.place(v))
                if kind.writes_data:
                    writes.append(self.place(v))
            elif type(kind) in (T, TOut):
                v = value if value is not None else result
                assert v is not None
                operands.append(self.tile(v))
            elif type(kind) is XOut:
                assert result is not None
                operands.append(self.reg(result))
            elif type(kind) in (X, XF):
                assert value is not None
                operands.append(self.scalar(value))
            elif type(kind) in (XI, XFI):
                assert value is not None
                operands.append(self.scalar_or_constant(value))
            else:
                default = next(o.default for o in row.operands if o.name == s.name)
                operands.append(op.attrs.get(s.name, default))
        engine = None
        if row.engine.is_async:
            q = row.queue_operand
            engine = (row.engine.name, int(operands[q]) if q is not None else 0)  # type: ignore[arg-type]
        self.put(op.name, operands, engine=engine, reads=reads, writes=writes, makes=tuple(op.results))

    def set_sizes(self, v: Value) -> None:
        """Before a tile is made: its run-time sizes into its descriptor."""
        self.sizes_of(self.buffer(v).reg, v)

    def sizes_of(self, reg: VReg, v: Value) -> None:
        for axis, d in enumerate(v.tile.dims):
            if not isinstance(d.size, Value):
                continue
            depth = self.depth.get(d.size, 0)
            key = (reg, axis, id(self.open[depth]))
            if key not in self.sized:
                self.sized.add(key)
                loc, op = (self.loops[depth].loc, self.loops[depth]) if depth < len(self.loops) else (self.loc, self.at)
                inst = MInst(ROWS["tset"], [reg, reg, axis, self.reg(d.size)], loc, op=op)
                self.open[depth].append(inst)

    def reshape(self, op: Op) -> None:
        """No instruction: a descriptor of its own for the tile's place, shared by equal shapes of it."""
        v = op.result
        buffer = self.buffer(root(v))
        size, sizes = caps(v.tile.dims), tuple(d.size for d in v.tile.dims)
        assert size is not None
        alias = next((a for a in buffer.aliases if (a.caps, a.sizes) == (size, sizes)), None)
        if alias is None:
            name = self.name(v.hint or buffer.name)
            alias = Alias(name, size, VReg("t", name, pinned=True), sizes)
            buffer.aliases.append(alias)
        self.regs[v] = alias.reg
        self.sizes_of(alias.reg, v)

    def loop(self, op: Op) -> None:
        assert op.body is not None
        lo, hi, step, *inits = op.operands
        iv, *args = op.body.args
        carried = [
            (VReg("x", a.hint), i, a, y, r)
            for i, a, y, r in zip(inits, args, op.body.ops[-1].operands, op.results, strict=True)
            if isinstance(a.type, ScalarType)
        ]
        index = self.regs[iv] = VReg("x", iv.hint)
        count = self.trip_count(lo, hi, step)
        self.move(index, lo)
        for place, init, arg, _, result in carried:
            self.move(place, init)
            self.regs[arg] = self.regs[result] = place
        outer, self.nodes = self.nodes, []
        self.open.append(self.nodes)
        self.loops.append(op)
        for a in op.body.args:
            self.depth[a] = len(self.open) - 1
        self.block(op.body)
        self.loc, self.at = op.loc, op
        ends = [(place, y) for place, _, _, y, _ in carried]
        if len(ends) > 1:  # all read before any is written
            temps = [VReg("x") for _ in ends]
            for t, (_, y) in zip(temps, ends, strict=True):
                self.move(t, y)
            for t, (place, _) in zip(temps, ends, strict=True):
                self.put("mv", [place, t])
        else:
            for place, y in ends:
                self.move(place, y)
        self.put("add", [index, index, self.scalar_or_constant(step)])
        body, self.nodes = self.nodes, outer
        self.open.pop()
        self.loops.pop()
        for r in op.results:
            self.depth[r] = len(self.open) - 1
        self.nodes.append(MLoop(count, body, op.loc, op))

    def move(self, to: VReg, v: Value) -> None:
        if v.op is not None and v.op.name == "const":
            self.put("li" if v.type == INDEX else "lf", [to, v.op.attrs["value"]])
        else:
            self.put("mv", [to, self.scalar(v)])

    def trip_count(self, lo: Value, hi: Value, step: Value) -> Operand:
        """ceil((hi - lo) / step); a negative count skips the loop."""
        start, stop, by = (v.op.attrs["value"] if v.op and v.op.name == "const" else None for v in (lo, hi, step))
        assert by is not None
        by = int(by)
        if start is not None and stop is not None:
            return max(0, -(-(int(stop) - int(start)) // by))
        count = VReg("x", "trips")
        if stop is not None:
            self.put("sub", [count, self.scalar(hi), self.scalar(lo)])
            if by > 1:
                self.put("add", [count, count, self.immediate(by - 1)])
        else:
            offset = by - 1 - int(start) if start is not None else by - 1
            if offset == 0 and start is not None:
                self.put("mv", [count, self.scalar(hi)])
            else:
                self.put("add", [count, self.scalar(hi), self.immediate(offset)])
            if start is None:
                self.put("sub", [count, count, self.scalar(lo)])
        if by > 1:
            self.put("div", [count, count, self.immediate(by)])
        return count

    def immediate(self, n: int) -> Operand:
        """A number where an instruction takes 32 bits or a register."""
        if -(1 << 31) <= n < 1 << 31:
            return n
        temp = VReg("x")
        self.put("li", [temp, n])
        return temp


_PURE = {"li", "lf", "mv", "tget", "add", "sub", "mul", "min", "max", "tslice", "tswap", "tinsert", "tdrop"}


def _drop_unused(nodes: list[MNode]) -> None:
    """Remove scalar and descriptor instructions whose result nobody reads."""
    while True:
        used: set[VReg] = set()

        def gather(block: list[MNode], used: set[VReg] = used) -> None:
            for n in block:
                if isinstance(n, MLoop):
                    if isinstance(n.count, VReg):
                        used.add(n.count)
                    gather(n.body)
                else:
                    own = n.defines
                    used.update(u for u in n.uses() if u is not own)

        gather(nodes)
        if not _sweep(nodes, used):
            return


def _sweep(block: list[MNode], used: set[VReg]) -> bool:
    changed = False
    for n in list(block):
        if isinstance(n, MLoop):
            changed |= _sweep(n.body, used)
        elif n.row.mnemonic in _PURE and n.defines is not None and n.defines not in used:
            block.remove(n)
            changed = True
    return changed
