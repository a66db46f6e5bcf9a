"""What the panes of the full-screen mode show."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from sohu.debugger.changes import TileChange, by_name
from sohu.debugger.context import breakpoints_of, entry, operation, selected_line, tile_line
from sohu.debugger.display import filled, instruction_line, place_name, short, source_line
from sohu.debugger.fullscreen.pane import Contents, Row
from sohu.debugger.listing import is_own
from sohu.debugger.source import is_python
from sohu.debugger.stops import Exited
from sohu.debugger.views import headline, scalar
from sohu.isa import INSTRUCTION_BYTES, Fault, dtype_of

if TYPE_CHECKING:
    from sohu.debugger.fullscreen.screen import Screen

LOG_LINES = 20_000


class Source(Contents):
    """The file of the line at hand."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.file = ""

    def follow(self) -> None:
        """Show the file where the program stands; from code without lines, the last one stays."""
        session = self.screen.shell.session
        line = selected_line(self.screen.shell)
        self.file = (line.file if line else "") or self.file or session.current_file() or ""
        self.title = short(self.file) or "source"

    def total(self) -> int:
        """Lines of the file."""
        return len(self.screen.shell.sources.lines(self.file)) if self.file else 0

    def current(self) -> int | None:
        """The line at hand, or that of the kernel."""
        session = self.screen.shell.session
        line = selected_line(self.screen.shell) or session.symbols.line_at(session.symbols.body(session.kernel))
        return line.line - 1 if line is not None and line.file == self.file else None

    def rows(self, top: int, width: int, height: int) -> list[Row]:
        """Numbered lines; the expression at hand is underlined."""
        shell = self.screen.shell
        lines = shell.sources.lines(self.file) if self.file else []
        if not lines:
            what = f"{self.file} cannot be read" if self.file else "the program has no line information"
            return [Row(shell.style.safe(f" {what}"))]
        here = selected_line(shell) if shell.session.running else None
        marks = breakpoints_of(shell, self.file)
        out = []
        for n in range(top + 1, min(top + height, len(lines)) + 1):
            current = here is not None and (here.file, here.line) == (self.file, n)
            mark = shell.style.paint("error", f"{','.join(marks.get(n, [])):>3}")
            head = f"{mark} {shell.style.paint('arrow', '=>') if current else '  '} {n:>4} "
            text = shell.style.code(lines[n - 1].rstrip(), is_python(self.file))
            span = shell.sources.span(self.file, n, here.column) if current and here is not None else None
            span = span and (span[0] + 12, span[1] + 12)
            out.append(Row(f"{head} {text}", n - 1, current=current, underline=span))
        return out

    def click(self, item: int, margin: bool) -> bool:
        """On a number: set a breakpoint there, or delete those that are there."""
        if margin:
            self.screen.toggle(breakpoints_of(self.screen.shell, self.file).get(item + 1), f"{self.file}:{item + 1}")
        return margin


class Code(Contents):
    """The program's instructions, under labels, source lines and IR operations."""

    title = "code"

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def total(self) -> int:
        """Instructions."""
        return len(self.screen.shell.session.program.text) // INSTRUCTION_BYTES

    def current(self) -> int | None:
        """The instruction that comes next."""
        session = self.screen.shell.session
        return (session.pc if session.running else session.symbols.body(session.kernel)) // INSTRUCTION_BYTES

    def rows(self, top: int, width: int, height: int) -> list[Row]:
        """Instructions, and what they belong to above them."""
        shell = self.screen.shell
        symbols = shell.session.symbols
        operands = min(34, max(16, width - 52))
        out: list[Row] = []
        before = op_before = None
        for item in range(top, min(top + height, self.total())):
            pc = item * INSTRUCTION_BYTES
            name = place_name(shell, pc)
            if name and "+" not in name:
                out.append(Row(shell.style.safe(shell.style.paint("name", f"{name}:"))))
            line = symbols.line_at(pc)
            where = (line.file, line.line) if line is not None else None
            if line is not None and where != before and not is_own(shell, pc):
                out += [Row(shell.style.safe(text)) for text in source_line(shell, line, caret=False)]
            text, op = operation(shell, pc)
            if text and op != op_before:
                out.append(Row(shell.style.safe("            " + shell.style.paint("ir", text))))
            before, op_before = where, op
            here = shell.session.running and pc == shell.session.pc
            out.append(Row(shell.style.safe(instruction_line(shell, pc, operands)), item, current=here))
            if len(out) >= height:
                break
        return out

    def click(self, item: int, margin: bool) -> bool:
        """On an address: set or delete breakpoints."""
        pc = item * INSTRUCTION_BYTES
        there = [str(b.number) for b in self.screen.shell.session.breakpoints.values() if pc in b.pcs]
        if margin:
            self.screen.toggle(there, f"*{pc:#x}")
        return margin


class State(Contents):
    """Tiles, registers and semaphores, those in colour that have changed."""

    title = "tiles and registers"

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._items: list[tuple[str, str, int]] = []  # kind, name, number
        self._texts: dict[int, str] = {}

    def collect(self) -> None:
        """What there is now; how it is written is found out when it comes into sight."""
        shell = self.screen.shell
        session = shell.session
        self._texts.clear()
        self._items = []
        if isinstance(session.stop, Exited):
            self._items = [("output", name, i) for i, name in enumerate(session.stop.outputs)]
        if not session.running:
            return
        tiles = [t for t in session.names.tiles() if t.tile is not None]
        changed = {c.reg: i for i, c in enumerate(shell.changes.tiles)}
        name = by_name(session)
        live = {reg for file, reg in session.names.variables.registers() if file == "t"}
        tiles.sort(key=lambda t: (t.reg not in changed, t.reg not in live, not t.name, t.reg))
        self._items = [("tile", name(t.reg), t.reg) for t in tiles]
        x, sems = session.machine.x, session.machine.sems
        names = session.names
        self._items += [
            ("x", (names.scalar_names(i) or [f"x{i}"])[-1], i)
            for i, v in enumerate(x)
            if v or i in shell.changes.registers
        ]
        called = names.semaphore_names()
        self._items += [
            ("sem", called.get(i, f"s{i}"), i)
            for i, v in enumerate(sems)
            if v or i in called or i in shell.changes.semaphores
        ]

    def total(self) -> int:
        """Tiles, registers and semaphores that hold something; after the end, the outputs."""
        return len(self._items)

    def rows(self, top: int, width: int, height: int) -> list[Row]:
        """A row for each."""
        if not self._items:
            return [Row(" the program is not being run")]
        last = min(top + height, len(self._items))
        return [Row(self._text(i), i) for i in range(top, last)]

    def _text(self, item: int) -> str:
        if item not in self._texts:
            self._texts[item] = self.screen.shell.style.safe(self._made(*self._items[item]))
        return self._texts[item]

    def _made(self, kind: str, name: str, number: int) -> str:
        shell = self.screen.shell
        machine, style, changes = shell.session.machine, shell.style, shell.changes
        if kind == "tile":
            tile = machine.t[number]
            assert tile is not None
            change: TileChange | None = next((c for c in changes.tiles if c.reg == number), None)
            try:
                return tile_line(shell, name, tile.resolve(machine.x), change)
            except Fault as e:
                return f"  {style.paint('name', f'{name:<8}')} {tile}: {e.message}"
        if kind == "output":
            assert isinstance(shell.session.stop, Exited)
            array = shell.session.stop.outputs[name]
            return f"  {style.paint('name', f'{name:<8}')} {headline(array, dtype_of(array.dtype))}"
        changed = number in (changes.registers if kind == "x" else changes.semaphores)
        value = scalar(shell.session.evaluate(f"$x{number}")) if kind == "x" else str(machine.sems[number])
        register = "" if name == f"{kind[0]}{number}" else style.paint("dim", f"  {kind[0]}{number}")
        return f"  {style.paint('changed' if changed else 'name', f'{name:<8}')} {value}{register}"

    def click(self, item: int, margin: bool) -> bool:
        """Print it."""
        self.screen.enter(f"print {self._items[item][1]}")
        return True


class Queues(Contents):
    """What has issued and not executed yet."""

    title = "queues"

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._lines: list[str] = []

    def collect(self) -> None:
        """As they are now."""
        shell = self.screen.shell
        session = shell.session
        self._lines = []
        if not session.running:
            return
        empty = []
        for queue in session.queues:
            if not queue.entries:
                empty.append(queue.name)
                continue
            self._lines.append(f" {shell.style.paint('name', queue.name)}  {filled(session, queue)}")
            self._lines += [f"   {entry(shell, issued)}" for issued in queue.entries]
        if empty:
            self._lines.append(shell.style.paint("dim", f" empty: {' '.join(empty)}"))
        self._lines = [shell.style.safe(line) for line in self._lines]

    def total(self) -> int:
        """Lines."""
        return len(self._lines)

    def rows(self, top: int, width: int, height: int) -> list[Row]:
        """A line for each instruction that waits."""
        return [Row(line) for line in self._lines[top : top + height]]


class Log(Contents):
    """What commands and the program have printed; a stream that the shell writes to, also from another thread."""

    title = "output"
    encoding = "utf-8"

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.columns = 80
        self._lines: deque[str] = deque([""], maxlen=LOG_LINES)

    def write(self, text: str) -> int:
        """Append what the shell has cleaned already."""
        first, *more = text.split("\n")
        self._lines[-1] += first
        self._lines.extend(more)
        self.screen.redraw()
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""

    def isatty(self) -> bool:
        """As good as a terminal: colours are shown."""
        return self.screen.colour

    def fileno(self) -> int:
        """It has none."""
        raise OSError("no file")

    def total(self) -> int:
        """Lines, without the one that nobody has begun."""
        return len(self._lines) - (not self._lines[-1])

    def rows(self, top: int, width: int, height: int) -> list[Row]:
        """Lines as they are."""
        self.columns = max(20, width)
        lines = list(self._lines)
        return [Row(line) for line in lines[top : top + height]]
