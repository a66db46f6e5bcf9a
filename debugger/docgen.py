"""The page of the debugger's commands, made of their docstrings: python -m sohu.debugger.docgen docs"""

from __future__ import annotations

import sys
from pathlib import Path

from sohu.debugger.command import GROUPS, Command, load_commands

PAGE = "debugger-commands.md"
_TITLES = {
    "running": "Running",
    "time": "Going back and forth",
    "breakpoints": "Breakpoints, watchpoints, catches",
    "looking": "Looking",
    "data": "Data",
    "other": "Other",
}


def page() -> str:
    """All commands by group."""
    out = [
        "# Commands of the debugger\n",
        "Made of the commands' own help (`make manual`): `help COMMAND` says the same. What it is all for is in "
        "[the debugger](debugger.md).\n",
    ]
    for group in GROUPS:
        out.append(f"## {_TITLES[group]}\n")
        for c in load_commands():
            if c.group == group:
                out.append(_entry(c))
    return "\n".join(out)


def _entry(c: Command) -> str:
    first, _, rest = c.help.partition("\n")
    what, _, usage = first.partition(":")
    usage = usage.strip().rstrip(".") or c.name
    also = f" ({', '.join(f'`{a}`' for a in c.aliases)})" if c.aliases else ""
    text = f"### `{c.name}`{also}\n\n{what.strip()}.\n\n    {usage}\n"
    return text + (f"\n```text\n{rest.strip(chr(10))}\n```\n" if rest.strip() else "")


if __name__ == "__main__":
    (Path(sys.argv[1]) / PAGE).write_text(page(), encoding="utf-8")
