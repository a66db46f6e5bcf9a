"""The IR as text, and back: `parse_function(str(f))` prints the same again, and compiles to the same.

A value is called %name after what it is bound to in Python, the second one of that name %name.1, one without a
name %0, %1, ... Where an op comes from in the source is not part of the text.
"""

from __future__ import annotations

from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput
from sohu.dsl.errors import CompileError
from sohu.dsl.ir import (
    FLOAT,
    INDEX,
    Block,
    Dim,
    Function,
    MemType,
    Op,
    Param,
    ScalarType,
    TileType,
    Type,
    Value,
)
from sohu.isa import DTYPES, Space

# -- printing ------------------------------------------------------------------------------------


class _Printer:
    def __init__(self) -> None:
        self.names: dict[Value, str] = {}
        self.count: dict[str, int] = {}  # values by hint
        self.lines: list[str] = []
        self.places: dict[Op, int] = {}  # which of the lines each op is, from 0

    def name(self, v: Value) -> str:
        if v not in self.names:
            n = self.count[v.hint] = self.count.get(v.hint, -1) + 1
            self.names[v] = (f"{v.hint}.{n}" if n else v.hint) if v.hint else str(n)
        return f"%{self.names[v]}"

    def type(self, t: Type) -> str:
        if isinstance(t, ScalarType):
            return t.name
        dims = ", ".join(self.dim(d) for d in t.dims)
        if isinstance(t, MemType):
            return f"mem<{t.dtype}, [{dims}]>"
        space = f", {t.space}" if t.space is not None else ""
        return f"tile<{t.dtype}, [{dims}]{space}>"

    def dim(self, d: Dim) -> str:
        if isinstance(d.size, int):
            return str(d.size)
        return self.name(d.size) + (f"<={d.cap}" if d.cap is not None else "")

    def block(self, b: Block, indent: str) -> None:
        for op in b.ops:
            self.op(op, indent)

    def op(self, op: Op, indent: str) -> None:
        self.places[op] = len(self.lines)
        if op.name == "for":
            assert op.body is not None
            lo, hi, step, *inits = op.operands
            iv, *args = op.body.args
            head = f"for {self.name(iv)} = {self.name(lo)} to {self.name(hi)} step {self.name(step)}"
            if args:
                pairs = (
                    f"{self.name(a)} = {self.name(i)} : {self.type(a.type)}" for a, i in zip(args, inits, strict=True)
                )
                head += f" carry ({', '.join(pairs)})"
            if op.results:
                head = f"{', '.join(self.name(r) for r in op.results)} = {head}"
            self.lines.append(f"{indent}{head} {{")
            self.block(op.body, indent + "  ")
            self.lines.append(indent + "}")
            return
        left = f"{', '.join(self.name(r) for r in op.results)} = " if op.results else ""
        operands = f" {', '.join(self.name(v) for v in op.operands)}" if op.operands else ""
        attrs = f" {{{', '.join(f'{k} = {v!r}' for k, v in op.attrs.items())}}}" if op.attrs else ""
        types = f" : {', '.join(self.type(r.type) for r in op.results)}" if op.results else ""
        self.lines.append(f"{indent}{left}{op.name}{operands}{attrs}{types}")


def print_function(f: Function) -> str:
    """The textual form of a kernel."""
    return "\n".join(_printed(f).lines) + "\n"


def op_lines(f: Function) -> dict[Op, tuple[int, str]]:
    """The line of each op in the textual form, from 1, and what it says; of a loop, how it begins."""
    p = _printed(f)
    return {op: (at + 1, p.lines[at].strip().removesuffix(" {")) for op, at in p.places.items()}


def _printed(f: Function) -> _Printer:
    p = _Printer()
    dims = ", ".join(p.name(v) for v in f.dims.values())
    params = ", ".join(f"{p.name(a.value)}: {p.type(a.value.type)} {a.direction}" for a in f.params)
    bounds = f" bounds {{{', '.join(f'{k} = {v}' for k, v in sorted(f.bounds.items()))}}}" if f.bounds else ""
    p.lines.append(f"kernel @{f.name}[{dims}]({params}){bounds} {{")
    p.block(f.body, "  ")
    p.lines.append("}")
    return p


def print_type(t: Type) -> str:
    """The textual form of a type."""
    return _Printer().type(t)


# -- parsing -------------------------------------------------------------------------------------

_GRAMMAR = r"""
start: "kernel" "@" ID "[" [VAL ("," VAL)*] "]" "(" [param ("," param)*] ")" [bounds] "{" stmt* "}"
param: VAL ":" type ID
bounds: "bounds" "{" pair ("," pair)* "}"
stmt: [results "="] (loop | plain)
results: VAL ("," VAL)*
loop: "for" VAL "=" VAL "to" VAL "step" VAL [carry] "{" stmt* "}"
carry: "carry" "(" binding ("," binding)* ")"
binding: VAL "=" VAL ":" type
plain: ID [VAL ("," VAL)*] ["{" pair ("," pair)* "}"] [":" type ("," type)*]
pair: ID "=" NUMBER
type: ID ["<" ID "," "[" [dim ("," dim)*] "]" ["," ID] ">"]
dim: INT | VAL ["<=" INT]
VAL: /%\w+(\.[0-9]+)?/
ID: /[A-Za-z_][A-Za-z_0-9.]*/
NUMBER: /-?(inf|nan|[0-9][0-9.e+\-]*)/
INT: /[0-9]+/
%ignore /\s+/
%ignore /;[^\n]*/
"""


class _Build(Transformer[Token, Any]):
    """Bottom-up pieces; names are bound afterwards, top-down."""

    @v_args(inline=True)
    def pair(self, key: Token, value: Token) -> tuple[str, int | float]:
        text = str(value)
        return str(key), int(text) if text.lstrip("-").isdigit() else float(text)

    def dim(self, c: list[Any]) -> tuple[Token | int, int | None]:
        if not str(c[0]).startswith("%"):
            return int(c[0]), int(c[0])
        return c[0], None if c[1] is None else int(c[1])


def parse_function(text: str) -> Function:
    """Read a kernel from its textual form; raises CompileError (K090) with the place in the text."""
    try:
        tree = _Build().transform(_parser().parse(text))
        return _Reader().function(tree)
    except UnexpectedInput as e:
        place = f"line {e.line}, column {e.column}: " if e.line > 0 else ""
        raise CompileError("K090", f"{place}this is no IR", None) from None
    except (KeyError, ValueError, AssertionError) as e:
        raise CompileError("K090", f"this is no IR: {e}", None) from None


_PARSERS: list[Lark] = []


def _parser() -> Lark:
    if not _PARSERS:
        _PARSERS.append(Lark(_GRAMMAR, parser="lalr", maybe_placeholders=True))
    return _PARSERS[0]


def _hint(name: Token) -> str:
    return str(name)[1:].partition(".")[0]


class _Reader:
    def __init__(self) -> None:
        self.values: dict[str, Value] = {}

    def define(self, name: Token, t: Type, op: Op | None = None) -> Value:
        if str(name) in self.values:
            raise ValueError(f"line {name.line}: {name} is defined twice")
        hint = _hint(name)
        v = Value(t, op, "" if hint.isdigit() else hint)
        self.values[str(name)] = v
        return v

    def get(self, name: Token) -> Value:
        if str(name) not in self.values:
            raise ValueError(f"line {name.line}: {name} is used before its definition")
        return self.values[str(name)]

    def type(self, tree: Any) -> Type:
        kind, dtype, *rest = tree.children
        if kind in ("index", "f32"):
            return INDEX if kind == "index" else FLOAT
        space = rest.pop()
        dims = tuple(Dim(s if isinstance(s, int) else self.get(s), cap) for s, cap in (d for d in rest if d))
        if kind == "mem":
            return MemType(DTYPES[str(dtype)], dims)
        assert kind == "tile", f"unknown type {kind}"
        return TileType(DTYPES[str(dtype)], dims, None if space is None else Space[str(space).upper()])

    def function(self, tree: Any) -> Function:
        name, *rest = tree.children
        dims: dict[str, Value] = {}
        params: list[Param] = []
        bounds: dict[str, int] = {}
        block = Block()
        for c in rest:
            if isinstance(c, Token):
                dims[_hint(c)] = self.define(c, INDEX)
            elif c is not None and c.data == "param":
                pname, ptype, direction = c.children
                value = self.define(pname, self.type(ptype))
                sizes: tuple[str | int, ...] = ()
                if isinstance(value.type, MemType):
                    sizes = tuple(d.size.hint if isinstance(d.size, Value) else d.size for d in value.type.dims)
                params.append(Param(_hint(pname), str(direction), value, sizes))
            elif c is not None and c.data == "bounds":
                bounds = {k: int(v) for k, v in c.children}
            elif c is not None:
                block.ops.append(self.stmt(c))
        return Function(str(name), dims, params, block, bounds)

    def stmt(self, tree: Any) -> Op:
        results, body = tree.children
        names = results.children if results is not None else []
        return self.loop(names, body) if body.data == "loop" else self.plain(names, body)

    def plain(self, names: list[Token], tree: Any) -> Op:
        name, *rest = tree.children
        operands = [self.get(t) for t in rest if isinstance(t, Token)]
        attrs: dict[str, int | float] = dict(t for t in rest if isinstance(t, tuple))
        op = Op(str(name), operands, attrs)
        types = [self.type(t) for t in rest if t is not None and not isinstance(t, (Token, tuple))]
        op.results = [self.define(n, t, op) for n, t in zip(names, types, strict=True)]
        return op

    def loop(self, names: list[Token], tree: Any) -> Op:
        iv, lo, hi, step, carry, *stmts = tree.children
        bindings = carry.children if carry is not None else []
        inits = [self.get(b.children[1]) for b in bindings]
        op = Op("for", [self.get(lo), self.get(hi), self.get(step), *inits])
        block = Block([self.define(iv, INDEX)])
        block.args += [self.define(b.children[0], self.type(b.children[2])) for b in bindings]
        op.body = block
        block.ops = [self.stmt(s) for s in stmts]
        op.results = [self.define(n, a.type, op) for n, a in zip(names, block.args[1:], strict=True)]
        return op
