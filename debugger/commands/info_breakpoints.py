"""The command `info breakpoints`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.breakpoints import location
from sohu.debugger.command import command
from sohu.debugger.points import Breakpoint, Watch

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info breakpoints", group="looking")
def info_breakpoints(shell: Shell, text: str) -> None:
    """Breakpoints, watchpoints and catches, and their hits: info breakpoints."""
    no_arguments(text, "info breakpoints")
    session = shell.session
    if not session.breakpoints:
        shell.write("no breakpoints")
    for b in session.points.values():
        word = "" if isinstance(b, Breakpoint) else f"{b.word if isinstance(b, Watch) else b.kind} "
        marks = [f"chip {b.chip}"] if b.chip is not None else []
        marks += [m for m, on in (("once", b.temporary), ("off", not b.enabled), ("pending", b.pending)) if on]
        more = f" ({', '.join(marks)})" if marks else ""
        hits = f"   hit {b.hits} time{'s' * (b.hits != 1)}" if b.hits else ""
        shell.write(f"{b.number:>3}  {word}{b.where}{more}{hits}")
        for pc in b.pcs if isinstance(b, Breakpoint) else ():
            shell.write(f"       {location(session, (pc,))}")
        if isinstance(b, Watch) and b.target is not None and b.target.space is not None:
            shell.write(f"       {b.target.space} {b.target.low:#x}..{b.target.high:#x}")
        for what in (
            b.pending.partition("\n")[0],
            f"if {b.condition}" if b.condition else "",
            f"lets {b.ignore} more hit{'s' * (b.ignore != 1)} pass" if b.ignore else "",
            *(f"  {line}" for line in b.commands),
        ):
            if what:
                shell.write(f"       {what}")
