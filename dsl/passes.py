"""Passes over the IR, each a small function that changes it in place; PIPELINE is the order they run in."""

from __future__ import annotations

from collections.abc import Callable

from sohu.dsl.ir import (
    SCALAR_OPS,
    VIEW_OPS,
    Block,
    Function,
    MemType,
    Op,
    TileType,
    Value,
    slots,
    tied,
    uses,
    walk,
    writes_memory,
)
from sohu.dsl.verify import verify
from sohu.isa import Data, Engine, Space, f32

Pass = Callable[[Function], None]


def run_passes(f: Function) -> Function:
    """Run every pass, verifying after each; returns the function."""
    verify(f, "frontend")
    for p in PIPELINE:
        p(f)
        verify(f, p.__name__)
    return f


def _count_uses(block: Block) -> dict[Value, int]:
    count: dict[Value, int] = {}
    for op in walk(block):
        for v in uses(op):
            count[v] = count.get(v, 0) + 1
    return count


def remove_dead(f: Function) -> None:
    """Remove ops without effect whose results nobody uses (loads made on suspicion, above all)."""
    while True:
        count = _count_uses(f.body)
        if not _sweep(f.body, count):
            return


def _sweep(block: Block, count: dict[Value, int]) -> bool:
    keep, changed = [], False
    for op in block.ops:
        if op.body is not None:
            changed |= _sweep(op.body, count)
            changed |= _drop_carried(op, count)
            dead = len(op.body.ops) == 1 and not any(count.get(r) for r in op.results)
        else:
            dead = op.name != "yield" and not writes_memory(op) and not any(count.get(r) for r in op.results)
        if dead:
            changed = True
        else:
            keep.append(op)
    block.ops = keep
    return changed


def _drop_carried(op: Op, count: dict[Value, int]) -> bool:
    """Stop carrying what is neither read inside the loop nor after it."""
    assert op.body is not None
    end = op.body.ops[-1]
    keep = [
        i
        for i, (a, r) in enumerate(zip(op.body.args[1:], op.results, strict=True))
        if count.get(r) or count.get(a, 0) > (end.operands[i] is a)
    ]
    if len(keep) == len(op.results):
        return False
    op.operands = op.operands[:3] + [op.operands[3 + i] for i in keep]
    op.body.args = op.body.args[:1] + [op.body.args[1 + i] for i in keep]
    op.results = [op.results[i] for i in keep]
    end.operands = [end.operands[i] for i in keep]
    return True


def fuse_accumulate(f: Function) -> None:
    """x + a @ b becomes mma x, a, b where the product has no other use and both are float32 of one shape."""
    count = _count_uses(f.body)
    for op in walk(f.body):
        if op.name != "vadd":
            continue
        for product, other in ((0, 1), (1, 0)):
            mm, x = op.operands[product].op, op.operands[other]
            if mm is None or mm.name != "mm" or count[mm.result] != 1 or not x.tile.same_shape(op.result.tile):
                continue
            if not mm.result.tile.same_shape(op.result.tile):
                continue
            op.name, op.operands = "mma", [x, *mm.operands]
            break


def fold_casts(f: Function) -> None:
    """A VPU result that is only wanted in a narrower float is made in it: the rounding is the same."""
    count = _count_uses(f.body)
    for block in _blocks(f.body):
        for op in list(block.ops):
            if op.name != "vmov" or op.operands[0].op not in block.ops:
                continue
            maker, v, to = op.operands[0].op, op.operands[0], op.result.tile
            assert maker is not None
            if maker.row is None or maker.row.engine is not Engine.VPU or len(maker.results) != 1 or tied(maker):
                continue
            kind = next(s.kind for s in slots(maker.row) if s.result == 0)
            fits = isinstance(kind, Data) and kind.view != "raw" and to.dtype in kind.dtypes
            same = v.tile.dtype.is_float and to.dtype.is_float and _same_dims(v.tile, to)
            if fits and same and count[v] == 1 and v.tile.dtype == f32:
                maker.results = [op.result]
                op.result.op = maker
                op.result.hint = op.result.hint or v.hint
                block.ops.remove(op)


def hoist(f: Function) -> None:
    """Move scalar arithmetic and views out of loops that change nothing about them."""
    _hoist(f.body)


def _hoist(block: Block) -> None:
    for loop in [op for op in block.ops if op.body is not None]:
        assert loop.body is not None
        _hoist(loop.body)
        inside = set(loop.body.args)
        stay = []
        for op in loop.body.ops:
            safe = op.name in ("const", *VIEW_OPS, *SCALAR_OPS - {"div", "rem"})  # cannot fail if there is no turn
            if safe and inside.isdisjoint(uses(op)):
                op.loc = loop.loc  # a breakpoint on its own line means the loop's body
                block.ops.insert(block.ops.index(loop), op)
            else:
                inside.update(op.results)
                stay.append(op)
        loop.body.ops = stay


def _same_dims(a: TileType, b: TileType) -> bool:
    return len(a.dims) == len(b.dims) and all(x.same(y) for x, y in zip(a.dims, b.dims, strict=True))


def collect_bounds(f: Function) -> None:
    """Keep in `bounds` only named dimensions that some tile's capacity depends on."""
    from sohu.dsl.builder import constant

    needed: set[str] = set()
    names = {v: n for n, v in f.dims.items()}

    def visit(v: Value) -> None:
        if v in names:
            needed.add(names[v])
        elif v.op is not None and v.op.name == "min":
            if not any(constant(x) is not None for x in v.op.operands):
                for x in v.op.operands:
                    visit(x)
        elif v.op is not None:
            for x in v.op.operands:
                if not isinstance(x.type, (MemType, TileType)):
                    visit(x)

    for op in walk(f.body):
        for r in (*op.results, *(op.body.args if op.body else ())):
            if isinstance(r.type, TileType):
                for d in r.type.dims:
                    if isinstance(d.size, Value):
                        visit(d.size)
    f.bounds = {n: b for n, b in f.bounds.items() if n in needed}


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
    copy = Op("vmov", [v], loc=op.loc)
    copy.results = [Value(TileType(t.dtype, t.dims, space), copy, v.hint)]
    block.ops.insert(block.ops.index(op), copy)
    return copy.result


def split_shared(f: Function) -> None:
    """Copy a tile that is consumed in place but still needed, so that each place has one live value at a time."""
    _split(f.body, {}, f)


def _split(block: Block, outer: dict[Value, Block], f: Function) -> None:
    where = dict(outer)
    for v in block.args:
        where[v] = block
    for op in list(block.ops):
        for r in op.results:
            where[r] = block
        consumed = [i for i, _ in tied(op)]
        if op.name == "for":
            consumed = [i for i in range(3, len(op.operands)) if isinstance(op.operands[i].type, TileType)]
        for i in consumed:
            v = op.operands[i]
            is_view = v.op is not None and v.op.name in VIEW_OPS
            twice = op.operands.count(v) > 1
            if is_view or twice or where.get(v) is not block or _used_after(block, op, v):
                op.operands[i] = _copy_before(block, op, v)
                where[op.operands[i]] = block
        if op.body is not None:
            _split(op.body, where, f)
            _split_yield(op)


def _used_after(block: Block, op: Op, v: Value) -> bool:
    """Whether v, or a view of it, is used by a later op of the block."""
    family = {v}
    for later in block.ops:
        if later.name in VIEW_OPS and later.operands[0] in family:
            family.add(later.result)
    at = block.ops.index(op)
    return any(
        u in family for later in block.ops[at + 1 :] for inner in _with_body(later) for u in inner.operands
    ) or any(u in family for inner in _with_body(op) if inner is not op for u in inner.operands)


def _with_body(op: Op) -> list[Op]:
    return [op, *(walk(op.body) if op.body is not None else ())]


def _split_yield(op: Op) -> None:
    """What a loop yields must be able to take the place of what it carried; else it is copied there at the end."""
    assert op.body is not None
    block = op.body
    end = block.ops[-1]
    late: list[int] = []
    for i, (arg, y) in enumerate(zip(block.args[1:], end.operands, strict=True)):
        if not isinstance(arg.type, TileType) or y is arg:
            continue
        fine = (
            y.op is not None
            and y.op in block.ops
            and y.op.name not in VIEW_OPS
            and end.operands.count(y) == 1
            and not _used_after(block, y.op, arg)
        )
        if not fine:
            late.append(i)
    # all into fresh places first, then home: `a, b = b, a` must not overwrite what it still reads
    for i in late:
        end.operands[i] = _copy_before(block, end, end.operands[i])
    for i in late:
        if len(late) > 1 or _used_after(block, end.operands[i].op, block.args[1 + i]):  # type: ignore[arg-type]
            end.operands[i] = _copy_before(block, end, end.operands[i])


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
    for block in _blocks(f.body):
        for op in list(block.ops):
            row = op.row
            if row is None or op.name in VIEW_OPS:
                continue
            for s in slots(row):
                if not isinstance(s.kind, Data) or s.operand is None or s.result is not None:
                    continue
                v = op.operands[s.operand]
                if isinstance(v.type, TileType) and v.type.space not in row.spaces(s.kind):
                    op.operands[s.operand] = _copy_before(block, op, v, Space.SRAM)


def _blocks(block: Block) -> list[Block]:
    return [block, *(b for op in block.ops if op.body is not None for b in _blocks(op.body))]


def copy_loaded(f: Function) -> None:
    """A tile that is accumulated into ACC but begins as a load, say, begins as a copy of the load instead."""
    places = Places(f)
    both = frozenset({Space.SRAM, Space.ACC})
    allowed: dict[Value, frozenset[Space]] = {}
    defs: list[tuple[Block, Op, int, frozenset[Space]]] = []
    for block in _blocks(f.body):
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
        copy = Op("vmov", [new], results=[old], loc=op.loc)
        old.op = copy
        block.ops.insert(block.ops.index(op) + 1, copy)


PIPELINE: list[Pass] = [
    remove_dead,
    fuse_accumulate,
    fold_casts,
    remove_dead,
    hoist,
    collect_bounds,
    split_shared,
    copy_loaded,
    assign_spaces,
]
