"""Functions in expressions, such as `min(a, b)` and `bytes(bf16)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sohu.asm.addresses import Address, Place, Value
from sohu.asm.diagnostics import Mistake
from sohu.asm.names import nearest
from sohu.asm.numbers import Number
from sohu.asm.syntax import Call, Ref
from sohu.isa import DTYPES

if TYPE_CHECKING:
    from sohu.asm.assembler import Assembler


def _align(value: Number, step: Number) -> Number:
    if not isinstance(value, int) or not isinstance(step, int) or step <= 0:
        raise ValueError("align takes an integer and one above 0")
    return -(-value // step) * step


def _log2(value: Number) -> Number:
    if not isinstance(value, int) or value <= 0 or value & (value - 1):
        raise ValueError(f"{value} is no power of two")
    return value.bit_length() - 1


# Of numbers: how they are written, how many there can be, and what they give.
NUMERIC: dict[str, tuple[str, int, int, Callable[..., Number]]] = {
    "min": ("min(a, b, ...)", 1, 100, lambda *a: min(a)),
    "max": ("max(a, b, ...)", 1, 100, lambda *a: max(a)),
    "abs": ("abs(a)", 1, 1, abs),
    "align": ("align(a, step)", 2, 2, _align),
    "log2": ("log2(a)", 1, 1, _log2),
}

# Of names: how they are written.
OF_NAMES = {"bytes": "bytes(DTYPE)", "sizeof": "sizeof(TILE)", "base": "base(TILE)"}


def call_function(asm: Assembler, call: Call, here: Place, final: bool) -> Value:
    """The value of a function; raises Mistake."""
    name = call.name.name
    if name in OF_NAMES:
        return _of_name(asm, call)
    if name not in NUMERIC:
        known = [*NUMERIC, *OF_NAMES]
        hint = nearest(name, known) or f"there are: {', '.join(known)}"
        raise Mistake("A020", f"there is no function {name!r}", call.name.span, help=hint)
    shown, least, most, function = NUMERIC[name]
    if not least <= len(call.operands) <= most:
        raise Mistake("A012", f"{name} does not take {len(call.operands)} arguments", call.span, help=f"write: {shown}")
    values: list[Number] = []
    for node in call.operands:
        value = asm.evaluate(node, here, final=final)
        if isinstance(value, Address):
            raise Mistake("A024", f"{name} has no value for an address, which the linker decides", node.span)
        values.append(value)
    try:
        return function(*values)
    except ValueError as e:
        raise Mistake("A025", str(e), call.span) from None


def _of_name(asm: Assembler, call: Call) -> int:
    name = call.name.name
    node = call.operands[0]
    if len(call.operands) > 1 or not isinstance(node, Ref):
        raise Mistake("A012", f"{name} takes a name", call.span, help=f"write: {OF_NAMES[name]}")
    if name == "bytes":
        if node.name not in DTYPES:
            hint = nearest(node.name, DTYPES) or f"there are: {', '.join(DTYPES)}"
            raise Mistake("A032", f"expected a dtype, found {node.name!r}", node.span, help=hint)
        return DTYPES[node.name].itemsize
    tiles = {n: tile for n, _, tile in asm.scope.tiles} if asm.scope else {}
    if node.name not in tiles:
        hint = nearest(node.name, tiles)
        why = f"no tile is called {node.name!r}"
        if asm.scope is not None and asm.scope.open and node.name in asm.scope.declared:
            why = f"tile {node.name!r} has no place yet: declarations are not at their end"
        raise Mistake("A020", why, node.span, help=hint)
    low, high = tiles[node.name].extent()
    return high - low if name == "sizeof" else tiles[node.name].base
