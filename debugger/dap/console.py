"""The debug console: the commands of `sohu-dbg`, and expressions, in an editor's window."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING

from sohu.debugger.command import Command
from sohu.debugger.errors import CommandError
from sohu.debugger.shell import Shell
from sohu.debugger.stops import Stop
from sohu.debugger.style import Style

if TYPE_CHECKING:
    from sohu.debugger.dap.adapter import Adapter


class Console(Shell):
    """A shell whose movements the client is told of. stopped: where the last command has moved the program, or None."""

    def __init__(self, adapter: Adapter) -> None:
        self.text = StringIO()
        super().__init__(adapter.session, self.text, Style(False))
        self.adapter = adapter
        self.stopped: Stop | None = None
        self.last = ""  # name of the last command

    def do(self, line: str) -> str:
        """What a command line prints. Raises Quit."""
        self.text.seek(0)
        self.text.truncate()
        self.stopped = None
        self.last = ""
        self.execute(line)
        return self.text.getvalue().rstrip("\n")

    def is_command(self, line: str) -> bool:
        """True for a line that begins with a command: `print t`, `x/4fw a`; not `x[0]`, and no unknown word."""
        if self.collecting:
            return True
        m = re.match(r"([A-Za-z?][\w-]*)(?=\s|/|$)", line.strip())
        if m is None:
            return False
        try:
            self.commands.find(m[1])
        except CommandError as e:
            return "can be" in str(e)  # an abbreviation of several: the command line says of which
        return True

    def parse(self, text: str) -> tuple[Command, str]:
        """As the shell's; keeps the command's name."""
        made, rest = super().parse(text)
        self.last = made.name
        return made, rest

    def move(self, do: Callable[[], Stop]) -> None:
        """As the shell's, and what came of it is kept for the client."""
        self.adapter.event("continued", threadId=1, allThreadsContinued=True)
        self.stopped = self.session.stop
        super().move(lambda: self.adapter.move(do))
        self.stopped = self.session.stop

    def after(self, stop: Stop) -> Stop | None:
        """Do the commands of the breakpoints that a movement of the client has ended at; where it stands then."""
        commands = [c for p in self.stopped_by(stop) for c in p.commands if c != "silent"]
        for line in commands:
            text = self.do(line)
            if text:
                self.adapter.output(text + "\n")
            if self.session.stop is not stop:
                break  # the program has moved: what follows was meant for there
        return self.session.stop
