"""VPU: elementwise operations, reductions, selection. Opcodes 0x300..0x37f.

Float operands are read as float32 and each result is rounded once, to nearest even, to dst's dtype.
vexp, vlog, vsqrt, vrsqrt, vtanh and vsigmoid are within 4 ULP of float32 before that rounding. Sources broadcast
as in NumPy. Numbers beside tiles are float32 too; for a tile of i32, one that is not a whole number in its range
is an operand error.
"""

from typing import Any

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.costs import per_element
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction
from sohu.isa.numerics import Rounding, convert

VPU = Engine.VPU
CHEAP, DIV, FUNC = per_element(1), per_element(4), per_element(4)


@instruction("vmov", 0x300, VPU, cost=CHEAP, moves=("src",), casts=True, copies=True, split=1)
def vmov(dst: Out[Num, "..."], src: In[Num, "...?"]) -> None:
    """Copy, broadcast and convert between floats: dst = src in dst's dtype.

    Example:
        src = f32 [[1.0], [1.00390625]]
        vmov dst, src
        dst = bf16 [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    dst[...] = src


@instruction("vfill", 0x301, VPU, cost=CHEAP)
def vfill(dst: Out[Num, "..."], value: XFI) -> None:
    """Set every element to one number.

    Example:
        x5 = 2.5
        vfill dst, x5
        dst = f32 [[2.5, 2.5]]
    """
    dst.fill(_number(value, dst))


@instruction("viota", 0x302, VPU, cost=CHEAP)
def viota(dst: Out[Num, "... C"], start: XI) -> None:
    """Count along the last axis: dst[..., c] = start + c.

    Example:
        x5 = 7
        viota dst, x5
        dst = i32 [[7, 8, 9], [7, 8, 9]]
    """
    dst[...] = np.arange(dst.shape[-1]) + np.int64(start)  # 64 bits, which wrap


@instruction("vneg", 0x303, VPU, cost=CHEAP, split=1)
def vneg(dst: Out[Num, "..."], src: In[Num, "...?"]) -> None:
    """Negate each element.

    Example:
        src = f32 [[1.5, -inf, 0.0]]
        vneg dst, src
        dst = f32 [[-1.5, inf, -0.0]]
    """
    # not np.negative: in place, it is wrong for elements that lie 16 bytes apart (NumPy 2.4 with AVX-512)
    np.multiply(src, src.dtype.type(-1), out=dst)


@instruction("vabs", 0x304, VPU, cost=CHEAP, split=1)
def vabs(dst: Out[Num, "..."], src: In[Num, "...?"]) -> None:
    """Absolute value of each element.

    Example:
        src = i32 [[3, -4, 0]]
        vabs dst, src
        dst = i32 [[3, 4, 0]]
    """
    np.abs(src, out=dst)


@instruction("vexp", 0x305, VPU, cost=FUNC, split=1)
def vexp(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """Natural exponential: dst = e ** src.

    Example:
        src = f32 [[0.0, 1.0, -inf]]
        vexp dst, src
        dst = f32 [[1.0, 2.7182817, 0.0]]
    """
    np.exp(src, out=dst)


@instruction("vlog", 0x306, VPU, cost=FUNC, split=1)
def vlog(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """Natural logarithm: -inf at 0, NaN below.

    Example:
        src = f32 [[1.0, 2.7182817, 0.0, -1.0]]
        vlog dst, src
        dst = f32 [[0.0, 0.99999994, -inf, nan]]
    """
    np.log(src, out=dst)


@instruction("vsqrt", 0x307, VPU, cost=FUNC, split=1)
def vsqrt(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """Square root: NaN below 0.

    Example:
        src = f32 [[4.0, 2.0, -1.0]]
        vsqrt dst, src
        dst = f32 [[2.0, 1.4142135, nan]]
    """
    np.sqrt(src, out=dst)


@instruction("vrsqrt", 0x308, VPU, cost=FUNC, split=1)
def vrsqrt(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """Reciprocal square root: inf at 0, NaN below.

    Example:
        src = f32 [[4.0, 0.25, 0.0]]
        vrsqrt dst, src
        dst = f32 [[0.5, 2.0, inf]]
    """
    np.divide(np.float32(1), np.sqrt(src), out=dst)


@instruction("vtanh", 0x309, VPU, cost=FUNC, split=1)
def vtanh(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """Hyperbolic tangent of each element.

    Example:
        src = f32 [[0.0, 0.5, -inf]]
        vtanh dst, src
        dst = f32 [[0.0, 0.46211717, -1.0]]
    """
    np.tanh(src, out=dst)


@instruction("vsigmoid", 0x30A, VPU, cost=FUNC, split=1)
def vsigmoid(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """Logistic function: dst = 1 / (1 + e ** -src).

    Example:
        src = f32 [[0.0, 2.0, -inf]]
        vsigmoid dst, src
        dst = f32 [[0.5, 0.880797, 0.0]]
    """
    np.divide(np.float32(1), np.float32(1) + np.exp(-src), out=dst)


@instruction("vf2i", 0x30B, VPU, cost=CHEAP, casts=True)
def vf2i(dst: Out[I32, "..."], src: In[Float, "...?"]) -> None:
    """Floats to integers: toward zero, saturating at the ends of i32, NaN to 0.

    Example:
        src = f32 [[2.9, -2.9, 1.0e10, nan]]
        vf2i dst, src
        dst = i32 [[2, -2, 2147483647, 0]]
    """
    dst[...] = convert(src, dst.dtype, Rounding.ZERO)


@instruction("vi2f", 0x30C, VPU, cost=CHEAP, casts=True, precise=np.copyto)
def vi2f(dst: Out[Float, "..."], src: In[I32, "...?"]) -> None:
    """Integers to floats, rounded to nearest even (by way of float32).

    Example:
        src = i32 [[3, -16777217]]
        vi2f dst, src
        dst = f32 [[3.0, -16777216.0]]
    """
    dst[...] = src


@instruction("vadd", 0x310, VPU, cost=CHEAP, split=1)
def vadd(dst: Out[Num, "..."], a: In[Num, "...?"], b: In[Num, "...?"]) -> None:
    """Add: dst = a + b.

    Example:
        a = f32 [[1.0, 2.0], [3.0, 4.0]]
        b = f32 [[10.0], [20.0]]
        vadd dst, a, b
        dst = f32 [[11.0, 12.0], [23.0, 24.0]]
    """
    np.add(a, b, out=dst)


@instruction("vsub", 0x311, VPU, cost=CHEAP, split=1)
def vsub(dst: Out[Num, "..."], a: In[Num, "...?"], b: In[Num, "...?"]) -> None:
    """Subtract: dst = a - b.

    Example:
        a = i32 [[1, 2], [3, 4]]
        b = i32 [[1, 1]]
        vsub dst, a, b
        dst = i32 [[0, 1], [2, 3]]
    """
    np.subtract(a, b, out=dst)


@instruction("vmul", 0x312, VPU, cost=CHEAP, split=1)
def vmul(dst: Out[Num, "..."], a: In[Num, "...?"], b: In[Num, "...?"]) -> None:
    """Multiply: dst = a * b.

    Example:
        a = f32 [[1.5, -2.0]]
        b = f32 [[2.0, 0.25]]
        vmul dst, a, b
        dst = f32 [[3.0, -0.5]]
    """
    np.multiply(a, b, out=dst)


@instruction("vdiv", 0x313, VPU, cost=DIV, split=1)
def vdiv(dst: Out[Float, "..."], a: In[Float, "...?"], b: In[Float, "...?"]) -> None:
    """Divide: dst = a / b, correctly rounded.

    Example:
        a = f32 [[1.0, 1.0, 0.0]]
        b = f32 [[4.0, 0.0, 0.0]]
        vdiv dst, a, b
        dst = f32 [[0.25, inf, nan]]
    """
    np.divide(a, b, out=dst)


@instruction("vmax", 0x314, VPU, cost=CHEAP, split=1)
def vmax(dst: Out[Num, "..."], a: In[Num, "...?"], b: In[Num, "...?"]) -> None:
    """The larger of each pair; NaN if either is.

    Example:
        a = f32 [[1.0, -0.5, nan]]
        b = f32 [[0.5, 2.0, 1.0]]
        vmax dst, a, b
        dst = f32 [[1.0, 2.0, nan]]
    """
    np.maximum(a, b, out=dst)


@instruction("vmin", 0x315, VPU, cost=CHEAP, split=1)
def vmin(dst: Out[Num, "..."], a: In[Num, "...?"], b: In[Num, "...?"]) -> None:
    """The smaller of each pair; NaN if either is.

    Example:
        a = i32 [[1, -5]]
        b = i32 [[0, 2]]
        vmin dst, a, b
        dst = i32 [[0, -5]]
    """
    np.minimum(a, b, out=dst)


@instruction("vlt", 0x316, VPU, cost=CHEAP, split=1, decides=("a", "b"))
def vlt(dst: Out[Num, "..."], a: In[Num, "...?"], b: In[Num, "...?"]) -> None:
    """1 where a < b, else 0.

    Example:
        a = f32 [[1.0, 2.0, nan]]
        b = f32 [[2.0, 2.0, 1.0]]
        vlt dst, a, b
        dst = f32 [[1.0, 0.0, 0.0]]
    """
    dst[...] = a < b


@instruction("vle", 0x317, VPU, cost=CHEAP, split=1, decides=("a", "b"))
def vle(dst: Out[Num, "..."], a: In[Num, "...?"], b: In[Num, "...?"]) -> None:
    """1 where a <= b, else 0.

    Example:
        a = f32 [[1.0, 2.0, nan]]
        b = f32 [[2.0, 2.0, 1.0]]
        vle dst, a, b
        dst = f32 [[1.0, 1.0, 0.0]]
    """
    dst[...] = a <= b


@instruction("veq", 0x318, VPU, cost=CHEAP, split=1, decides=("a", "b"))
def veq(dst: Out[Num, "..."], a: In[Num, "...?"], b: In[Num, "...?"]) -> None:
    """1 where a equals b, else 0.

    Example:
        a = i32 [[1, 2]]
        b = i32 [[1, 3]]
        veq dst, a, b
        dst = i32 [[1, 0]]
    """
    dst[...] = a == b


@instruction("vsel", 0x319, VPU, cost=CHEAP, split=1, decides=("cond",))
def vsel(dst: Out[Num, "..."], cond: In[Num, "...?"], a: In[Num, "...?"], b: In[Num, "...?"]) -> None:
    """Select: a where cond is not 0, else b.

    Example:
        cond = f32 [[1.0, 0.0, 0.5]]
        a = f32 [[1.0, 2.0, 3.0]]
        b = f32 [[-1.0]]
        vsel dst, cond, a, b
        dst = f32 [[1.0, -1.0, 3.0]]
    """
    dst[...] = np.where(cond != 0, a, b)


@instruction("vadds", 0x320, VPU, cost=CHEAP, split=1)
def vadds(dst: Out[Num, "..."], a: In[Num, "...?"], value: XFI) -> None:
    """Add a number: dst = a + value.

    Example:
        a = f32 [[1.0, -2.0]]
        x5 = 0.5
        vadds dst, a, x5
        dst = f32 [[1.5, -1.5]]
    """
    np.add(a, _number(value, a), out=dst)


@instruction("vmuls", 0x321, VPU, cost=CHEAP, split=1)
def vmuls(dst: Out[Num, "..."], a: In[Num, "...?"], value: XFI) -> None:
    """Multiply by a number: dst = a * value.

    Example:
        a = bf16 [[1.0, -2.0]]
        vmuls dst, a, 3.0
        dst = bf16 [[3.0, -6.0]]
    """
    np.multiply(a, _number(value, a), out=dst)


@instruction("vrsubs", 0x322, VPU, cost=CHEAP, split=1)
def vrsubs(dst: Out[Num, "..."], a: In[Num, "...?"], value: XFI) -> None:
    """Subtract from a number: dst = value - a.

    Example:
        a = f32 [[0.25, 2.0]]
        vrsubs dst, a, 1.0
        dst = f32 [[0.75, -1.0]]
    """
    np.subtract(_number(value, a), a, out=dst)


@instruction("vrdivs", 0x323, VPU, cost=DIV, split=1)
def vrdivs(dst: Out[Float, "..."], a: In[Float, "...?"], value: XFI) -> None:
    """Divide a number by each element: dst = value / a.

    Example:
        a = f32 [[4.0, -0.5, 0.0]]
        vrdivs dst, a, 1.0
        dst = f32 [[0.25, -2.0, inf]]
    """
    np.divide(np.float32(value), a, out=dst)


@instruction("vdivs", 0x326, VPU, cost=DIV, split=1)
def vdivs(dst: Out[Float, "..."], a: In[Float, "...?"], value: XFI) -> None:
    """Divide each element by a number: dst = a / value.

    Example:
        a = f32 [[1.0, 2.0]]
        vdivs dst, a, 3.0
        dst = f32 [[0.33333334, 0.6666667]]
    """
    np.divide(a, np.float32(value), out=dst)


@instruction("vmaxs", 0x324, VPU, cost=CHEAP, split=1)
def vmaxs(dst: Out[Num, "..."], a: In[Num, "...?"], value: XFI) -> None:
    """The larger of each element and a number.

    Example:
        a = f32 [[-1.0, 2.0]]
        vmaxs dst, a, 0.0
        dst = f32 [[0.0, 2.0]]
    """
    np.maximum(a, _number(value, a), out=dst)


@instruction("vmins", 0x325, VPU, cost=CHEAP, split=1)
def vmins(dst: Out[Num, "..."], a: In[Num, "...?"], value: XFI) -> None:
    """The smaller of each element and a number.

    Example:
        a = i32 [[-1, 9]]
        vmins dst, a, 5
        dst = i32 [[-1, 5]]
    """
    np.minimum(a, _number(value, a), out=dst)


@instruction("vsum.row", 0x340, VPU, cost=per_element(1, operand=1), split=2)
def vsum_row(dst: Out[Num, "... R 1"], src: In[Num, "... R C"]) -> None:
    """Sum along the last axis, in an order the manual leaves open (error: C * 2^-24 * sum |src|).

    Example:
        src = f32 [[1.0, 4.0, 2.0], [-1.0, -3.0, -2.0]]
        vsum.row dst, src
        dst = f32 [[7.0], [-6.0]]
    """
    np.add.reduce(src, axis=-1, keepdims=True, out=dst)


@instruction("vmax.row", 0x341, VPU, cost=per_element(1, operand=1), split=2)
def vmax_row(dst: Out[Num, "... R 1"], src: In[Num, "... R C"]) -> None:
    """Largest element along the last axis; NaN if any is.

    Example:
        src = f32 [[1.0, 4.0, 2.0], [-1.0, -3.0, -2.0]]
        vmax.row dst, src
        dst = f32 [[4.0], [-1.0]]
    """
    _not_empty(src, -1)
    np.maximum.reduce(src, axis=-1, keepdims=True, out=dst)


@instruction("vmin.row", 0x342, VPU, cost=per_element(1, operand=1), split=2)
def vmin_row(dst: Out[Num, "... R 1"], src: In[Num, "... R C"]) -> None:
    """Smallest element along the last axis; NaN if any is.

    Example:
        src = f32 [[1.0, 4.0, 2.0], [-1.0, -3.0, -2.0]]
        vmin.row dst, src
        dst = f32 [[1.0], [-3.0]]
    """
    _not_empty(src, -1)
    np.minimum.reduce(src, axis=-1, keepdims=True, out=dst)


@instruction("vargmax.row", 0x343, VPU, cost=per_element(1, operand=1))
def vargmax_row(dst: Out[I32, "... R 1"], src: In[Num, "... R C"]) -> None:
    """Position of the largest element along the last axis; the first one of equals, and of NaNs if any is.

    Example:
        src = f32 [[1.0, 4.0, 2.0], [-1.0, -3.0, -2.0]]
        vargmax.row dst, src
        dst = i32 [[1], [0]]
    """
    _not_empty(src, -1)
    dst[...] = np.argmax(src, axis=-1, keepdims=True)


@instruction("vsum.col", 0x348, VPU, cost=per_element(1, operand=1))
def vsum_col(dst: Out[Num, "... 1 C"], src: In[Num, "... R C"]) -> None:
    """Sum along the axis before the last, in an order the manual leaves open.

    Example:
        src = f32 [[1.0, 4.0, 2.0], [-1.0, -3.0, -2.0]]
        vsum.col dst, src
        dst = f32 [[0.0, 1.0, 0.0]]
    """
    np.add.reduce(src, axis=-2, keepdims=True, out=dst)


@instruction("vmax.col", 0x349, VPU, cost=per_element(1, operand=1))
def vmax_col(dst: Out[Num, "... 1 C"], src: In[Num, "... R C"]) -> None:
    """Largest element along the axis before the last; NaN if any is.

    Example:
        src = f32 [[1.0, 4.0, 2.0], [-1.0, -3.0, -2.0]]
        vmax.col dst, src
        dst = f32 [[1.0, 4.0, 2.0]]
    """
    _not_empty(src, -2)
    np.maximum.reduce(src, axis=-2, keepdims=True, out=dst)


@instruction("vmin.col", 0x34A, VPU, cost=per_element(1, operand=1))
def vmin_col(dst: Out[Num, "... 1 C"], src: In[Num, "... R C"]) -> None:
    """Smallest element along the axis before the last; NaN if any is.

    Example:
        src = f32 [[1.0, 4.0, 2.0], [-1.0, -3.0, -2.0]]
        vmin.col dst, src
        dst = f32 [[-1.0, -3.0, -2.0]]
    """
    _not_empty(src, -2)
    np.minimum.reduce(src, axis=-2, keepdims=True, out=dst)


@instruction("vpu.sync", 0x37F, VPU, cost=lambda _: 0)
def sync() -> None:
    """Only wait and signal, in the order of the queue.

    Example:
        a = f32 [[2.0]]
        b = f32 [[3.0]]
        vneg a, a
        vpu.sync         signal s4
        mm c, a, b       wait s4>=1
        c = acc f32 [[-6.0]]
    """


def _number(value: float, like: Any) -> Any:
    """A number beside a tile as an element of it; raises Fault (operand) where an integer tile has none."""
    if like.dtype.kind == "f":
        return like.dtype.type(value)
    if not (-(2.0**31) <= value < 2.0**31 and value.is_integer()):
        raise Fault(
            "operand",
            f"{value} is no whole number in the range of i32",
            operand="value",
            help="numbers beside a tile of i32 must be one; vi2f makes floats of the tile",
        )
    return like.dtype.type(value)


def _not_empty(src: Any, axis: int) -> None:
    """Raises Fault (operand) where there is nothing to choose from."""
    if not src.shape[axis]:
        raise Fault("operand", f"a tile of shape {list(src.shape)} has no largest or smallest element", operand="src")
