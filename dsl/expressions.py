"""Expressions of the kernel language: operators, attributes, indexing, calls."""

from __future__ import annotations

import ast
import difflib
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sohu.dsl.builder import Builder, describe
from sohu.dsl.errors import CompileError, Loc, Scope
from sohu.dsl.ir import FLOAT, INDEX, MemType, TileType, Value, root
from sohu.dsl.language import (
    DTypeVar,
    Intrinsic,
    ScalarSpec,
    TensorSpec,
    binary,
    convert,
    hbm_operands,
    is_tile,
    matmul,
    reduce,
    whole,
)
from sohu.dsl.scope import Frame, Gone, Method, View, bind
from sohu.dsl.source import Source, source_of
from sohu.isa import DType, i32

MAX_INLINE_DEPTH = 32

BINARY = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.FloorDiv: "div",
    ast.Mod: "rem",
}
WHOLE: dict[type, str] = {  # of i32 tiles
    ast.FloorDiv: "vidiv",
    ast.Mod: "virem",
    ast.BitAnd: "vand",
    ast.BitOr: "vor",
    ast.BitXor: "vxor",
    ast.LShift: "vsll",
    ast.RShift: "vsra",
}
COMPARE = {ast.Lt: ("lt", 0), ast.LtE: ("le", 0), ast.Gt: ("lt", 1), ast.GtE: ("le", 1), ast.Eq: ("eq", 0)}


class Return(Exception):
    """A `return` on its way out of an interpreted function."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Expressions:
    """Evaluates expressions, building ops for what only the run knows.

    A value is what Python knows (a number, a tuple, a dtype, ...), a `Value` of the IR, or a `View` of a tensor.
    """

    def __init__(self, b: Builder) -> None:
        self.b = b

    def body(self, statements: list[ast.stmt], frame: Frame) -> None:
        """Interpret statements in order."""
        raise NotImplementedError

    # -- places ---------------------------------------------------------------------------------

    def loc(self, node: ast.AST, frame: Frame) -> Loc:
        """Where a node stands in its file, and where its function was called."""
        return frame.source.loc(node, frame.caller, frame.scope)

    def error(self, code: str, message: str, node: ast.AST, frame: Frame, help: str = "") -> CompileError:
        """An error at a node."""
        return CompileError(code, message, self.loc(node, frame), help=help)

    # -- values ---------------------------------------------------------------------------------

    def data(self, v: Any) -> Any:
        """Tensors as tiles, all else as it is."""
        if isinstance(v, View):
            return v.tile()
        return self.b.load(v) if isinstance(v, Value) and isinstance(v.type, MemType) else v

    def tile(self, v: Any, node: ast.AST, frame: Frame) -> Value:
        """A value as a tile; raises K036."""
        v = self.data(v)
        if isinstance(v, Value) and isinstance(v.type, TileType):
            return v
        raise self.error("K036", f"a tile is wanted here, not {describe(v)}", node, frame)

    def truth(self, v: Any, test: ast.expr, frame: Frame) -> bool:
        """A condition, which must be known at compile time; raises K024."""
        if isinstance(v, (Value, View)):
            raise self.error(
                "K024",
                "this condition is known only at run time",
                test,
                frame,
                help="choose between tiles with sohu.where, or between loop bounds with sohu.minimum/maximum",
            )
        return bool(self.python(lambda: bool(v), test, frame))

    def python(self, compute: Callable[[], Any], e: ast.AST, frame: Frame) -> Any:
        """Compile-time computation, whose errors are the kernel author's; raises K026."""
        try:
            return plain(compute())
        except CompileError:
            raise
        except Exception as x:  # noqa: BLE001  # whatever the author's own expression raises, shown at its place
            raise self.error("K026", f"{type(x).__name__} at compile time: {x}", e, frame) from None

    # -- expressions ----------------------------------------------------------------------------

    def eval(self, e: ast.expr, frame: Frame) -> Any:
        """The value of an expression."""
        self.b.loc = self.loc(e, frame)
        match e:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.name(name, e, frame)
            case ast.Tuple(elts=elts) | ast.List(elts=elts):
                return tuple(self.items(elts, frame))
            case ast.Dict(keys=keys, values=values) if None not in keys:
                return {self.eval(k, frame): self.eval(v, frame) for k, v in zip(keys, values, strict=True) if k}
            case ast.Attribute(value=base, attr=attr):
                return self.attribute(self.eval(base, frame), attr, e, frame)
            case ast.Subscript(value=base, slice=index):
                return self.subscript(self.eval(base, frame), index, e, frame)
            case ast.BinOp(left=left, op=op, right=right):
                x, y = self.eval(left, frame), self.eval(right, frame)
                self.b.loc = self.loc(e, frame)
                return self.operator(op, x, y, e, frame)
            case ast.UnaryOp(op=op, operand=operand):
                v = self.eval(operand, frame)
                self.b.loc = self.loc(e, frame)
                return self.unary(op, v, e, frame)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self.comparison(left, ops, comparators, e, frame)
            case ast.IfExp(test=test, body=then, orelse=other):
                return self.eval(then if self.truth(self.eval(test, frame), test, frame) else other, frame)
            case ast.BoolOp(op=op, values=values):
                last: Any = None
                for part in values:
                    last = self.eval(part, frame)
                    if self.truth(last, part, frame) != isinstance(op, ast.And):
                        break
                return last
            case ast.Call():
                return self.call(e, frame)
            case ast.JoinedStr(values=values):
                return "".join(str(self.eval(v, frame)) for v in values)
            case ast.FormattedValue(value=value, format_spec=spec):
                shown = self.eval(value, frame)
                style = self.eval(spec, frame) if spec is not None else ""
                known = not isinstance(shown, (Value, View))
                return self.python(lambda: format(shown, style) if known else describe(self.data(shown)), e, frame)
            case ast.Lambda():
                raise self.error("K003", "the kernel language has no lambda", e, frame, help="define it outside")
        word = _WORDS.get(type(e), type(e).__name__)
        raise self.error("K003", f"the kernel language has no {word}", e, frame)

    def items(self, elts: list[ast.expr], frame: Frame) -> list[Any]:
        """Values of a list of expressions, `*starred` ones unpacked."""
        out: list[Any] = []
        for x in elts:
            if isinstance(x, ast.Starred):
                v = self.eval(x.value, frame)
                if isinstance(v, (Value, View)):
                    raise self.error("K004", f"cannot unpack {describe(self.data(v))}", x, frame)
                out += self.python(lambda: list(v), x, frame)  # noqa: B023  # called at once
            else:
                out.append(self.eval(x, frame))
        return out

    def name(self, name: str, e: ast.expr, frame: Frame) -> Any:
        """A local name, or one of the module around."""
        if name in frame.names:
            v = frame.names[name]
            if isinstance(v, Gone):
                raise self.error(v.code, v.why, e, frame, help=v.help)
            return plain(v)
        try:
            v = frame.source.names(name)
        except KeyError:
            near = difflib.get_close_matches(name, frame.names, 1)
            hint = f"did you mean {near[0]!r}?" if near else ""
            raise self.error("K008", f"name {name!r} is not defined", e, frame, help=hint) from None
        return frame.dtypes.get(v.name, v) if isinstance(v, DTypeVar) else plain(v)

    def operator(self, op: ast.operator, x: Any, y: Any, e: ast.AST, frame: Frame) -> Any:
        """A binary operator on whatever its sides are."""
        x, y = self.data(x), self.data(y)
        if isinstance(op, ast.MatMult) and (isinstance(x, Value) or isinstance(y, Value)):
            return matmul(self.b, x, y)
        if not isinstance(x, Value) and not isinstance(y, Value):
            return self.python(lambda: _PYTHON[type(op)](x, y), e, frame)
        if type(op) in WHOLE and (is_tile(x) or is_tile(y)):
            return whole(self.b, WHOLE[type(op)], x, y)
        name = BINARY.get(type(op))
        if name is None:
            what = "works on compile-time numbers only"
            sign = _SIGNS.get(type(op), type(op).__name__)
            hint = "write t * t" if isinstance(op, ast.Pow) else ""
            raise self.error("K003", f"the operator {sign} {what}", e, frame, help=hint)
        if not is_tile(x) and not is_tile(y):
            return self.index_arithmetic(op, name, x, y, e, frame)
        return binary(self.b, name, x, y)

    def index_arithmetic(self, op: ast.operator, name: str, x: Any, y: Any, e: ast.AST, frame: Frame) -> Any:
        """An operator on run-time scalars: indices only."""
        floats = any(isinstance(v, float) or (isinstance(v, Value) and v.type == FLOAT) for v in (x, y))
        integers = all(isinstance(v, int) or (isinstance(v, Value) and v.type == INDEX) for v in (x, y))
        if floats or not integers or isinstance(op, ast.Div):
            hint = "indices divide with //" if integers else ""
            if floats:
                hint = "the chip computes with floats in tiles only: sohu.full((1, 1), s) makes one"
            raise self.error("K036", f"cannot {name} {describe(x)} and {describe(y)}", e, frame, help=hint)
        return self.b.scalar(name, x, y)

    def unary(self, op: ast.unaryop, x: Any, e: ast.expr, frame: Frame) -> Any:
        """-x, +x, not x."""
        if isinstance(op, ast.Not):
            return not self.truth(x, e, frame)
        x = self.data(x)
        if not isinstance(x, Value):
            return self.python(lambda: _PYTHON[type(op)](x), e, frame)
        if isinstance(op, ast.UAdd):
            return x
        if isinstance(op, ast.USub):
            if is_tile(x):
                return self.b.one("vneg", x)
            return self.index_arithmetic(ast.Sub(), "sub", 0, x, e, frame)
        raise self.error("K003", f"the operator {type(op).__name__} works on compile-time values only", e, frame)

    def comparison(
        self, left: ast.expr, ops: list[ast.cmpop], comparators: list[ast.expr], e: ast.expr, frame: Frame
    ) -> Any:
        """x < y, or a chain of them over what is known at compile time."""
        x = self.eval(left, frame)
        result: Any = True
        for op, right in zip(ops, comparators, strict=True):
            y = self.eval(right, frame)
            self.b.loc = self.loc(e, frame)
            result = self.compare(op, x, y, e, frame)
            if len(ops) > 1 and not self.truth(result, e, frame):
                return False
            x = y
        return result

    def compare(self, op: ast.cmpop, x: Any, y: Any, e: ast.expr, frame: Frame) -> Any:
        """One comparison: of compile-time values, or of tiles, giving a tile of 0 and 1."""
        if isinstance(op, (ast.Is, ast.IsNot)):
            return self.python(lambda: _PYTHON[type(op)](x, y), e, frame)
        if isinstance(op, (ast.Eq, ast.NotEq)) and (x is None or y is None):
            return (x is y) == isinstance(op, ast.Eq)
        x, y = self.data(x), self.data(y)
        if not isinstance(x, Value) and not isinstance(y, Value):
            return self.python(lambda: _PYTHON[type(op)](x, y), e, frame)
        if is_tile(x) or is_tile(y):
            if isinstance(op, ast.NotEq):
                return self.b.one("vrsubs", binary(self.b, "eq", x, y), 1.0)
            if type(op) in COMPARE:
                name, flip = COMPARE[type(op)]
                return binary(self.b, name, *((y, x) if flip else (x, y)))
        raise self.error(
            "K024",
            f"what compares {describe(x)} and {describe(y)} is known only at run time",
            e,
            frame,
            help="sohu.minimum and sohu.maximum choose between indices",
        )

    # -- attributes and indexing -----------------------------------------------------------------

    def attribute(self, base: Any, attr: str, e: ast.expr, frame: Frame) -> Any:
        """t.shape, t.dtype, t.T, named dimensions, methods; attributes of Python values."""
        if not isinstance(base, (View, Value)):
            return self.python(lambda: getattr(base, attr), e, frame)
        t = base.mem.type if isinstance(base, View) else base.type
        if not isinstance(t, (MemType, TileType)):
            raise self.error("K009", f"{describe(base)} has no {attr!r}", e, frame)
        if attr == "dtype":
            return t.dtype
        if attr == "shape":
            return tuple(d.size for d in t.dims)
        if attr == "ndim":
            return len(t.dims)
        if attr in ("T", "mT"):
            rank = len(t.dims)
            if rank < 2:
                raise self.error("K017", "a transpose takes rank 2 or more", e, frame)
            return self.seen(base, lambda v: self.b.swap(v, rank - 2, rank - 1))
        dims = frame.dims.get(base.mem if isinstance(base, View) else base, {})
        if attr in dims:
            return dims[attr]
        if attr in METHODS:
            return Method(attr, METHODS[attr], base, e)
        near = difflib.get_close_matches(attr, [*METHODS, "shape", "dtype", "ndim", "T", "mT", *dims], 1)
        what = "a tensor view" if isinstance(base, View) else describe(base)
        raise self.error("K009", f"{what} has no {attr!r}", e, frame, help=f"did you mean .{near[0]}?" if near else "")

    def seen(self, base: Any, see: Callable[[Value], Value]) -> Any:
        """A tile or tensor seen otherwise."""
        if isinstance(base, Value) and isinstance(base.type, MemType):
            base = View(self.b, base)
        if isinstance(base, View):
            return View(self.b, see(base.mem), base, see)
        return see(base)

    def subscript(self, base: Any, index: ast.expr, e: ast.expr, frame: Frame) -> Any:
        """x[...]: slices, integers, None and ... as in NumPy; a tile of indices gathers rows."""
        v = base.mem if isinstance(base, View) else base
        if not isinstance(v, Value):
            if isinstance(index, ast.Slice):
                ends = [self.eval(x, frame) if x is not None else None for x in (index.lower, index.upper, index.step)]
                return self.python(lambda: base[slice(*ends)], e, frame)
            key = self.eval(index, frame)
            if isinstance(key, (Value, View)):
                raise self.error("K019", f"{describe(base)} takes an index known at compile time", e, frame)
            return self.python(lambda: base[key], e, frame)
        if not isinstance(v.type, (MemType, TileType)):
            raise self.error("K004", f"cannot index {describe(base)}", e, frame)
        parts = [p if isinstance(p, ast.Slice) else self.eval(p, frame) for p in _parts(index)]
        if len(parts) == 1 and isinstance(parts[0], (Value, View)):
            rows = self.data(parts[0])
            if is_tile(rows):
                return self.gather(v, rows, e, frame)
        rank = len(v.type.dims)
        wanted = sum(p is not None and p is not ... for p in parts)
        if wanted > rank:
            raise self.error("K017", f"{wanted} indices into rank {rank}", e, frame)
        if sum(p is ... for p in parts) > 1:
            raise self.error("K017", "an index has one ... at most", e, frame)
        axis = 0
        for p, node in zip(parts, _parts(index), strict=True):
            self.b.loc = self.loc(e, frame)
            if p is ...:
                axis += rank - wanted
            elif p is None:
                v = self.b.insert(v, axis)
                axis += 1
            elif isinstance(p, ast.Slice):
                if p.step is not None and self.eval(p.step, frame) != 1:
                    raise self.error("K018", "slices have no step", p.step, frame)
                lo, hi = (
                    self.index(self.eval(x, frame), x, frame) if x is not None else None for x in (p.lower, p.upper)
                )
                self.b.loc = self.loc(e, frame)
                v = self.b.slice(v, axis, lo, hi)
                axis += 1
            else:
                v = self.b.pick(v, axis, self.index(p, node, frame))
        return View(self.b, v) if isinstance(v.type, MemType) else v

    def index(self, v: Any, e: ast.expr, frame: Frame) -> Any:
        """A value that must be an index; raises K019."""
        if (isinstance(v, int) and not isinstance(v, bool)) or (isinstance(v, Value) and v.type == INDEX):
            return v
        raise self.error("K019", f"an index is wanted here, not {describe(self.data(v))}", e, frame)

    def gather(self, table: Value, rows: Value, e: ast.expr, frame: Frame) -> Value:
        """table[rows]: rows of a rank-2 tensor by a rank-1 tile of i32."""
        ranks = (len(rows.tile.dims), len(table.type.dims) if isinstance(table.type, MemType) else 0)
        if rows.tile.dtype != i32 or ranks != (1, 2):
            raise self.error(
                "K017",
                "x[rows] takes a tensor of rank 2 and an i32 tile of rank 1, "
                f"not {describe(table)} and {describe(rows)}",
                e,
                frame,
            )
        assert isinstance(table.type, MemType)
        return self.b.one("dma.gather", table, rows, dtype=table.type.dtype, q=0)

    def writable(self, mem: Value, node: ast.AST, frame: Frame) -> None:
        """Raises K006 when the view belongs to an In parameter, of the kernel or of one that it calls."""
        owner, v = root(mem), mem
        name = None if owner in self.b.versions else owner.hint
        while name is None and v is not owner:
            name = frame.read_only.get(v)
            v = v.op.operands[0] if v.op is not None else owner
        name = name or frame.read_only.get(owner)
        if name is not None:
            raise self.error("K006", f"{name} is an In parameter", node, frame, help="declare it Out or InOut")

    # -- calls ----------------------------------------------------------------------------------

    def call(self, e: ast.Call, frame: Frame) -> Any:
        """A function of the language, a method, a plain Python function (inlined), or compile-time Python."""
        fn = self.eval(e.func, frame)
        args = self.items(e.args, frame)
        kwargs: dict[str, Any] = {}
        for k in e.keywords:
            v = self.eval(k.value, frame)
            if k.arg is None and not isinstance(v, dict):
                raise self.error("K004", f"cannot unpack {describe(v)} as keyword arguments", k.value, frame)
            kwargs |= v if k.arg is None else {k.arg: v}
        here = self.loc(e, frame)
        self.b.loc = here
        if isinstance(fn, Intrinsic):
            return self.intrinsic(fn, args, kwargs, e, frame)
        if isinstance(fn, Method):
            return self.method(fn, args, kwargs, e, frame)
        if isinstance(fn, types.MethodType):
            args.insert(0, fn.__self__)
            fn = fn.__func__
        run_time = any(isinstance(a, (Value, View)) for a in _leaves([*args, *kwargs.values()]))
        if hasattr(fn, "__sohu_function__"):
            return self.inline_kernel(fn, args, kwargs, e, here, frame)
        if isinstance(fn, types.FunctionType) and (run_time or not _is_library(fn)):
            return self.inline(fn, args, kwargs, e, here, frame)
        if not run_time or (fn in _CONTAINERS and not any(isinstance(a, (Value, View)) for a in args)):
            return self.python(lambda: fn(*args, **kwargs), e, frame)
        if fn in (min, max, abs, len) and not kwargs:
            return self.builtin(fn, args, e, frame)
        name = getattr(fn, "__name__", type(fn).__name__)
        raise self.error("K010", f"{name} cannot be called with run-time values", e, frame, help=_USE.get(name, ""))

    def bind(
        self, what: str, fn: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], e: ast.Call, frame: Frame
    ) -> inspect.BoundArguments:
        """Arguments to parameters as Python does it; raises K030."""
        try:
            bound = inspect.signature(fn).bind(*args, **kwargs)
        except TypeError as x:
            raise self.error("K030", f"{what}: {x}", e, frame) from None
        bound.apply_defaults()
        return bound

    def intrinsic(self, fn: Intrinsic, args: list[Any], kwargs: dict[str, Any], e: ast.Call, frame: Frame) -> Any:
        """A function of the language."""
        b = self.b
        in_hbm: Mapping[int, bool] = hbm_operands(args[0]) if fn.name == "isa_op" and args else {}
        for i, is_written in in_hbm.items():
            if i < len(args) and isinstance(args[i], (View, Value)):
                mem = args[i].mem if isinstance(args[i], View) else args[i]
                if is_written and isinstance(mem.type, MemType):
                    self.writable(mem, e.args[i], frame)
                args[i] = mem
        args = [a if i in in_hbm else self.data(a) for i, a in enumerate(args)]
        kwargs = {k: self.data(v) for k, v in kwargs.items()}
        self.bind(f"sohu.{fn.name}", fn.build, [b, *args], kwargs, e, frame)
        return fn.build(b, *args, **kwargs)

    def method(self, fn: Method, args: list[Any], kwargs: dict[str, Any], e: ast.Call, frame: Frame) -> Any:
        """A method of a tile or tensor."""
        args = [self.data(a) for a in args]
        kwargs = {k: self.data(v) for k, v in kwargs.items()}
        apply = fn.apply
        self.bind(f".{fn.name}", apply, [self, fn.base, fn.node, frame, *args], kwargs, e, frame)
        return apply(self, fn.base, fn.node, frame, *args, **kwargs)

    def builtin(self, fn: Any, args: list[Any], e: ast.Call, frame: Frame) -> Any:
        """min, max, abs and len of run-time values."""
        if fn is len:
            return self.attribute(args[0], "shape", e, frame)[0]
        args = [self.data(a) for a in args]
        if fn is abs:
            return self.b.one("vabs", self.tile(args[0], e, frame))
        out = args[0]
        for a in args[1:]:
            out = (
                binary(self.b, fn.__name__, out, a)
                if is_tile(out) or is_tile(a)
                else self.b.scalar(fn.__name__, out, a)
            )
        return out

    def inline(
        self, fn: types.FunctionType, args: list[Any], kwargs: dict[str, Any], e: ast.Call, here: Loc, frame: Frame
    ) -> Any:
        """Interpret a called function in place."""
        bound = self.bind(fn.__name__, fn, args, kwargs, e, frame)
        return self.run(
            fn, Frame(self.source(fn, e, frame), dict(bound.arguments), frame.dtypes, frame.dims), e, here, frame
        )

    def source(self, fn: types.FunctionType, e: ast.Call, frame: Frame) -> Source:
        """The source of a called function; raises K001 at the call."""
        try:
            return source_of(fn)
        except CompileError as x:
            raise self.error(x.code, x.message, e, frame, help=x.help) from None

    def run(self, fn: types.FunctionType, inner: Frame, e: ast.Call, here: Loc, frame: Frame) -> Any:
        """Interpret a function whose parameters are bound; raises K011 when calls nest too deeply."""
        if frame.depth >= MAX_INLINE_DEPTH:
            raise self.error(
                "K011", f"calls nest deeper than {MAX_INLINE_DEPTH}: does {fn.__name__} call itself?", e, frame
            )
        inner.caller, inner.depth = here, frame.depth + 1
        first = inner.source.loc(inner.source.node)
        inner.scope = Scope(fn.__name__, first.file, first.line, here, frame.scope)
        for name, value in inner.names.items():
            bind(self.b, inner, name, value)
        try:
            self.body(inner.source.body, inner)
        except Return as r:
            return r.value
        return None

    def inline_kernel(
        self, kernel: Any, args: list[Any], kwargs: dict[str, Any], e: ast.Call, here: Loc, frame: Frame
    ) -> Any:
        """A kernel called by a kernel: in place, its parameters bound to tensors, views and numbers of the caller."""
        fn: types.FunctionType = kernel.__sohu_function__
        bound = self.bind(fn.__name__, fn, args, kwargs, e, frame)
        inner = Frame(self.source(fn, e, frame), dict(bound.arguments), {})
        sizes: dict[str, Any] = {}
        for name, spec in kernel.specs.items():
            what, v = f"argument {name} of kernel {fn.__name__}", bound.arguments[name]
            if isinstance(spec, ScalarSpec):
                inner.names[name] = self.b.number(v) if spec.direction == "f32" else self.b.value(v)
                continue
            mem = v.mem if isinstance(v, View) else v
            if not isinstance(mem, Value) or not isinstance(
                mem.type, MemType if spec.direction != "in" else (MemType, TileType)
            ):
                raise self.error("K032", f"{what} must be a tensor, not {describe(v)}", e, frame)
            self._bind_tensor(what, spec, mem, inner, sizes, e, frame)
            inner.names[name] = v if isinstance(v, View) or is_tile(v) else View(self.b, mem)
            if spec.direction == "in":
                inner.read_only[mem] = name
            else:
                self.writable(mem, e, frame)
        return self.run(fn, inner, e, here, frame)

    def _bind_tensor(
        self, what: str, spec: TensorSpec, mem: Value, inner: Frame, sizes: dict[str, Any], e: ast.Call, frame: Frame
    ) -> None:
        t = mem.type
        assert isinstance(t, (MemType, TileType))
        wanted = spec.dtype if isinstance(spec.dtype, DType) else inner.dtypes.setdefault(spec.dtype.name, t.dtype)
        choices = spec.dtype.choices if isinstance(spec.dtype, DTypeVar) else ()
        if t.dtype != wanted or (choices and t.dtype not in choices):
            takes = wanted if t.dtype != wanted else " or ".join(map(str, choices))
            raise self.error("K033", f"{what} is {t.dtype}, the kernel takes {takes}", e, frame)
        if len(t.dims) != len(spec.dims):
            raise self.error("K017", f"{what} has rank {len(t.dims)}, the kernel takes {len(spec.dims)}", e, frame)
        for d, have in zip(spec.dims, t.dims, strict=True):
            want = d if isinstance(d, int) else sizes.setdefault(d, have.size)
            if isinstance(want, int) and isinstance(have.size, int) and want != have.size:
                raise self.error("K014", f"{what}: dimension {d} is {have.size}, not {want}", e, frame)
        named = {d: sizes[d] for d in spec.dims if isinstance(d, str)}
        inner.dims[mem] = inner.dims.get(mem, {}) | named


def _parts(index: ast.expr) -> list[ast.expr]:
    return list(index.elts) if isinstance(index, ast.Tuple) else [index]


def plain(v: Any) -> Any:
    """A scalar of NumPy as Python's; all else as it is."""
    return v.item() if isinstance(v, np.generic) and not isinstance(v, np.void) and v.dtype.kind in "biuf" else v


def _leaves(values: list[Any]) -> list[Any]:
    return [x for v in values for x in (_leaves(list(v)) if isinstance(v, (tuple, list)) else [v])]


def _is_library(fn: types.FunctionType) -> bool:
    """Whether a function is Python's own, so that calling it is better than interpreting it."""
    return (fn.__module__ or "").partition(".")[0] in sys.stdlib_module_names


# -- methods of tiles and tensors ------------------------------------------------------------------


def _method_to(self: Expressions, base: Any, e: ast.expr, frame: Frame, dtype: Any) -> Value:
    return convert(self.b, self.tile(base, e, frame), dtype)


def _method_reduce(name: str) -> Callable[..., Value]:
    def method(
        self: Expressions, base: Any, e: ast.expr, frame: Frame, axis: int | None = None, keepdims: bool = False
    ) -> Value:
        return reduce(self.b, name, self.tile(base, e, frame), axis, keepdims)

    return method


def _method_transpose(self: Expressions, base: Any, e: ast.expr, frame: Frame, *axes: Any) -> Any:
    t: Any = base.mem.type if isinstance(base, View) else base.type
    order = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple) else axes or tuple(range(len(t.dims)))[::-1]
    if not all(isinstance(a, int) for a in order) or sorted(order) != list(range(len(t.dims))):
        shown = ", ".join(str(a) if isinstance(a, int) else describe(a) for a in order)
        raise self.error("K017", f"transpose({shown}) of rank {len(t.dims)}", e, frame)
    if isinstance(base, View) or isinstance(t, MemType):  # rows stay rows: the DMA permutes while it loads
        return View(self.b, self.b.permute(base.mem if isinstance(base, View) else base, order))
    return self.b.permute(base, order)


def _method_reshape(self: Expressions, base: Any, e: ast.expr, frame: Frame, *shape: Any) -> Value:
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
    return self.b.reshape(self.tile(base, e, frame), sizes)


def _method_item(self: Expressions, base: Any, e: ast.expr, frame: Frame) -> Value:
    tile = self.tile(base, e, frame)
    if any(isinstance(d.size, int) and d.size != 1 for d in tile.tile.dims):
        raise self.error("K014", "item() takes a tile of one element", e, frame)
    return self.b.one("sld", tile)


METHODS: dict[str, Callable[..., Any]] = {
    "to": _method_to,
    "astype": _method_to,
    "sum": _method_reduce("sum"),
    "max": _method_reduce("max"),
    "min": _method_reduce("min"),
    "argmax": _method_reduce("argmax"),
    "transpose": _method_transpose,
    "item": _method_item,
    "reshape": _method_reshape,
}

_CONTAINERS = (dict, enumerate, len, list, reversed, tuple, zip)  # never look at what is in them

_WORDS: dict[type, str] = {
    ast.ListComp: "comprehensions: write a loop",
    ast.GeneratorExp: "comprehensions: write a loop",
    ast.SetComp: "comprehensions: write a loop",
    ast.DictComp: "comprehensions: write a loop",
    ast.NamedExpr: "`:=`",
    ast.Yield: "`yield`",
    ast.YieldFrom: "`yield`",
    ast.Await: "`await`",
    ast.Set: "sets",
}

_SIGNS: dict[type, str] = {
    ast.Pow: "**",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
}

_USE = {
    "range": "use sohu.range",
    "sum": "t.sum(axis=...) reduces a tile",
    "float": "t.to(f32) converts a tile",
    "int": "t.to(i32) converts a tile, t.item() reads its one element",
    "print": "kernel.debug(...) stops at any line and shows its tiles",
    "isinstance": "tiles and tensors have .dtype and .shape",
}

_PYTHON: dict[type, Callable[..., Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: a**b,
    ast.MatMult: lambda a, b: a @ b,
    ast.LShift: lambda a, b: a << b,
    ast.RShift: lambda a, b: a >> b,
    ast.BitAnd: lambda a, b: a & b,
    ast.BitOr: lambda a, b: a | b,
    ast.BitXor: lambda a, b: a ^ b,
    ast.USub: lambda a: -a,
    ast.UAdd: lambda a: +a,
    ast.Invert: lambda a: ~a,
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
