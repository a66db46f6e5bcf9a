"""The command `help`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.command import GROUPS, command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("help", "h", "?", group="other", repeat=None)
def help_(shell: Shell, text: str) -> None:
    """Show what commands there are, or what one does: help [COMMAND]."""
    if not text:
        for group in GROUPS:
            shell.write(shell.style.paint("name", group))
            for c in shell.commands:
                if c.group == group:
                    also = f" ({', '.join(c.aliases)})" if c.aliases else ""
                    shell.write(f"  {c.name + also:<26}{c.summary}")
        shell.write("Any unambiguous beginning of a name will do. Enter repeats the last command.")
        return
    word, _, sub = text.partition(" ")
    made = shell.commands.find(word)
    if sub.strip() and shell.commands.subcommands(made.name):
        made = shell.commands.find_sub(made.name, sub.strip())
    shell.write(made.help)
    for name, c in sorted(shell.commands.subcommands(made.name).items()):
        shell.write(f"  {made.name} {name:<14}{c.summary}")
