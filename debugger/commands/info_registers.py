"""The command `info registers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.asm.names import REGISTERS
from sohu.debugger.arguments import expressions
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.values import Value
from sohu.debugger.views import scalar

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info registers", group="looking", complete=expressions)
def info_registers(shell: Shell, text: str) -> None:
    """Scalar registers, the pc and active loops: info registers [NAME]...

    Without names, the registers that are not zero.
    """
    session = shell.session
    session.need_run()
    if text:
        for word in text.split():
            register = word.removeprefix("$")
            value = session.evaluate(f"${register}") if register in (*REGISTERS, "pc") else session.evaluate(word)
            if not isinstance(value.data, int):
                raise CommandError(f"{word} is no scalar register", help=f"print {word}")
            shell.write(f"{word:<8}{scalar(value)}")
        return
    x = session.machine.x
    shell.write(f"{'pc':<8}{session.pc:#06x}")
    for i, v in enumerate(x):
        if v:
            names = " ".join(session.names.scalar_names(i))
            shell.write(f"{f'x{i}':<8}{scalar(Value(v, is_float_bits=session.names.is_float(i))):<28}{names}".rstrip())
    shell.write(f"the other {x.count(0)} are 0")
