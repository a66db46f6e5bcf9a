"""The IR's verifier: one small rule per function, run after the frontend and after every pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sohu.dsl.errors import CompileError
from sohu.dsl.ir import (
    FLOAT,
    INDEX,
    SCALAR_OPS,
    VIEW_OPS,
    Block,
    Dim,
    Function,
    MemType,
    Op,
    ScalarType,
    TileType,
    Value,
    no_reshape,
    root,
    slots,
    tied,
    type_values,
    uses,
)
from sohu.dsl.ir_text import print_type
from sohu.dsl.ranges import constant
from sohu.isa import Data, Fault, Space
from sohu.isa.operands import XF, XFI, XI, X, XOut
from sohu.isa.shapes import match

Rule = Callable[[Op], Iterator[str]]
RULES: list[Rule] = []


def rule(f: Rule) -> Rule:
    """Register a rule: yields a sentence for each thing wrong with an op."""
    RULES.append(f)
    return f


def verify(f: Function, stage: str) -> None:
    """Raises CompileError (K099, an error of the compiler itself) naming the stage that broke the IR."""
    _block(f.body, {*f.dims.values(), *(p.value for p in f.params)}, set(), stage, is_loop=False)


def _fail(op: Op, stage: str, why: str) -> CompileError:
    return CompileError("K099", f"internal: after {stage}, {op.name}: {why}", op.loc)


def _block(block: Block, visible: set[Value], defined: set[Value], stage: str, is_loop: bool) -> None:
    """visible: values that an op may use; defined: all that were defined so far, in other blocks too."""
    visible = visible | set(block.args)
    for i, op in enumerate(block.ops):
        for v in op.operands:
            if v not in visible:
                raise _fail(op, stage, f"operand %{v.hint or '?'} is not defined before its use")
        for v in uses(op):
            if v not in visible:
                raise _fail(op, stage, f"a size %{v.hint or '?'} in its type is not defined before its use")
        for v in op.results:
            if v.op is not op:
                raise _fail(op, stage, f"result %{v.hint or '?'} does not name its op")
            if v in defined:
                raise _fail(op, stage, f"%{v.hint or '?'} is defined twice")
            defined.add(v)
        if op.name == "yield" and (not is_loop or i != len(block.ops) - 1):
            raise _fail(op, stage, "only a loop's last op yields")
        for r in RULES:
            for why in r(op):
                raise _fail(op, stage, why)
        if op.body is not None:
            _block(op.body, visible, defined, stage, is_loop=True)
        visible |= set(op.results)


@rule
def known(op: Op) -> Iterator[str]:
    """Every op is one of ours or an instruction."""
    if op.row is None and op.name not in ("const", "for", "yield", "reshape"):
        yield "is no op and no instruction"


@rule
def constants(op: Op) -> Iterator[str]:
    """A constant has a number of its type."""
    if op.name == "const":
        value = op.attrs.get("value")
        if op.operands or len(op.results) != 1 or value is None:
            yield "needs a value and one result"
        elif op.result.type not in (INDEX, FLOAT) or (op.result.type == INDEX) != isinstance(value, int):
            yield "value and type do not go together"


@rule
def scalars(op: Op) -> Iterator[str]:
    """Scalar arithmetic is over indices."""
    if op.name in SCALAR_OPS and [v.type for v in (*op.operands, *op.results)] != [INDEX] * 3:
        yield "takes two indices and gives one"


@rule
def loops(op: Op) -> Iterator[str]:
    """A loop carries the same values in, around and out."""
    if op.name != "for":
        return
    if op.body is None or len(op.operands) < 3 or any(v.type != INDEX for v in op.operands[:3]):
        yield "needs three indices and a body"
        return
    if not op.body.ops or op.body.ops[-1].name != "yield":
        yield "has a body that does not yield"
        return
    if not op.body.args or op.body.args[0].type != INDEX:
        yield "has no index"
        return
    inits, args, last = op.operands[3:], op.body.args[1:], op.body.ops[-1].operands
    if not len(inits) == len(args) == len(last) == len(op.results):
        yield "carries different numbers of values in, around and out"
        return
    for group in zip(inits, args, last, op.results, strict=True):
        types = [v.type for v in group]
        for t in types[1:]:
            a, b = types[0], t
            if isinstance(a, TileType) and isinstance(b, TileType):
                if not a.same_shape(b) or a.space != b.space:
                    yield f"a carried tile changes its type: {print_type(a)} and {print_type(b)}"
            elif a != b:
                yield "a carried value changes its type"


@rule
def views(op: Op) -> Iterator[str]:
    """A view keeps dtype and kind, and has the rank its op gives."""
    if op.name not in VIEW_OPS or op.name == "reshape":
        return
    if len(op.operands) != (3 if op.name == "tslice" else 1) or len(op.results) != 1:
        yield "takes a tile or tensor (a slice its start and size, too), and gives one"
        return
    source, out = op.operands[0].type, op.result.type
    if isinstance(source, ScalarType) or isinstance(out, ScalarType) or type(source) is not type(out):
        yield "gives a view of the same kind as its source"
        return
    if any(v.type != INDEX for v in op.operands[1:]):
        yield "takes a start and a size that are indices"
        return
    dims: list[Dim] = list(source.dims)
    axes = [op.attrs.get(name) for name in (("a", "b") if op.name == "tswap" else ("axis",))]
    rank = len(dims) + (op.name == "tinsert")
    if any(not isinstance(a, int) or not 0 <= a < rank for a in axes):
        yield f"has axis {' and '.join(map(str, axes))} of rank {rank}"
        return
    a, b = int(axes[0] or 0), int(axes[-1] or 0)
    match op.name:
        case "tslice":
            dims[a] = out.dims[a] if a < len(out.dims) else dims[a]
        case "tswap":
            dims[a], dims[b] = dims[b], dims[a]
        case "tinsert":
            dims.insert(a, Dim(1, 1))
        case "tdrop":
            if dims.pop(a).size != 1:
                yield "drops a dimension whose size is not 1"
    if out.dtype != source.dtype or len(out.dims) != len(dims):
        yield f"gives rank {len(out.dims)} {out.dtype} from rank {len(source.dims)} {source.dtype}"
    elif not all(x.same(y) for x, y in zip(out.dims, dims, strict=True)):
        yield "gives other sizes than it sees"


@rule
def reshapes(op: Op) -> Iterator[str]:
    """A tile's place in another shape: the same leading dimensions, then as many elements in sizes that are known."""
    if op.name != "reshape":
        return
    if len(op.operands) != 1 or len(op.results) != 1:
        yield "takes a tile and gives one"
        return
    source, out = op.operands[0].type, op.result.type
    if not isinstance(source, TileType) or not isinstance(out, TileType) or source.dtype != out.dtype:
        yield "gives a tile of the same dtype"
        return
    if root(op.operands[0]) is not op.operands[0] and op.operands[0].op.name != "reshape":  # type: ignore[union-attr]
        yield "takes a whole tile"
    if (why := no_reshape(source.dims, out.dims)) is not None:
        yield why


@rule
def instructions(op: Op) -> Iterator[str]:
    """An instruction gets what its row asks for: counts, dtypes, memories, shapes."""
    row = op.row
    if row is None or not row.engine.is_async:
        return
    places = slots(row)
    n_operands = sum(s.operand is not None for s in places)
    n_results = sum(s.result is not None for s in places)
    if len(op.operands) != n_operands or len(op.results) != n_results:
        yield f"takes {n_operands} operands and gives {n_results} results"
        return
    for key in op.attrs:
        if key not in [s.attr for s in places]:
            yield f"has no option {key}"
    for i, r in tied(op):
        if op.operands[i].type != op.results[r].type:
            yield f"changes the type of {op.results[r].hint or 'what it updates'}"
    shapes = []
    known = True
    for s in places:
        value = op.operands[s.operand] if s.operand is not None else None
        if isinstance(s.kind, Data):
            value = value if value is not None else op.results[s.result]  # type: ignore[index]
            t = value.type
            if isinstance(t, ScalarType):
                yield f"{s.name} is a scalar"
                return
            if t.dtype not in s.kind.dtypes:
                yield f"{s.name} is {t.dtype}"
            space = Space.HBM if isinstance(t, MemType) else t.space
            if space is not None and space not in row.spaces(s.kind):
                yield f"{s.name} lies in {space}"
            known &= all(isinstance(d.size, int) for d in t.dims)
            shapes.append(tuple(d.size if isinstance(d.size, int) else 0 for d in t.dims))
        elif value is not None:
            want = FLOAT if type(s.kind) in (XF, XFI) else INDEX
            if type(s.kind) in (X, XF, XI, XFI, XOut) and value.type != want:
                yield f"{s.name} is {value.type}"
    if known:  # sizes that only the run knows are checked by the machine
        try:
            match(row.patterns, shapes)
        except Fault as e:
            yield e.message


@rule
def sizes(op: Op) -> Iterator[str]:
    """Sizes are indices, and tiles have capacities."""
    for r in op.results:
        for v in type_values(r.type):
            if v.type != INDEX:
                yield "a size is no index"
        if isinstance(r.type, TileType):
            for d in r.type.dims:
                if d.cap is None:
                    yield "a tile's dimension has no capacity"
                elif d.cap < _least(d.size):
                    yield f"a tile's dimension of size {_least(d.size)} has a capacity of {d.cap}"


def _least(size: int | Value) -> int:
    return int(constant(size) or 0)
