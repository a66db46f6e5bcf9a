"""The command `why`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import expressions
from sohu.debugger.command import command
from sohu.debugger.display import source_line
from sohu.debugger.errors import CommandError
from sohu.debugger.source import is_python
from sohu.debugger.stops import Caught, Faulted
from sohu.debugger.why import STEPS, Source, Step, element_of, number, provenance

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell
    from sohu.isa import Tile

_WIDEST = 60  # of columns
_NAMED = 3  # elements of one step, at most


@command("why", group="looking", complete=expressions)
def why(shell: Shell, text: str) -> None:
    """Say where an element comes from: why [TILE[INDEX, ...]].

    Examples: why t[3, 17]    why acc    why y[5, :]    why

    A line for each step back, under the source line it belongs to: the element, the instruction that wrote it, and the
    elements that went into that, those that matter most first. Where there are several, the next line follows the one
    to blame: it is NaN or infinite, or contributes most. The last line is what the kernel was given, or a constant. Of
    several elements the first NaN is meant, else the first infinity, else the largest; without any, the one that a
    checker has stopped the program for. The launch is run again for this; the program stands where it stood.
    Not for several chips.
    """
    tile, index = element_of(shell.session, text) if text else _found(shell)
    chain = provenance(shell.session, tile, index)
    elements = [f"{step.element.name} = {number(step.element.value)}" for step in chain]
    first = min(max(map(len, elements)), _WIDEST)
    second = min(max((len(_how(step)) for step in chain if step.pc is not None), default=0), _WIDEST)
    before: tuple[str, int] | None = None
    lines = []
    for step, element in zip(chain, elements, strict=True):
        line = step.line
        kernel = line is not None and is_python(line.file)
        if line is not None and kernel and before != (line.file, line.line):
            lines.append(source_line(shell, line, caret=False)[0])
            before = line.file, line.line
        row = f"    {element:<{first}}  {_how(step):<{second}}"
        place = "" if kernel else _place(step)
        lines.append(f"{row}  {shell.style.paint('place', place)}" if place else row.rstrip())
    if len(chain) == STEPS:
        last = chain[-1].sources
        again = f": goto an earlier time, then why {last[0].element.name}" if last else ""
        lines.append(f"and further back{again}")
    shell.answer("why", "\n".join(lines), steps=[step.record() for step in chain])


def _found(shell: Shell) -> tuple[Tile, tuple[int, ...]]:
    """The element about which a checker has stopped the program. Raises CommandError when none has."""
    stop = shell.session.stop
    if isinstance(stop, (Caught, Faulted)) and stop.error.element is not None:
        return stop.error.element
    raise CommandError("why of which element?", help="why t[3, 17]")


def _place(step: Step) -> str:
    if step.line is None:
        return f"pc {step.pc:#06x}" if step.pc is not None else ""
    return f"{step.line.file.rpartition('/')[2]}:{step.line.line}"


def _how(step: Step) -> str:
    mnemonic = step.instruction.split(" ", 1)[0]
    if step.kind == "input":
        return "input given by the host"
    if step.kind == "unwritten":
        return "nothing has written it in this launch"
    if step.kind == "stored":
        return f"{step.instruction}, by the sequencer"
    if step.kind == "made":
        return step.instruction
    if step.kind == "moved":
        return f"{mnemonic} from {step.sources[0].element.name}"
    if not step.about:
        return f"{mnemonic} {', '.join(map(_named, step.sources[:_NAMED]))}"
    if step.about.startswith("one of"):
        return f"{mnemonic} {_named(step.sources[0])}, {step.about}"
    return f"{mnemonic} {step.about}: {', '.join(_terms(step)[:_NAMED])}"


def _named(source: Source) -> str:
    return f"{source.element.name} = {number(source.element.value)}"


def _terms(step: Step) -> list[str]:
    """The largest of many, with what each contributes; the two factors of a product together."""
    said = []
    sources = list(step.sources)
    while sources:
        s = sources.pop(0)
        other = next((o for o in sources if o.operand != s.operand and o.share == s.share), None)
        pair = step.about.endswith("products") and other is not None
        if pair and other is not None:
            sources.remove(other)
        with_it = f" * {_named(other)}" if pair and other is not None else ""
        share = "" if s.share is None else f" ({s.share:+.3g})"
        said.append(f"{_named(s)}{with_it}{share}")
    return said
