"""The command `goto`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.stops import Exited

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("goto", group="time", repeat=None)
def goto(shell: Shell, text: str) -> None:
    """Go to a position, ahead or back: goto INSTRUCTION, goto cycle CYCLE, goto start, goto end.

    Instructions are counted from the launch; expressions will do: goto $position - 100. The end is as far as the
    program has run. Breakpoints on the way are passed. Of several chips, the instructions are those of the chip that is
    looked at.
    """
    session = shell.session
    word, _, rest = text.partition(" ")
    if not text:
        raise CommandError("go where?", help="goto INSTRUCTION, goto cycle CYCLE, goto start or goto end")
    if not isinstance(session.stop, Exited):
        session.need_run()
    if text in ("start", "end"):
        session.need_past()
        start = session.timeline.start.instruction
        shell.move(session.goto_end if text == "end" else lambda: session.goto(start))
        return
    number = session.evaluate(rest if word == "cycle" else text).data
    if not isinstance(number, int) or number < 0:
        raise CommandError(f"{text}: wants a number of instructions or cycles")
    shell.move(lambda: session.goto(cycle=number) if word == "cycle" else session.goto(number))
