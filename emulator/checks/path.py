"""Program order under checkers: the fast path, one instruction at a time, with the hooks called around it.

Copies are deferred here as there, and results are the same; whole blocks are not compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sohu.emulator.translate import Code, Issued, Op

if TYPE_CHECKING:
    from sohu.emulator.checks.registry import Hooks
    from sohu.emulator.machine import Machine

Run = Callable[[], int]


class Watched:
    """A program's instructions as functions that execute them, watched, and return the index of the next one."""

    def __init__(self, code: Code, machine: Machine, hooks: Hooks) -> None:
        self.code = code
        self.machine = machine
        self.hooks = hooks
        self.run: list[Run] = [partial(self._first, i) for i in range(code.size + 1)]

    def _first(self, index: int) -> int:
        op = self.code.op(index)
        run = self.run[index] = self._engine(op) if op.queue is not None else self._sequencer(op)
        return run()

    def _sequencer(self, op: Op) -> Run:
        machine, hooks, count, run, index = self.machine, self.hooks, self.machine.count, op.run, op.index
        if op.inst is None or (op.wait is None and op.bind is None and not op.inst.row.takes_machine and not op.signal):

            def plain() -> int:
                machine.at = index
                following = run()
                count[0] += 1
                return following

            return plain
        wait, bind = op.wait, op.bind

        def watched() -> int:
            machine.at = index
            hooks.op = op
            value = 0
            if wait is not None:
                if not machine.reached(wait):
                    return run()  # which says that it never will be
                value = machine.x[wait.reg] + wait.imm
                for waited in hooks.waited:
                    waited(op, value)
            if bind is None:
                following = run()
            else:
                bound = bind()
                for before in hooks.before:
                    before(op, bound, value)
                following = run()
                for after in hooks.after:
                    after(op, bound, value)
            count[0] += 1
            return following

        return watched

    def _engine(self, op: Op) -> Run:
        machine, hooks, count, index = self.machine, self.hooks, self.machine.count, op.index
        assert op.queue is not None and op.bind is not None
        entries, bind, scalars, signal = op.queue.entries, op.bind, op.scalars, op.signal
        sems, x, loops, perform = machine.sems, machine.x, machine.loops, machine.perform
        sem, reg, imm = (op.wait.sem, op.wait.reg, op.wait.imm) if op.wait is not None else (-1, 0, 0)
        befores, afters = hooks.before, hooks.after
        if op.inst is not None and op.inst.row.shared:
            return self._shared(op)

        def watched() -> int:
            machine.at = index
            machine.drained = False
            bound = bind()
            values = [read() for _, read in scalars] if scalars else ()
            value = x[reg] + imm
            if entries or (sem >= 0 and sems[sem] < value):
                issued = Issued(op, bound, partial(bound.invoke, *values) if scalars else bound.invoke, value)
                machine.park(issued)
                for parked in hooks.parked:
                    parked(issued)
            else:
                for before in befores:
                    before(op, bound, value)
                perform(bound, *values)
                for after in afters:
                    after(op, bound, value)
                if signal is not None:
                    hooks.op = op
                    machine.signal(signal)
            count[0] += 1
            return machine.arrive(index + 1) if loops else index + 1

        return watched

    def _shared(self, op: Op) -> Run:
        """By way of the queue, always: other chips may have a part in it."""
        machine, hooks, count, loops, index = self.machine, self.hooks, self.machine.count, self.machine.loops, op.index

        def watched() -> int:
            machine.at = index
            machine.drained = False
            bound, invoke = op.call()
            issued = Issued(op, bound, invoke, machine.value(op.wait) if op.wait is not None else 0)
            machine.park(issued)
            for parked in hooks.parked:
                parked(issued)
            machine.pump()
            count[0] += 1
            return machine.arrive(index + 1) if loops else index + 1

        return watched
