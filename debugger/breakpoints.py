"""The places a user can name: *0x1b0, a label or kernel, file.py:12, 12; and what can be watched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from sohu.asm.names import REGISTERS, nearest
from sohu.debugger.errors import CommandError
from sohu.debugger.points import Breakpoint, Point, Target, Watch, memory_target
from sohu.isa import Space

if TYPE_CHECKING:
    from sohu.debugger.session import Session
    from sohu.debugger.shell import Shell


def resolve(session: Session, where: str) -> tuple[int, ...]:
    """The pcs of a place; raises CommandError that suggests what may have been meant.

    A kernel's name, or its first line, means the first instruction after its prologue. A function that was inlined
    begins at each call. A line without code
    means the next one that has some. A line's code can begin at several pcs: where it was copied, or lies in
    several blocks.
    """
    where = where.strip()
    if not where:
        return (session.pc,)
    if where.startswith(("*", "$")):
        return (_address(session, where.removeprefix("*")),)
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
    if pc is None and (starts := session.symbols.inlined(where)):
        return tuple(starts)
    if pc is None:
        hint = nearest(where, [*session.symbols.code_names(), *session.symbols.inlined_names()])
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


_RANGE = re.compile(r"(?:(sram|acc|hbm):|\*)\s*(.+?)\s*(?::\s*(.+))?", re.IGNORECASE)


def find_target(session: Session, text: str) -> tuple[Target | None, str]:
    """What an expression to be watched names; or None, and why that has no place yet.

    Raises CommandError for what never has one: a number, a computed value.
    """
    if (m := _RANGE.fullmatch(text)) is not None:
        return _range_target(session, text, m[1], m[2], m[3]), ""
    word = text.removeprefix("$")
    register: tuple[str, int] | None = REGISTERS.get(word) if text.startswith("$") else None
    if register is None and re.fullmatch(r"[\w.]+", text):
        register = session.names.register_of(text)
    if register is not None and register[0] != "t":
        return Target(text, file=register[0], reg=register[1]), ""
    if register is not None and text.startswith("$"):
        return Target(text, file="t", reg=register[1]), ""
    if not session.running:
        return None, "its place is known once the program runs"
    try:
        value = session.evaluate(text)
    except CommandError as e:
        if session.names.knows(re.split(r"\W", text.lstrip("$"), maxsplit=1)[0]):
            return None, str(e)
        raise
    try:
        return memory_target(text, value, session.machine), ""
    except ValueError as e:
        raise CommandError(
            f"{text} cannot be watched: {e}", help="name a tile, a slice of one, or a register"
        ) from None


def births(session: Session, text: str) -> frozenset[int]:
    """Where the variable that is to be watched comes to have a value; none for registers, tiles and addresses."""
    name = re.match(r"[^\W\d]\w*", text)
    if name is None:
        return frozenset()
    here = session.pc if session.running else None
    ranges = session.program.debug.ranges(name[0], here) or session.program.debug.ranges(name[0])
    return frozenset(r.start for r in ranges if r.location.kind == "tile")


def _range_target(session: Session, text: str, space: str | None, low: str, size: str | None) -> Target:
    numbers = [session.evaluate(part).data for part in (low, size or "8")]
    address, count = numbers
    if not isinstance(address, int) or not isinstance(count, int) or count < 1:
        raise CommandError(f"{text}: an address and a number of bytes are integers", help="watch *0x4000:64")
    where = Space[(space or "hbm").upper()]
    array = np.frombuffer(session.machine.memories.map(where), np.uint8)
    if not 0 <= address <= address + count <= len(array):
        raise CommandError(f"{where} ends at {len(array):#x}", help="watch sram:0x100:64")
    return Target(text, where, address, address + count, array[address : address + count])


_IF = re.compile(r"(.*?)(?:^|\s+)if\s+(.*)", re.DOTALL)
_COUNT = re.compile(r"(instruction|cycle)\s+(.+)")


def split_condition(text: str) -> tuple[str, str]:
    """What stands before and after `if`."""
    m = _IF.fullmatch(text.strip())
    return (m[1].strip(), m[2].strip()) if m is not None else (text.strip(), "")


_CHIP = re.compile(r"(.*?)(?:^|\s+)-?chip\s+(\d+)", re.DOTALL)


def split_chip(session: Session, text: str) -> tuple[str, int | None]:
    """What stands before `chip N`, with several chips, and the number; raises CommandError for a chip that is not
    there.
    """
    chips = session.machine.chips
    if chips < 2 or (m := _CHIP.fullmatch(text.strip())) is None:
        return text, None
    if int(m[2]) >= chips:
        raise CommandError(f"there is no chip {m[2]}", help=f"there are chips 0 to {chips - 1}")
    return m[1].strip(), int(m[2])


def make(shell: Shell, text: str, *, temporary: bool = False) -> None:
    """What `break` and `tbreak` do. A place that is not there stays pending, and counts as a failure."""
    session = shell.session
    where, condition = split_condition(text)
    where, chip = split_chip(session, where)
    with session.on_chip(chip):
        _make(shell, where, condition, temporary, chip)


def _make(shell: Shell, where: str, condition: str, temporary: bool, chip: int | None) -> None:
    session = shell.session
    if (m := _COUNT.fullmatch(where)) is not None:
        count = session.evaluate(m[2]).data
        if not isinstance(count, int) or count < 0:
            raise CommandError(f"{m[2]}: wants how many have passed")
        at = {m[1]: count}
        point = session.add_breakpoint(where, temporary=temporary, condition=condition, **at)  # type: ignore[arg-type]
        point.chip = chip
        tell(shell, point)
        return
    point = session.add_breakpoint(where, temporary=temporary, condition=condition, pending=not where.startswith("*"))
    point.chip = chip
    if point.pending:
        raise CommandError(f"{point.pending}\nBreakpoint {point.number} ({where}) stays pending")
    tell(shell, point)


def make_watch(shell: Shell, text: str, access: str) -> None:
    """What `watch` (access "write"), `rwatch` ("read") and `awatch` ("any") do."""
    what, condition = split_condition(text)
    what, chip = split_chip(shell.session, what)
    if not what:
        raise CommandError("watch what?", help="a tile, a slice, an address range or a register: acc[0:16, :]")
    with shell.session.on_chip(chip):
        tell(shell, shell.session.add_watch(what, access=access, condition=condition))


def tell(shell: Shell, point: Point) -> None:
    """Print a point that was made."""
    shell.write(describe(shell.session, point))


def describe(session: Session, p: Point) -> str:
    """`Breakpoint 1 at 0x01b0: softmax+0x30, softmax.py:9`"""
    once = "Temporary breakpoint" if p.temporary else "Breakpoint"
    what, why = f"{p.number}: {p.where}", p.pending.partition("\n")[0]
    if isinstance(p, Breakpoint):
        where = f"at {location(session, p.pcs)}" if p.pcs else f"at {p.where}"
        text = f"{once} {p.number} {where}"
    elif isinstance(p, Watch):
        text = f"{_WATCHES[p.access]} {what}"
        if p.target is not None and p.target.space is not None:
            text += f" ({p.target.space} {p.target.low:#x}..{p.target.high:#x})"
    else:
        text = f"Catch {what}"
    if p.chip is not None:
        text += f" on chip {p.chip}"
    return text + (f" if {p.condition}" if p.condition else "") + (f" (pending: {why})" if why else "")


_WATCHES = {"write": "Watchpoint", "read": "Read watchpoint", "any": "Access watchpoint"}


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
