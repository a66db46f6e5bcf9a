"""What the sequencer executes itself, from the pages of docs/isa/. Each function gets the machine and the operands."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from tests.emulator.reference.exactly import to_odd
from tests.emulator.reference.formats import SIZES, code, is_float, value
from tests.emulator.reference.values import Stopped

Row = Callable[..., Any]
_ALL = (1 << 64) - 1
_NAN = 0x7FC00000


def _scalar(f: Callable[[int, int], int]) -> Row:
    return lambda m, d, a, b: f(a, b)


def _divided(f: Callable[[int, int], int]) -> Row:
    def row(m: Any, d: None, a: int, b: int) -> int:
        if not b:
            raise Stopped("trap")
        return f(a, b)

    return row


def _quotient(a: int, b: int) -> int:
    return math.floor(Fraction(a, b))


def _float(f: Callable[[Fraction, Fraction], Fraction], special: Callable[[float, float], float]) -> Row:
    """Exact, then rounded once; `special` where an operand is no number, or the exact result has no sign."""

    def row(m: Any, d: None, a: float, b: float) -> int:
        if math.isfinite(a) and math.isfinite(b):
            try:
                exact = f(Fraction(a), Fraction(b))
                if exact:
                    return code("f32", to_odd(exact))
            except ZeroDivisionError:
                pass
        r = special(a, b)
        return _NAN if r != r else code("f32", r)

    return row


def _divide(a: float, b: float) -> float:
    if b == 0:
        if a == 0 or a != a:
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1.0, b)
    return a / b


def _sld(m: Any, d: None, src: Any) -> int:
    if src.base % SIZES[src.dtype]:
        raise Stopped("misaligned")
    codes = m.read(src)
    if len(codes) != 1:
        raise Stopped("operand")
    x = value(src.dtype, codes[0])
    if src.space == 0:
        raise Stopped("operand")
    mine = code("f32", x) if is_float(src.dtype) else int(x)
    if m.observed is not None:
        seen = m.observed.loaded.pop(0)
        if is_float(src.dtype) and x != x and value("f32", seen & 0xFFFFFFFF) != value("f32", seen & 0xFFFFFFFF):
            return int(seen)
    return mine


def _slice(m: Any, d: None, src: Any, axis: int, start: int, length: int) -> Any:
    if axis >= len(src.dims):
        raise Stopped("operand")
    if start < 0 or length < 0:
        raise Stopped("out-of-bounds")
    have = max(0, min(length, src.dims[axis] - start))
    base = src.base + (start * src.strides[axis] * SIZES[src.dtype] if have else 0)
    return replace(src, base=base, dims=(*src.dims[:axis], have, *src.dims[axis + 1 :]))


def _swap(m: Any, d: None, src: Any, a: int, b: int) -> Any:
    if max(a, b) >= len(src.dims):
        raise Stopped("operand")
    dims, strides = list(src.dims), list(src.strides)
    dims[a], dims[b] = dims[b], dims[a]
    strides[a], strides[b] = strides[b], strides[a]
    return replace(src, dims=tuple(dims), strides=tuple(strides))


def _insert(m: Any, d: None, src: Any, axis: int) -> Any:
    if len(src.dims) == 4 or axis > len(src.dims):
        raise Stopped("operand")
    dims, strides = list(src.dims), list(src.strides)
    dims.insert(axis, 1)
    strides.insert(axis, 0)
    return replace(src, dims=tuple(dims), strides=tuple(strides), regs=(0,) * len(dims))


def _drop(m: Any, d: None, src: Any, axis: int) -> Any:
    if axis >= len(src.dims) or src.dims[axis] != 1 or len(src.dims) == 1:
        raise Stopped("operand")
    dims, strides = list(src.dims), list(src.strides)
    del dims[axis], strides[axis]
    return replace(src, dims=tuple(dims), strides=tuple(strides), regs=(0,) * len(dims))


def _get(m: Any, d: None, src: Any, axis: int) -> int:
    if axis >= len(src.dims):
        raise Stopped("operand")
    return int(src.dims[axis])


def _set(m: Any, d: None, src: Any, axis: int, size: int) -> Any:
    if axis >= len(src.dims) or not 0 <= size < 1 << 32:
        raise Stopped("operand")
    return replace(src, dims=(*src.dims[:axis], size, *src.dims[axis + 1 :]))


def _base(m: Any, d: None, src: Any, base: int) -> Any:
    if base < 0:
        raise Stopped("out-of-bounds")
    return replace(src, base=base)


def _tld(m: Any, d: None, base: int, offset: int) -> Any:
    from tests.emulator.reference.machine import unpack

    return unpack(m.load(base + offset, 64))


def _semreset(m: Any, sem: int) -> None:
    if not m.drained:
        raise Stopped("semaphore")
    m.sems[sem] = 0


def _f2i(m: Any, d: None, a: float) -> int:
    if a != a:
        return 0
    most = (1 << 63) - 1
    if math.isinf(a):
        return most if a > 0 else -most - 1
    return max(-most - 1, min(most, math.trunc(a)))


def _sdcycle(m: Any, base: int, offset: int) -> None:
    seen = m.observed.cycles.pop(0) if m.observed is not None else 0  # time is not counted here
    if seen < 0:
        raise Stopped("operand")
    m.store(base + offset, seen.to_bytes(8, "little"))


def _printt(m: Any, text: int, src: Any) -> None:
    numbers = [value(src.dtype, c) for c in m.read(src)]
    m.printed.append(f"{m.strings(text)}{numbers}")


def _assert(m: Any, value: int, text: int) -> None:
    m.strings(text)
    if not value:
        raise Stopped("assert")


def _trap(m: Any, code: int) -> None:
    raise Stopped("trap")


def _nothing(m: Any, **operands: Any) -> None:
    return None


SEQUENCER: dict[str, Row] = {
    "li": lambda m, d, value: value,
    "lf": lambda m, d, value: value,
    "mv": lambda m, d, a: a,
    "add": _scalar(lambda a, b: a + b),
    "sub": _scalar(lambda a, b: a - b),
    "mul": _scalar(lambda a, b: a * b),
    "div": _divided(_quotient),
    "rem": _divided(lambda a, b: a - b * _quotient(a, b)),
    "min": _scalar(min),
    "max": _scalar(max),
    "and": _scalar(lambda a, b: a & b),
    "or": _scalar(lambda a, b: a | b),
    "xor": _scalar(lambda a, b: a ^ b),
    "sll": _scalar(lambda a, b: a * 2 ** (b % 64)),
    "sra": _scalar(lambda a, b: math.floor(Fraction(a, 2 ** (b % 64)))),
    "srl": _scalar(lambda a, b: (a & _ALL) // 2 ** (b % 64)),
    "slt": _scalar(lambda a, b: int(a < b)),
    "sltu": _scalar(lambda a, b: int(a % 2**64 < b % 2**64)),
    "seq": _scalar(lambda a, b: int(a == b)),
    "fadd": _float(lambda a, b: a + b, lambda a, b: a + b),
    "fsub": _float(lambda a, b: a - b, lambda a, b: a - b),
    "fmul": _float(lambda a, b: a * b, lambda a, b: a * b),
    "fdiv": _float(lambda a, b: a / b, _divide),
    "flt": lambda m, d, a, b: int(a < b),
    "fle": lambda m, d, a, b: int(a <= b),
    "i2f": lambda m, d, a: code("f32", to_odd(Fraction(a))),
    "f2i": _f2i,
    "ld": lambda m, d, base, offset: int.from_bytes(m.load(base + offset), "little", signed=True),
    "sd": lambda m, value, base, offset: m.store(base + offset, (value & _ALL).to_bytes(8, "little")),
    "chipid": lambda m, d: 0,
    "chips": lambda m, d: 1,
    "sdcycle": _sdcycle,
    "j": _nothing,
    "beq": lambda m, a, b, target: a == b,
    "bne": lambda m, a, b, target: a != b,
    "blt": lambda m, a, b, target: a < b,
    "bge": lambda m, a, b, target: a >= b,
    "call": _nothing,
    "ret": _nothing,
    "loop": lambda m, count, end: count,
    "halt": _nothing,
    "trap": _trap,
    "nop": _nothing,
    "drain": lambda m: m.drain(),
    "semreset": _semreset,
    "sync": _nothing,
    "sld": _sld,
    "tld": _tld,
    "tst": lambda m, src, base, offset: m.store(base + offset, src.pack()),
    "tmv": lambda m, d, src: src,
    "tslice": _slice,
    "tswap": _swap,
    "tinsert": _insert,
    "tdrop": _drop,
    "tget": _get,
    "tset": _set,
    "tbase": _base,
    "taddr": lambda m, d, src: src.base,
    "dbg.print": lambda m, text, value: m.printed.append(f"{m.strings(text)}{value}"),
    "dbg.printt": _printt,
    "dbg.assert": _assert,
    "dbg.mark": _nothing,
    "dbg.cycle": lambda m, text: m.printed.append(f"{m.strings(text)}cycles"),
    "dbg.push": _nothing,
    "dbg.pop": _nothing,
}
