"""Sequencer: scalar arithmetic, memory, control flow, synchronization. Opcodes 0x000..0x03f.

Scalars are 64-bit two's complement and wrap. Opcode 0 is no instruction, so that zeroed memory traps.
"""

from sohu.isa.annotations import *
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction

SEQ = Engine.SEQ


@instruction("li", 0x001, SEQ)
def li(d: XOut, value: S64) -> int:
    """Load a 64-bit immediate.

    Example:
        li x5, 0x123456789abcdef
        x5 = 81985529216486895
    """
    return value


@instruction("lf", 0x002, SEQ)
def lf(d: XOut, value: FImm) -> int:
    """Load a float32 immediate: its bits, zero-extended.

    Example:
        lf x5, -1.5
        x5 = -1.5
    """
    return value


@instruction("mv", 0x003, SEQ)
def mv(d: XOut, a: X) -> int:
    """Copy a scalar register.

    Example:
        x5 = 7
        mv x6, x5
        x6 = 7
    """
    return a


@instruction("add", 0x004, SEQ)
def add(d: XOut, a: X, b: XI) -> int:
    """Add two scalars.

    Example:
        x5 = 5
        add x7, x5, -7
        x7 = -2
    """
    return a + b


@instruction("sub", 0x005, SEQ)
def sub(d: XOut, a: X, b: XI) -> int:
    """Subtract two scalars.

    Example:
        x5 = 5
        x6 = 7
        sub x7, x5, x6
        x7 = -2
    """
    return a - b


@instruction("mul", 0x006, SEQ)
def mul(d: XOut, a: X, b: XI) -> int:
    """Multiply two scalars (low 64 bits).

    Example:
        x5 = 0x4000000000000001
        mul x6, x5, 4
        x6 = 4
    """
    return a * b


@instruction("div", 0x007, SEQ)
def div(d: XOut, a: X, b: XI) -> int:
    """Divide, rounding toward minus infinity; division by zero traps.

    Example:
        x5 = -7
        div x6, x5, 2
        x6 = -4
    """
    if b == 0:
        raise Fault("trap", "division by zero")
    return a // b


@instruction("rem", 0x008, SEQ)
def rem(d: XOut, a: X, b: XI) -> int:
    """Remainder of `div`, with the divisor's sign; division by zero traps.

    Example:
        x5 = -7
        rem x6, x5, 2
        rem x7, x5, -2
        x6 = 1
        x7 = -1
    """
    if b == 0:
        raise Fault("trap", "division by zero")
    return a % b


@instruction("min", 0x009, SEQ)
def min_(d: XOut, a: X, b: XI) -> int:
    """The smaller of two scalars (signed).

    Example:
        x5 = -3
        min x7, x5, 2
        x7 = -3
    """
    return a if a < b else b


@instruction("max", 0x00A, SEQ)
def max_(d: XOut, a: X, b: XI) -> int:
    """The larger of two scalars (signed).

    Example:
        x5 = -3
        x6 = 2
        max x7, x5, x6
        x7 = 2
    """
    return a if a > b else b


@instruction("and", 0x00B, SEQ)
def and_(d: XOut, a: X, b: XI) -> int:
    """Bitwise and of two scalars.

    Example:
        x5 = 12
        and x7, x5, 10
        x7 = 8
    """
    return a & b


@instruction("or", 0x00C, SEQ)
def or_(d: XOut, a: X, b: XI) -> int:
    """Bitwise or of two scalars.

    Example:
        x5 = 12
        or x7, x5, 10
        x7 = 14
    """
    return a | b


@instruction("xor", 0x00D, SEQ)
def xor(d: XOut, a: X, b: XI) -> int:
    """Bitwise exclusive or of two scalars.

    Example:
        x5 = 12
        xor x7, x5, 10
        x7 = 6
    """
    return a ^ b


@instruction("sll", 0x00E, SEQ)
def sll(d: XOut, a: X, b: XI) -> int:
    """Shift left by b modulo 64.

    Example:
        x5 = 3
        sll x6, x5, 4
        sll x7, x5, 68
        x6 = 48
        x7 = 48
    """
    return a << (b & 63)


@instruction("sra", 0x00F, SEQ)
def sra(d: XOut, a: X, b: XI) -> int:
    """Shift right by b modulo 64, keeping the sign.

    Example:
        x5 = -5
        sra x6, x5, 1
        x6 = -3
    """
    return a >> (b & 63)


@instruction("slt", 0x010, SEQ)
def slt(d: XOut, a: X, b: XI) -> int:
    """1 when a < b (signed), else 0.

    Example:
        x5 = -1
        slt x6, x5, 0
        slt x7, x0, x5
        x6 = 1
        x7 = 0
    """
    return int(a < b)


@instruction("seq", 0x011, SEQ)
def seq(d: XOut, a: X, b: XI) -> int:
    """1 when a equals b, else 0.

    Example:
        x5 = 4
        seq x6, x5, 4
        x6 = 1
    """
    return int(a == b)


@instruction("ld", 0x018, SEQ)
def ld(m: Machine, d: XOut, base: X, offset: S32) -> int:
    """Load eight bytes from HBM at base + offset (parameters, the stack); 8-byte aligned.

    Example:
        x5 = 42
        sd x5, sp, -8
        ld x6, sp, -8
        x6 = 42
    """
    return m.load64(base + offset)


@instruction("sd", 0x019, SEQ)
def sd(m: Machine, value: X, base: X, offset: S32) -> None:
    """Store eight bytes to HBM at base + offset; 8-byte aligned.

    Example:
        x5 = -1
        sd x5, sp, -16
        sd x0, sp, -8
        ld x6, sp, -16
        x6 = -1
    """
    m.store64(base + offset, value)


@instruction("chipid", 0x01A, SEQ)
def chipid(m: Machine, d: XOut) -> int:
    """The number of this chip in its group, from 0.

    Example:
        x5 = 9
        chipid x5
        x5 = 0
    """
    return m.chip


@instruction("j", 0x020, SEQ, flow=Flow.JUMP)
def j(target: Label) -> None:
    """Jump to a label.

    Example:
            j past
            li x5, 1
        past: li x6, 2
        x5 = 0
        x6 = 2
    """


@instruction("beq", 0x021, SEQ, flow=Flow.BRANCH)
def beq(a: X, b: XI, target: Label) -> bool:
    """Branch when a equals b.

    Example:
            x5 = 3
            beq x5, 3, past
            li x6, 1
        past: nop
        x6 = 0
    """
    return a == b


@instruction("bne", 0x022, SEQ, flow=Flow.BRANCH)
def bne(a: X, b: XI, target: Label) -> bool:
    """Branch when a differs from b.

    Example:
            x5 = 3
            bne x5, 4, past
            li x6, 1
        past: nop
        x6 = 0
    """
    return a != b


@instruction("blt", 0x023, SEQ, flow=Flow.BRANCH)
def blt(a: X, b: XI, target: Label) -> bool:
    """Branch when a < b (signed).

    Example:
            x5 = -1
            blt x5, 0, past
            li x6, 1
        past: nop
        x6 = 0
    """
    return a < b


@instruction("bge", 0x024, SEQ, flow=Flow.BRANCH)
def bge(a: X, b: XI, target: Label) -> bool:
    """Branch when a >= b (signed).

    Example:
            x5 = 3
            bge x5, 3, past
            li x6, 1
        past: nop
        x6 = 0
    """
    return a >= b


@instruction("call", 0x025, SEQ, flow=Flow.CALL)
def call(target: Label) -> None:
    """Call: ra (x1) = address of the next instruction, then jump.

    Example:
            x5 = 20
            call double
            j past
        double: add x5, x5, x5
            ret
        past: nop
        x5 = 40
    """


@instruction("ret", 0x026, SEQ, flow=Flow.RET)
def ret() -> None:
    """Return to the address in ra (x1).

    Example:
            call two
            add x5, x5, 1
            j past
        two: li x5, 2
            ret
        past: nop
        x5 = 3
    """


@instruction("loop", 0x027, SEQ, flow=Flow.LOOP)
def loop(count: XI, end: Label) -> int:
    """Hardware loop: run the instructions from the next one up to `end` (exclusive) count times.

    count <= 0 skips the body. Loops nest up to 8 deep; a body must be left through its end.

    Example:
            loop 3, end
            add x5, x5, 2
            loop 2, inner
            add x6, x6, 1
        inner: nop
        end: nop
        x5 = 6
        x6 = 6
    """
    return count


@instruction("halt", 0x028, SEQ, flow=Flow.HALT)
def halt() -> None:
    """Stop the sequencer. The program has ended when every queue is empty too.

    Example:
        li x5, 1
        halt
        li x5, 2
        x5 = 1
    """


@instruction("trap", 0x029, SEQ, flow=Flow.HALT)
def trap(code: U16) -> None:
    """Stop with an error that carries a number of the program's own.

    Example:
        x5 = 3
        trap 7
        fault trap
    """
    raise Fault("trap", f"the program trapped with code {code}")


@instruction("nop", 0x02A, SEQ)
def nop() -> None:
    """Do nothing for one cycle.

    Example:
        x5 = 1
        nop
        x5 = 1
    """


@instruction("drain", 0x02B, SEQ)
def drain(m: Machine) -> None:
    """Park the sequencer until every queue is empty and every engine idle.

    Example:
        src = f32 [[1.0, 2.0]]
        vneg dst, src
        drain
        dst = f32 [[-1.0, -2.0]]
    """
    m.drain()


@instruction("semreset", 0x02C, SEQ)
def semreset(m: Machine, sem: Sem) -> None:
    """Set a semaphore to zero; an error when an engine instruction has issued since the last drain.

    Example:
        src = f32 [[1.0]]
        vneg src, src   signal s3
        sync           wait s3>=1
        drain
        semreset s3
        vneg src, src   signal s3
        sync           wait s3>=1
        src = f32 [[1.0]]
    """
    m.reset_semaphore(sem)


@instruction("sync", 0x02D, SEQ, sync=True)
def sync() -> None:
    """Wait and signal on the sequencer itself: parks it until the wait is met.

    Example:
        sync                signal s1+=2
        sync wait s1>=2
        li x5, 1
        x5 = 1
    """


@instruction("sld", 0x02E, SEQ, sync=True)
def sld(d: XOut, src: In[Stored, "...", SRAM, ACC]) -> int:
    """Load the one element of a tile into a scalar register, after its wait is met.

    An integer is sign-extended; a float arrives as its float32 bits. The only road from tile data to
    scalars: it blocks the sequencer.

    Example:
        src = bf16 [[2.5]]
        vmuls src, src, 2.0   signal s0
        sld x5, src           wait s0>=1
        x5 = 5.0
    """
    import numpy as np

    if src.size != 1:
        raise Fault("operand", f"sld reads one element, the tile has {src.size}", operand="src")
    value = src.reshape(-1)[0]
    return int(value) if src.dtype.kind in "iu" else int(np.float32(value).view(np.uint32))
