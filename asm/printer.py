"""Instructions as text, in the form that the assembler reads."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from typing import Any

import numpy as np
from sohu.asm.program import Program
from sohu.asm.syntax import quote
from sohu.isa import INSTRUCTION_BYTES, NUM_SEMAPHORES, NUM_TILES, Inst, Label, format_sync
from sohu.isa.instruction import format_signal, format_wait
from sohu.isa.operands import Array, Column, Kind, Sem, Str, T
from sohu.isa.vector import Decoded, Group, SyncColumns

_SYNC_COLUMN = 40


class Names:
    """What registers, semaphores and addresses of a program are called. Make one to print many instructions."""

    def __init__(self, program: Program | None = None) -> None:
        self.program = program
        self.labels: dict[int, str] = {}  # by pc
        self.data: dict[int, str] = {}  # by image offset
        self.kernels = [] if program is None else sorted(program.kernels.values(), key=lambda k: (k.entry, k.end))
        # per kernel, by number of the register or semaphore
        self.tiles: list[dict[int, str]] = [
            {p.reg: p.name for p in k.params if p.is_tensor} | {t.reg: t.name for t in k.tiles} for k in self.kernels
        ]
        self.semaphores = [{reg: name for name, reg in k.semaphores.items()} for k in self.kernels]
        if program is None:
            return
        for symbol in program.symbols.values():
            (self.labels if symbol.section == "text" else self.data).setdefault(symbol.address, symbol.name)
        for k in self.kernels:
            self.labels[k.entry] = k.name

    def kernel(self, pc: int) -> int | None:
        """Index of the kernel whose code holds `pc`."""
        i = bisect_right(self.kernels, pc, key=lambda k: k.entry) - 1
        return i if i >= 0 and pc < self.kernels[i].end else None

    def tile(self, pc: int, reg: int) -> str:
        """A tile register, as the code at `pc` calls it."""
        i = self.kernel(pc)
        return f"t{reg}" if i is None else self.tiles[i].get(reg, f"t{reg}")

    def semaphore(self, pc: int, sem: int) -> str:
        """A semaphore, as the code at `pc` calls it."""
        i = self.kernel(pc)
        return f"s{sem}" if i is None else self.semaphores[i].get(sem, f"s{sem}")

    def string(self, offset: int) -> str:
        """Operand text for a string at an image offset: the string, or the offset where there is none."""
        text = None if self.program is None else string_at(self.program, offset)
        return str(offset) if text is None else quote(text)

    def operand(self, kind: Kind, value: Any, pc: int) -> str:
        """One operand of the instruction at `pc`."""
        if isinstance(kind, T):
            return self.tile(pc, value)
        if isinstance(kind, Label):
            return self.labels.get(pc + value) or kind.format(value)
        if isinstance(kind, Str):
            return self.string(value)
        return self.semaphore(pc, value) if isinstance(kind, Sem) else kind.format(value)

    def parts(self, inst: Inst, pc: int) -> tuple[str, str, str]:
        """Mnemonic, operands, and wait and signal."""
        operands = [
            (f"{o.name}=" if o.keyword else "") + self.operand(o.kind, v, pc)
            for o, v in zip(inst.row.operands, inst.values, strict=True)
            if not o.keyword or o.kind.format(v) != o.kind.format(o.default)  # as text: 0.0 is not -0.0
        ]
        sync = format_sync(inst, lambda sem: self.semaphore(pc, sem)) if inst.wait or inst.signal else ""
        return inst.row.mnemonic, ", ".join(operands), sync


def string_at(program: Program, offset: int) -> bytes | None:
    """The zero-terminated UTF-8 text at an image offset, without its zero; None when there is none in .rodata."""
    start = offset - program.rodata_address
    if not 0 <= start < len(program.rodata):
        return None
    end = program.rodata.find(b"\0", start)
    if end < 0:
        return None
    text = program.rodata[start:end]
    try:
        text.decode()
    except UnicodeDecodeError:
        return None
    return text


def format_inst(inst: Inst, pc: int = 0, program: Program | Names | None = None) -> str:
    """One instruction on one line, with the names of the program's labels, tiles and semaphores.

    `pc` is where it stands. Pass Names instead of the program to print many.
    """
    names = program if isinstance(program, Names) else Names(program)
    mnemonic, operands, sync = names.parts(inst, pc)
    return f"{mnemonic} {operands}".rstrip() + (f"  {sync}" if sync else "")


class ColumnPrinter:
    """The instructions of a decoded program as text: what Names.parts does, a row of the table at a time."""

    def __init__(self, decoded: Decoded, names: Names) -> None:
        self.decoded = decoded
        self.names = names
        # The registers that code can name: first those outside of kernels, then those of each kernel
        self.tiles = _name_table("t", NUM_TILES, names.tiles)
        self.semaphores = _name_table("s", NUM_SEMAPHORES, names.semaphores)
        entries = np.array([k.entry for k in names.kernels], np.int64)
        ends = np.array([0, *(k.end for k in names.kernels)], np.int64)
        pc = np.arange(len(decoded)) * INSTRUCTION_BYTES
        kernel = np.searchsorted(entries, pc, side="right")
        self.scope = np.where(pc < ends[kernel], kernel, 0)  # 0: in no kernel

    def lines(self, indent: str = "") -> list[str]:
        """The text of each word, in columns: mnemonic, operands, wait and signal. A word that is no instruction
        is `.inst`."""
        out = np.empty(len(self.decoded), object)
        bad = np.flatnonzero(self.decoded.bad)
        words = zip(self.decoded.high[bad].tolist(), self.decoded.low[bad].tolist(), strict=True)
        out[bad] = [f"{indent}.inst {high << 64 | low:#034x}" for high, low in words]
        for group in self.decoded.groups:
            row, texts = group.row, self.operands(group)
            if not row.operands or row.operands[0].keyword:  # there may be nothing after the mnemonic
                out[group.at] = [f"{indent}{row.mnemonic:<10} {operands}".rstrip() for operands in texts]
            else:
                head = f"{indent}{row.mnemonic:<10} "
                out[group.at] = [head + operands for operands in texts]
            if group.sync is not None:
                width = len(indent) + _SYNC_COLUMN
                at, syncs = self.sync(group.sync, group.at)
                out[at] = [f"{text.ljust(width)}  {sync}" for text, sync in zip(out[at].tolist(), syncs, strict=True)]
        lines: list[str] = out.tolist()
        return lines

    def operands(self, group: Group) -> list[str]:
        """The operands of each instruction of a group; those that have their default are left out."""
        positional, keywords = [], []
        for o, column in zip(group.row.operands, group.operands, strict=True):
            texts = self.column(o.kind, column, group.at)
            if o.keyword:
                keywords.append((f"{o.name}=", o.kind.format(o.default), texts))
            else:
                positional.append(texts)
        out = list(map(", ".join, zip(*positional, strict=True))) if positional else [""] * len(group.at)
        for name, default, texts in keywords:
            for i, text in enumerate(texts):
                if text != default:
                    out[i] = f"{out[i]}, {name}{text}" if out[i] else name + text
        return out

    def column(self, kind: Kind, column: Column, at: Array) -> Sequence[str]:
        """One operand of the instructions at these places."""
        if isinstance(kind, T):
            return self.named(self.tiles, NUM_TILES, column.values, self.scope[at])
        if isinstance(kind, Sem):
            return self.named(self.semaphores, NUM_SEMAPHORES, column.values, self.scope[at])
        if isinstance(kind, Label):
            labels, by = self.names.labels, column.values.astype(np.int64)
            targets = (at * INSTRUCTION_BYTES + by).tolist()
            return [labels.get(t) or kind.format(v) for t, v in zip(targets, by.tolist(), strict=True)]
        if isinstance(kind, Str):
            return list(map(self.names.string, column.values.tolist()))
        return kind.format_column(column)

    def named(self, table: list[str], size: int, numbers: Array, scope: Array) -> list[str]:
        """What the code calls registers of a file that has so many."""
        return list(map(table.__getitem__, (scope * size + numbers).tolist()))

    def sync(self, sync: SyncColumns, at: Array) -> tuple[Array, list[str]]:
        """Waits and signals of the instructions at these places: where there are any, and their text."""
        out = np.full(len(at), "", object)
        waits, signals = np.flatnonzero(sync.waits), np.flatnonzero(sync.signals)
        sems = self.named(self.semaphores, NUM_SEMAPHORES, sync.wait_sem[waits], self.scope[at[waits]])
        out[waits] = list(map(format_wait, sems, sync.wait_reg[waits].tolist(), sync.wait_imm[waits].tolist()))
        out[np.flatnonzero(sync.waits & sync.signals)] += "  "
        sems = self.named(self.semaphores, NUM_SEMAPHORES, sync.signal_sem[signals], self.scope[at[signals]])
        out[signals] += list(map(format_signal, sems, sync.signal_inc[signals].tolist()))
        either = np.flatnonzero(sync.waits | sync.signals)
        return at[either], out[either].tolist()


def _name_table(file: str, size: int, scopes: Sequence[Mapping[int, str]]) -> list[str]:
    """Names of all registers of a file outside of kernels, then in each of them."""
    plain = [f"{file}{i}" for i in range(size)]
    table = list(chain(*repeat(plain, len(scopes) + 1)))
    for n, names in enumerate(scopes, 1):
        for reg, name in names.items():
            table[n * size + reg] = name
    return table
