"""The command `chip`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sohu.debugger.chips import GroupSession
from sohu.debugger.command import command
from sohu.debugger.display import place_name, position
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.session import Session
    from sohu.debugger.shell import Shell

_USAGE = "chip, chip N, chip N COMMAND or chip all COMMAND"


def _complete(session: Session, text: str) -> Iterable[str]:
    return () if " " in text else [*map(str, range(session.machine.chips)), "all"]


@command("chip", group="looking", complete=_complete, repeat=None)
def chip(shell: Shell, text: str) -> None:
    """Look at another chip: chip, chip N, chip N COMMAND, chip all COMMAND.

    What the other commands say of the machine is said of that chip from then on, and steps are its steps; the others
    go on as far as they must for it. A stop makes the chip that stopped the one that is looked at. With a COMMAND,
    only that one is done there: chip all print $x5. Without a number, says which it is.
    """
    session = shell.session
    word, _, rest = text.partition(" ")
    rest = rest.strip()
    if not word:
        shell.write(f"chip {session.machine.chip} of {session.machine.chips}")
        return
    if word != "all" and not word.isdecimal():
        raise CommandError(f"{word!r} is no chip", help=_USAGE)
    if word == "all" and not rest:
        raise CommandError("which command?", help=_USAGE)
    if not isinstance(session, GroupSession):
        if word not in ("0", "all"):
            raise CommandError(f"there is no chip {word}", help="there is one, chip 0; sohu-dbg --chips N runs several")
        _do(shell, rest) if rest else _show(shell)
        return
    if not rest:
        session.look_at(int(word))
        session.switched = False
        _show(shell)
        return
    numbers = range(len(session.machines)) if word == "all" else [int(word)]
    before = session.focus
    for number in numbers:
        session.look_at(number)
        try:
            if word == "all":
                shell.write(shell.style.paint("stop", f"chip {number}:"))
            _do(shell, rest)
        finally:
            session.look_at(before)


def _do(shell: Shell, text: str) -> None:
    made, rest = shell.parse(text)
    if made.group not in ("looking", "data") or made.name == "chip":
        raise CommandError(f"{made.name} is not for one chip alone", help=f"two commands: chip N, then {made.name}")
    made.run(shell, rest)


def _show(shell: Shell) -> None:
    session = shell.session
    if not session.running:
        shell.write(f"chip {session.machine.chip} is looked at")
        return
    name = place_name(shell, session.pc)
    halted = ", which has halted" if session.machine.halted and session.machine.fault is None else ""
    where = f" in {shell.style.paint('name', name)}" if name else ""
    shell.write(f"chip {session.machine.chip}{halted}{where}")
    shell.write("\n".join(position(shell)))
    shell.listed = shell.disassembled = None
