"""Takes command lines, does what they say with a session, and prints what comes of it."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from sohu.debugger.changes import Changes, Observer
from sohu.debugger.charts import plain
from sohu.debugger.command import Command, load_commands
from sohu.debugger.context import context
from sohu.debugger.display import MAX_WIDTH, render_stop
from sohu.debugger.displays import Displays
from sohu.debugger.errors import CommandError
from sohu.debugger.exitcodes import DIVERGED, of_session
from sohu.debugger.points import Point
from sohu.debugger.session import Session
from sohu.debugger.settings import CONTEXT, SECTIONS, WIDTH, Settings
from sohu.debugger.source import Sources
from sohu.debugger.stops import BreakpointHit, Caught, Exited, Faulted, Stop, Watched
from sohu.debugger.style import Style, columns
from sohu.emulator.timeline import ReplayDiverged
from sohu.isa import SohuError

if TYPE_CHECKING:
    from prompt_toolkit.history import History
    from sohu.debugger.fullscreen import Screen

MAX_SCRIPT_DEPTH = 16
MAX_SCRIPT = 1 << 20  # bytes
_HEAD = re.compile(r"([A-Za-z?][\w-]*)(/\S*)?\s*(.*)", re.DOTALL)


class Quit(Exception):
    """The user wants to leave."""


class Shell:
    """One user at one session.

    failures, categories: what the exit code is made of (exitcodes.py). prompts: at a terminal it asks for commands.
    """

    prompts: ClassVar[bool] = True

    def __init__(self, session: Session, out: TextIO | None = None, style: Style | None = None) -> None:
        self.session = session
        self.out = out or sys.stdout
        self.err = out or sys.stderr
        self.style = style or Style.of(self.out)
        self.commands = load_commands()
        self.sources = Sources(session.program.name)
        self.failures: list[int] = []  # exit codes of the errors of commands
        self.categories: list[str] = []  # of the errors that stopped the program
        self.python = False  # the command is on
        self.interpreter: Any = None  # that it uses
        self.format = ""  # what followed the slash of the command at hand: print/x
        self.listed: tuple[str, int] | None = None  # file and line after what `list` showed last
        self.disassembled: int | None = None  # pc after what `disassemble` showed last
        self.examined: tuple[str, str] | None = None  # format and address after what `x` showed last
        self.displays = Displays()
        self.settings = Settings()
        self.fullscreen: Screen | None = None  # that shows it
        self.history: History | None = None  # what was typed, once a prompt has asked for it
        self.observer = Observer(session)
        self.changes = Changes()  # from the stop before to the last one
        self._repeat = ""
        self._scripts = 0
        self._commanded = False  # commands of a breakpoint are being done
        self._resumed: Callable[[], Stop] | None = None  # how they let the program go on
        self._collecting: Point | None = None  # whose commands are being typed

    @property
    def width(self) -> int:
        """Columns to print in."""
        return self.settings[WIDTH] or columns(self.out)

    @property
    def shows_context(self) -> bool:
        """Whether stops are shown with all their context."""
        wanted = self.settings[CONTEXT]
        if self.fullscreen is not None:
            return False  # its panes show all that
        return wanted == "on" or (wanted == "auto" and self.out.isatty())

    @property
    def ascii(self) -> bool:
        """True where block characters cannot be relied on."""
        return plain(self.out)

    def write(self, text: str = "") -> None:
        """Print lines. Whatever they hold, the terminal obeys none of it but colours."""
        self.out.write(self.style.safe(text) + "\n")
        self.out.flush()

    def program_output(self, text: str) -> None:
        """Print what the program prints."""
        self.write(text)

    def answer(self, event: str, text: str, /, **record: Any) -> None:
        """Print what a command has found: `text`, or the record of it for programs that read along."""
        self.write(text)

    def error(self, e: SohuError) -> None:
        """Print what went wrong, and count it."""
        self.failures.append(DIVERGED if isinstance(e, ReplayDiverged) else e.exit_code)
        self.print_error(e)

    def warn(self, text: str, help: str = "") -> None:
        """Print what the user should know, which is no failure."""
        style = Style.of(self.err)
        hint = f"\n  help: {help}" if help else ""
        self.err.write(style.safe(f"{style.paint('stop', 'warning')}: {text}{hint}") + "\n")
        self.err.flush()

    def print_error(self, e: SohuError) -> None:
        """Print what went wrong."""
        style = Style.of(self.err)
        head, *rest = str(e).split("\n")
        self.err.write(style.safe("\n".join([style.paint("error", head), *rest])) + "\n")
        self.err.flush()

    # -- command lines -----------------------------------------------------------------------------

    def execute(self, line: str) -> bool:
        """Do a command line; False when it failed, which has been printed. Raises Quit."""
        text = line.strip()
        if self._collecting is not None:
            self._collect(text)
            return True
        if not text or text.startswith("#"):
            return True
        try:
            made, rest = self.parse(text)
            self._remember(made, text)
            made.run(self, rest)
        except SohuError as e:
            self.error(e)
            return False
        return True

    def collect(self, point: Point) -> None:
        """Take the lines that follow, up to `end`, as the commands of a point."""
        point.commands = []
        self._collecting = point

    @property
    def collecting(self) -> bool:
        """True while lines are commands of a breakpoint."""
        return self._collecting is not None

    def give_up(self) -> None:
        """What is being typed is not wanted: the commands of a breakpoint neither."""
        self._collecting = None

    def end_collecting(self) -> None:
        """No more lines come. Raises CommandError when commands of a breakpoint lack their `end`."""
        point, self._collecting = self._collecting, None
        if point is not None:
            raise CommandError(f"the commands of breakpoint {point.number} have no end", help="a line `end` ends them")

    def end(self) -> None:
        """No more lines come from anywhere: what is unfinished is an error, and counts as one."""
        try:
            self.end_collecting()
        except CommandError as e:
            self.error(e)

    def _collect(self, text: str) -> None:
        assert self._collecting is not None
        if text == "end":
            self._collecting = None
        elif text:
            self._collecting.commands.append(text)

    def again(self) -> bool:
        """What an empty line does: the last command again, if it is one to be repeated."""
        if self._collecting is not None:
            return True
        return self.execute(self._repeat)

    def _remember(self, made: Command, text: str) -> None:
        self._repeat = {"same": text, "": made.name}.get("none" if made.repeat is None else made.repeat, "")

    def parse(self, text: str) -> tuple[Command, str]:
        """The command of a line and its arguments; raises CommandError."""
        m = _HEAD.fullmatch(text)
        if m is None:
            raise CommandError(f"{text.split()[0]!r} is no command", help="help lists what there is")
        made, slash, rest = self.commands.find(m[1]), m[2] or "", m[3].rstrip()
        if slash and not made.formats:
            raise CommandError(f"{made.name} takes no format such as {slash}")
        self.format = slash[1:]
        if self.commands.subcommands(made.name) and rest:
            word, _, tail = rest.partition(" ")
            return self.commands.find_sub(made.name, word), tail.strip()
        return made, rest

    def complete(self, text: str) -> Iterable[str]:
        """What the word at the end of a line can become."""
        m = re.fullmatch(r"\s*([A-Za-z?][\w-]*)(/\S*)?\s+(.*)", text, re.DOTALL)
        if m is None:
            return sorted(c.name for c in self.commands if " " not in c.name)
        try:
            made = self.commands.find(m[1])
            rest = m[3]
            if subs := self.commands.subcommands(made.name):
                if " " not in rest:
                    return sorted(subs)
                word, _, rest = rest.partition(" ")
                made = self.commands.find_sub(made.name, word)
        except CommandError:
            return ()
        return made.complete(self.session, rest)

    def execute_file(self, path: Path) -> bool:
        """Do the commands in a file; False when one failed, which has been printed."""
        try:
            self.run_file(path)
        except SohuError as e:
            self.error(e)
            return False
        return True

    def run_file(self, path: Path) -> None:
        """Do the commands in a file. The first that fails ends it, as GDB does; raises CommandError then."""
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_SCRIPT + 1)
            lines = raw.decode().splitlines()
        except (OSError, UnicodeDecodeError) as e:
            raise CommandError(f"cannot read {path}: {getattr(e, 'strerror', None) or e}") from None
        if len(raw) > MAX_SCRIPT:
            raise CommandError(f"{path} is no script of commands: it is longer than {MAX_SCRIPT >> 10} KiB")
        if self._scripts == MAX_SCRIPT_DEPTH:
            raise CommandError(f"{path}: scripts that read scripts, {MAX_SCRIPT_DEPTH} deep")
        self._scripts += 1
        try:
            for number, line in enumerate(lines, 1):
                if not self.execute(line):
                    raise CommandError(f"{path}:{number}: the script ends here")
            self.end_collecting()
        finally:
            self._scripts -= 1

    @property
    def exit_code(self) -> int:
        """Of a session that nobody watches."""
        return of_session(self.failures, self.categories)

    # -- moving the program ------------------------------------------------------------------------

    def move(self, do: Callable[[], Stop]) -> None:
        """Let the program run until it stops by itself, by Ctrl-C or at a breakpoint, and show where.

        Commands of breakpoints may let it go on: that is done here too, once they are done.
        """
        if self._commanded:
            self._resumed = do
            return
        resumed: Callable[[], Stop] | None = do
        while resumed is not None:
            stop = self._move(resumed)
            self._resumed, self._commanded = None, True
            try:
                for command in [c for p in self.stopped_by(stop) for c in p.commands if c != "silent"]:
                    if not self.execute(command) or self._resumed is not None or self.session.stop is not stop:
                        break  # it failed, or the program moves on: what follows was meant for here
            finally:
                self._commanded = False
            resumed = self._resumed

    def _move(self, do: Callable[[], Stop]) -> Stop:
        with self._ctrl_c():
            before = self.session.stop
            try:
                stop = do()
            except SohuError:
                if self.session.stop is not None and self.session.stop is not before:
                    self.show(self.session.stop)  # where it stands, before what went wrong
                raise
        self.listed = self.disassembled = None
        if not any(p.commands[:1] == ["silent"] for p in self.stopped_by(stop)):
            self.show(stop)
        if isinstance(stop, (Faulted, Caught)):
            self.categories.append(stop.error.category)
        return stop

    @staticmethod
    def stopped_by(stop: Stop) -> Sequence[Point]:
        """The breakpoints, watchpoints and catches that a stop is due to."""
        if isinstance(stop, BreakpointHit):
            return stop.breakpoints
        if isinstance(stop, Watched):
            return [*(c.point for c in stop.changes), *stop.breakpoints]
        return [stop.point] if isinstance(stop, Caught) else []

    def show(self, stop: Stop) -> None:
        """Print where the program stands and why."""
        if self.shows_context or self.fullscreen is not None:
            self.changes = self.observer.observe()
        self.show_again(stop)

    def show_again(self, stop: Stop) -> None:
        """The same, without having moved."""
        in_context = self.shows_context and not isinstance(stop, Exited)
        text = render_stop(self, stop, place=not in_context)
        if in_context:
            panels = context(self, self.changes, self.settings[SECTIONS], min(self.width, MAX_WIDTH))
            text = "\n".join([*([text] if text else []), *panels])
        self.write(text)
        for line in self.displays.lines(self):
            self.write(line)

    @contextlib.contextmanager
    def _ctrl_c(self) -> Iterator[None]:
        """While the program runs, Ctrl-C stops it and not the debugger."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, lambda *_: self.session.interrupt())
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before or signal.SIG_DFL)
