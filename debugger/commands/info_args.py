"""The command `info args`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command
from sohu.debugger.commands.info_kernels import declared

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info args", group="looking")
def info_args(shell: Shell, text: str) -> None:
    """The kernel's parameters and what the next run gives them: info args.

    `run NAME=VALUE` changes them.
    """
    no_arguments(text, "info args")
    session = shell.session
    for p in session.kernel.params:
        value = session.args.get(p.name)
        shape = getattr(value, "shape", None)
        given = f"an array {list(shape)}" if shape is not None else "nothing" if value is None else str(value)
        made = " (allocated for the run)" if value is None and p.direction == "out" else ""
        shell.write(f"{shell.style.paint('name', p.name)}: {declared(p)} = {given}{made}")
