"""Breakpoints, and the places a user can name: *0x1b0, a label or kernel, file.py:12, 12."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sohu.asm.names import nearest
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.session import Session


@dataclass
class Breakpoint:
    """Stop before the instructions at `pcs`. `where` is what the user wrote."""

    number: int
    where: str
    pcs: tuple[int, ...]
    temporary: bool = False
    hits: int = 0


def resolve(session: Session, where: str) -> tuple[int, ...]:
    """The pcs of a place; raises CommandError that suggests what may have been meant.

    A kernel's name, or its first line, means the first instruction after its prologue. A line without code
    means the next one that has some. A line's code can begin at several pcs: where it was copied, or lies in
    several blocks.
    """
    where = where.strip()
    if not where:
        return (session.pc,)
    if where.startswith("*"):
        return (_address(session, where[1:]),)
    if where.isdecimal():
        file = session.current_file()
        if file is None:
            raise CommandError("the program has no line information", help="break at a label, or at a pc: break *0x40")
        return _line(session, [file], int(where))
    if m := re.fullmatch(r"(.+):(\d+)", where):
        files = session.symbols.matching(m[1])
        if not files:
            short = {f.rpartition("/")[2]: f for f in session.symbols.files()}
            hint = nearest(m[1], short) or (f"there are: {', '.join(short)}" if short else "")
            raise CommandError(f"no code comes from a file {m[1]!r}", help=hint)
        return _line(session, files, int(m[2]))
    kernel = session.program.kernels.get(where)
    if kernel is not None:
        return (session.symbols.body(kernel),)
    pc = session.symbols.code(where)
    if pc is None:
        hint = nearest(where, session.symbols.code_names())
        raise CommandError(
            f"no kernel or label {where!r}", help=hint or "places are written NAME, FILE:LINE, LINE or *PC"
        )
    return (pc,)


def _address(session: Session, text: str) -> int:
    value = session.evaluate(text).data
    if not isinstance(value, int):
        raise CommandError(f"*{text.strip()}: a pc is an integer")
    if not session.symbols.is_code(value):
        end = len(session.program.text)
        raise CommandError(f"{value:#06x} is no pc of an instruction", help=f"they are multiples of 16 below {end:#x}")
    return value


def _line(session: Session, files: list[str], number: int) -> tuple[int, ...]:
    pcs: set[int] = set()
    for file in files:
        at = next((n for n in session.symbols.lines_of(file) if n >= number), None)
        if at is not None:
            pcs.update(session.symbols.pcs_of(file, at))
    if not pcs:
        last = max(session.symbols.lines_of(files[0]), default=0)
        name = files[0].rpartition("/")[2]
        raise CommandError(
            f"{name} has no code at line {number} or after it", help=f"its last line with code is {last}"
        )
    bodies = {k.entry: session.symbols.body(k) for k in session.program.kernels.values()}
    return tuple(sorted({bodies.get(pc, pc) for pc in pcs}))


def describe(session: Session, b: Breakpoint) -> str:
    """`Breakpoint 1 at 0x01b0: softmax+0x30, softmax.py:9`"""
    kind = "Temporary breakpoint" if b.temporary else "Breakpoint"
    return f"{kind} {b.number} at {location(session, b.pcs)}"


def location(session: Session, pcs: tuple[int, ...]) -> str:
    """Where pcs are, by name and line."""
    out = []
    for pc in pcs:
        found = session.symbols.place(pc)
        name = "" if found is None else f"{found[0]}+{found[1]:#x}" if found[1] else found[0]
        line = session.symbols.line_at(pc)
        place = "" if line is None else f"{line.file.rpartition('/')[2]}:{line.line}"
        out.append(f"{pc:#06x}: {', '.join(p for p in (name, place) if p)}".rstrip(": "))
    return "; ".join(out)
