"""Where tiles live: which values share a place, copies where they must not, SRAM or ACC for each."""

from __future__ import annotations

from sohu.dsl.ir import VIEW_OPS, Block, Function, Op, TileType, Value, blocks, slots, tied, walk
from sohu.isa import Data, Space
from sohu.isa.dtypes import Num


class Places:
    """Which values share a place (carried values, InOut operands): union-find."""

    def __init__(self, f: Function) -> None:
        self.parent: dict[Value, Value] = {}
        for op in walk(f.body):
            for i, r in tied(op):
                self.join(op.operands[i], op.results[r])
            if op.name == "for":
                assert op.body is not None
                end = op.body.ops[-1].operands
                for group in zip(op.operands[3:], op.body.args[1:], end, op.results, strict=True):
                    for v in group[1:]:
                        self.join(group[0], v)

    def find(self, v: Value) -> Value:
        """The representative of a value's place."""
        while (p := self.parent.get(v, v)) is not v:
            v = p
        return v

    def join(self, a: Value, b: Value) -> None:
        """Two values share a place."""
        a, b = self.find(a), self.find(b)
        if a is not b:
            self.parent[b] = a


def _copy_before(block: Block, op: Op, v: Value, space: Space | None = None) -> Value:
    t = v.tile
    copy = Op("vmov" if t.dtype in Num else "dma.copy", [v], loc=op.loc, order=op.order)
    copy.results = [Value(TileType(t.dtype, t.dims, space), copy, v.hint)]
    block.ops.insert(block.ops.index(op), copy)
    return copy.result


def split_shared(f: Function) -> None:
    """Copy a tile that is consumed in place but still needed, so that each place has one live value at a time."""
    _split(f.body, {})


def _split(block: Block, outer: dict[Value, Block]) -> None:
    where = dict(outer)
    for v in block.args:
        where[v] = block
    for op in list(block.ops):
        for r in op.results:
            where[r] = block
        for i, _ in _in_place(op):
            v = op.operands[i]
            is_view = v.op is not None and v.op.name in VIEW_OPS
            twice = op.operands.count(v) > 1
            if is_view or twice or where.get(v) is not block or _used_after(block, op, _views(block, v)):
                op.operands[i] = _copy_before(block, op, v)
                where[op.operands[i]] = block
        if op.body is not None:
            _split(op.body, where)
            _split_yield(op)


def _used_after(block: Block, op: Op, family: set[Value]) -> bool:
    """Whether one of these values is used by a later op of the block, or inside op."""
    at = block.ops.index(op)
    inner = (o for o in _with_body(op) if o is not op)
    later = (o for after in block.ops[at + 1 :] for o in _with_body(after))
    return any(not family.isdisjoint(o.operands) for o in (*inner, *later))


def _with_body(op: Op) -> list[Op]:
    return [op, *(walk(op.body) if op.body is not None else ())]


def _views(block: Block, v: Value) -> set[Value]:
    """A value and its views."""
    family = {v}
    for op in block.ops:
        if op.name in VIEW_OPS and op.operands[0] in family:
            family.add(op.result)
    return family


def _heirs(block: Block, v: Value) -> set[Value]:
    """A value, its views, and all that ops of the block make in its place."""
    family = {v}
    for op in block.ops:
        if op.name in VIEW_OPS and op.operands[0] in family:
            family.add(op.result)
        family.update(op.results[r] for i, r in _in_place(op) if op.operands[i] in family)
    return family


def _in_place(op: Op) -> list[tuple[int, int]]:
    """(operand, result) pairs that share a place: of a row's InOut tiles, and of what a loop carries."""
    if op.name == "for":
        return [(3 + i, i) for i, r in enumerate(op.results) if isinstance(r.type, TileType)]
    return tied(op)


def _origin(block: Block, v: Value) -> Value:
    """The value that first took v's place in this block."""
    while v.op is not None and v.op in block.ops:
        before = [v.op.operands[i] for i, r in _in_place(v.op) if v.op.results[r] is v]
        if not before:
            break
        v = before[0]
    return v


def _split_yield(op: Op) -> None:
    """What a loop yields must be able to take the place of what it carried; else it is copied there at the end."""
    assert op.body is not None
    block = op.body
    end = block.ops[-1]
    late: list[int] = []
    for i, (arg, y) in enumerate(zip(block.args[1:], end.operands, strict=True)):
        if isinstance(arg.type, TileType) and y is not arg and not _takes_place(block, arg, y):
            late.append(i)
    # all into fresh places first, then home: `a, b = b, a` must not overwrite what it still reads
    for i in late:
        end.operands[i] = _copy_before(block, end, end.operands[i])
    if len(late) > 1:
        for i in late:
            end.operands[i] = _copy_before(block, end, end.operands[i])


def _takes_place(block: Block, arg: Value, y: Value) -> bool:
    """Whether y, which a loop's body makes, can be made where `arg` lies: nothing there is needed any more."""
    is_view = y.op is not None and y.op.name in VIEW_OPS
    if is_view or block.ops[-1].operands.count(y) > 1:
        return False
    origin = _origin(block, y)
    if origin is arg:
        return True
    made_here = origin.op is not None and origin.op in block.ops and origin.op.name not in VIEW_OPS
    return made_here and not _used_after(block, origin.op, _heirs(block, arg))  # type: ignore[arg-type]


def assign_spaces(f: Function) -> None:
    """Decide SRAM or ACC for every tile; copy where an instruction does not reach the place."""
    places = Places(f)
    allowed: dict[Value, frozenset[Space]] = {}
    both = frozenset({Space.SRAM, Space.ACC})
    for op in walk(f.body):
        row = op.row
        if row is None:
            continue
        for s in slots(row):
            if isinstance(s.kind, Data) and s.result is not None:
                place = places.find(op.results[s.result])
                allowed[place] = allowed.get(place, both) & row.spaces(s.kind)
    decided = {p: Space.ACC if a == {Space.ACC} else Space.SRAM for p, a in allowed.items()}
    empty = [p for p, a in allowed.items() if not a]
    assert not empty, "an accumulated tile that only DMA can write is copied by split_shared"

    def settle(v: Value) -> None:
        if isinstance(v.type, TileType):
            source = v
            while source.op is not None and source.op.name in VIEW_OPS:
                source = source.op.operands[0]
            v.type = TileType(v.type.dtype, v.type.dims, decided.get(places.find(source), Space.SRAM))

    for op in walk(f.body):
        for v in (*op.results, *(op.body.args if op.body else ())):
            settle(v)
    for block in blocks(f.body):
        for op in list(block.ops):
            row = op.row
            if row is None or op.name in VIEW_OPS:
                continue
            for s in slots(row):
                if not isinstance(s.kind, Data) or s.operand is None or s.result is not None:
                    continue
                v = op.operands[s.operand]
                reached = row.spaces(s.kind)
                if isinstance(v.type, TileType) and v.type.space not in reached:
                    to = Space.SRAM if Space.SRAM in reached else Space.ACC
                    op.operands[s.operand] = _copy_before(block, op, v, to)


def copy_loaded(f: Function) -> None:
    """A tile that is accumulated into ACC but begins as a load, say, begins as a copy of the load instead."""
    places = Places(f)
    both = frozenset({Space.SRAM, Space.ACC})
    allowed: dict[Value, frozenset[Space]] = {}
    defs: list[tuple[Block, Op, int, frozenset[Space]]] = []
    for block in blocks(f.body):
        for op in block.ops:
            if op.row is None:
                continue
            for s in slots(op.row):
                if isinstance(s.kind, Data) and s.result is not None:
                    can = op.row.spaces(s.kind)
                    place = places.find(op.results[s.result])
                    allowed[place] = allowed.get(place, both) & can
                    if s.operand is None:
                        defs.append((block, op, s.result, can))
    for block, op, i, can in defs:
        old = op.results[i]
        if allowed[places.find(old)] or Space.ACC in can:
            continue
        new = Value(old.type, op, old.hint)
        op.results[i] = new
        copy = Op("vmov", [new], results=[old], loc=op.loc, order=op.order)
        old.op = copy
        block.ops.insert(block.ops.index(op) + 1, copy)
