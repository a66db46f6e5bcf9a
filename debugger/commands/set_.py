"""The command `set`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.settings import SETTINGS, find

if TYPE_CHECKING:
    from sohu.debugger.session import Session
    from sohu.debugger.shell import Shell


def settings(session: Session, text: str) -> Iterable[str]:
    """Completes settings and their values."""
    name, space, _ = text.lstrip().partition(" ")
    return (SETTINGS[name].words if name in SETTINGS else ()) if space else SETTINGS


@command("set", group="other", complete=settings, repeat=None)
def set_(shell: Shell, text: str) -> None:
    """Change a setting: set SETTING VALUE.

    `show` lists them.
    """
    name, _, value = text.partition(" ")
    if not name:
        raise CommandError("which setting?", help=f"set {'|'.join(SETTINGS)} VALUE")
    shell.settings.change(find(name).name, value)
