"""Windows of source lines and of instructions, as `list` and `disassemble` show them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sohu.debugger.breakpoints import resolve
from sohu.debugger.context import numbered
from sohu.debugger.display import instruction_line, place_name, short, source_line
from sohu.debugger.errors import CommandError
from sohu.debugger.settings import LIST_SIZE
from sohu.isa import INSTRUCTION_BYTES

if TYPE_CHECKING:
    from sohu.asm.debuginfo import IrOp
    from sohu.debugger.session import Session
    from sohu.debugger.shell import Shell

BEFORE, AFTER = 6, 10  # instructions around the pc
MAX_INSTRUCTIONS = 10_000  # at a time


def source(shell: Shell, text: str) -> list[str]:
    """Some lines of source; raises CommandError where there are none."""
    session, count = shell.session, shell.settings[LIST_SIZE]
    first = 0
    if text:
        file, number = _source_place(shell, text)
    elif shell.listed is not None:
        (file, first), number = shell.listed, 0
    else:
        line = session.line or session.symbols.line_at(session.symbols.body(session.kernel))
        if line is None:
            raise CommandError("there is no line information here", help="disassemble shows the instructions")
        file, number = line.file, line.line
    lines = shell.sources.lines(file)
    if not lines:
        raise CommandError(f"the source {file} cannot be read")
    first = first or max(1, min(number, len(lines)) - count // 2)
    if first > len(lines):
        raise CommandError(f"{short(file)} ends at line {len(lines)}")
    last = min(first + count, len(lines) + 1)
    shell.listed = file, last
    title = shell.style.paint("place", f"{short(file)}:")
    return [title, *numbered(shell, file, first, last - 1, caret=False)]


def _source_place(shell: Shell, text: str) -> tuple[str, int]:
    session = shell.session
    if text.isdecimal() and (file := session.current_file()) is not None:
        return file, int(text)
    m = re.fullmatch(r"(.+):(\d+)", text)
    if m is not None and (files := session.symbols.matching(m[1])):
        return files[0], int(m[2])
    line = session.symbols.line_at(resolve(session, text)[0])
    if line is None:
        raise CommandError(f"there is no line information at {text}", help="disassemble shows the instructions")
    return line.file, line.line


def instructions(shell: Shell, text: str, *, ir: bool = False, words: bool = False) -> list[str]:
    """Some instructions, under the names and source lines they belong to.

    ir: and the operations of the compiler's IR; words: with the words that they are.
    """
    start, end = _range(shell, text)
    shell.disassembled = end
    session = shell.session
    out: list[str] = []
    before: object = None
    op: IrOp | None = None
    inlined = ""
    for pc in range(start, end, INSTRUCTION_BYTES):
        name = place_name(shell, pc)
        if pc == start or "+" not in name:
            out.append(shell.style.paint("name", f"{name}:"))
        line = session.symbols.line_at(pc)
        here = None if line is None else (line.file, line.line)
        calls = _calls(shell, pc)
        if line is not None and (here, calls) != (before, inlined) and not is_own(shell, pc):
            out += [*source_line(shell, line, caret=False), *([calls] if calls else [])]
        before, inlined = here, calls
        now = session.program.debug.op(pc) if ir else None
        if now is not None and now != op:
            out.append(shell.style.paint("dim", f"    ir:{now.number:<4} {now.text}"))
        op = now
        word = shell.style.paint("dim", _word(session, pc)) + " " if words else ""
        out.append(word + instruction_line(shell, pc))
    return out


def _calls(shell: Shell, pc: int) -> str:
    """`in centred, inlined at test.py:51, test.py:60`, or "" for a kernel's own code."""
    stack = shell.session.program.debug.stack(pc)
    if len(stack) < 2:
        return ""
    places = ", ".join(f"{short(s.file)}:{s.line}" for s in stack[1:])
    return shell.style.paint("dim", f"    in {stack[0].function}, inlined at {places}")


def _word(session: Session, pc: int) -> str:
    raw = session.program.text[pc : pc + INSTRUCTION_BYTES]
    return f"{int.from_bytes(raw, 'little'):032x}"


def instructions_at(shell: Shell, text: str, count: int) -> list[str]:
    """`count` instructions from a pc on; raises CommandError for what is none."""
    (start,) = resolve(shell.session, f"*{text}")
    end = min(start + min(count, MAX_INSTRUCTIONS) * INSTRUCTION_BYTES, len(shell.session.program.text))
    return [instruction_line(shell, pc) for pc in range(start, end, INSTRUCTION_BYTES)]


def is_own(shell: Shell, pc: int) -> bool:
    """True for assembly by hand: its source line says what the instruction says."""
    line = shell.session.symbols.line_at(pc)
    return line is not None and line.file.endswith((".s", ".S", ".asm"))


def _range(shell: Shell, text: str) -> tuple[int, int]:
    session = shell.session
    size = len(session.program.text) // INSTRUCTION_BYTES * INSTRUCTION_BYTES
    if not size:
        raise CommandError("the program has no instructions")
    if "," in text:
        first, _, last = text.partition(",")
        start, end = resolve(session, first)[0], resolve(session, last)[0] + INSTRUCTION_BYTES
        if end <= start:
            raise CommandError(f"{text}: ends before it begins")
    elif text in session.program.kernels:
        kernel = session.program.kernels[text]
        start, end = kernel.entry, kernel.end
    elif not text and shell.disassembled is not None:
        start = shell.disassembled
        if start >= size:
            raise CommandError("that was the end of the program")
        end = start + (BEFORE + AFTER) * INSTRUCTION_BYTES
    else:
        middle = resolve(session, text)[0]
        start = max(0, middle - BEFORE * INSTRUCTION_BYTES)
        end = middle + AFTER * INSTRUCTION_BYTES
    return start, min(end, size, start + MAX_INSTRUCTIONS * INSTRUCTION_BYTES)
