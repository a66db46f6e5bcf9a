"""The command `save`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from sohu.debugger.arguments import files, words, write_text
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.saved import to_json

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("save", group="breakpoints", complete=files, repeat=None)
def save(shell: Shell, text: str) -> None:
    """Keep breakpoints in a file: save [breakpoints] [-f] FILE.

    All breakpoints, watchpoints and catches, with conditions, counts and commands, as JSON; `load` makes them again.
    -f replaces a file that is there.
    """
    word, _, rest = text.partition(" ")
    force, (name,), rest = words(rest if word == "breakpoints" else text, "-f", 1, "save [-f] FILE")
    if rest:
        raise CommandError(f"{rest!r} is not expected here", help="save [-f] FILE")
    path = Path(name).expanduser()
    if path.exists() and not force:
        raise CommandError(f"{path} is there already", help=f"save -f {name} replaces it")
    write_text(path, [json.dumps(to_json(shell.session), indent=1), "\n"])
    shell.write(f"{path}: {len(shell.session.points)} breakpoints")
