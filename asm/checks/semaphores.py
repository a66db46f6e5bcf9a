"""Semaphores that nobody signals, that nobody waits for, or that are waited for in vain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sohu.asm.checks.code import Code, distinct
from sohu.asm.checks.registry import Declaration, Finding, check
from sohu.isa import NUM_SEMAPHORES
from sohu.isa.operands import Array, Sem

_NO_WAITS = np.zeros((0, 4), np.int64)
_NO_SIGNALS = np.zeros((0, 3), np.int64)


@dataclass(frozen=True, slots=True)
class _Uses:
    """What a piece of code does with semaphores."""

    waits: Array  # [n, 4]: instruction, semaphore, register, immediate
    signals: Array  # [n, 3]: instruction, semaphore, increment
    named: set[int]  # operands of instructions

    @property
    def waited(self) -> set[int]:
        """Semaphores that something waits for, or that an operand names."""
        return self.named | distinct(self.waits[:, 1])

    @property
    def signalled(self) -> set[int]:
        """Semaphores that something signals, or that an operand names."""
        return self.named | distinct(self.signals[:, 1])


def _uses(code: Code, where: range) -> _Uses:
    waits, signals, named = [_NO_WAITS], [_NO_SIGNALS], set()
    for g in code.decoded.groups:
        here = code.within(g, where)
        for o, column in zip(g.row.operands, g.operands, strict=True):
            if isinstance(o.kind, Sem):
                named |= distinct(column.values[here])
        if (s := g.sync) is not None:
            some = s.waits[here]
            waits.append(_table(here, some, g.at, s.wait_sem, s.wait_reg, s.wait_imm))
            some = s.signals[here]
            signals.append(_table(here, some, g.at, s.signal_sem, s.signal_inc))
    return _Uses(np.concatenate(waits), np.concatenate(signals), named)


def _table(here: slice, some: Array, *columns: Array) -> Array:
    return np.stack([c[here][some].astype(np.int64) for c in columns], axis=1)


def _first_of_each(uses: Array, but: set[int]) -> Iterator[tuple[int, int]]:
    """(semaphore, first instruction) for each semaphore in a table of uses but these."""
    first = np.full(NUM_SEMAPHORES, np.iinfo(np.int64).max)
    np.minimum.at(first, uses[:, 1], uses[:, 0])
    for sem in sorted(distinct(uses[:, 1]) - but):
        yield sem, int(first[sem])


@dataclass(frozen=True, slots=True)
class _Piece:
    """Code whose semaphores are its own: a kernel, or the whole program where kernels share code."""

    kernel: str
    names: dict[int, str]  # of its semaphores
    where: range
    uses: _Uses


def _pieces(code: Code) -> list[_Piece]:
    """The pieces of a program; kept in `code.kept`, since each check wants them."""
    pieces: list[_Piece] = code.kept.get("semaphores", [])
    if pieces or not code.kernels:
        return pieces
    if code.outside < code.size:
        return []  # another file may signal them
    own = {
        k.name: all(to in where for b in code.blocks_of(where) for to in (*b.next, *b.calls))
        for k, where in ((k, code.range_of(k)) for k in code.kernels)
    }
    if all(own.values()):
        ranges = [(k, code.range_of(k)) for k in code.kernels]
    else:
        ranges = [(k, range(code.size)) for k in code.kernels] if len(own) == 1 else []
    for k, where in ranges:
        names = {number: name for name, number in k.semaphores.items()}
        pieces.append(_Piece(k.name, names, where, _uses(code, where)))
    code.kept["semaphores"] = pieces
    return pieces


@check("W040", "never-signalled")
def never_signalled(code: Code) -> Iterator[Finding]:
    """A wait for what no instruction signals: it never ends."""
    for p in _pieces(code):
        waits = p.uses.waits
        ever = waits[(waits[:, 2] != 0) | (waits[:, 3] > 0)]
        for sem, at in _first_of_each(ever, p.uses.signalled):
            name = p.names.get(sem, f"s{sem}")
            message = f"this waits for {name!r}, and nothing signals it"
            yield Finding("W040", message, at, "wait", f"let an instruction before it signal {name}")


@check("W041", "never-waited")
def never_waited(code: Code) -> Iterator[Finding]:
    """A semaphore that is signalled and means nothing to anybody."""
    for p in _pieces(code):
        for sem, at in _first_of_each(p.uses.signals, p.uses.waited):
            name = p.names.get(sem, f"s{sem}")
            message = f"this signals {name!r}, and nothing waits for it"
            yield Finding("W041", message, at, "signal", f"is `wait {name}>=...` missing somewhere?")


@check("W042", "wait-too-high")
def wait_too_high(code: Code) -> Iterator[Finding]:
    """A wait for more signals than there can be, in code that runs each instruction once."""
    for p in _pieces(code):
        if any(to <= b.start for b in code.blocks_of(p.where) for to in (*b.next, *b.calls)):
            continue  # something can run again
        most = np.bincount(p.uses.signals[:, 1], p.uses.signals[:, 2], NUM_SEMAPHORES)
        waits = p.uses.waits
        reach = most[waits[:, 1]]
        for at, sem, _, imm in waits[(waits[:, 2] == 0) & (waits[:, 3] > reach) & (reach > 0)].tolist():
            if sem not in p.uses.named:
                name = p.names.get(sem, f"s{sem}")
                message = f"this waits for {name!r} to reach {imm}, and its signals add up to {int(most[sem])}"
                yield Finding("W042", message, at, "wait")


@check("W052", "unused-semaphore")
def unused_semaphore(code: Code) -> Iterator[Finding]:
    """A semaphore with a name that nothing uses."""
    for p in _pieces(code):
        for sem, name in sorted(p.names.items()):
            if sem not in p.uses.waited and sem not in p.uses.signalled:
                yield Finding("W052", f"semaphore {name!r} is not used", Declaration(p.kernel, name))
