"""Python to IR: the kernel's own AST is interpreted, once, at compile time.

What Python knows then (numbers, tuples, dtypes, compile-time parameters) is computed then; what only the
run knows becomes ops. Calls of other plain Python functions are inlined. Locations are those of the source.

Here are statements and loops; expressions.py has the rest.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Mapping
from typing import Any

from sohu.dsl.builder import Builder, describe
from sohu.dsl.errors import CompileError, Scope
from sohu.dsl.expressions import Expressions, Return
from sohu.dsl.ir import FLOAT, INDEX, Block, Dim, Function, MemType, Op, Param, TileType, Value, root, uses, walk
from sohu.dsl.language import DTypeVar, Loop, ScalarSpec, TensorSpec, convert, number_fits
from sohu.dsl.ranges import Ranges
from sohu.dsl.scope import Frame, Gone, View, as_load, assigned_names, bind, bindings
from sohu.dsl.source import source_of
from sohu.isa import LOOP_DEPTH, DType
from sohu.isa.dtypes import Num


def trace(
    name: str,
    fn: types.FunctionType,
    specs: dict[str, TensorSpec | ScalarSpec],
    dtypes: dict[str, DType],
    constants: dict[str, Any],
    bound: Callable[[str], int | None],
    known: Mapping[str, int],
) -> Function:
    """Interpret a kernel into IR.

    dtypes: of DTypeVars, by name; constants: compile-time parameters; bound: the largest size of a named
    dimension, if it is known; known: the sizes of named dimensions that are fixed. Raises CompileError.
    """
    source = source_of(fn)
    ranges = Ranges(bound)
    b = Builder(ranges)
    dims: dict[str, Value] = {}
    params: list[Param] = []
    loc = source.loc(source.node)
    frame = Frame(source, {}, dtypes, scope=Scope(name, loc.file, loc.line))
    b.loc = loc = source.loc(source.node, None, frame.scope)
    for constant, given in constants.items():
        bind(b, frame, constant, given)
    for pname, spec in specs.items():
        if isinstance(spec, ScalarSpec):
            value = Value(INDEX if spec.direction == "i64" else FLOAT, hint=pname)
            params.append(Param(pname, spec.direction, value))
            bind(b, frame, pname, value)
            continue
        sizes = []
        shape = tuple(known.get(d, d) if isinstance(d, str) else d for d in spec.dims)
        for d in shape:
            if isinstance(d, str) and d not in dims:
                dims[d] = Value(INDEX, hint=d)
                ranges.dims[dims[d]] = d
            sizes.append(Dim(dims[d], None) if isinstance(d, str) else Dim(d, d))
        dtype = dtypes[spec.dtype.name] if isinstance(spec.dtype, DTypeVar) else spec.dtype
        value = Value(MemType(dtype, tuple(sizes)), hint=pname)
        params.append(Param(pname, spec.direction, value, shape))
        bind(b, frame, pname, value)
        frame.dims[value] = {d: known[d] if d in known else dims[d] for d in spec.dims if isinstance(d, str)}
        if spec.direction == "in":
            frame.read_only[value] = pname
        else:
            b.versions[value] = 1
    try:
        Interpreter(b).body(source.body, frame)
    except Return:
        pass
    except RecursionError:
        raise CompileError("K011", f"{name} nests too deeply for the compiler", loc) from None
    return Function(name, dims, params, b.blocks[0], loc=loc, bindings=bindings(b))


class Interpreter(Expressions):
    """Walks the statements of a kernel, building as it goes."""

    def body(self, statements: list[ast.stmt], frame: Frame) -> None:
        """Interpret statements in order."""
        for s in statements:
            self.b.loc = self.loc(s, frame)
            self.statement(s, frame)

    def statement(self, s: ast.stmt, frame: Frame) -> None:
        """Interpret one statement."""
        match s:
            case ast.Assign(targets=targets, value=value):
                v = self.eval(value, frame)
                for target in targets:
                    self.assign(target, v, frame)
            case ast.AnnAssign(target=target, value=value):
                if value is not None:
                    self.assign(target, self.eval(value, frame), frame)
            case ast.AugAssign(target=target, op=op, value=value):
                old = self.eval(as_load(target), frame)
                if isinstance(target, ast.Name) and isinstance(old, View):
                    self.refuse_update(target.id, old, s, frame)
                new = self.eval(value, frame)
                self.b.loc = self.loc(s, frame)
                self.assign(target, self.operator(op, old, new, s, frame), frame)
            case ast.For():
                self.loop(s, frame)
            case ast.If(test=test, body=then, orelse=other):
                self.body(then if self.truth(self.eval(test, frame), test, frame) else other, frame)
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                pass
            case ast.Expr(value=value):
                self.eval(value, frame)
            case ast.Assert(test=test, msg=msg):
                if not self.truth(self.eval(test, frame), test, frame):
                    text = self.eval(msg, frame) if msg is not None else "an assertion fails at compile time"
                    raise self.error("K023", str(text), s, frame)
            case ast.Return(value=value):
                if frame.caller is None and value is not None:
                    raise self.error(
                        "K002", "a kernel returns nothing", s, frame, help="write results into Out parameters"
                    )
                if frame.loops:
                    raise self.error(
                        "K027",
                        "a loop of the chip cannot be left before its end",
                        s,
                        frame,
                        help="return after the loop; a shorter loop stops earlier (sohu.minimum of its bounds)",
                    )
                raise Return(None if value is None else self.eval(value, frame))
            case _:
                word = _WORDS.get(type(s), type(s).__name__.lower())
                raise self.error("K003", f"the kernel language has no `{word}`", s, frame, help=_INSTEAD.get(word, ""))

    def refuse_update(self, name: str, view: View, s: ast.stmt, frame: Frame) -> None:
        """Raises K028: `view += t` would store in NumPy, and only give a name to a new tile here."""
        p = root(view.mem)
        if p in self.b.versions:
            raise self.error(
                "K028",
                f"{name} is a view of {p.hint}: this would make a new tile and leave {p.hint} as it is",
                s,
                frame,
                help=f"{name}[...] += ... stores into {p.hint}; {name} = {name} + ... makes a tile",
            )

    def assign(self, target: ast.expr, value: Any, frame: Frame) -> None:
        """Bind a name, unpack a tuple, or store into a tensor."""
        match target:
            case ast.Name(id=name):
                if isinstance(value, View):
                    value.hint = value.hint or name
                    if value.mem.op is not None and not value.mem.hint:
                        value.mem.hint = f"{name}_view"
                elif isinstance(value, Value) and not value.hint:
                    value.hint = name
                bind(self.b, frame, name, value)
            case ast.Tuple(elts=elts) | ast.List(elts=elts):
                if not isinstance(value, (tuple, list)) or len(value) != len(elts):
                    raise self.error("K004", f"cannot unpack {describe(value)} into {len(elts)} names", target, frame)
                for t, v in zip(elts, value, strict=True):
                    self.assign(t, v, frame)
            case ast.Subscript(value=base, slice=index):
                to = self.subscript(self.eval(base, frame), index, target, frame)
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
        if isinstance(value, (int, float)) or (isinstance(value, Value) and value.type == FLOAT):
            wide = tuple(b.dim(d.size, d.cap) for d in t.dims)
            dtype = t.dtype if t.dtype.is_float else number_fits(b, value, t.dtype)
            b.emit("dma.store", [to.mem, b.one("vfill", value, shape=wide, dtype=dtype)], [], {"q": 1})
            return
        tile = self.tile(value, node, frame)
        have = tile.tile.dims
        if len(have) != len(t.dims):
            raise self.error(
                "K017", f"stores rank {len(have)} into rank {len(t.dims)}", node, frame, help="t[None] adds a dimension"
            )
        for axis, (h, d) in enumerate(zip(have, t.dims, strict=True)):
            if isinstance(h.size, int) and isinstance(d.size, int) and h.size not in (1, d.size):
                raise self.error("K014", f"stores {h.size} into {d.size} elements of axis {axis}", node, frame)
        tile = convert(b, tile, t.dtype)
        pairs = list(zip(have, t.dims, strict=True))
        if any(h.cap == 1 and d.size != 1 and not h.same(d) for h, d in pairs):
            wide = tuple(b.dim(d.size, d.cap if h.cap == 1 else h.cap) for h, d in pairs)
            tile = b.one("vmov" if t.dtype in Num else "vcast", tile, shape=wide, dtype=t.dtype)
        b.emit("dma.store", [to.mem, tile], [], {"q": 1})

    # -- loops ----------------------------------------------------------------------------------

    def loop(self, s: ast.For, frame: Frame) -> None:
        """`for` over sohu.range: a loop on the chip; over a Python iterable: unrolled."""
        over = self.eval(s.iter, frame)
        if s.orelse:
            raise self.error("K003", "a loop has no `else` here", s.orelse[0], frame)
        if isinstance(over, Loop):
            self.chip_loop(s, over, frame)
        elif isinstance(over, (range, tuple, list, dict, str, zip, enumerate)):
            for item in self.python(lambda: list(over), s.iter, frame):
                self.assign(s.target, item, frame)
                self.body(s.body, frame)
        else:
            raise self.error("K021", f"cannot loop over {describe(over)}", s.iter, frame, help="use sohu.range")

    def chip_loop(self, s: ast.For, over: Loop, frame: Frame) -> None:
        """A loop that the chip turns. What its body assigns to names from before is carried from turn to turn."""
        if not isinstance(s.target, ast.Name):
            raise self.error("K021", "a loop over sohu.range has one index", s.target, frame)
        b, index_name = self.b, s.target.id
        here = self.loc(s, frame)
        if len(b.blocks) > LOOP_DEPTH:
            raise self.error("K063", f"the loops of the chip nest at most {LOOP_DEPTH} deep", s, frame)
        before = dict(frame.names)
        assigned = [n for n in assigned_names(s.body) if n in before and n != index_name]
        starts = {n: v for n in assigned if (v := self.enters(before[n])) is not None}
        bounds = [b.value(over.lo), b.value(over.hi), b.value(over.step)]
        index = Value(INDEX, hint=index_name)
        b.ranges.loops[index] = (over.lo, over.hi, over.step)
        args = {n: _rebuild(v, lambda x: Value(x.type, hint=n)) for n, v in starts.items()}  # noqa: B023
        for n in assigned:
            if n not in args and not isinstance(before[n], Gone):
                frame.names[n] = Gone(
                    "K025",
                    f"{n} is {describe(before[n])} before the loop, which cannot be carried from turn to turn",
                    "only tiles, numbers and tuples of them are; give it a name of its own in the loop",
                )
        block = Block([index])
        frame.loops += 1
        with b.inside(block):
            for n, v in (*args.items(), (index_name, index)):
                bind(b, frame, n, v)
            self.body(s.body, frame)
            b.loc = here
            ends = self.ends(args, block, frame, s)
            carried = list(ends)
            b.emit("yield", [v for end in ends.values() for v in _flat(end)])
        frame.loops -= 1
        block.args += [v for n in carried for v in _flat(args[n])]
        b.loc = here
        op = Op("for", [*bounds, *(v for n in carried for v in _flat(starts[n]))], body=block, loc=here)
        op.results = [Value(v.type, op, v.hint) for v in block.args[1:]]
        b.blocks[-1].ops.append(op)
        results = iter(op.results)
        after = {n: _rebuild(args[n], lambda _: next(results)) for n in carried}
        self.leave_loop(before, after, assigned, index_name, frame)

    def enters(self, v: Any) -> Any:
        """What a loop carries for a name with this value: IR values (in tuples, if it is a tuple), or None."""
        if isinstance(v, (bool, Gone)):
            return None
        if isinstance(v, int):
            return self.b.value(v)
        if isinstance(v, float):
            return self.b.number(v)
        if isinstance(v, View):
            return v.tile() if v.loadable else None
        if isinstance(v, Value):
            return v if not isinstance(v.type, MemType) else None
        if isinstance(v, tuple):
            parts = tuple(self.enters(x) for x in v)
            return None if any(p is None for p in parts) else parts
        return None

    def ends(self, args: dict[str, Any], block: Block, frame: Frame, s: ast.For) -> dict[str, Any]:
        """What a turn hands to the next, by name.

        A name whose last value does not fit its first is left out when no turn looks at what it was given.
        """
        ends: dict[str, Any] = {}
        misfits: dict[str, CompileError] = {}
        for n, start in args.items():
            try:
                ends[n] = self.end_of(n, start, frame.names[n], frame, s)
            except CompileError as e:
                misfits[n] = e
        used = {v for op in walk(block) for v in uses(op)} | {v for end in ends.values() for v in _flat(end)}
        for n, error in misfits.items():
            if not used.isdisjoint(_flat(args[n])):
                raise error
        return ends

    def end_of(self, name: str, start: Any, end: Any, frame: Frame, s: ast.For) -> Any:
        """`end` in the form of `start`; raises K025 when it is of another kind, dtype or shape."""
        b = self.b

        def differs(what: str, help: str = "") -> CompileError:
            return self.error("K025", f"{name} {what}", s, frame, help=help)

        if isinstance(start, tuple):
            if not isinstance(end, tuple) or len(end) != len(start):
                raise differs(f"is a tuple of {len(start)} before the loop and {describe(end)} after its body")
            return tuple(self.end_of(name, x, y, frame, s) for x, y in zip(start, end, strict=True))
        if isinstance(end, int) and not isinstance(end, bool) and start.type == INDEX:
            return b.value(end)
        if isinstance(end, (int, float)) and not isinstance(end, bool) and start.type == FLOAT:
            return b.number(end)
        if isinstance(start.type, TileType) and (isinstance(end, View) or _is_tensor(end)):
            end = self.data(end)
        same_kind = isinstance(end, Value) and (
            isinstance(end.type, TileType) if isinstance(start.type, TileType) else end.type == start.type
        )
        if not same_kind:
            raise differs(f"is {describe(start)} before the loop and {describe(end)} after its body")
        if isinstance(start.type, TileType):
            if end.tile.dtype != start.type.dtype:
                raise differs(
                    f"is {start.type.dtype} before the loop and {end.tile.dtype} after its body",
                    f"convert it: .to({start.type.dtype})",
                )
            pairs = list(zip(end.tile.dims, start.type.dims, strict=False))
            if len(end.tile.dims) != len(start.type.dims) or any(
                isinstance(x.size, int) and isinstance(y.size, int) and x.size != y.size for x, y in pairs
            ):
                raise differs("changes its shape from one turn of the loop to the next")
            if not end.tile.same_shape(start.type):
                end = b.one("vmov", end, shape=start.type.dims, dtype=start.type.dtype)
        return end

    def leave_loop(
        self, before: dict[str, Any], after: dict[str, Any], assigned: list[str], index: str, frame: Frame
    ) -> None:
        """Names after a loop: what it carried, and of the rest what it cannot have changed."""
        inside = frame.names
        frame.names = dict(before)
        for n in inside:
            if n not in before:
                why = f"{n!r} was made inside a loop that may not run"
                bind(self.b, frame, n, Gone("K007", why, "make it before the loop"))
        for n in assigned:
            old, new = before[n], inside[n]
            fixed = not isinstance(old, (Value, View, tuple, list, Gone)) and type(old) is type(new) and old == new
            if n in after and not fixed:
                bind(self.b, frame, n, after[n])
            elif not fixed:
                why = f"{n!r} was given another kind of value inside a loop that may not run"
                bind(self.b, frame, n, Gone("K007", why, "give it a name of its own in the loop"))
        bind(self.b, frame, index, Gone("K007", f"{index!r} is the index of a loop that has ended"))


def _is_tensor(v: Any) -> bool:
    return isinstance(v, Value) and isinstance(v.type, MemType)


def _flat(v: Any) -> list[Value]:
    return [x for part in v for x in _flat(part)] if isinstance(v, tuple) else [v]


def _rebuild(v: Any, f: Callable[[Value], Value]) -> Any:
    return tuple(_rebuild(x, f) for x in v) if isinstance(v, tuple) else f(v)


_WORDS: dict[type, str] = {ast.FunctionDef: "def", ast.ClassDef: "class"}

_INSTEAD = {
    "while": "use `for i in sohu.range(...)`",
    "break": "a shorter loop stops earlier: sohu.minimum of its bounds",
    "continue": "choose with sohu.where, or with `if` on what is known at compile time",
    "try": "errors stop the chip; check arguments before the call",
    "raise": "use assert for what is known at compile time",
    "with": "tiles are placed and freed by the compiler",
    "def": "define functions outside the kernel; calls are inlined",
}
