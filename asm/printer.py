"""Instructions as text, in the form that the assembler reads."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from sohu.asm.program import Program
from sohu.asm.syntax import quote
from sohu.isa import Inst, Label, format_sync
from sohu.isa.operands import Kind, Sem, Str, T


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
            if not o.keyword or v != o.default
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
