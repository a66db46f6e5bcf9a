"""Sequencer: scalar arithmetic, memory, control flow, synchronization. Opcodes 0x000..0x0ff.

Scalars are 64-bit two's complement and wrap. Opcode 0 is no instruction, so that zeroed memory traps.
"""

from sohu.isa.annotations import *
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction

SEQ = Engine.SEQ


@instruction("li", 0x001, SEQ)
def li(d: XOut, value: S64) -> int:
    """Load a 64-bit immediate."""
    return value


@instruction("lf", 0x002, SEQ)
def lf(d: XOut, value: FImm) -> int:
    """Load a float32 immediate: its bits, zero-extended."""
    return value


@instruction("mv", 0x003, SEQ)
def mv(d: XOut, a: X) -> int:
    """Copy a scalar register."""
    return a


@instruction("add", 0x004, SEQ)
def add(d: XOut, a: X, b: XI) -> int:
    """Add two scalars."""
    return a + b


@instruction("sub", 0x005, SEQ)
def sub(d: XOut, a: X, b: XI) -> int:
    """Subtract two scalars."""
    return a - b


@instruction("mul", 0x006, SEQ)
def mul(d: XOut, a: X, b: XI) -> int:
    """Multiply two scalars (low 64 bits)."""
    return a * b


@instruction("div", 0x007, SEQ)
def div(d: XOut, a: X, b: XI) -> int:
    """Divide, rounding toward minus infinity; division by zero traps."""
    if b == 0:
        raise Fault("trap", "division by zero")
    return a // b


@instruction("rem", 0x008, SEQ)
def rem(d: XOut, a: X, b: XI) -> int:
    """Remainder of `div`, with the divisor's sign; division by zero traps."""
    if b == 0:
        raise Fault("trap", "division by zero")
    return a % b


@instruction("min", 0x009, SEQ)
def min_(d: XOut, a: X, b: XI) -> int:
    """The smaller of two scalars (signed)."""
    return a if a < b else b


@instruction("max", 0x00A, SEQ)
def max_(d: XOut, a: X, b: XI) -> int:
    """The larger of two scalars (signed)."""
    return a if a > b else b


@instruction("and", 0x00B, SEQ)
def and_(d: XOut, a: X, b: XI) -> int:
    """Bitwise and of two scalars."""
    return a & b


@instruction("or", 0x00C, SEQ)
def or_(d: XOut, a: X, b: XI) -> int:
    """Bitwise or of two scalars."""
    return a | b


@instruction("xor", 0x00D, SEQ)
def xor(d: XOut, a: X, b: XI) -> int:
    """Bitwise exclusive or of two scalars."""
    return a ^ b


@instruction("sll", 0x00E, SEQ)
def sll(d: XOut, a: X, b: XI) -> int:
    """Shift left by b modulo 64."""
    return a << (b & 63)


@instruction("sra", 0x00F, SEQ)
def sra(d: XOut, a: X, b: XI) -> int:
    """Shift right by b modulo 64, keeping the sign."""
    return a >> (b & 63)


@instruction("slt", 0x010, SEQ)
def slt(d: XOut, a: X, b: XI) -> int:
    """1 when a < b (signed), else 0."""
    return int(a < b)


@instruction("seq", 0x011, SEQ)
def seq(d: XOut, a: X, b: XI) -> int:
    """1 when a equals b, else 0."""
    return int(a == b)


@instruction("ld", 0x018, SEQ)
def ld(m: Machine, d: XOut, base: X, offset: S32) -> int:
    """Load eight bytes from HBM at base + offset (parameters, the stack); 8-byte aligned."""
    return m.load64(base + offset)


@instruction("sd", 0x019, SEQ)
def sd(m: Machine, value: X, base: X, offset: S32) -> None:
    """Store eight bytes to HBM at base + offset; 8-byte aligned."""
    m.store64(base + offset, value)


@instruction("chipid", 0x01A, SEQ)
def chipid(m: Machine, d: XOut) -> int:
    """The number of this chip in its group, from 0."""
    return m.chip


@instruction("j", 0x020, SEQ, flow=Flow.JUMP)
def j(target: Label) -> None:
    """Jump to a label."""


@instruction("beq", 0x021, SEQ, flow=Flow.BRANCH)
def beq(a: X, b: XI, target: Label) -> bool:
    """Branch when a equals b."""
    return a == b


@instruction("bne", 0x022, SEQ, flow=Flow.BRANCH)
def bne(a: X, b: XI, target: Label) -> bool:
    """Branch when a differs from b."""
    return a != b


@instruction("blt", 0x023, SEQ, flow=Flow.BRANCH)
def blt(a: X, b: XI, target: Label) -> bool:
    """Branch when a < b (signed)."""
    return a < b


@instruction("bge", 0x024, SEQ, flow=Flow.BRANCH)
def bge(a: X, b: XI, target: Label) -> bool:
    """Branch when a >= b (signed)."""
    return a >= b


@instruction("call", 0x025, SEQ, flow=Flow.CALL)
def call(target: Label) -> None:
    """Call: ra (x1) = address of the next instruction, then jump."""


@instruction("ret", 0x026, SEQ, flow=Flow.RET)
def ret() -> None:
    """Return to the address in ra (x1)."""


@instruction("loop", 0x027, SEQ, flow=Flow.LOOP)
def loop(count: XI, end: Label) -> int:
    """Hardware loop: run the instructions from the next one up to `end` (exclusive) count times.

    count <= 0 skips the body. Loops nest up to 8 deep; a body must be left through its end.
    """
    return count


@instruction("halt", 0x028, SEQ, flow=Flow.HALT)
def halt() -> None:
    """Stop the sequencer. The program has ended when every queue is empty too."""


@instruction("trap", 0x029, SEQ)
def trap(code: U16) -> None:
    """Stop with an error that carries a number of the program's own."""
    raise Fault("trap", f"the program trapped with code {code}")


@instruction("nop", 0x02A, SEQ)
def nop() -> None:
    """Do nothing for one cycle."""


@instruction("drain", 0x02B, SEQ)
def drain(m: Machine) -> None:
    """Park the sequencer until every queue is empty and every engine idle."""
    m.drain()


@instruction("semreset", 0x02C, SEQ)
def semreset(m: Machine, sem: Sem) -> None:
    """Set a semaphore to zero; an error when an engine instruction has issued since the last drain."""
    m.reset_semaphore(sem)


@instruction("sync", 0x02D, SEQ, sync=True)
def sync() -> None:
    """Wait and signal on the sequencer itself: parks it until the wait is met."""


@instruction("sld", 0x02E, SEQ, sync=True)
def sld(d: XOut, src: In[Stored, "...", SRAM, ACC]) -> int:
    """Load the one element of a tile into a scalar register, after its wait is met.

    An integer is sign-extended; a float arrives as its float32 bits. The only road from tile data to
    scalars: it blocks the sequencer.
    """
    import numpy as np

    if src.size != 1:
        raise Fault("operand", f"sld reads one element, the tile has {src.size}", operand="src")
    value = src.reshape(-1)[0]
    return int(value) if src.dtype.kind in "iu" else int(np.float32(value).view(np.uint32))
