"""The command `why`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import expressions
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.why import STEPS, Source, Step, element_of, number, provenance

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell

_INDENT = 12  # steps that are set in further and further
_NAMED = 3  # elements of one step, at most


@command("why", group="looking", complete=expressions)
def why(shell: Shell, text: str) -> None:
    """Say where an element comes from: why TILE[INDEX, ...].

    Examples: why t[3, 17]    why acc    why y[5, :]

    A line for each step back: the element, the instruction that wrote it, and the elements that went into that, those
    that matter most first. Where there are several, the next line follows the one to blame: it is NaN or infinite, or
    contributes most. The last line is what the kernel was given, or a constant. Of several elements the first NaN is
    meant, else the first infinity, else the largest. The launch is run again for this; the program stands where it
    stood.
    """
    if not text:
        raise CommandError("why of which element?", help="why t[3, 17]")
    tile, index = element_of(shell.session, text)
    chain = provenance(shell.session, tile, index)
    rows = [_row(shell, i, step) for i, step in enumerate(chain)]
    first = min(max(len(a) for a, _, _ in rows), 44)
    second = min(max((len(b) for _, b, c in rows if c), default=0), 60)
    for a, b, place in rows:
        line = f"{a:<{first}}  {b:<{second}}" if place else f"{a:<{first}}  {b}"
        shell.write(line.rstrip() + (f"  {shell.style.paint('place', place)}" if place else ""))
    if len(chain) == STEPS:
        last = chain[-1].sources
        shell.write(f"and further back: why {last[0].element.name}" if last else "and further back")


def _row(shell: Shell, depth: int, step: Step) -> tuple[str, str, str]:
    """The element, how it was made, and the source place."""
    head = f"{'  ' * min(depth, _INDENT)}{step.element.name} = {number(step.element.value)}"
    place = f"{step.line.file.rpartition('/')[2]}:{step.line.line}" if step.line is not None else ""
    if not place and step.pc is not None:
        place = f"pc {step.pc:#06x}"
    return head, _how(step), place


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
