"""The command `info chips`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.chips import GroupSession
from sohu.debugger.command import command
from sohu.debugger.commands.info_memory import bytes_of
from sohu.debugger.display import place_name, short
from sohu.debugger.explain import explain
from sohu.debugger.style import clean
from sohu.isa import Space

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info chips", group="looking")
def info_chips(shell: Shell, text: str) -> None:
    """The chips, where each stands and what it waits for: info chips.

    Also their configuration.

    * marks the one that is looked at.
    """
    no_arguments(text, "info chips")
    session = shell.session
    chip, machine = session.device.chip, session.machine
    machines = [machine] if machine.group is None else [d.machine for d in machine.group.devices]
    for m in machines:
        if m is machine and not session.running:
            state = "not running"
        elif m.fault is not None:
            state = f"stopped by an error at {m.fault.pc:#06x}"
        elif m.halted:
            state = "has halted"
        else:
            name = place_name(shell, m.pc)
            state = f"at {m.pc:#06x}{f' ({name})' if name else ''}, {m.instructions:,} instructions"
            state += f", {m.parked:,} in queues" if m.parked else ""
        shell.write(f"{'*' if m is machine else ' '} chip {m.chip}: {state}")
        if isinstance(session, GroupSession) and session.running and not m.halted:
            line = session.symbols.line_at(m.pc)
            if line is not None:
                shell.write(f"      {short(line.file)}:{line.line}")
            with session.on_chip(m.chip):
                waits = [d.text for d in explain(session).doings if d.state in ("waits", "blocked")]
            for text in waits:
                shell.write(f"      {clean(text)}")
    order = {None: "program order", "timed": "timed order"}.get(machine.schedule, f"random order {machine.schedule}")  # type: ignore[arg-type]  # a seed is no key
    shell.write(f"  {order}{'' if machine.timer is None else ', cycles are counted'}")
    shell.write(f"  {chip.name}: {chip.clock_hz / 1e9:g} GHz, queues {chip.queue_depth} deep")
    sizes = ", ".join(f"{space} {bytes_of(chip.capacity(space))}" for space in Space)
    shell.write(f"  memories: {sizes}; {chip.hbm_bytes_per_cycle:,.0f} bytes a cycle from hbm")
    shell.write(f"  MXU: {chip.mxu_arrays} arrays of {chip.mxu_rows} x {chip.mxu_cols}   VPU: {chip.vpu_lanes:,} lanes")
