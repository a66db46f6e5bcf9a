"""VPU: random numbers, by counter. Opcodes 0x370..0x377.

The generator is Philox4x32-10. Element i of a tile, counted in row-major order of
its shape, is word i modulo 4 of a block, whose 128-bit counter has `block` + i / 4 in its lower half and `stream` in
its upper one; the key is 64 bits. So the same registers give the same numbers on every chip, however the tile is laid
out; the next n elements of a sequence begin at block + (n + 3) / 4.
"""

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.costs import per_element
from sohu.isa.instruction import instruction
from sohu.isa.philox import random_words

VPU = Engine.VPU
TEN_ROUNDS = per_element(10)  # a round makes two products of 32 bits for four words


@instruction("vrand.bits", 0x370, VPU, cost=TEN_ROUNDS, since=(1, 1))
def vrand_bits(dst: Out[I32, "..."], key: X, block: X, stream: X) -> None:
    """Random bits: each element is one word of Philox4x32-10.

    Element i, in row-major order of dst's shape, is word i modulo 4 of the block whose 128-bit counter has
    block + i / 4 in its lower half and `stream` in its upper one; `key` is the key's 64 bits. The sums wrap.
    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (SC'11).

    Example:
        vrand.bits dst, x0, x0, x0
        dst = i32 [[1713891541, -513161843, -1135104948, -1694442536]]
    """
    dst[...] = random_words(dst.size, key, block, stream).view(np.int32).reshape(dst.shape)


@instruction("vrand.uniform", 0x371, VPU, cost=TEN_ROUNDS, since=(1, 1))
def vrand_uniform(dst: Out[F32, "..."], key: X, block: X, stream: X) -> None:
    """Random numbers, uniform over the multiples of 2^-24 in [0, 1): the upper 24 bits of each word of vrand.bits.

    1 - u lies in (0, 1], where the logarithm of a Gumbel or exponential sample is finite.

    Example:
        vrand.uniform dst, x0, x0, x0
        dst = f32 [[0.39904642, 0.88052016, 0.73571277, 0.6054818]]
    """
    words = random_words(dst.size, key, block, stream) >> np.uint32(8)
    np.multiply(words.reshape(dst.shape), np.float32(2.0**-24), out=dst)
