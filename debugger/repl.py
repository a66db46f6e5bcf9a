"""The loop that reads commands: from a terminal with all comforts, or line by line from anything else."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from sohu.asm import Program
from sohu.debugger.chips import GroupSession
from sohu.debugger.errors import CommandError
from sohu.debugger.session import Session
from sohu.debugger.shell import Quit, Shell
from sohu.debugger.startup import read_project_file, read_user_files
from sohu.emulator import Argument, Device, Group


def debug(
    program: Program,
    kernel: str | None = None,
    args: Mapping[str, Argument] | Sequence[Mapping[str, Argument]] | None = None,
    *,
    device: Device | None = None,
    group: Group | None = None,
) -> Session:
    """Open the debugger on a launch, stopped at the kernel's first line; returns when the user leaves it.

    `args` by parameter name. Arrays are copied: the caller's stay as they are. What the kernel wrote is in the
    returned session's `stop.outputs` when it ran to its end. Raises SohuError for a kernel that is not there
    and for arguments that do not fit. Init files are read as sohu-dbg reads them. group: chips to run on together, with
    arguments for all of them, or a list of those of each.
    """
    session: Session
    if group is not None:
        session = GroupSession(program, kernel, args, group=group)
    elif args is None or isinstance(args, Mapping):
        session = Session(program, kernel, args, device=device)
    else:
        raise CommandError("arguments for several chips, and no group", help="debug(..., group=Group(N))")
    shell = Shell(session)
    session.output, before = shell.program_output, session.output
    try:
        read_user_files(shell)
        read_project_file(shell)
        shell.move(session.begin)
        interact(shell)
    except Quit:  # an init file can
        pass
    finally:
        session.output = before
    return session


def interact(shell: Shell, stdin: TextIO | None = None) -> None:
    """Read commands and do them until `quit` or the end of the input."""
    source = stdin or sys.stdin
    try:
        if shell.prompts and source.isatty() and shell.out.isatty():
            from sohu.debugger.prompt import read_terminal

            read_terminal(shell)
        else:
            for line in source:
                shell.execute(line)
            shell.end()
    except Quit:
        pass
