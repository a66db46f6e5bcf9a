"""VPU: more elementwise functions, rounding, bits. Opcodes 0x350..0x36f.

As in the rest of the VPU, floats are computed in float32 and rounded once to dst's dtype, and sources broadcast as
in NumPy. verf, vsin, vcos and vexp2 are within 4 ULP of float32 before that rounding; what is less than 2^-120 may
be 0. Integers wrap.
"""

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.costs import per_element
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction
from sohu.isa.special import erf

VPU = Engine.VPU
CHEAP, FUNC = per_element(1), per_element(4)
DIVIDE = per_element(8)  # a bit of the quotient takes longer than a digit of a float's estimate


@instruction("verf", 0x350, VPU, cost=FUNC, since=(1, 1), split=1)
def verf(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """Error function: dst = 2 / sqrt(pi) * the integral of e ** -t^2 from 0 to src.

    Infinities give -1 and 1, NaN gives NaN. The exact GELU is vgelu.erf.

    Example:
        src = f32 [[0.0, 0.5, -inf]]
        verf dst, src
        dst = f32 [[0.0, 0.5204999, -1.0]]
    """
    dst[...] = erf(src)


@instruction("vsin", 0x351, VPU, cost=FUNC, since=(1, 1), split=1)
def vsin(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """Sine of each element, in radians; NaN for infinities.

    The argument is reduced as if exactly, however large it is. Tables of rotary embeddings are made by vrope.table.

    Example:
        src = f32 [[0.0, 1.5707964, 1000000.0, inf]]
        vsin dst, src
        dst = f32 [[0.0, 1.0, -0.3499935, nan]]
    """
    np.sin(src, out=dst)


@instruction("vcos", 0x352, VPU, cost=FUNC, since=(1, 1), split=1)
def vcos(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """Cosine of each element, in radians; NaN for infinities.

    The argument is reduced as if exactly, however large it is.

    Example:
        src = f32 [[0.0, 3.1415927, 1000000.0]]
        vcos dst, src
        dst = f32 [[1.0, -1.0, 0.93675214]]
    """
    np.cos(src, out=dst)


@instruction("vexp2", 0x353, VPU, cost=FUNC, since=(1, 1), split=1)
def vexp2(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """Power of two: dst = 2 ** src, exact for whole numbers.

    Example:
        src = f32 [[0.0, -3.0, 0.5, 200.0]]
        vexp2 dst, src
        dst = f32 [[1.0, 0.125, 1.4142135, inf]]
    """
    np.exp2(src, out=dst)


@instruction("vround", 0x354, VPU, cost=CHEAP, since=(1, 1), decides=("src",))
def vround(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """Nearest whole number of each element; halves to the even one. NaN and infinities stay.

    Example:
        src = f32 [[0.5, 1.5, -2.5, 2.6]]
        vround dst, src
        dst = f32 [[0.0, 2.0, -2.0, 3.0]]
    """
    np.rint(src, out=dst)


@instruction("vfloor", 0x355, VPU, cost=CHEAP, since=(1, 1), decides=("src",))
def vfloor(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """Largest whole number that is not above each element. NaN and infinities stay.

    Example:
        src = f32 [[0.5, -0.5, 3.0]]
        vfloor dst, src
        dst = f32 [[0.0, -1.0, 3.0]]
    """
    np.floor(src, out=dst)


@instruction("vceil", 0x356, VPU, cost=CHEAP, since=(1, 1), decides=("src",))
def vceil(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """Smallest whole number that is not below each element. NaN and infinities stay.

    Example:
        src = f32 [[0.5, -1.5, 3.0]]
        vceil dst, src
        dst = f32 [[1.0, -1.0, 3.0]]
    """
    np.ceil(src, out=dst)


@instruction("vclamp", 0x357, VPU, cost=CHEAP, since=(1, 1))
def vclamp(dst: Out[Float, "..."], src: In[Float, "...?"], low: XF, high: XF) -> None:
    """Limit each element to a range: dst = min(max(src, low), high).

    NaN stays NaN. If low > high, everything but NaN becomes high.

    Example:
        src = f32 [[-3.0, 0.5, 9.0, nan]]
        x5 = -1.0
        x6 = 2.0
        vclamp dst, src, x5, x6
        dst = f32 [[-1.0, 0.5, 2.0, nan]]
    """
    np.minimum(np.maximum(src, np.float32(low)), np.float32(high), out=dst)


@instruction("vfma", 0x358, VPU, cost=CHEAP, since=(1, 1), split=1)
def vfma(dst: Out[Num, "..."], a: In[Num, "...?"], b: In[Num, "...?"], c: In[Num, "...?"]) -> None:
    """Multiply and add: dst = a * b + c, the product of floats unrounded.

    Error of floats: at most 0.5001 ULP of float32 before the rounding to dst. Integers wrap.

    Example:
        a = f32 [[4097.0, 2.0]]
        b = f32 [[4097.0, 3.0]]
        c = f32 [[-16785408.0, 1.0]]
        vfma dst, a, b, c
        dst = f32 [[1.0, 7.0]]
    """
    wide = np.float64 if dst.dtype.kind == "f" else np.int32  # products of float32 are exact in float64
    dst[...] = np.multiply(a, b, dtype=wide) + c


@instruction("vand", 0x360, VPU, cost=CHEAP, since=(1, 1))
def vand(dst: Out[I32, "..."], a: In[I32, "...?"], b: In[I32, "...?"]) -> None:
    """Bitwise and: dst = a & b.

    Example:
        a = i32 [[12, -1]]
        b = i32 [[10]]
        vand dst, a, b
        dst = i32 [[8, 10]]
    """
    np.bitwise_and(a, b, out=dst)


@instruction("vor", 0x361, VPU, cost=CHEAP, since=(1, 1))
def vor(dst: Out[I32, "..."], a: In[I32, "...?"], b: In[I32, "...?"]) -> None:
    """Bitwise or: dst = a | b.

    Example:
        a = i32 [[12, -1]]
        b = i32 [[10]]
        vor dst, a, b
        dst = i32 [[14, -1]]
    """
    np.bitwise_or(a, b, out=dst)


@instruction("vxor", 0x362, VPU, cost=CHEAP, since=(1, 1))
def vxor(dst: Out[I32, "..."], a: In[I32, "...?"], b: In[I32, "...?"]) -> None:
    """Bitwise exclusive or: dst = a ^ b.

    Example:
        a = i32 [[12, -1]]
        b = i32 [[10]]
        vxor dst, a, b
        dst = i32 [[6, -11]]
    """
    np.bitwise_xor(a, b, out=dst)


@instruction("vsll", 0x363, VPU, cost=CHEAP, since=(1, 1))
def vsll(dst: Out[I32, "..."], a: In[I32, "...?"], b: In[I32, "...?"]) -> None:
    """Shift left: dst = a << (b modulo 32).

    Example:
        a = i32 [[1, -1, 3]]
        b = i32 [[4, 31, 32]]
        vsll dst, a, b
        dst = i32 [[16, -2147483648, 3]]
    """
    np.left_shift(a, b & 31, out=dst)


@instruction("vsra", 0x364, VPU, cost=CHEAP, since=(1, 1))
def vsra(dst: Out[I32, "..."], a: In[I32, "...?"], b: In[I32, "...?"]) -> None:
    """Shift right, keeping the sign: dst = a >> (b modulo 32).

    Example:
        a = i32 [[16, -16, -1]]
        b = i32 [[2]]
        vsra dst, a, b
        dst = i32 [[4, -4, -1]]
    """
    np.right_shift(a, b & 31, out=dst)


@instruction("vsrl", 0x365, VPU, cost=CHEAP, since=(1, 1))
def vsrl(dst: Out[I32, "..."], a: In[I32, "...?"], b: In[I32, "...?"]) -> None:
    """Shift right, zeros from the left: dst = a >> (b modulo 32), a taken as unsigned.

    Example:
        a = i32 [[16, -16, -1]]
        b = i32 [[2, 28, 0]]
        vsrl dst, a, b
        dst = i32 [[4, 15, -1]]
    """
    dst[...] = np.right_shift(a.view(np.uint32), (b & 31).view(np.uint32)).view(np.int32)


@instruction("vidiv", 0x366, VPU, cost=DIVIDE, since=(1, 1))
def vidiv(dst: Out[I32, "..."], a: In[I32, "...?"], b: In[I32, "...?"]) -> None:
    """Divide integers, rounding toward minus infinity as `div` does; division by zero traps.

    -2^31 / -1 wraps to -2^31.

    Example:
        a = i32 [[7, -7]]
        b = i32 [[2]]
        vidiv dst, a, b
        dst = i32 [[3, -4]]
    """
    _no_zero(b)
    np.floor_divide(a, b, out=dst)


@instruction("virem", 0x367, VPU, cost=DIVIDE, since=(1, 1))
def virem(dst: Out[I32, "..."], a: In[I32, "...?"], b: In[I32, "...?"]) -> None:
    """Remainder of vidiv, with the divisor's sign; division by zero traps.

    Example:
        a = i32 [[7, -7]]
        b = i32 [[4]]
        virem dst, a, b
        dst = i32 [[3, 1]]
    """
    _no_zero(b)
    np.remainder(a, b, out=dst)


def _no_zero(b: "np.ndarray[tuple[int, ...], np.dtype[np.int32]]") -> None:
    if not b.all():
        raise Fault("trap", "division by zero", operand="b")
