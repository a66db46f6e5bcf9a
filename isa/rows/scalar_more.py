"""Sequencer: unsigned and float scalars, and the clock. Opcodes 0x050..0x06f.

A float scalar is the low 32 bits of a register, as lf writes them; results have zeros above. Arithmetic is that of
IEEE 754 binary32, rounded to nearest even; every NaN that comes out is 0x7fc00000. A comparison with NaN is false.
"""

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.instruction import instruction
from sohu.isa.operands import f32_bits

SEQ = Engine.SEQ
_ALL = (1 << 64) - 1
_MOST = (1 << 63) - 1


@instruction("sltu", 0x050, SEQ, since=(1, 1))
def sltu(d: XOut, a: X, b: XI) -> int:
    """1 when a < b, both taken as unsigned, else 0. An immediate is sign-extended first.

    Example:
        x5 = -1
        sltu x6, x5, 1
        sltu x7, x0, x5
        x6 = 0
        x7 = 1
    """
    return int(a & _ALL < b & _ALL)


@instruction("srl", 0x051, SEQ, since=(1, 1))
def srl(d: XOut, a: X, b: XI) -> int:
    """Shift right by b modulo 64, zeros from the left.

    Example:
        x5 = -1
        srl x6, x5, 60
        x6 = 15
    """
    return (a & _ALL) >> (b & 63)


@instruction("fadd", 0x058, SEQ, since=(1, 1))
def fadd(d: XOut, a: XF, b: XFI) -> int:
    """Add two floats.

    Example:
        x5 = 1.5
        fadd x6, x5, 2.0
        x6 = 3.5
    """
    return f32_bits(float(np.float32(a) + np.float32(b)))


@instruction("fsub", 0x059, SEQ, since=(1, 1))
def fsub(d: XOut, a: XF, b: XFI) -> int:
    """Subtract two floats.

    Example:
        x5 = 1.5
        fsub x6, x5, 2.0
        x6 = -0.5
    """
    return f32_bits(float(np.float32(a) - np.float32(b)))


@instruction("fmul", 0x05A, SEQ, since=(1, 1))
def fmul(d: XOut, a: XF, b: XFI) -> int:
    """Multiply two floats.

    Example:
        x5 = 1.5
        fmul x6, x5, 1e38
        fmul x7, x6, 4.0
        x6 = 1.5e38
        x7 = inf
    """
    return f32_bits(float(np.float32(a) * np.float32(b)))


@instruction("fdiv", 0x05B, SEQ, since=(1, 1))
def fdiv(d: XOut, a: XF, b: XFI) -> int:
    """Divide two floats, correctly rounded; by zero: an infinity, or NaN for 0 / 0.

    Example:
        x5 = 1.0
        fdiv x6, x5, 3.0
        fdiv x7, x5, 0.0
        x6 = 0.33333334
        x7 = inf
    """
    return f32_bits(float(np.float32(a) / np.float32(b)))


@instruction("flt", 0x05C, SEQ, since=(1, 1))
def flt(d: XOut, a: XF, b: XFI) -> int:
    """1 when a < b, else 0.

    Example:
        x5 = -1.5
        flt x6, x5, 0.0
        flt x7, x5, nan
        x6 = 1
        x7 = 0
    """
    return int(a < b)


@instruction("fle", 0x05D, SEQ, since=(1, 1))
def fle(d: XOut, a: XF, b: XFI) -> int:
    """1 when a <= b, else 0.

    Example:
        x5 = 0.0
        fle x6, x5, -0.0
        x6 = 1
    """
    return int(a <= b)


@instruction("i2f", 0x05E, SEQ, since=(1, 1))
def i2f(d: XOut, a: X) -> int:
    """An integer as a float, rounded to nearest even once.

    Example:
        x5 = -3
        i2f x6, x5
        x6 = -3.0
    """
    return f32_bits(float(np.float32(np.int64(a))))


@instruction("f2i", 0x05F, SEQ, since=(1, 1))
def f2i(d: XOut, a: XF) -> int:
    """A float as an integer: toward zero, saturating at the ends of 64 bits, NaN to 0.

    Example:
        x5 = -3.7
        x7 = inf
        f2i x6, x5
        f2i x7, x7
        x6 = -3
        x7 = 9223372036854775807
    """
    if a != a:
        return 0
    if abs(a) >= 2.0**63:
        return _MOST if a > 0 else -_MOST - 1
    return int(a)


@instruction("chips", 0x060, SEQ, since=(1, 1))
def chips(m: Machine, d: XOut) -> int:
    """How many chips run together; chipid is less than that.

    Example:
        chips x5
        x5 = 1
    """
    return m.chips


@instruction("sdcycle", 0x061, SEQ, clock=True, since=(1, 1))
def sdcycle(m: Machine, base: X, offset: S32) -> None:
    """Store the cycle counter, eight bytes, to HBM at base + offset; 8-byte aligned.

    The counter is the cycles since the launch at which the sequencer has come to this instruction; what engines still
    do counts after a drain. There is no instruction that reads it into a register: a program whose way depends on it
    cannot be timed again on another chip. A program with this instruction runs with the timer on.

    Example:
        sub sp, sp, 16
        sdcycle sp, 0
        nop
        nop
        sdcycle sp, 8
        ld x6, sp, 0
        ld x7, sp, 8
        sub x5, x7, x6
        x5 = 3
    """
    m.store64(base + offset, m.cycle())
