"""Python to IR: the kernel's own AST is interpreted, once, at compile time.

What Python knows then (numbers, tuples, dtypes, compile-time parameters) is computed then; what only the
run knows becomes ops. Calls of other plain Python functions are inlined. Locations are those of the source.
"""

from __future__ import annotations

import ast
import inspect
import sys
import types
from collections.abc import Callable
from typing import Any

from sohu.dsl.builder import Builder, describe
from sohu.dsl.errors import CompileError, Loc
from sohu.dsl.ir import (
    FLOAT,
    INDEX,
    Block,
    Dim,
    Function,
    MemType,
    Op,
    Param,
    TileType,
    Value,
)
from sohu.dsl.language import (
    DTypeVar,
    Intrinsic,
    Loop,
    ScalarSpec,
    TensorSpec,
    binary,
    convert,
    hbm_operands,
    matmul,
    reduce,
)
from sohu.dsl.scope import Frame, Gone, Method, View, as_load, assigned_names, read_first, source_of
from sohu.isa import DType, i32

BINARY = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.FloorDiv: "div",
    ast.Mod: "rem",
}
COMPARE = {ast.Lt: ("lt", 0), ast.LtE: ("le", 0), ast.Gt: ("lt", 1), ast.GtE: ("le", 1), ast.Eq: ("eq", 0)}
MAX_INLINE_DEPTH = 32


def trace(
    name: str,
    fn: types.FunctionType,
    specs: dict[str, TensorSpec | ScalarSpec],
    dtypes: dict[str, DType],
    constants: dict[str, Any],
    bound: Callable[[str], int],
) -> Function:
    """Interpret a kernel into IR. dtypes: of DTypeVars, by name; constants: compile-time parameters."""
    source = source_of(fn)
    b = Builder(bound)
    dims: dict[str, Value] = {}
    params: list[Param] = []
    frame = Frame(source, dict(constants))
    for pname, spec in specs.items():
        if isinstance(spec, ScalarSpec):
            value = Value(INDEX if spec.direction == "i64" else FLOAT, hint=pname)
            params.append(Param(pname, spec.direction, value))
            frame.names[pname] = value
            continue
        sizes = []
        for d in spec.dims:
            if isinstance(d, str) and d not in dims:
                dims[d] = Value(INDEX, hint=d)
                b.dim_names[dims[d]] = d
            sizes.append(Dim(dims[d], None) if isinstance(d, str) else Dim(d, d))
        dtype = dtypes[spec.dtype.name] if isinstance(spec.dtype, DTypeVar) else spec.dtype
        value = Value(MemType(dtype, tuple(sizes)), hint=pname)
        params.append(Param(pname, spec.direction, value, spec.dims))
        frame.names[pname] = value
    interpreter = Interpreter(b, dtypes, {p.name: p for p in params}, dims)
    interpreter.body(source.tree.body, frame)
    return Function(name, dims, params, b.blocks[0], loc=interpreter.loc(source.tree, frame))


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class Interpreter:
    """Walks the statements of a kernel, building as it goes."""

    def __init__(self, b: Builder, dtypes: dict[str, DType], params: dict[str, Param], dims: dict[str, Value]) -> None:
        self.b = b
        self.dtypes = dtypes
        self.params = params
        self.dims = dims

    # -- places ---------------------------------------------------------------------------------

    def loc(self, node: ast.AST, frame: Frame) -> Loc:
        """Where a node stands in its file."""
        s = frame.source
        line, col = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        end, end_col = getattr(node, "end_lineno", line), getattr(node, "end_col_offset", col)
        at = s.first_line - 1
        return Loc(s.file, line + at, col + s.indent + 1, end + at, end_col + s.indent + 1, frame.caller)

    def error(self, code: str, message: str, node: ast.AST, frame: Frame, help: str = "") -> CompileError:
        """An error at a node."""
        return CompileError(code, message, self.loc(node, frame), help=help)

    # -- statements -----------------------------------------------------------------------------

    def body(self, statements: list[ast.stmt], frame: Frame) -> None:
        """Interpret statements in order."""
        for s in statements:
            self.b.loc = self.loc(s, frame)
            self.statement(s, frame)

    def statement(self, s: ast.stmt, frame: Frame) -> None:
        """Interpret one statement."""
        match s:
            case ast.Assign(targets=[target], value=value):
                self.assign(target, self.eval(value, frame), frame)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self.assign(target, self.eval(value, frame), frame)
            case ast.AugAssign(target=target, op=op, value=value):
                old = self.eval(as_load(target), frame)
                self.b.loc = self.loc(s, frame)
                self.assign(target, self.operator(op, old, self.eval(value, frame), s, frame), frame)
            case ast.For():
                self.loop(s, frame)
            case ast.If(test=test, body=then, orelse=other):
                self.body(then if self.truth(test, frame) else other, frame)
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                pass
            case ast.Expr(value=value):
                self.eval(value, frame)
            case ast.Assert(test=test, msg=msg):
                if not self.truth(test, frame):
                    text = self.eval(msg, frame) if msg is not None else "an assertion fails at compile time"
                    raise self.error("K023", str(text), s, frame)
            case ast.Return(value=value):
                if frame.caller is None and value is not None:
                    raise self.error(
                        "K002", "a kernel returns nothing", s, frame, help="write results into Out parameters"
                    )
                raise _Return(None if value is None else self.eval(value, frame))
            case _:
                word = type(s).__name__.lower()
                raise self.error(
                    "K003",
                    f"the kernel language has no {word!r} statement",
                    s,
                    frame,
                    help=_INSTEAD.get(word, ""),
                )

    def truth(self, test: ast.expr, frame: Frame) -> bool:
        """A condition that must be known at compile time."""
        v = self.eval(test, frame)
        if isinstance(v, (Value, View)):
            raise self.error(
                "K024",
                "this condition is known only at run time",
                test,
                frame,
                help="choose between tiles with sohu.where, or between loop bounds with sohu.minimum/maximum",
            )
        return bool(v)

    def assign(self, target: ast.expr, value: Any, frame: Frame) -> None:
        """Bind a name, unpack a tuple, or store into a tensor."""
        match target:
            case ast.Name(id=name):
                v = value.tile if isinstance(value, View) else value
                if isinstance(v, Value) and not v.hint:
                    v.hint = name
                if isinstance(value, View) and value.mem.op is not None and not value.mem.hint:
                    value.mem.hint = f"{name}_view"
                frame.names[name] = value
            case ast.Tuple(elts=elts):
                if not isinstance(value, tuple) or len(value) != len(elts):
                    raise self.error("K004", f"cannot unpack {describe(value)} into {len(elts)} names", target, frame)
                for t, v in zip(elts, value, strict=True):
                    self.assign(t, v, frame)
            case ast.Subscript(value=base, slice=index):
                to = self.subscript(self.eval(base, frame), index, target, frame, load=False)
                if not isinstance(to, View):
                    raise self.error(
                        "K005",
                        "tiles are values: their elements cannot be assigned",
                        target,
                        frame,
                        help="make a new tile (sohu.where), or store into an Out tensor",
                    )
                self.b.loc = self.loc(target, frame)
                self.store(to, value, target, frame)
            case _:
                raise self.error("K005", "cannot assign to this", target, frame)

    def store(self, to: View, value: Any, node: ast.AST, frame: Frame) -> None:
        """to[...] = value, converted and broadcast as NumPy does."""
        self.writable(to.mem, node, frame)
        b, t = self.b, to.mem.type
        assert isinstance(t, MemType)
        if isinstance(value, (int, float)):
            b.emit("dma.fill", [to.mem, b.float(value)], [], {"q": 1})
            return
        tile = self.tile(value, node, frame)
        have = tile.tile.dims
        if len(have) != len(t.dims):
            raise self.error("K017", f"stores rank {len(have)} into rank {len(t.dims)}", node, frame)
        if any(h.size == 1 and d.size != 1 for h, d in zip(have, t.dims, strict=True)):
            wide = tuple(b.dim(d.size, h.cap if h.size != 1 else d.cap) for h, d in zip(have, t.dims, strict=True))
            tile = b.one("vmov", tile, shape=wide, dtype=t.dtype)
        for axis, (h, d) in enumerate(zip(have, t.dims, strict=True)):
            if isinstance(h.size, int) and isinstance(d.size, int) and h.size not in (1, d.size):
                raise self.error("K014", f"stores {h.size} into {d.size} elements of axis {axis}", node, frame)
        b.emit("dma.store", [to.mem, convert(b, tile, t.dtype)], [], {"q": 1})

    def writable(self, mem: Value, node: ast.AST, frame: Frame) -> None:
        """Raises K006 when the view belongs to an In parameter."""
        while mem.op is not None:
            mem = mem.op.operands[0]
        p = next(p for p in self.params.values() if p.value is mem)
        if p.direction == "in":
            raise self.error("K006", f"{p.name} is an In parameter", node, frame, help="declare it Out or InOut")

    def loop(self, s: ast.For, frame: Frame) -> None:
        """`for` over sohu.range: a loop on the chip; over a Python iterable: unrolled."""
        over = self.eval(s.iter, frame)
        if s.orelse:
            raise self.error("K003", "a loop has no else here", s, frame)
        if not isinstance(over, Loop):
            if not isinstance(over, (range, tuple, list)):
                raise self.error("K021", f"cannot loop over {describe(over)}", s.iter, frame, help="use sohu.range")
            for item in over:
                self.assign(s.target, item, frame)
                self.body(s.body, frame)
            return
        if not isinstance(s.target, ast.Name):
            raise self.error("K021", "a loop has one index", s.target, frame)
        b = self.b
        here = self.loc(s, frame)
        assigned = [n for n in assigned_names(s.body) if n in frame.names and n != s.target.id]
        starts = {n: v for n in assigned if (v := self.carry(n, frame, s)) is not None}
        index = Value(INDEX, hint=s.target.id)
        b.steps[index] = (over.lo, over.step)
        args = {n: Value(v.type, hint=n) for n, v in starts.items()}
        before = dict(frame.names)
        frame.names[s.target.id] = index
        frame.names.update(args)
        block = Block()
        with b.inside(block):
            self.body(s.body, frame)
            b.loc = here
            ends: dict[str, Value] = {}
            for n, arg in list(args.items()):
                try:
                    ends[n] = self.end_of(n, arg, frame, s)
                except CompileError:
                    if read_first(s.body, n):
                        raise
                    del args[n], starts[n]  # a new value under an old name, which no turn hands to the next
            b.emit("yield", list(ends.values()))
        block.args = [index, *args.values()]
        b.loc = here
        bounds = [b.value(over.lo), b.value(over.hi), b.value(over.step)]
        op = Op("for", [*bounds, *starts.values()], body=block, loc=here)
        op.results = [Value(v.type, op, n) for n, v in starts.items()]
        b.blocks[-1].ops.append(op)
        for name in set(frame.names) - set(before):
            frame.names[name] = Gone(f"{name!r} was made inside a loop that may not run; make it before the loop")
        frame.names.update(before)
        for name in assigned:
            frame.names[name] = Gone(f"{name!r} was given another kind of value inside a loop that may not run")
        frame.names.update(zip(starts, op.results, strict=True))

    def carry(self, name: str, frame: Frame, s: ast.For) -> Value | None:
        """The value with which a carried name enters a loop, or None when the loop makes its own."""
        v = frame.names[name]
        if isinstance(v, bool) or isinstance(v, Gone):
            return None
        if isinstance(v, int):
            return self.b.value(v)
        if isinstance(v, View):
            return v.tile if read_first(s.body, name) and v.tile is not None else None
        if isinstance(v, Value):
            return v
        return None

    def end_of(self, name: str, start: Value, frame: Frame, s: ast.For) -> Value:
        """What a carried name holds at the end of the body; must have the type it came with."""
        v = frame.names[name]
        if isinstance(v, int) and start.type == INDEX:
            return self.b.value(v)
        end = self.tile(v, s, frame) if isinstance(start.type, TileType) else v
        if not isinstance(end, Value) or type(end.type) is not type(start.type):
            raise self.error(
                "K025",
                f"{name} is {describe(start)} before the loop and {describe(end)} after its body",
                s,
                frame,
            )
        if isinstance(start.type, TileType):
            assert isinstance(end.type, TileType)
            if end.type.dtype != start.type.dtype:
                raise self.error(
                    "K025",
                    f"{name} is {start.type.dtype} before the loop and {end.type.dtype} after its body",
                    s,
                    frame,
                    help=f"convert it: .to({start.type.dtype})",
                )
            if not end.type.same_shape(start.type):
                if len(end.type.dims) != len(start.type.dims) or any(
                    isinstance(x.size, int) and isinstance(y.size, int) and x.size != y.size
                    for x, y in zip(end.type.dims, start.type.dims, strict=True)
                ):
                    raise self.error(
                        "K025", f"the shape of {name} changes from one turn of the loop to the next", s, frame
                    )
                end = self.b.one("vmov", end, shape=start.type.dims, dtype=start.type.dtype)
        return end

    # -- expressions ----------------------------------------------------------------------------

    def eval(self, e: ast.expr, frame: Frame) -> Any:
        """The value of an expression: a Python value, an IR value, or a View."""
        self.b.loc = self.loc(e, frame)
        match e:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.name(name, e, frame)
            case ast.Tuple(elts=elts) | ast.List(elts=elts):
                return tuple(self.eval(x, frame) for x in elts)
            case ast.Attribute(value=base, attr=attr):
                return self.attribute(self.eval(base, frame), attr, e, frame)
            case ast.Subscript(value=base, slice=index):
                return self.subscript(self.eval(base, frame), index, e, frame)
            case ast.BinOp(left=left, op=op, right=right):
                x, y = self.eval(left, frame), self.eval(right, frame)
                self.b.loc = self.loc(e, frame)
                return self.operator(op, x, y, e, frame)
            case ast.UnaryOp(op=op, operand=operand):
                return self.unary(op, self.eval(operand, frame), e, frame)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                x, y = self.eval(left, frame), self.eval(right, frame)
                self.b.loc = self.loc(e, frame)
                return self.compare(op, x, y, e, frame)
            case ast.IfExp(test=test, body=then, orelse=other):
                return self.eval(then if self.truth(test, frame) else other, frame)
            case ast.BoolOp(op=op, values=values):
                last: Any = None
                for v in values:
                    last = self.eval(v, frame)
                    if self.truth(v, frame) != isinstance(op, ast.And):
                        break
                return last
            case ast.Call():
                return self.call(e, frame)
            case ast.JoinedStr():
                return ast.unparse(e)
        raise self.error("K003", f"the kernel language has no {type(e).__name__} expressions", e, frame)

    def name(self, name: str, e: ast.expr, frame: Frame) -> Any:
        """A local name, or one of the module around."""
        if name in frame.names:
            v = frame.names[name]
            if isinstance(v, Gone):
                raise self.error("K007", v.why, e, frame)
            return v
        try:
            v = frame.source.names(name)
        except KeyError:
            import difflib

            near = difflib.get_close_matches(name, frame.names, 1)
            raise self.error(
                "K008",
                f"name {name!r} is not defined",
                e,
                frame,
                help=f"did you mean {near[0]!r}?" if near else "",
            ) from None
        return self.dtypes.get(v.name, v) if isinstance(v, DTypeVar) else v

    def tile(self, v: Any, node: ast.AST, frame: Frame) -> Value:
        """A value as a tile: loads a tensor."""
        if isinstance(v, Value) and isinstance(v.type, MemType):
            v = View(v, self.b.load(v))
        if isinstance(v, View):
            return v.tile if v.tile is not None else self.b.load(v.mem)
        if isinstance(v, Value) and isinstance(v.type, TileType):
            return v
        raise self.error("K036", f"a tile is wanted here, not {describe(v)}", node, frame)

    def data(self, v: Any) -> Any:
        """Tensors as tiles, all else as it is."""
        if isinstance(v, View):
            return v.tile if v.tile is not None else self.b.load(v.mem)
        if isinstance(v, Value) and isinstance(v.type, MemType):
            return self.b.load(v)
        return v

    def operator(self, op: ast.operator, x: Any, y: Any, e: ast.AST, frame: Frame) -> Any:
        """A binary operator on whatever its sides are."""
        x, y = self.data(x), self.data(y)
        if isinstance(op, ast.MatMult):
            return matmul(self.b, x, y)
        if not isinstance(x, Value) and not isinstance(y, Value):
            return self.python(lambda: _PYTHON[type(op)](x, y), e, frame)
        name = BINARY.get(type(op))
        if name is None:
            raise self.error("K003", f"the operator {type(op).__name__} works on compile-time numbers only", e, frame)
        if not any(isinstance(v, Value) and isinstance(v.type, TileType) for v in (x, y)):
            if isinstance(op, ast.Div) or any(
                not isinstance(v, int) and not (isinstance(v, Value) and v.type == INDEX) for v in (x, y)
            ):
                raise self.error(
                    "K036",
                    f"cannot {name} {describe(x)} and {describe(y)}",
                    e,
                    frame,
                    help="indices divide with //" if isinstance(op, ast.Div) else "",
                )
            return self.b.scalar(name, x, y)
        if isinstance(op, (ast.FloorDiv, ast.Mod)):
            raise self.error("K003", "// and % work on indices, not on tiles", e, frame)
        return binary(self.b, name, x, y)

    def unary(self, op: ast.unaryop, x: Any, e: ast.expr, frame: Frame) -> Any:
        """-x, not x."""
        x = self.data(x)
        if not isinstance(x, Value):
            return self.python(lambda: _PYTHON[type(op)](x), e, frame)
        if isinstance(op, ast.USub):
            return self.b.one("vneg", x) if isinstance(x.type, TileType) else self.b.scalar("sub", 0, x)
        raise self.error("K003", f"the operator {type(op).__name__} works on compile-time values only", e, frame)

    def compare(self, op: ast.cmpop, x: Any, y: Any, e: ast.expr, frame: Frame) -> Any:
        """x < y and the like: compile-time values, or tiles of 0 and 1."""
        x, y = self.data(x), self.data(y)
        if not isinstance(x, Value) and not isinstance(y, Value):
            return self.python(lambda: _PYTHON[type(op)](x, y), e, frame)
        if type(op) in COMPARE and any(isinstance(v, Value) and isinstance(v.type, TileType) for v in (x, y)):
            name, flip = COMPARE[type(op)]
            return binary(self.b, name, *((y, x) if flip else (x, y)))
        raise self.error("K024", "a comparison of run-time indices cannot be used", e, frame)

    def python(self, compute: Callable[[], Any], e: ast.AST, frame: Frame) -> Any:
        """Compile-time computation, whose errors are the kernel author's."""
        try:
            return compute()
        except Exception as x:  # whatever the author's own expression raises is shown at its place
            raise self.error("K026", f"{type(x).__name__} at compile time: {x}", e, frame) from None

    def attribute(self, base: Any, attr: str, e: ast.expr, frame: Frame) -> Any:
        """t.shape, t.dtype, t.T, named dimensions, methods; attributes of Python values."""
        if isinstance(base, (View, Value)) and not (isinstance(base, Value) and base.type in (INDEX, FLOAT)):
            t = base.mem.type if isinstance(base, View) else base.type
            assert isinstance(t, (MemType, TileType))
            if attr == "dtype":
                return t.dtype
            if attr == "shape":
                return tuple(d.size for d in t.dims)
            if attr in ("T", "mT"):
                rank = len(t.dims)
                if rank < 2:
                    raise self.error("K017", "a transpose takes rank 2 or more", e, frame)
                return self.on_both(base, lambda v: self.b.swap(v, rank - 2, rank - 1))
            p = next((p for p in self.params.values() if p.value is base), None)
            if p is not None and attr in p.dims:
                return self.dims[attr]
            if attr in METHODS:
                return Method(attr, lambda *a, **k: METHODS[attr](self, base, e, frame, *a, **k))
            import difflib

            near = difflib.get_close_matches(attr, [*METHODS, "shape", "dtype", "T", *(p.dims if p else ())], 1)  # type: ignore[list-item]
            raise self.error(
                "K009", f"{describe(base) if isinstance(base, Value) else 'a tensor view'} has no {attr!r}", e, frame,
                help=f"did you mean .{near[0]}?" if near else "",
            )  # fmt: skip
        return self.python(lambda: getattr(base, attr), e, frame)

    def on_both(self, base: Any, f: Callable[[Value], Value]) -> Any:
        """A view operation on a tensor view and its loaded tile alike."""
        if isinstance(base, Value) and isinstance(base.type, MemType):
            base = self.view(base)
        if isinstance(base, View):
            return View(f(base.mem), f(base.tile) if base.tile is not None else None)
        return f(base)

    def view(self, mem: Value) -> View:
        """A view with its load, where the size allows one."""
        return View(mem, self.b.load(mem) if self.b.loadable(mem) else None)

    def subscript(self, base: Any, index: ast.expr, e: ast.expr, frame: Frame, load: bool = True) -> Any:
        """x[...]: slices, integers, None and ... as in NumPy; a tile of indices gathers rows."""
        if isinstance(base, (tuple, list, dict, str)):
            key = self.eval(index, frame)
            return self.python(lambda: base[key], e, frame)  # type: ignore[index]
        if isinstance(base, View):
            v = base.mem
        elif isinstance(base, Value) and isinstance(base.type, (MemType, TileType)):
            v = base
        else:
            raise self.error("K004", f"cannot index {describe(base)}", e, frame)
        parts = list(index.elts) if isinstance(index, ast.Tuple) else [index]
        assert isinstance(v.type, (MemType, TileType))
        rank = len(v.type.dims)
        if isinstance(v.type, MemType) and len(parts) == 1 and not isinstance(parts[0], ast.Slice):
            rows = self.data(self.eval(parts[0], frame))
            if isinstance(rows, Value) and isinstance(rows.type, TileType):
                return self.gather(v, rows, e, frame)
        wanted = sum(not _is_constant(p, None) and not _is_constant(p, ...) for p in parts)
        if wanted > rank:
            raise self.error("K017", f"{wanted} indices into rank {rank}", e, frame)
        axis = 0
        for p in parts:
            if _is_constant(p, ...):
                axis += rank - wanted
            elif _is_constant(p, None):
                v = self.b.insert(v, axis)
                axis += 1
            elif isinstance(p, ast.Slice):
                if p.step is not None:
                    raise self.error("K018", "slices have no step", p, frame)
                lo, hi = (self.index(x, frame) if x is not None else None for x in (p.lower, p.upper))
                self.b.loc = self.loc(e, frame)
                v = self.b.slice(v, axis, lo, hi)
                axis += 1
            else:
                at = self.index(p, frame)
                self.b.loc = self.loc(e, frame)
                v = self.b.slice(v, axis, at, None if at == -1 else self.b.scalar("add", at, 1))
                v = self.b.drop(v, axis)
        self.b.loc = self.loc(e, frame)
        if isinstance(v.type, MemType):
            return self.view(v) if load else View(v, None)
        return v

    def index(self, e: ast.expr, frame: Frame) -> Any:
        """An expression that must be an index."""
        v = self.eval(e, frame)
        if isinstance(v, int) or (isinstance(v, Value) and v.type == INDEX):
            return v
        raise self.error("K019", f"an index is wanted here, not {describe(self.data(v))}", e, frame)

    def gather(self, table: Value, rows: Value, e: ast.expr, frame: Frame) -> Value:
        """table[rows]: rows of a rank-2 tensor by a rank-1 tile of i32."""
        assert isinstance(table.type, MemType)
        if rows.tile.dtype != i32 or len(rows.tile.dims) != 1 or len(table.type.dims) != 2:
            raise self.error("K017", "a gather takes a tensor of rank 2 and an i32 tile of rank 1", e, frame)
        return self.b.one("dma.gather", table, rows, dtype=table.type.dtype, q=0)

    def call(self, e: ast.Call, frame: Frame) -> Any:
        """A function of the language, a method, a plain Python function (inlined), or compile-time Python."""
        fn = self.eval(e.func, frame)
        args: list[Any] = []
        for a in e.args:
            if isinstance(a, ast.Starred):
                args += self.eval(a.value, frame)
            else:
                args.append(self.eval(a, frame))
        kwargs = {k.arg: self.eval(k.value, frame) for k in e.keywords if k.arg is not None}
        here = self.loc(e, frame)
        self.b.loc = here
        if isinstance(fn, Intrinsic):
            in_hbm = hbm_operands(str(args[0])) if fn.name == "isa_op" and args else frozenset()
            args = [a.mem if isinstance(a, View) and i in in_hbm else self.data(a) for i, a in enumerate(args)]
            kwargs = {k: self.data(v) for k, v in kwargs.items()}
            try:
                inspect.signature(fn.build).bind(self.b, *args, **kwargs)
            except TypeError as x:
                raise self.error("K030", f"sohu.{fn.name}: {x}", e, frame) from None
            return fn.build(self.b, *args, **kwargs)
        if fn in (min, max) and any(isinstance(a, Value) for a in args):
            out = args[0]
            for a in args[1:]:
                out = self.b.scalar(fn.__name__, out, a)
            return out
        if fn is len and args and isinstance(args[0], (View, Value)):
            return self.attribute(args[0], "shape", e, frame)[0]
        fn = getattr(fn, "__sohu_function__", fn)
        if isinstance(fn, Method):
            try:
                return fn.apply(*args, **kwargs)
            except TypeError as x:
                raise self.error("K030", f".{fn.name}: {x}", e, frame) from None
        run_time = any(isinstance(a, (Value, View)) for a in (*args, *kwargs.values()))
        if isinstance(fn, types.FunctionType) and (run_time or not _is_library(fn)):
            return self.inline(fn, args, kwargs, e, here, frame)
        if not run_time:
            return self.python(lambda: fn(*args, **kwargs), e, frame)
        raise self.error("K010", f"{getattr(fn, '__name__', fn)!s} cannot be called with run-time values", e, frame)

    def inline(
        self,
        fn: types.FunctionType,
        args: list[Any],
        kwargs: dict[str, Any],
        e: ast.Call,
        here: Loc,
        frame: Frame,
    ) -> Any:
        """Interpret a called function in place."""
        if frame.depth >= MAX_INLINE_DEPTH:
            raise self.error(
                "K011",
                f"calls nest deeper than {MAX_INLINE_DEPTH}: does {fn.__name__} call itself?",
                e,
                frame,
            )
        try:
            bound = inspect.signature(fn).bind(*args, **kwargs)
        except TypeError as x:
            raise self.error("K030", f"{fn.__name__}: {x}", e, frame) from None
        bound.apply_defaults()
        inner = Frame(source_of(fn), dict(bound.arguments), here, frame.depth + 1)
        try:
            self.body(inner.source.tree.body, inner)
        except _Return as r:
            return r.value
        return None


def _is_library(fn: types.FunctionType) -> bool:
    """Whether a function is Python's own, so that calling it is better than interpreting it."""
    return (fn.__module__ or "").partition(".")[0] in sys.stdlib_module_names


def _is_constant(e: ast.expr, value: Any) -> bool:
    return isinstance(e, ast.Constant) and e.value is value


def _method_to(self: Interpreter, base: Any, e: ast.expr, frame: Frame, dtype: Any) -> Value:
    return convert(self.b, self.tile(base, e, frame), dtype)


def _method_reduce(name: str) -> Callable[..., Value]:
    def method(
        self: Interpreter,
        base: Any,
        e: ast.expr,
        frame: Frame,
        axis: int | None = None,
        keepdims: bool = False,
    ) -> Value:
        return reduce(self.b, name, self.tile(base, e, frame), axis, keepdims)

    return method


def _method_transpose(self: Interpreter, base: Any, e: ast.expr, frame: Frame, *axes: Any) -> Any:
    order = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple) else axes
    t = base.mem.type if isinstance(base, View) else base.type
    if sorted(order) != list(range(len(t.dims))):
        raise self.error("K017", f"transpose{order} of rank {len(t.dims)}", e, frame)
    if isinstance(base, View) or isinstance(t, MemType):
        mem = self.b.permute(base.mem if isinstance(base, View) else base, order)
        return self.view(mem)  # rows stay rows: the DMA permutes while it loads
    return self.b.permute(base, order)


def _method_item(self: Interpreter, base: Any, e: ast.expr, frame: Frame) -> Value:
    return self.b.one("sld", self.tile(base, e, frame))


METHODS: dict[str, Callable[..., Any]] = {
    "to": _method_to,
    "astype": _method_to,
    "sum": _method_reduce("sum"),
    "max": _method_reduce("max"),
    "min": _method_reduce("min"),
    "argmax": _method_reduce("argmax"),
    "transpose": _method_transpose,
    "item": _method_item,
}

_INSTEAD = {
    "while": "use `for i in sohu.range(...)`",
    "try": "errors stop the chip; check arguments before the call",
    "with": "tiles are placed and freed by the compiler",
    "functiondef": "define functions outside the kernel; calls are inlined",
}

_PYTHON: dict[type, Callable[..., Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: a**b,
    ast.LShift: lambda a, b: a << b,
    ast.RShift: lambda a, b: a >> b,
    ast.USub: lambda a: -a,
    ast.UAdd: lambda a: +a,
    ast.Not: lambda a: not a,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Is: lambda a, b: a is b,
    ast.IsNot: lambda a, b: a is not b,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
