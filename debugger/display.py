"""What the program looks like where it stands: source lines, instructions, the reason of a stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.points import Watch
from sohu.debugger.source import is_python
from sohu.debugger.stops import (
    Beginning,
    BreakpointHit,
    Caught,
    Change,
    Exited,
    Faulted,
    Interrupted,
    Started,
    Stop,
    Watched,
)
from sohu.debugger.style import visible
from sohu.debugger.views import headline
from sohu.isa import dtype_of

if TYPE_CHECKING:
    from sohu.asm import Line
    from sohu.debugger.frames import Frame
    from sohu.debugger.session import Session
    from sohu.debugger.shell import Shell
    from sohu.emulator.parts import Queue

MAX_WIDTH = 120
MNEMONIC, OPERANDS, SYNC = 12, 34, 24
MAX_SIDE = 60  # of instructions beside each other


def short(file: str) -> str:
    """The last part of a path."""
    return file.rpartition("/")[2]


def place_name(shell: Shell, pc: int) -> str:
    """`softmax+0x30`, or "" where no name comes before."""
    found = shell.session.symbols.place(pc)
    if found is None:
        return ""
    name, distance = found
    return f"{name}+{distance:#x}" if distance else name


def source_line(shell: Shell, line: Line, *, caret: bool = True) -> list[str]:
    """`softmax.py:9   e = exp(t)`, and a line that marks the expression when it is known."""
    style = shell.style
    text = shell.sources.line(line.file, line.line).rstrip()
    head = f"  {short(line.file)}:{line.line}"
    if not text:
        return [style.paint("place", head)]
    lead = " " * max(2, 16 - len(head))
    out = [style.paint("place", head) + lead + style.code(text, is_python(line.file))]
    span = shell.sources.span(line.file, line.line, line.column) if caret else None
    if span is not None:
        mark = "^" + "~" * (span[1] - span[0] - 1)
        out.append(" " * (len(head) + len(lead) + span[0]) + style.paint("caret", mark))
    return out


def instruction_line(shell: Shell, pc: int, operands_width: int = OPERANDS) -> str:
    """`=> 0x01b0  vsub  t, t, s      VPU`, with the number of a breakpoint that is on it."""
    session, style = shell.session, shell.style
    here = session.running and pc == session.pc
    marks = [str(b.number) for b in session.breakpoints.values() if pc in b.pcs]
    mnemonic, operands, sync = session.assembly(pc)
    inst = session.symbols.inst(pc)
    engine = inst.row.engine.value if inst is not None and inst.row.engine.is_async else ""
    text = f"{mnemonic + ' ':<{MNEMONIC}}{operands}"
    if sync or engine:
        text = f"{text:<{MNEMONIC + operands_width}}{sync:<{SYNC}}"
    line = style.code(text if engine else text.rstrip())
    arrow = style.paint("arrow", "=>") if here else "  "
    return f"{','.join(marks):>2}{arrow} {style.paint('dim', f'{pc:#06x}')}  {line}" + (
        f"  {style.paint('dim', engine)}" if engine else ""
    )


def guilty(stop: Stop) -> int | None:
    """The pc of the instruction that was caught, where the program stands after it."""
    return stop.error.pc if isinstance(stop, Caught) and stop.error.pc != stop.pc else None


def position(shell: Shell, guilty: int | None = None) -> list[str]:
    """Where the program stands: its source line and the instruction that comes next; with one that is `guilty`, the
    line of that, and it before the next.
    """
    session = shell.session
    line = session.line if guilty is None else session.symbols.line_at(guilty)
    out = source_line(shell, line) if line is not None else []
    if guilty is not None:
        out.append(instruction_line(shell, guilty))
    return [*out, instruction_line(shell, session.pc)]


def frame_lines(shell: Shell, level: int, frame: Frame, note: str = "") -> list[str]:
    """`#1  0x01b0  in layers, inlined`, and the source line."""
    where = place_name(shell, frame.pc)
    name = frame.function if frame.depth or frame.inlined else where
    kind = ", inlined" if frame.inlined else ""
    head = f"#{level}  {frame.pc:#06x}  in {shell.style.paint('name', name)}{kind}"
    out = [f"{head}   {note}" if note else head]
    if frame.line is not None:
        out += source_line(shell, frame.line)
    if not level:
        out.append(instruction_line(shell, frame.pc))
    return out


def filled(session: Session, queue: Queue) -> str:
    """`3 of 16`: how many instructions a queue holds. Timed order alone knows the depth of the configuration."""
    depth = session.device.chip.queue_depth if session.machine.schedule == "timed" else queue.depth
    return f"{len(queue.entries)} of {depth}"


def counters(shell: Shell) -> str:
    """`instruction 1,204   cycle 18,204`"""
    session = shell.session
    chip = f"chip {session.machine.chip}   " if session.machine.chips > 1 else ""
    cycle = "" if session.cycle is None else f"   cycle {session.cycle:,}"
    return f"{chip}instruction {session.position:,}{cycle}"


def render_stop(shell: Shell, stop: Stop, *, place: bool = True) -> str:
    """All that is said when the program stops; without the place, if that is shown otherwise."""
    if isinstance(stop, Exited):
        return "\n".join(_exited(shell, stop))
    title, *more = _title(shell, stop).split("\n")
    out = position(shell, guilty(stop)) if place else []
    if title:
        right = counters(shell)
        typed = len("^C") if isinstance(stop, Interrupted) else 0  # what the terminal shows before it
        gap = max(2, min(shell.width - typed, MAX_WIDTH) - visible(title) - len(right))
        out.insert(0, title + " " * gap + shell.style.paint("dim", right))
    if shell.session.switched:
        out.insert(0, shell.style.paint("dim", f"[it is chip {shell.session.machine.chip} that stopped]"))
    out += [f"  {line}" for line in more]
    if isinstance(stop, (Faulted, Caught)):
        out += [f"  {line}" for line in _sides(shell, stop, shown=place)]
        out += [f"  help: {stop.error.help}"] if stop.error.help else []
    return "\n".join(out)


def _title(shell: Shell, stop: Stop) -> str:
    paint = shell.style.paint
    if isinstance(stop, (Faulted, Caught)):
        operand = f"operand {stop.error.operand}: " if stop.error.operand else ""
        by = f"Catch {stop.point.number}, {_caught(stop)}" if isinstance(stop, Caught) else ""
        first, *more = f"{by or f'error[{stop.error.category}]'}: {operand}{stop.error.message}".split("\n")
        return "\n".join([paint("error", first), *more])
    where = place_name(shell, stop.pc)
    at = f" in {paint('name', where)}" if where else ""
    if isinstance(stop, BreakpointHit):
        kinds = {True: "Temporary breakpoint", False: "Breakpoint"}
        names = [f"{kinds[b.temporary]} {b.number}" for b in stop.breakpoints]
        return paint("stop", ", ".join(names)) + at
    if isinstance(stop, Interrupted):
        return paint("stop", "Interrupted") + at
    if isinstance(stop, Watched):
        return "\n".join(_changes(shell, stop))
    if isinstance(stop, Beginning):
        return paint("stop", "The beginning of the launch") + at
    if isinstance(stop, Started):
        return paint("stop", "Started") + at
    return ""


def _caught(stop: Caught) -> str:
    """What it is: the checker's category, where NaN and infinity are one, or which of the two."""
    return stop.point.what if stop.error.category == "nan" else stop.error.category


def _sides(shell: Shell, stop: Faulted | Caught, *, shown: bool) -> list[str]:
    """The instruction at fault where it is not `shown` yet, and what the error's notes say."""
    error, notes = stop.error, [(n.text, n.pc, n.instruction) for n in stop.error.notes]
    if error.pc != stop.pc and not (shown and guilty(stop)) and all(pc != error.pc for _, pc, _ in notes):
        notes.insert(0, ("by", error.pc, error.instruction))
    placed = [(text, instruction) for text, pc, instruction in notes if pc is not None]
    wide = max((len(text) for text, _ in placed), default=0)
    long = max((len(instruction) for _, instruction in placed), default=0)
    out = []
    for text, pc, instruction in notes:
        if pc is None:
            out.append(text)
        else:
            out.append(f"{text:<{wide}}  {pc:#06x}  {instruction:<{min(long, MAX_SIDE)}}{_at_line(shell, pc)}")
    return out


def _at_line(shell: Shell, pc: int) -> str:
    line = shell.session.symbols.line_at(pc)
    if line is None:
        return ""
    text = shell.sources.line(line.file, line.line).strip()
    return f"  {short(line.file)}:{line.line}  {text}".rstrip()


def _changes(shell: Shell, stop: Watched) -> list[str]:
    """What a watchpoint saw: what has changed, from what to what, and who did it."""
    out = [shell.style.paint("stop", f"Breakpoint {b.number}") for b in stop.breakpoints]
    for i, c in enumerate(stop.changes, 1):
        name = f"{_WATCHES[c.point.access]} {c.point.number}"
        out.append(f"{shell.style.paint('stop', name)}: {_changed(c)}")
        if i < len(stop.changes) and stop.changes[i].pc == c.pc:
            continue  # the next one has the same cause
        mnemonic, operands, _ = shell.session.assembly(c.pc)
        out.append(f"by {c.pc:#06x}  {mnemonic} {operands}{_at_line(shell, c.pc)}")
    return out


_WATCHES = {"write": "Watch", "read": "Read watch", "any": "Access watch"}


def _changed(c: Change) -> str:
    if not c.count:
        return f"{c.point.where} was accessed"
    if not c.index:
        return f"{c.point.where}: {c.old!s} -> {c.new!s}"
    at = ", ".join(map(str, c.index))
    more = f", and {c.count - 1:,} more elements" if c.count > 1 else ""
    return f"{c.point.where} [{at}]: {c.old!s} -> {c.new!s}{more}"


def _exited(shell: Shell, stop: Exited) -> list[str]:
    cycles = "" if stop.cycles is None else f", {stop.cycles:,} cycles"
    chip, chips = shell.session.machine.chip, shell.session.machine.chips
    on = f" on all {chips} chips; chip {chip}" if chips > 1 else ""
    out = [f"{shell.style.paint('name', stop.kernel)} has ended{on}: {stop.instructions:,} instructions{cycles}"]
    width = max((len(name) for name in stop.outputs), default=0)
    for name, array in stop.outputs.items():
        out.append(f"  {name:<{width}}  {headline(array, dtype_of(array.dtype))}")
    for p in shell.session.points.values():
        if isinstance(p, Watch) and p.enabled and p.pending and not p.hits:
            reason = p.pending.partition("\n")[0]
            out.append(f"  watchpoint {p.number} has watched nothing: {reason}")
            out.append(f"  help: stop where {p.where} has a value, and watch it from there")
    if chips > 1 and stop.outputs:
        out.append(f"  help: chip all print {next(iter(stop.outputs))} shows that of each chip")
    return out
