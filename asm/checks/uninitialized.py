"""Registers that are read before anything was written to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sohu.asm.checks.code import Block, Code
from sohu.asm.checks.registry import Finding, check
from sohu.isa import INSTRUCTION_BYTES, NUM_SCALARS, Inst, Row
from sohu.isa.machine import ARGS, GP, RA, SP
from sohu.isa.operands import XI, Reg, T, X

# Registers are bits: scalars first, then tiles.
_AT_ENTRY = sum(1 << reg for reg in (0, RA, SP, GP, ARGS))
_ALL = -1


@check("W022", "uninitialized")
def uninitialized(code: Code) -> Iterator[Finding]:
    """The first such read of each register: no way to it writes the register."""
    for kernel, blocks in code.followed():
        entry = kernel.entry // INSTRUCTION_BYTES
        by_start = {b.start: b for b in blocks}
        written = _written(code, entry, by_start)
        done = 0
        for start, block in sorted(by_start.items()):
            now = written[start]
            for at in range(block.start, block.end):
                inst = code.inst(at)
                if inst is None:
                    continue
                for mask, operand in _reads(inst):
                    if mask & ~now & ~done:
                        done |= mask
                        yield _finding(at, mask, operand)
                now |= _writes(inst)


def _finding(at: int, mask: int, operand: str) -> Finding:
    reg = mask.bit_length() - 1
    if reg >= NUM_SCALARS:
        message = f"t{reg - NUM_SCALARS} is used before a descriptor was loaded into it"
        return Finding("W022", message, at, operand, "load one with tld, or declare a .tile or .param")
    message = f"x{reg} is read before anything was written to it: it is 0"
    return Finding("W022", message, at, operand, "write zero if 0 is meant")


def _written(code: Code, entry: int, blocks: dict[int, Block]) -> dict[int, int]:
    """The registers that something may have been written to, before each block."""
    before = dict.fromkeys(blocks, 0)
    before[entry] = _AT_ENTRY
    todo = {entry}
    while todo:
        start = min(todo)
        todo.remove(start)
        block = blocks[start]
        now = before[start]
        for at in range(block.start, block.end):
            inst = code.inst(at)
            if inst is not None:
                now |= _writes(inst)
        for to, after in [(to, now) for to in block.calls] + [(to, _ALL if block.calls else now) for to in block.next]:
            if to in blocks and after & ~before[to]:
                before[to] |= after
                todo.add(to)
    return before


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which operands of a row are registers: (position, name, first bit)."""

    reads: tuple[tuple[int, str, int], ...]
    either: tuple[tuple[int, str], ...]  # a register or a number
    writes: tuple[tuple[int, int], ...]


_PLANS: dict[Row, _Plan] = {}


def _plan(row: Row) -> _Plan:
    if row not in _PLANS:
        reads, either, writes = [], [], []
        for i, o in enumerate(row.operands):
            if isinstance(o.kind, XI):
                either.append((i, o.name))
            elif isinstance(o.kind, (X, T)):
                first = NUM_SCALARS if isinstance(o.kind, T) else 0
                if o.kind.writes:
                    writes.append((i, first))
                else:
                    reads.append((i, o.name, first))
        _PLANS[row] = _Plan(tuple(reads), tuple(either), tuple(writes))
    return _PLANS[row]


def _reads(inst: Inst) -> Iterator[tuple[int, str]]:
    plan, values = _plan(inst.row), inst.values
    for i, name, first in plan.reads:
        yield 1 << first + values[i], name
    for i, name in plan.either:
        if isinstance(values[i], Reg):
            yield 1 << values[i].index, name
    if inst.wait is not None:
        yield 1 << inst.wait.reg, "wait"


def _writes(inst: Inst) -> int:
    mask = 0
    for i, first in _plan(inst.row).writes:
        mask |= 1 << first + inst.values[i]
    return mask
