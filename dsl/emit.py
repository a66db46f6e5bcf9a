"""Machine IR to assembly text that a person can read: named tiles, columns, one .loc per source place."""

from __future__ import annotations

import re

from sohu.asm.debug_text import debug_text
from sohu.asm.debuginfo import KernelDebug
from sohu.asm.dwarf_info import files_of
from sohu.asm.syntax import quote
from sohu.dsl.ir import Function, MemType
from sohu.dsl.mir import MInst, MKernel, MLoop, MNode, Operand, VReg
from sohu.isa import Reg
from sohu.isa.operands import XFI, XI, Kind, T

MNEMONIC, OPERANDS = 12, 36


def emit(f: Function, kernel: MKernel, registers: dict[VReg, int]) -> str:
    """The assembly of a kernel."""
    return _Emitter(f, kernel, registers).run()


def with_debug(text: str, debug: KernelDebug) -> str:
    """The assembly of a kernel with what debuggers know of it, which comes after its code."""
    lines = text.removesuffix(_END).splitlines()
    files = {}
    for line in lines:
        found = _FILE.fullmatch(line)
        if found is None:
            break
        files[found[2]] = int(found[1])
    more = [name for name in files_of([debug]) if quote(name.encode()) not in files]
    known = len(files)
    files |= {quote(name.encode()): n for n, name in enumerate(more, known + 1)}
    lines[known:known] = [_file(n, name) for n, name in enumerate(more, known + 1)]
    numbers = {name: files[quote(name.encode())] for name in files_of([debug])}
    return "\n".join([*lines, *debug_text(debug, numbers)]) + "\n" + _END


_END = "        .endkernel\n"
_FILE = re.compile(r'        \.file   ([0-9]+) (".*")')


def _file(number: int, name: str) -> str:
    return f"        .file   {number} {quote(name.encode())}"


class _Emitter:
    def __init__(self, f: Function, kernel: MKernel, registers: dict[VReg, int]) -> None:
        self.f = f
        self.kernel = kernel
        self.registers = registers
        self.tile_names = {registers[b.reg]: b.name for b in kernel.buffers}
        self.tile_names |= {registers[a.reg]: a.name for b in kernel.buffers for a in b.aliases}
        self.tile_names |= {registers[r]: n for n, r in kernel.params.items() if r.bank == "t"}
        self.files: dict[str, int] = {}
        self.lines: list[str] = []
        self.labels = 0
        self.place: tuple[str, int, int] | None = None

    def run(self) -> str:
        head = [f"        .kernel {self.kernel.name}"]
        for p in self.f.params:
            reg = self.kernel.params[p.name]
            where = f", reg={reg.bank}{self.registers[reg]}" if reg in self.registers else ""
            if isinstance(p.value.type, MemType):
                dims = ", ".join(str(d) for d in p.dims)
                head.append(f"        .param  {p.name}, {p.direction}, {p.value.type.dtype}, [{dims}]{where}")
            else:
                head.append(f"        .param  {p.name}, {p.direction}{where}")
        head += [f"        .bound  {n}, {b}" for n, b in sorted(self.f.bounds.items())]
        for buf in self.kernel.buffers:
            dims = ", ".join(str(c) for c in buf.caps)
            at = f"t{self.registers[buf.reg]}"
            head.append(
                f"        .tile   {buf.name}, {buf.space}, {buf.dtype}, [{dims}], at={buf.address:#x}, reg={at}"
            )
            for a in buf.aliases:
                dims = ", ".join(str(c) for c in a.caps)
                at = f"t{self.registers[a.reg]}"
                head.append(f"        .tile   {a.name}, {buf.space}, {buf.dtype}, [{dims}], over={buf.name}, reg={at}")
        self.nodes(self.kernel.nodes)
        files = [_file(n, name) for name, n in self.files.items()]
        return "\n".join([*files, *head, *self.lines, _END])

    def nodes(self, nodes: list[MNode]) -> None:
        for n in nodes:
            if isinstance(n, MInst):
                self.inst(n)
                continue
            label = f".L{self.labels}"
            self.labels += 1
            self.loc(n)
            self.line("loop", f"{self.operand(XI(), n.count)}, {label}")
            self.nodes(n.body)
            self.lines.append(f"{label}:")

    def inst(self, n: MInst) -> None:
        self.loc(n)
        parts = []
        for o, v in zip(n.row.operands, n.operands, strict=True):
            if o.keyword:
                if v != o.default:
                    parts.append(f"{o.name}={self.operand(o.kind, v)}")
            else:
                parts.append(self.operand(o.kind, v))
        sync = []
        if n.wait is not None:
            reg = f"x{self.registers[n.wait.reg]}" if n.wait.reg is not None else ""
            imm = f"{n.wait.imm:+d}" if reg and n.wait.imm else "" if reg else str(n.wait.imm)
            sync.append(f"wait s{n.wait.sem}>={reg}{imm}")
        if n.signal is not None:
            sync.append(f"signal s{n.signal}")
        self.line(n.row.mnemonic, ", ".join(parts), "  ".join(sync))

    def line(self, mnemonic: str, operands: str, sync: str = "") -> None:
        text = f"        {mnemonic:<{MNEMONIC - 1}} {operands}"
        if sync:
            text = f"{text:<{8 + MNEMONIC + OPERANDS}}  {sync}"
        self.lines.append(text.rstrip())

    def operand(self, kind: Kind, v: Operand) -> str:
        if isinstance(v, VReg):
            number = self.registers[v]
            if isinstance(kind, T):
                return self.tile_names.get(number, f"t{number}") if v.pinned else f"t{number}"
            return kind.format(Reg(number)) if isinstance(kind, (XI, XFI)) else f"x{number}"
        return kind.format(v)

    def loc(self, n: MInst | MLoop) -> None:
        if n.loc is None:
            return
        place = (n.loc.file, n.loc.line, n.loc.column)
        if place != self.place:
            self.place = place
            number = self.files.setdefault(n.loc.file, len(self.files) + 1)
            self.lines.append(f"        .loc    {number} {n.loc.line} {n.loc.column}")
