"""The assembler's second pass: fills in what names mean now that all are known, and makes the Object.

What only the linker can know becomes a relocation.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from sohu.asm.addresses import Address, Value
from sohu.asm.debuginfo import DebugInfo
from sohu.asm.diagnostics import Mistake
from sohu.asm.kernels import KernelScope
from sohu.asm.lines import Line, Lines
from sohu.asm.names import is_local
from sohu.asm.numbers import Number
from sohu.asm.objects import MIN_OPERAND_BITS, R_BRANCH, R_DATA, Binding, Object, ObjectSymbol, takes_address
from sohu.asm.operands import Deferred
from sohu.asm.origins import Origins
from sohu.asm.program import Kernel, TileSymbol
from sohu.asm.requirements import version_needed
from sohu.asm.syntax import Ref
from sohu.isa import INSTRUCTION_BYTES, TILE_BYTES

if TYPE_CHECKING:
    from sohu.asm.assembler import Assembler, Fixup, Pending


def finish(asm: Assembler) -> Object:
    """The object of a file that has been read; what is wrong goes to `asm.errors`."""
    _check_globals(asm)
    for pc, ordinal in asm.fast.resolve():
        asm.scope = _scope_at(asm, pc)
        asm.reread(pc, ordinal)
    for p in sorted(asm.pending, key=lambda p: p.here.offset):
        asm.scope = _scope_at(asm, p.here.offset)
        try:
            asm.put(p.here.offset, _word(asm, p))
        except Mistake as e:
            asm.errors.add(e, p.here.line)
    for f in asm.fixups:
        try:
            asm.rodata[f.here.offset : f.here.offset + f.size] = _number(asm, f)
        except Mistake as e:
            asm.errors.add(e, f.here.line)
    kernels = _kernels(asm)
    lines = _lines(asm)
    return Object(
        name=asm.filename,
        text=asm.text,
        tiles=asm.tiles,
        rodata=asm.rodata,
        strings=b"".join([text + b"\0" for text in asm.strings]),
        symbols=_symbols(asm, kernels),
        kernels=kernels,
        text_relocations=asm.relocations["text"],
        rodata_relocations=asm.relocations["rodata"],
        lines=lines,
        isa_version=version_needed(asm.text, kernels.values()),
        debug=DebugInfo(asm.described, lines),
        origins=_origins(asm) if asm.options.listing else None,
    )


def _check_globals(asm: Assembler) -> None:
    """Report `.globl` of what is no label."""
    for name, (ref, line) in asm.globals.items():
        if name not in asm.labels and name not in asm.extern and not asm.options.externals:
            hint = asm.errors.nearest(name, asm.labels)
            asm.errors.add(Mistake("A020", f"{name!r} is not defined", ref.span, help=hint), line)


# -- instructions and data -----------------------------------------------------------------------


def _scope_at(asm: Assembler, pc: int) -> KernelScope | None:
    """The kernel whose code holds `pc`."""
    i = bisect_right(asm.scopes, pc, key=lambda s: s[0].entry) - 1
    return asm.scopes[i][0] if i >= 0 and pc < asm.scopes[i][1] else None


def _word(asm: Assembler, p: Pending) -> int:
    """The word of an instruction whose operands waited; raises Mistake."""
    for i, v in enumerate(p.values):
        if isinstance(v, Deferred):
            value = asm.evaluate(v.node, p.here)
            p.values[i] = _target(asm, p, v, value) if v.meaning == "label" else _integer(asm, p, i, v, value)
    return asm.encode(p.row, p.values, p.sync, p.statement)


def _integer(asm: Assembler, p: Pending, position: int, v: Deferred, value: Value) -> Number:
    """What stands in the instruction for a number or the address of something; raises Mistake."""
    if not isinstance(value, Address):
        if isinstance(value, float) and v.meaning != "float":
            raise Mistake("A013", f"{v.text}: expected an integer, found {value}", v.node.span)
        return value
    if not takes_address(p.row, position):
        help = f"integers of {MIN_OPERAND_BITS} bits and more can hold one: li x5, label"
        raise Mistake("A013", f"{v.text}: an address does not go here", v.node.span, help=help)
    asm.relocate_operand(p.here.offset, position, value)
    return 0


def _target(asm: Assembler, p: Pending, v: Deferred, value: Value) -> int:
    """The displacement of a jump, 0 where the linker fills it in; raises Mistake."""
    if not isinstance(value, Address):
        what = f"{'number' if isinstance(value, float) else 'integer'} {value}"
        help = "for a distance, write .+16"
        raise Mistake("A013", f"{v.text}: expected label, found {what}", v.node.span, help=help)
    if value.section == "text":
        return value.offset - p.here.offset
    if value.section is not None:
        name = v.node.name if isinstance(v.node, Ref) else "this"
        raise Mistake("A013", f"{v.text}: {name!r} is data, no code", v.node.span)
    asm.relocate("text", p.here.offset, R_BRANCH, value)
    return 0


def _number(asm: Assembler, f: Fixup) -> bytes:
    """The bytes of a number in .rodata, zeros where the linker fills it in; raises Mistake."""
    value = asm.evaluate(f.node, f.here)
    if not isinstance(value, Address):
        return asm.packed(f.pack, f.node, value)
    if not f.whole:
        raise Mistake("A013", "an address is no float", f.node.span, help="put it after .quad")
    asm.relocate("rodata", f.here.offset, R_DATA[f.size], value)
    return bytes(f.size)


# -- what is known of them -----------------------------------------------------------------------


def _kernels(asm: Assembler) -> dict[str, Kernel]:
    """The kernels, their tiles counted from the beginning of the section of tiles."""
    kernels: dict[str, Kernel] = {}
    at = 0
    for scope, end in asm.scopes:
        tiles = []
        for name, reg, tile in scope.tiles:
            tiles.append(TileSymbol(name, reg, tile, at))
            at += TILE_BYTES
        sems = {d.name: d.reg or 0 for d in scope.declared.values() if d.file == "s"}
        params = tuple(scope.params)
        kernels[scope.name] = Kernel(scope.name, scope.entry, end, params, tuple(tiles), scope.bounds, sems)
    return kernels


def _symbols(asm: Assembler, kernels: dict[str, Kernel]) -> dict[str, ObjectSymbol]:
    """The symbol table: labels, and the names that other files define."""
    table = {}
    for name, place in asm.labels.items():
        if is_local(name):
            continue
        kernel = kernels.get(name)
        size = kernel.end - kernel.entry if kernel else 0
        binding = _binding(asm, name, is_shared=kernel is not None or name in asm.globals)
        table[name] = ObjectSymbol(name, place.section, place.offset, binding, size)
    used = {r.symbol for r in chain(*asm.relocations.values()) if r.symbol}
    for name in sorted(used - set(table)):
        table[name] = ObjectSymbol(name, None, binding=_binding(asm, name, is_shared=True))
    return table


def _binding(asm: Assembler, name: str, is_shared: bool) -> Binding:
    """Who sees a symbol."""
    if name in asm.weak:
        return "weak"
    return "global" if is_shared else "local"


def _lines(asm: Assembler) -> Lines:
    """The line table: by .loc if there is any, else of the sources themselves."""
    if asm.locations:
        return _given_lines(asm)
    files, file, line, moved = asm.sources.code_places(np.array(asm.word_lines))
    column = np.where(moved, 0, np.array(asm.word_columns))
    (at,) = np.nonzero(np.diff(line, prepend=0) | np.diff(file, prepend=0))
    return Lines(files, at * INSTRUCTION_BYTES, file[at], line[at], column[at])


def _origins(asm: Assembler) -> Origins:
    return Origins(asm.sources, asm.word_lines, asm.data_starts, asm.data_lines)


def _given_lines(asm: Assembler) -> Lines:
    """The line table by .loc."""
    lines: list[Line] = []
    size = len(asm.text) // INSTRUCTION_BYTES
    for i, (word, (file, line, column)) in enumerate(asm.locations):
        following = asm.locations[i + 1][0] if i + 1 < len(asm.locations) else size
        here = Line(word * INSTRUCTION_BYTES, file, line, column)
        if word < following and (not lines or replace(lines[-1], pc=here.pc) != here):
            lines.append(here)
    return Lines.of(lines)
