"""The loops in which a machine runs: whole blocks at a time where nothing listens, else instruction by instruction.

Whoever asks a running machine for something sets its quota below the count of instructions, so that no further block
begins; what was asked is looked at here, between two instructions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from sohu.emulator.blocks import LONGEST, Untranslated, at
from sohu.emulator.limits import CtrlC, Watch
from sohu.emulator.parts import Stop
from sohu.emulator.translate import Deadlock, Halted
from sohu.emulator.workers import at_work
from sohu.isa import INSTRUCTION_BYTES, Fault, SohuError

if TYPE_CHECKING:
    from sohu.emulator.machine import Machine

Until = Callable[["Machine"], bool] | Collection[int] | None
When = Callable[[], bool] | None

FOREVER = 1 << 62  # instructions
# What NumPy raises when semantics meet operands they cannot take
REFUSALS = (ValueError, TypeError, IndexError, ArithmeticError)


def run(
    machine: Machine, until: Until, until_cycle: int | None = None, until_instruction: int | None = None,
    when: When = None,
) -> Stop:  # fmt: skip
    """Machine.run, for a machine that may have been interrupted already."""
    last = FOREVER if until_instruction is None else until_instruction
    if machine.halted:
        return Stop.HALTED
    if machine.instructions >= last:
        return Stop.BREAKPOINT
    machine.hits.clear()
    if until_cycle is not None:
        return _to_cycle(machine, until_cycle, until, last, when)
    return _within_limits(machine, until, last, when)


def _to_cycle(m: Machine, cycle: int, until: Until, last: int, when: When) -> Stop:
    if not m.order.timed:
        raise SohuError("only timed order can stop at a cycle", help="Device(schedule='timed')")
    if m.group is not None:
        raise SohuError("chips of a group come to a cycle together", help="run the group to it")
    assert m.timer is not None
    m.timer.limit = m.timer.until = cycle
    try:
        why = _within_limits(m, until, last, when)
        if why is Stop.BLOCKED:
            with np.errstate(all="ignore"), at_work(m.workers, m.native):
                m.timer.catch_up()
            why = Stop.CYCLE
        return why
    finally:
        m.timer.limit = m.timer.until = inf


def _within_limits(m: Machine, until: Until, last: int, when: When) -> Stop:
    with CtrlC(m.interrupt):
        if m.max_seconds is None and m.max_memory is None:
            return _run(m, until, last, when)
        began = time.monotonic()
        left = None if m.max_seconds is None else m.max_seconds - m._seconds
        watch = Watch(m.interrupt, seconds=left, limit=m.max_seconds, memory=m.max_memory, base=m._base)
        try:
            with watch:
                why = _run(m, until, last, when)
        finally:
            m._seconds += time.monotonic() - began
        if watch.why and why is Stop.INTERRUPTED:
            m.stop(Fault("limit", watch.why), m.op)
        return why


def _run(m: Machine, until: Until, last: int, when: When) -> Stop:
    if m.group is not None:
        m.group.begin_turn()
    stops = None
    if until is not None and not callable(until):
        stops = frozenset(pc // INSTRUCTION_BYTES for pc in until)
    with np.errstate(all="ignore"), at_work(m.workers, m.native):
        if m.schedule is None and m.timer is None and not m.listeners and not callable(until):
            if m.group is not None:
                m.pump()  # what others have sent or done since
            if not m.ending:
                return _fast(m, stops or frozenset(), last, when)
        m.memories.settle()
        while True:
            if m._poked:
                _answer(m)
            if not m._step():
                return Stop.BREAKPOINT if m.hits else Stop.BLOCKED
            if m.halted:
                return Stop.HALTED
            if m.instructions >= last or m.hits:
                return Stop.BREAKPOINT
            if stops is not None and m._index in stops and (when is None or when()):
                return Stop.BREAKPOINT
            if callable(until) and until(m):
                return Stop.BREAKPOINT
            if m._interrupted:
                return Stop.INTERRUPTED


def _answer(m: Machine) -> None:
    """Somebody has poked the machine, which stands between two instructions."""
    m._poked = False
    if m.poked is not None:
        m.poked()


def _fast(m: Machine, stops: frozenset[int], last: int, when: When) -> Stop:
    """Whole blocks at a time, and single instructions in those that hold a stop and near the last instruction."""
    count, quota = m.count, m.quota
    blocks = m.hooks.blocks(m._code)
    run, one, single = blocks.run, blocks.one, blocks.around(stops)
    most = last if m.max_instructions is None else min(last, m.max_instructions)
    i = m._index
    try:
        while True:
            quota[0] = most - LONGEST
            if m._poked:
                m._index = m.at = i
                _answer(m)
                continue
            if m.hits:
                return Stop.BREAKPOINT
            if m._interrupted:
                return Stop.INTERRUPTED
            try:
                if not stops:
                    while count[0] < quota[0]:
                        i = run[i]()
                else:
                    while count[0] < quota[0]:
                        i = one(i) if i in single else run[i]()
                        if i in stops:
                            m._index = m.at = i
                            if when is None or when():
                                return Stop.BREAKPOINT
            except Untranslated:
                blocks.first(i)
                continue
            while not (m._interrupted or m._poked or m.hits):
                m._index = i
                m._check_limit()
                i = one(i)
                if count[0] >= last:
                    return Stop.BREAKPOINT
                if i in stops:
                    m._index = m.at = i
                    if when is None or when():
                        return Stop.BREAKPOINT
    except Halted as e:
        i = _raised(m, e.__traceback__)
        count[0] += 1
        m._index = i
        if not m._finish():
            return Stop.BLOCKED
        m.memories.deferrals.settle_changing()
        return Stop.HALTED
    except Deadlock as e:
        i = _raised(m, e.__traceback__)
        m._index = i
        if m.group is None:
            m.stop(e, m._code.op(i))
        return Stop.BLOCKED
    except (Fault, MemoryError, *REFUSALS) as e:
        i = _raised(m, e.__traceback__)
        m._index = i
        m.stop(e, m._code.op(i))
    except BaseException as e:
        i = _raised(m, e.__traceback__)
        raise
    finally:
        m._index = i
        if not m.halted:
            m.memories.settle()


def _raised(m: Machine, trace: TracebackType | None) -> int:
    """The instruction at which a block was left by an exception; counts those of the block before it."""
    found = at(trace)
    if found is None:
        return m.at
    start, index = found
    m.count[0] += index - start
    return index
