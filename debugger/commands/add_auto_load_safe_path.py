"""The command `add-auto-load-safe-path`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sohu.debugger.arguments import files
from sohu.debugger.command import command
from sohu.debugger.startup import trust, trusted_file

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("add-auto-load-safe-path", group="other", complete=files, repeat=None)
def add_auto_load_safe_path(shell: Shell, text: str) -> None:
    """Trust the init files of a folder and of those below it: add-auto-load-safe-path [FOLDER].

    Without a folder, the one at hand. From then on a .sohudbginit there is read when the debugger is started there.
    The list is $XDG_CONFIG_HOME/sohu/trusted (~/.config/sohu/trusted).
    """
    shell.write(f"{trust(Path(text or '.'))} is trusted now, says {trusted_file()}")
