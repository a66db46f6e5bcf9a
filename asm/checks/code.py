"""An assembled program as static checks look at it: instructions, basic blocks, who leads where."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from sohu.asm.program import Kernel, Program
from sohu.isa import INSTRUCTION_BYTES, Flow, Inst, Row
from sohu.isa.machine import RA
from sohu.isa.operands import Array, XOut
from sohu.isa.vector import Decoded, Group, decode_all

# What follows the flow of values is done for kernels of at most this many instructions in all: it takes time, and
# longer ones are no one's handwriting.
MAX_FOLLOWED = 5_000

_PART = 1024  # instructions that are made at a time


@dataclass(slots=True)
class Block:
    """Instructions [start, end) that run one after the other. Successors are indices of instructions."""

    start: int
    end: int
    next: list[int] = field(default_factory=list)  # where it goes on, after a call too
    calls: list[int] = field(default_factory=list)  # functions it calls


@dataclass(frozen=True, slots=True)
class Loop:
    """A hardware loop: its instruction, and its body [start, end)."""

    at: int
    start: int
    end: int


class Code:
    """A program, decoded. Instructions are numbered from 0.

    `outside`: the first instruction that is not the program's own: from there on stands one for each function that
    another file defines. `labels`: those that nobody else knows: where they stand in .text, or None for data.
    `named`: all words of the source, those that define a label aside.
    """

    def __init__(
        self,
        program: Program,
        outside: int | None = None,
        labels: Mapping[str, int | None] | None = None,
        named: Callable[[], Set[str]] = frozenset,
    ) -> None:
        self.program = program
        self.labels = labels or {}
        self.named = named
        self.decoded: Decoded = decode_all(program.text)
        self.size = len(self.decoded)
        self.outside = self.size if outside is None else outside
        self.kernels = sorted(program.kernels.values(), key=lambda k: k.entry)
        self._parts: dict[int, list[Inst | None]] = {}
        self.kept: dict[str, Any] = {}  # what checks keep for one another, each under its own name
        self._entries = [k.entry // INSTRUCTION_BYTES for k in self.kernels]

    def kernel_of(self, index: int) -> Kernel | None:
        """The kernel whose code holds an instruction."""
        i = bisect_right(self._entries, index) - 1
        return self.kernels[i] if i >= 0 and index * INSTRUCTION_BYTES < self.kernels[i].end else None

    @staticmethod
    def within(group: Group, where: range) -> slice:
        """Which instructions of a group are among `where`."""
        low, high = np.searchsorted(group.at, (where.start, where.stop)).tolist()
        return slice(low, high)

    @staticmethod
    def range_of(kernel: Kernel) -> range:
        """The instructions of a kernel."""
        return range(kernel.entry // INSTRUCTION_BYTES, kernel.end // INSTRUCTION_BYTES)

    def inst(self, index: int) -> Inst | None:
        """An instruction; None for a word that is none. They are made where they are asked for."""
        part, at = divmod(index, _PART)
        if part not in self._parts:
            start = part * _PART * INSTRUCTION_BYTES
            self._parts[part] = decode_all(self.program.text[start : start + _PART * INSTRUCTION_BYTES]).insts()
        return self._parts[part][at]

    @cached_property
    def jumps(self) -> dict[int, tuple[Row, int]]:
        """Instructions after which another than the next one may run: their row, and the index of their label."""
        out: dict[int, tuple[Row, int]] = {}
        for g in self.decoded.groups:
            if g.row.flow is Flow.NEXT:
                continue
            label = g.row.label_operand
            targets = g.at if label is None else g.at + np.array(g.operands[label].tolist()) // INSTRUCTION_BYTES
            out.update((i, (g.row, t)) for i, t in zip(g.at.tolist(), targets.tolist(), strict=True))
        return out

    @cached_property
    def loops(self) -> list[Loop]:
        """Hardware loops whose bodies make sense, in order."""
        found = ((i, t) for i, (row, t) in sorted(self.jumps.items()) if row.flow is Flow.LOOP)
        return [Loop(i, i + 1, end) for i, end in found if i + 1 < end <= self.size]

    @cached_property
    def blocks(self) -> dict[int, Block]:
        """The basic blocks by their first instruction, in order."""
        leaders = {0, *self._entries, *(k.end // INSTRUCTION_BYTES for k in self.kernels)}
        leaders.update(s.address // INSTRUCTION_BYTES for s in self.program.symbols.values() if s.section == "text")
        for i, (row, target) in self.jumps.items():
            leaders.add(i + 1)
            if row.label_operand is not None:
                leaders.add(target)
        for i in np.flatnonzero(self.decoded.bad).tolist():
            leaders.update((i, i + 1))
        starts = sorted(i for i in leaders if 0 <= i < self.size)
        again: dict[int, list[Loop]] = {}
        for loop in self.loops:
            again.setdefault(loop.end, []).append(loop)
        blocks = {}
        for start, end in zip(starts, [*starts[1:], self.size], strict=True):
            block = Block(start, end)
            self._leave(block)
            for to in block.next[:]:  # the end of a loop's body leads back to its beginning
                block.next += [loop.start for loop in again.get(to, ()) if loop.start <= end - 1 < loop.end]
            blocks[start] = block
        return blocks

    def blocks_of(self, where: range) -> list[Block]:
        """The blocks that begin in `where`."""
        low, high = bisect_left(self._starts, where.start), bisect_left(self._starts, where.stop)
        return [self.blocks[i] for i in self._starts[low:high]]

    @cached_property
    def _starts(self) -> list[int]:
        return list(self.blocks)

    def _leave(self, block: Block) -> None:
        last = block.end - 1
        if self.decoded.bad[last]:
            return
        row, target = self.jumps.get(last, (None, 0))
        flow = row.flow if row else Flow.NEXT
        if flow in (Flow.NEXT, Flow.BRANCH, Flow.CALL, Flow.LOOP):
            block.next.append(block.end)
        if flow in (Flow.BRANCH, Flow.JUMP, Flow.LOOP):
            block.next.append(target)
        if flow is Flow.CALL:
            block.calls.append(target)

    @cached_property
    def computes_returns(self) -> bool:
        """True when the program makes return addresses itself: then it can go anywhere."""
        for g in self.decoded.groups:
            for o, column in zip(g.row.operands, g.operands, strict=True):
                if isinstance(o.kind, XOut) and not g.row.takes_machine and (column.values == RA).any():
                    return True
        return False

    @cached_property
    def entered(self) -> set[int]:
        """Where others enter the program: kernels and global labels."""
        symbols = self.program.symbols.values()
        return set(self._entries).union(
            s.address // INSTRUCTION_BYTES for s in symbols if s.section == "text" and s.is_global
        )

    @cached_property
    def roots(self) -> list[int]:
        """Where it can begin to run: there, or in a fragment without any such place at its start and all labels."""
        symbols = self.program.symbols.values()
        anywhere = {0, *(s.address // INSTRUCTION_BYTES for s in symbols if s.section == "text")}
        return sorted(i for i in self.entered or anywhere if i < self.size)

    @cached_property
    def reached(self) -> set[int]:
        """The blocks that can run, by their first instruction."""
        return self.reach(self.roots, calls=True)

    def reach(self, roots: list[int], *, calls: bool) -> set[int]:
        """The blocks that can run from `roots` on; `calls`: also those of functions that are called."""
        seen: set[int] = set()
        todo = [i for i in roots if i in self.blocks]
        while todo:
            at = todo.pop()
            if at in seen:
                continue
            seen.add(at)
            block = self.blocks[at]
            todo += [i for i in (*block.next, *(block.calls if calls else ())) if i in self.blocks]
        return seen

    def followed(self) -> Iterator[tuple[Kernel, list[Block]]]:
        """The kernels whose values are followed, each with the blocks that run from its entry on, in order."""
        left = MAX_FOLLOWED
        for kernel in self.kernels:
            entry = kernel.entry // INSTRUCTION_BYTES
            if entry >= self.size:
                continue
            blocks = [self.blocks[i] for i in sorted(self.reach([entry], calls=True))]
            left -= sum(b.end - b.start for b in blocks)
            if left < 0:
                return
            yield kernel, blocks


def distinct(numbers: Array) -> set[int]:
    """The different numbers in an array of small ones (registers, semaphores)."""
    return set(np.flatnonzero(np.bincount(numbers)).tolist())
