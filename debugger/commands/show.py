"""The command `show`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sohu.debugger.command import command
from sohu.debugger.settings import SETTINGS, find

if TYPE_CHECKING:
    from sohu.debugger.session import Session
    from sohu.debugger.shell import Shell


def names(session: Session, text: str) -> Iterable[str]:
    """Completes settings."""
    return SETTINGS


@command("show", group="other", complete=names)
def show(shell: Shell, text: str) -> None:
    """Show a setting, or all of them with what they mean: show [SETTING]."""
    if text:
        name = find(text).name
        shell.write(f"{name} = {shell.settings.text(name)}")
        return
    for name, value in shell.settings:
        shell.write(f"{shell.style.paint('name', f'{name:<16}')}{value}")
        shell.write(f"    {SETTINGS[name].about}; set {name} {SETTINGS[name].form}")
