"""One instruction at a time with the checkers' hooks around it: for blocks that are not compiled (emulator/blocks.py).

Blocks that are compiled have the same calls written into them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sohu.emulator.checks.registry import Hooks
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Code, Op

Run = Callable[[], int]


def observed(op: Op, code: Code, hooks: Hooks) -> Run:
    """`op.run` with the hooks called: what executes the instruction, and gives the index of the next one."""
    if op.queue is not None:
        return (_shared if op.inst is not None and op.inst.row.shared else _engine)(op, code, hooks)
    if op.inst is None or (op.wait is None and op.bind is None and not op.inst.row.takes_machine and not op.signal):
        return op.run
    return _sequencer(op, code.machine, hooks)


def _sequencer(op: Op, machine: Machine, hooks: Hooks) -> Run:
    run, wait, bind = op.run, op.wait, op.bind

    def watched() -> int:
        hooks.op = op
        value = 0
        if wait is not None:
            if not machine.reached(wait):
                return run()  # which says that it never will be
            value = machine.x[wait.reg] + wait.imm
            for waited in hooks.waited:
                waited(op, value)
        if bind is None:
            return run()
        bound = bind()
        for before in hooks.before:
            before(op, bound, value)
        following = run()
        for after in hooks.after:
            after(op, bound, value)
        return following

    return watched


def _engine(op: Op, code: Code, hooks: Hooks) -> Run:
    machine, issued = code.machine, code.issued
    assert op.queue is not None and op.bind is not None
    entries, bind, scalars, signal, index = op.queue.entries, op.bind, op.scalars, op.signal, op.index
    sems, x, loops, perform = machine.sems, machine.x, machine.loops, machine.perform
    sem, reg, imm = (op.wait.sem, op.wait.reg, op.wait.imm) if op.wait is not None else (-1, 0, 0)

    def watched() -> int:
        machine.drained = False
        bound = bind()
        values = [read() for _, read in scalars] if scalars else ()
        value = x[reg] + imm
        if entries or (sem >= 0 and sems[sem] < value):
            entry = issued(op, bound, partial(bound.invoke, *values) if scalars else bound.invoke, value)
            machine.park(entry)
            for parked in hooks.parked:
                parked(entry)
        else:
            for before in hooks.before:
                before(op, bound, value)
            perform(bound, *values)
            for after in hooks.after:
                after(op, bound, value)
            if signal is not None:
                hooks.op = op
                machine.signal(signal)
        return machine.arrive(index + 1) if loops else index + 1

    return watched


def _shared(op: Op, code: Code, hooks: Hooks) -> Run:
    """By way of the queue, always: other chips may have a part in it."""
    machine, issued, loops, index = code.machine, code.issued, code.machine.loops, op.index

    def watched() -> int:
        machine.drained = False
        bound, invoke = op.call()
        entry = issued(op, bound, invoke, machine.value(op.wait) if op.wait is not None else 0)
        machine.park(entry)
        for parked in hooks.parked:
            parked(entry)
        machine.pump()
        return machine.arrive(index + 1) if loops else index + 1

    return watched
