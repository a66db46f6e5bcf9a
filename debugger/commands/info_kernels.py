"""The command `info kernels`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.asm import Param
    from sohu.debugger.shell import Shell


@command("info kernels", group="looking")
def info_kernels(shell: Shell, text: str) -> None:
    """The program's kernels and their parameters: info kernels.

    * marks the one that is debugged.
    """
    no_arguments(text, "info kernels")
    session = shell.session
    for k in session.program.kernels.values():
        mark = "*" if k.name == session.kernel.name else " "
        params = ", ".join(f"{p.name}: {declared(p)}" for p in k.params)
        shell.write(f"{mark} {k.entry:#06x}..{k.end:#06x}  {shell.style.paint('name', k.name)}({params})")


def declared(p: Param) -> str:
    """`in bf16[R, C]`"""
    return f"{p.direction} {p.dtype}[{', '.join(map(str, p.dims))}]" if p.is_tensor else p.direction
