"""The command `info tiles`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command
from sohu.isa import Fault

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info tiles", group="looking")
def info_tiles(shell: Shell, text: str) -> None:
    """Tile registers that have a name or hold something: info tiles."""
    no_arguments(text, "info tiles")
    session = shell.session
    session.need_run()
    rows = [(n.name, f"t{n.reg}", _describe(shell, n.reg)) for n in session.names.tiles()]
    if not rows:
        shell.write("no tile register holds anything")
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, reg, what in rows:
        shell.write(f"{shell.style.paint('name', f'{name:<{width}}')}  {reg:<4} {what}")


def _describe(shell: Shell, reg: int) -> str:
    """`f32[128, 64] at sram 0x4000..0xc000`, dimensions from registers with what these hold now."""
    machine = shell.session.machine
    tile = machine.t[reg]
    if tile is None:
        return "nothing yet"
    try:
        now = tile.resolve(machine.x)
    except Fault as e:
        return f"{tile}: {e.message}"
    low, high = now.extent()
    shape = ", ".join(
        f"{d} (x{r})" if r else str(d) for d, r in zip(now.dims, tile.dimregs or (0,) * now.rank, strict=True)
    )
    return f"{now.dtype}[{shape}] at {now.space} {low:#x}..{high:#x}"
