"""Passes over the IR, each a small function that changes it in place; PIPELINE is the order they run in."""

from __future__ import annotations

from collections.abc import Callable

from sohu.dsl.ir import (
    SCALAR_OPS,
    VIEW_OPS,
    Block,
    Function,
    Op,
    TileType,
    Value,
    blocks,
    slots,
    tied,
    type_values,
    uses,
    walk,
    writes_memory,
)
from sohu.dsl.places import assign_spaces, copy_loaded, split_shared
from sohu.dsl.ranges import Ranges, constant
from sohu.dsl.verify import verify
from sohu.isa import ROWS, Data, Engine, f32

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
    """Keep what writes memory and what that needs; loops stop carrying what nobody needs."""
    within: dict[Op, Op] = {}  # the loop around an op
    carried: dict[Value, tuple[Op, int]] = {}  # what a loop carries: its arguments and results, by position
    for loop in walk(f.body):
        if loop.body is not None:
            within.update(dict.fromkeys(loop.body.ops, loop))
            carried |= {v: (loop, i - 1) for i, v in enumerate(loop.body.args)}
            carried |= {v: (loop, i) for i, v in enumerate(loop.results)}
    needed: set[Op] = set()
    wanted: set[Value] = set()
    kept: set[tuple[Op, int]] = set()
    todo: list[Op | Value] = [op for op in walk(f.body) if writes_memory(op)]
    while todo:
        thing = todo.pop()
        if isinstance(thing, Op):
            if thing not in needed:
                needed.add(thing)
                loop_or_plain = thing.operands[:3] if thing.body is not None else [*uses(thing)]
                todo += [*loop_or_plain, *([within[thing]] if thing in within else [])]
            continue
        if thing in wanted:
            continue
        wanted.add(thing)
        todo += type_values(thing.type)
        if thing in carried:
            loop, i = carried[thing]
            todo.append(loop)
            if i >= 0 and loop.body is not None:
                kept.add((loop, i))
                todo += [loop.operands[3 + i], loop.body.ops[-1].operands[i]]
        elif thing.op is not None:
            todo.append(thing.op)
    for block in blocks(f.body):
        block.ops = [op for op in block.ops if op in needed or op.name == "yield"]
        for op in block.ops:
            if op.body is not None:
                _carry_only(op, [i for i in range(len(op.results)) if (op, i) in kept])


def _carry_only(loop: Op, keep: list[int]) -> None:
    assert loop.body is not None
    end = loop.body.ops[-1]
    loop.operands = loop.operands[:3] + [loop.operands[3 + i] for i in keep]
    loop.body.args = loop.body.args[:1] + [loop.body.args[1 + i] for i in keep]
    loop.results = [loop.results[i] for i in keep]
    end.operands = [end.operands[i] for i in keep]


# products, by mnemonic: those that add to what is there
_ACCUMULATING = {m: f"mma{m[2:]}" for m in ROWS.by_mnemonic if m == "mm" or m.startswith("mm.")}


def fuse_accumulate(f: Function) -> None:
    """x + a @ b becomes mma x, a, b where the product has no other use and both are of one shape and dtype.

    So with the other products `mm.NAME` and their accumulating forms.
    """
    count = _count_uses(f.body)
    for block in blocks(f.body):
        here = set(block.ops)  # a product from outside a loop is not made again at each turn
        for op in block.ops:
            if op.name != "vadd":
                continue
            for product, other in ((0, 1), (1, 0)):
                mm, x, out = op.operands[product].op, op.operands[other], op.result.tile
                if mm is None or mm.name not in _ACCUMULATING or mm not in here or count[mm.result] != 1:
                    continue
                if x.tile.same_shape(out) and mm.result.tile.same_shape(out):
                    op.name, op.operands = _ACCUMULATING[mm.name], [x, *mm.operands]
                    break


def fold_casts(f: Function) -> None:
    """A VPU result that is only wanted in a narrower float is made in it: the rounding is the same."""
    count = _count_uses(f.body)
    for block in blocks(f.body):
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
    _hoist(f.body, ranges_of(f, lambda _: None))


def _hoist(block: Block, ranges: Ranges) -> None:
    for loop in [op for op in block.ops if op.body is not None]:
        assert loop.body is not None
        _hoist(loop.body, ranges)
        inside = set(loop.body.args)
        stay = []
        for op in loop.body.ops:
            if _cannot_fail(op, ranges) and inside.isdisjoint(uses(op)):
                op.loc = loop.loc  # a breakpoint on its own line means the loop's body
                block.ops.insert(block.ops.index(loop), op)
            else:
                inside.update(op.results)
                stay.append(op)
        loop.body.ops = stay


def _cannot_fail(op: Op, ranges: Ranges) -> bool:
    """Whether an op may run where the program would not have run it: before a loop that has no turn."""
    match op.name:
        case "tslice":
            return ranges.at_least_0(op.operands[1]) and ranges.at_least_0(op.operands[2])
        case "tdrop":  # of what an index picked: the index may be outside
            v = op.operands[0]
            while v.op is not None and v.op.name in VIEW_OPS and v.op.name != "tslice":
                v = v.op.operands[0]
            return v.op is None or v.op.name != "tslice"
    return op.name in ("const", "tswap", "tinsert") or op.name in SCALAR_OPS - {"div", "rem"}


def _same_dims(a: TileType, b: TileType) -> bool:
    return len(a.dims) == len(b.dims) and all(x.same(y) for x, y in zip(a.dims, b.dims, strict=True))


def ranges_of(f: Function, bound: Callable[[str], int | None]) -> Ranges:
    """What is known of the indices of a kernel."""
    ranges = Ranges(bound)
    ranges.dims = {v: n for n, v in f.dims.items()}
    for op in walk(f.body):
        if op.body is not None:
            lo, hi, step = op.operands[:3]
            ranges.loops[op.body.args[0]] = (lo, hi, int(constant(step) or 1))
    return ranges


def collect_bounds(f: Function) -> None:
    """Keep in `bounds` only named dimensions that some tile's capacity depends on."""
    needed: set[str] = set()

    def bound(name: str) -> int | None:
        needed.add(name)
        return f.bounds.get(name)

    ranges = ranges_of(f, bound)
    for op in walk(f.body):
        for v in (*op.results, *(op.body.args if op.body else ())):
            if isinstance(v.type, TileType):
                for size in type_values(v.type):
                    ranges.upper(size)
    f.bounds = {n: b for n, b in f.bounds.items() if n in needed}


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
