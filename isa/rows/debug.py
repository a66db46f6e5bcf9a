"""Debug instructions: zero cycles, executed by the sequencer. Opcodes 0x500..0x50f."""

from sohu.isa.annotations import *
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction, no_cost

DEBUG = Engine.DEBUG


@instruction("dbg.print", 0x500, DEBUG, cost=no_cost)
def print_(m: Machine, text: Str, value: X) -> None:
    """Print text and a scalar.

    Example:
        x5 = 42
        dbg.print "x5 = ", x5
        prints "x5 = 42"
    """
    m.output(f"{m.string(text)}{value}")


@instruction("dbg.printt", 0x501, DEBUG, cost=no_cost, sync=True)
def printt(m: Machine, text: Str, src: In[Stored, "..."]) -> None:
    """Print text and a tile's elements, once the wait is met.

    Example:
        src = i32 [[1, 2]]
        dbg.printt "src = ", src
        prints "src = [[1 2]]"
    """
    m.output(f"{m.string(text)}{src}")


@instruction("dbg.assert", 0x502, DEBUG, cost=no_cost)
def assert_(m: Machine, value: X, text: Str) -> None:
    """Stop with the text when the scalar is zero.

    Example:
        x5 = 0
        dbg.assert x5, "x5 must not be zero"
        fault assert
    """
    if not value:
        raise Fault("assert", m.string(text))


@instruction("dbg.mark", 0x503, DEBUG, cost=no_cost)
def mark(m: Machine, text: Str) -> None:
    """A named place in traces and the debugger; does nothing by itself.

    Example:
        x5 = 1
        dbg.mark "after the loads"
        x5 = 1
    """


@instruction("dbg.cycle", 0x504, DEBUG, cost=no_cost, clock=True, since=(1, 1))
def cycle(m: Machine, text: Str) -> None:
    """Print text and the cycle counter, which sdcycle describes; the program runs with the timer on.

    Example:
        nop
        nop
        dbg.cycle "cycles: "
        prints "cycles: 2"
    """
    m.output(f"{m.string(text)}{m.cycle()}")


@instruction("dbg.push", 0x505, DEBUG, cost=no_cost, nesting=1, since=(1, 1))
def push(m: Machine, text: Str) -> None:
    """Begin a named range in traces and profiles, within the one that is open; does nothing by itself.

    A range holds what the sequencer issues until its dbg.pop.

    Example:
        x5 = 1
        dbg.push "layer"
        dbg.push "attention"
        add x5, x5, 1
        dbg.pop
        dbg.pop
        x5 = 2
    """


@instruction("dbg.pop", 0x506, DEBUG, cost=no_cost, nesting=-1, since=(1, 1))
def pop() -> None:
    """End the innermost range that dbg.push has begun; does nothing by itself, nor where none is open.

    Example:
        x5 = 1
        dbg.push "layer"
        add x5, x5, 1
        dbg.pop
        x5 = 2
    """
