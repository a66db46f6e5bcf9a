"""What a program says of its own code: lines, names, blocks, and where a kernel's prologue ends."""

from __future__ import annotations

import bisect
import functools
from pathlib import PurePath

from sohu.asm import Kernel, Line, Program
from sohu.asm.debuginfo import Scope
from sohu.asm.kernels import prologue
from sohu.isa import INSTRUCTION_BYTES, EncodingError, Flow, Inst, decode


class Symbols:
    """An index over a program. Everything in the program is untrusted: nothing here executes or imports it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        names = [(s.address, not s.is_global, s.name) for s in program.symbols.values() if s.section == "text"]
        names += [(k.entry, False, k.name) for k in program.kernels.values() if k.name not in program.symbols]
        self._names = sorted(names)
        self._insts: dict[int, Inst | None] = {}

    # -- instructions ------------------------------------------------------------------------------

    def inst(self, pc: int) -> Inst | None:
        """The instruction at `pc`; None outside .text, off an instruction's start, or where there is none."""
        if pc not in self._insts:
            self._insts[pc] = self._decode(pc) if self.is_code(pc) else None
        return self._insts[pc]

    def _decode(self, pc: int) -> Inst | None:
        try:
            return decode(int.from_bytes(self.program.text[pc : pc + INSTRUCTION_BYTES], "little"))
        except EncodingError:
            return None

    def is_code(self, pc: int) -> bool:
        """True where an instruction could stand."""
        return pc % INSTRUCTION_BYTES == 0 and 0 <= pc < len(self.program.text)

    @functools.cached_property
    def _leaders(self) -> list[int]:
        """Sorted pcs at which a straight piece of code begins."""
        leaders = {k.entry for k in self.program.kernels.values()} | {pc for pc, _, _ in self._names}
        for pc in range(0, len(self.program.text), INSTRUCTION_BYTES):
            inst = self.inst(pc)
            if inst is None or inst.row.flow is Flow.NEXT:
                continue
            leaders.add(pc + INSTRUCTION_BYTES)
            if (at := inst.row.label_operand) is not None:
                leaders.add(pc + inst.values[at])
        return sorted(leaders)

    def block_at(self, pc: int) -> int:
        """The start of the straight piece of code that holds `pc`."""
        i = bisect.bisect_right(self._leaders, pc) - 1
        return self._leaders[i] if i >= 0 else 0

    # -- names -------------------------------------------------------------------------------------

    def place(self, pc: int) -> tuple[str, int] | None:
        """The nearest name at or before `pc`, and the distance to it in bytes."""
        i = bisect.bisect_right(self._names, pc, key=lambda n: n[0]) - 1
        if i < 0:
            return None
        address = self._names[i][0]
        i = bisect.bisect_left(self._names, address, key=lambda n: n[0])  # of several, the global one
        return self._names[i][2], pc - address

    def code(self, name: str) -> int | None:
        """The pc of a label or kernel."""
        kernel = self.program.kernels.get(name)
        symbol = self.program.symbols.get(name)
        if kernel is not None:
            return kernel.entry
        return symbol.address if symbol is not None and symbol.section == "text" else None

    def code_names(self) -> list[str]:
        """All labels and kernels."""
        return sorted({name for _, _, name in self._names})

    def body(self, kernel: Kernel) -> int:
        """The pc after the prologue that the assembler put at a kernel's entry: its names have values there."""
        pc = kernel.entry
        for row, values in prologue(kernel.params, [(t.reg, t.address) for t in kernel.tiles]):
            inst = self.inst(pc)
            if inst is None or (inst.row, inst.values) != (row, values):
                return kernel.entry
            pc += INSTRUCTION_BYTES
        return pc if pc < kernel.end else kernel.entry

    # -- lines -------------------------------------------------------------------------------------

    def line_at(self, pc: int) -> Line | None:
        """The source place of an instruction; an entry counts only within the kernel in which it starts."""
        line = self.program.line_at(pc)
        if line is None or not self.is_code(pc):
            return None
        kernel = self.program.kernel_at(pc)
        return None if kernel is not None and line.pc < kernel.entry else line

    def files(self) -> list[str]:
        """Source files, in the order of their code."""
        return list(dict.fromkeys(line.file for line in self.program.lines))

    def matching(self, name: str) -> list[str]:
        """The source files that `name` can mean: the whole path, or its last parts."""
        wanted = PurePath(name).parts
        return [f for f in self.files() if f == name or PurePath(f).parts[-len(wanted) :] == wanted]

    @functools.cached_property
    def _inlined(self) -> list[tuple[Scope, int]]:
        """Every call that was inlined, and where its code begins."""
        out: list[tuple[Scope, int]] = []
        for k in self.program.debug.kernels:
            first: dict[int, int] = {}
            for run in k.scope_runs:
                for scope in k.chain(run.start):
                    first.setdefault(scope, k.entry + run.start * INSTRUCTION_BYTES)
            out += [(s, first[i]) for i, s in enumerate(k.scopes) if i and i in first]
        return out

    @functools.cached_property
    def _calls(self) -> dict[tuple[str, int], list[int]]:
        """Where the code begins that was inlined at a source line."""
        out: dict[tuple[str, int], list[int]] = {}
        for s, pc in self._inlined:
            out.setdefault(s.call[:2], []).append(pc)
        return out

    def inlined(self, function: str) -> list[int]:
        """Where the code of a function begins, once for each call that it was inlined at."""
        return sorted({pc for s, pc in self._inlined if s.function == function})

    def inlined_names(self) -> list[str]:
        """Functions that were inlined."""
        return sorted({s.function for s, _ in self._inlined})

    def lines_of(self, file: str) -> list[int]:
        """Lines of a file that have code, or call what was inlined."""
        own = {line.line for line in self.program.lines if line.file == file}
        return sorted(own | {line for f, line in self._calls if f == file})

    def pcs_of(self, file: str, number: int) -> list[int]:
        """Where the code of a source line begins: once per straight piece of code that has some of it."""
        found: dict[int, int] = {}
        before: tuple[str, int] | None = None
        for line in self.program.lines:
            here = (line.file, line.line)
            if here == (file, number) and here != before:
                found.setdefault(self.block_at(line.pc), line.pc)
            before = here
        return sorted(found.values()) or sorted(self._calls.get((file, number), ()))
