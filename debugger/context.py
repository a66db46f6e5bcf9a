"""The context: what one wants to see at every stop, in panels. `PANELS` draws each as lines.

The full-screen mode shows the same panels, in panes of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from sohu.debugger.changes import Changes, TileChange, by_name, describe_place, sample
from sohu.debugger.display import instruction_line, place_name, short, source_line
from sohu.debugger.source import is_python
from sohu.debugger.style import clip, visible
from sohu.debugger.views import statistics
from sohu.isa import INSTRUCTION_BYTES, Fault, Tile, fp4x2
from sohu.isa.numerics import unpack_fp4

if TYPE_CHECKING:
    from sohu.asm import Line
    from sohu.debugger.shell import Shell
    from sohu.emulator import Issued

SOURCE_AROUND = 3  # lines before and after the one at hand
CODE_BEFORE, CODE_AFTER = 2, 4  # instructions
SHOWN_TILES, SHOWN_REGISTERS, SHOWN_ENTRIES = 8, 12, 3
LOOKED_AT = 16 << 10  # elements of a tile from which its statistics are made


def rule(shell: Shell, title: str, width: int) -> str:
    """`── title ─────`"""
    line = "-" if shell.ascii else "─"
    head = f"{line * 2} {title} "
    return shell.style.paint("dim", head + line * max(0, width - len(head)))


def context(shell: Shell, changes: Changes, panels: tuple[str, ...], width: int) -> list[str]:
    """The panels that have something to show, each under a rule with its name."""
    out: list[str] = []
    for name in panels:
        title, lines = PANELS[name](shell, changes)
        if lines:
            out += [rule(shell, title, width), *lines]
    return [clip(line, width) for line in out]


# -- source --------------------------------------------------------------------------------------------


def source_panel(shell: Shell, changes: Changes) -> tuple[str, list[str]]:
    """Source lines around the one at hand; without them, nothing."""
    line = selected_line(shell)
    if line is None:
        return "source", []
    lines = shell.sources.lines(line.file)
    if not 0 < line.line <= len(lines):
        return "source", source_line(shell, line)
    first = max(1, min(line.line - SOURCE_AROUND, len(lines) - 2 * SOURCE_AROUND))
    last = min(first + 2 * SOURCE_AROUND, len(lines))
    return short(line.file), numbered(shell, line.file, first, last)


def selected_line(shell: Shell) -> Line | None:
    """The source place at hand: of the frame that up and down have selected."""
    session = shell.session
    if session.running and session.level:
        frames = session.backtrace()
        return frames[min(session.level, len(frames) - 1)].line
    return session.line


def numbered(shell: Shell, file: str, first: int, last: int, *, caret: bool = True) -> list[str]:
    """Source lines with their numbers, `=>` at the one at hand and its caret, and the numbers of breakpoints."""
    session, style = shell.session, shell.style
    lines = shell.sources.lines(file)
    here = selected_line(shell) if session.running else None
    marks = breakpoints_of(shell, file)
    out = []
    for n in range(first, last + 1):
        current = here is not None and (here.file, here.line) == (file, n)
        number = f"{n:>5}"
        head = f"{','.join(marks.get(n, [])):>2}" + (style.paint("arrow", "=>") if current else "  ")
        number = style.paint("arrow", number) if current else style.paint("dim", number)
        out.append(f"{head} {number}  {style.code(lines[n - 1].rstrip(), is_python(file))}".rstrip())
        if caret and current and here is not None:
            span = shell.sources.span(file, n, here.column)
            if span is not None:
                out.append(" " * (12 + span[0]) + style.paint("caret", "^" + "~" * (span[1] - span[0] - 1)))
    return out


def breakpoints_of(shell: Shell, file: str) -> dict[int, list[str]]:
    """Numbers of breakpoints by the source line on which they are."""
    out: dict[int, list[str]] = {}
    for b in shell.session.breakpoints.values():
        for pc in b.pcs:
            line = shell.session.symbols.line_at(pc)
            if line is not None and line.file == file and str(b.number) not in out.setdefault(line.line, []):
                out[line.line].append(str(b.number))
    return out


# -- code ----------------------------------------------------------------------------------------------


def code_panel(shell: Shell, changes: Changes) -> tuple[str, list[str]]:
    """Instructions around the pc, under the IR operations they come from."""
    session = shell.session
    end = len(session.program.text)
    first = max(0, session.pc - CODE_BEFORE * INSTRUCTION_BYTES)
    last = min(end, session.pc + (CODE_AFTER + 1) * INSTRUCTION_BYTES)
    name = place_name(shell, session.pc)
    return f"code: {name}" if name else "code", code(shell, first, last)


def code(shell: Shell, first: int, last: int) -> list[str]:
    """Instructions from one pc to before another; an IR operation stands once above the instructions it became."""
    out: list[str] = []
    before: object = None
    for pc in range(first, last, INSTRUCTION_BYTES):
        text, key = operation(shell, pc)
        if text and key != before:
            out.append(" " * 12 + shell.style.paint("ir", text))
        before = key
        out.append(instruction_line(shell, pc))
    return out


def operation(shell: Shell, pc: int) -> tuple[str, object]:
    """The text of the IR operation of an instruction and what tells it from others; "" where none is known."""
    op = shell.session.program.debug.op(pc)
    return ("", None) if op is None else (op.text.strip(), op)


# -- what has changed ----------------------------------------------------------------------------------


def changed_panel(shell: Shell, changes: Changes) -> tuple[str, list[str]]:
    """Registers, semaphores and tiles that are not as they were at the last stop."""
    lines = [*_scalars(shell, changes), *tiles(shell, changes)]
    return "changed", lines


def _scalars(shell: Shell, changes: Changes) -> list[str]:
    names = shell.session.names
    sems = names.semaphore_names()
    cells = []
    for reg, (old, new) in changes.registers.items():
        also = names.scalar_names(reg)
        is_float = names.is_float(reg)
        cells.append((also[-1] if also else f"x{reg}", _value(old, is_float), _value(new, is_float)))
    cells += [(sems.get(n, f"s{n}"), str(old), str(new)) for n, (old, new) in changes.semaphores.items()]
    more = len(cells) - SHOWN_REGISTERS
    arrow = "->" if shell.ascii else "→"
    shown = [
        f"{shell.style.paint('name', name)} {shell.style.paint('dim', f'{old} {arrow}')} "
        + shell.style.paint("changed", new)
        for name, old, new in cells[:SHOWN_REGISTERS]
    ]
    if more > 0:
        shown.append(shell.style.paint("dim", f"and {more} more"))
    return _flow(shown, shell.width)


def _value(number: int, is_float: bool) -> str:
    if is_float:
        return str(np.uint32(number & 0xFFFFFFFF).view(np.float32))
    return str(number) if -(1 << 20) < number < 1 << 20 else hex(number)


def _flow(cells: list[str], width: int) -> list[str]:
    """Cells side by side, as many as there is room for."""
    out: list[str] = []
    for cell in cells:
        if out and visible(out[-1]) + 3 + visible(cell) <= min(width, 120):
            out[-1] += "   " + cell
        else:
            out.append(f"  {cell}")
    return out


def tiles(shell: Shell, changes: Changes) -> list[str]:
    """A line for each changed tile; of many, the first are shown and the others named."""
    name = by_name(shell.session)
    own = {*shell.session.names.tile_registers().values()}
    own |= {reg for file, reg in shell.session.names.variables.registers() if file == "t"}
    ordered = sorted(changes.tiles, key=lambda c: (c.reg not in own, c.moved, c.reg))
    shown = [tile_line(shell, name(c.reg), c.tile, c) for c in ordered[:SHOWN_TILES]]
    if rest := ordered[SHOWN_TILES:]:
        shown.append("  " + shell.style.paint("dim", "and " + ", ".join(name(c.reg) for c in rest)))
    return shown


def tile_line(shell: Shell, name: str, tile: Tile, change: TileChange | None) -> str:
    """`t  f32[128, 64]  12 of 8,192 changed  min 0  max 4  mean 1.5  sram 0x4000`"""
    style = shell.style
    what = ""
    if change is not None and change.moved:
        what = "another tile"
    elif change is not None:
        what = "changed" if change.elements is None else f"{change.elements:,} of {tile.size:,} changed"
    head = style.paint("changed" if change is not None else "name", f"{name:<8}")
    cells = [f"{tile.dtype}{list(tile.dims)}", style.paint("changed", what), summary(shell, tile)]
    place = style.paint("dim", describe_place(tile))
    return f"  {head} {'  '.join(c for c in (*cells, place) if c)}"


def summary(shell: Shell, tile: Tile) -> str:
    """The statistics of a tile's elements: of a large one, of some."""
    try:
        array = shell.session.machine.view(tile)
    except Fault as e:
        return e.message
    some = sample(array, LOOKED_AT * max(1, array.itemsize)) if array.size > LOOKED_AT else array
    text = statistics(unpack_fp4(np.atleast_1d(some)) if tile.dtype is fp4x2 else some)
    return text if some is array else f"{text} (sampled)"


# -- queues --------------------------------------------------------------------------------------------


def queues_panel(shell: Shell, changes: Changes) -> tuple[str, list[str]]:
    """What has issued and not executed, by queue; nothing when all are empty."""
    out = []
    for queue in shell.session.queues:
        if not queue.entries:
            continue
        out.append(f"  {shell.style.paint('name', queue.name)}  {len(queue.entries)} of {queue.depth}")
        shown = list(queue.entries)[:SHOWN_ENTRIES]
        out += [f"     {entry(shell, issued)}" for issued in shown]
        if (rest := len(queue.entries) - len(shown)) > 0:
            out.append(shell.style.paint("dim", f"     and {rest} more"))
    return "queues", out


def entry(shell: Shell, issued: Issued) -> str:
    """`0x01b0  vexp t, t   waits for loaded >= 1; it is 0`"""
    session = shell.session
    mnemonic, operands, _ = session.assembly(issued.op.pc)
    text = f"{shell.style.paint('dim', f'{issued.op.pc:#06x}')}  {shell.style.code(f'{mnemonic} {operands}'.strip())}"
    if (wait := issued.op.wait) is not None:
        name = session.names.semaphore_names().get(wait.sem, f"s{wait.sem}")
        now = session.machine.sems[wait.sem]
        if now < issued.value:
            text += shell.style.paint("stop", f"   waits for {name} >= {issued.value}") + f"; it is {now}"
    return text


PANELS: dict[str, Callable[[Shell, Changes], tuple[str, list[str]]]] = {
    "source": source_panel,
    "code": code_panel,
    "changed": changed_panel,
    "queues": queues_panel,
}
