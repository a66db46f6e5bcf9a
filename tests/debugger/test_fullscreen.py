"""The full-screen mode, through a real pseudo-terminal; pyte is the terminal, and what it displays is looked at."""

import re
import time
from collections.abc import Callable, Iterator

import numpy as np
import pexpect
import pyte
import pytest
from sohu.debugger.fullscreen.arrangement import ABOVE, LOG, arrange

from tests.debugger.support import SPIN, Folder

ARGS = ["scale.elf", "--chip", "small", "--arg", "x=x.npy", "--arg", "n=5", "--arg", "f=2.5"]
WIDTH, HEIGHT = 120, 36


class Display:
    """What a user sees of sohu-dbg, and their keys and mouse."""

    def __init__(self, folder: Folder, *args: str, columns: int = WIDTH, rows: int = HEIGHT, **env: str) -> None:
        program, *rest = folder.command(*args)
        self.child: pexpect.spawn[bytes] = pexpect.spawn(
            program,
            rest,
            cwd=str(folder.path),
            env=folder.environment | {"TERM": "xterm-256color"} | env,  # type: ignore[arg-type]
            dimensions=(rows, columns),
        )
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def pump(self, seconds: float) -> bool:
        """Read what comes; False when nothing came, or it has ended."""
        try:
            new = self.child.read_nonblocking(1 << 16, seconds)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        self.stream.feed(new)
        for _ in range(new.count(b"\x1b[6n")):
            self.child.send("\x1b[10;1R")
        return True

    def wait(self, until: str | Callable[[], bool], seconds: float = 20) -> None:
        """Until a pattern is on the screen, or something is true of it."""
        end = time.monotonic() + seconds
        while not (until() if callable(until) else re.search(until, self.text)):
            assert time.monotonic() < end, f"no {until!r} in\n{self.text}"
            self.pump(0.1)

    def type(self, keys: str) -> None:
        self.child.send(keys)

    def enter(self, line: str, answer: str) -> None:
        self.type(line + "\r")
        self.wait(answer)

    def find(self, text: str) -> tuple[int, int]:
        """Column and row, from 1, of the first place where a text stands."""
        for row, line in enumerate(self.lines, 1):
            if (column := line.find(text)) >= 0:
                return column + 1, row
        raise AssertionError(f"no {text!r} in\n{self.text}")

    def mouse(self, button: int, column: int, row: int, *, up: bool = False) -> None:
        self.type(f"\x1b[<{button};{column};{row}{'m' if up else 'M'}")

    def click(self, column: int, row: int) -> None:
        self.mouse(0, column, row)
        self.mouse(0, column, row, up=True)

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def close(self) -> int | None:
        """The exit status."""
        end = time.monotonic() + 20
        while self.child.isalive() and time.monotonic() < end:
            self.pump(0.1)
        self.child.close()
        return self.child.exitstatus


@pytest.fixture
def display(folder: Folder) -> Iterator[Display]:
    """The full screen, stopped at the kernel's first line."""
    made = Display(folder, *ARGS, "--tui", "-ex", "start")
    made.wait("F1 lists the keys")
    made.wait(r"=> +9")
    yield made
    made.child.close(force=True)


def test_everything_is_seen_at_once(display: Display) -> None:
    for title in ("scale.s", "code", "tiles and registers", "queues", "output"):
        display.find(f" {title} ")
    assert re.search(r"=> +9 +dma\.load", display.text)
    assert re.search(r"=> 0x0050 +dma\.load", display.text)
    assert "empty: DMA0" in display.text and "pc 0x0050" in display.lines[-1]
    assert display.lines[-2].startswith("(sohu)")


def test_commands_keys_and_what_has_changed(display: Display) -> None:
    display.enter("stepi", r"=> +10")
    display.wait(r"a +f32\[4, 8\] +31 of 32 changed")
    display.enter("", r"=> +11")  # Enter repeats
    display.type("\x18o")  # to the source: letters are commands
    display.type("s")
    display.wait(r"=> +12")
    display.type("\x1b")  # back to the command line
    display.wait("F1 keys")
    display.enter("print x20", "x20 = 0")
    display.type("\x1b[21~")  # F10
    display.wait(r"=> +13")
    display.enter("nonsense", "no command 'nonsense'")
    display.type("\x18a")
    display.wait(lambda: "output" not in display.text and "(sohu)" in display.text)
    display.enter("quit", "quit")
    assert display.close() == 0


def test_completion_history_and_search(display: Display) -> None:
    display.type("disass\t")
    display.wait("disassemble")
    display.type(" tw\t")
    display.wait("disassemble twice")
    display.type("\r")
    display.wait(r"output[\s\S]*add +x21, x20, x20")
    display.type("\x12disas")  # Ctrl-R
    display.wait("disassemble twice")
    display.type("\r")
    display.wait(r"\(sohu\) disassemble twice")


def test_a_click_on_a_line_number_sets_a_breakpoint_and_another_deletes_it(display: Display) -> None:
    column, row = display.find(" 11  ")
    display.click(column + 2, row)
    display.wait("Breakpoint 1 at 0x0070")
    display.wait(r"\n +1 +11 ")
    display.click(column + 2, row)
    display.wait(r"delete 1")
    display.wait(lambda: not re.search(r"\n +1 +11 ", display.text))
    column, row = display.find("0x0060")
    display.click(column + 2, row)
    display.wait("Breakpoint 2 at 0x0060")
    display.enter("continue", "Breakpoint 2 in scale")
    column, row = display.find("f32[4, 8]")  # a tile is printed
    display.click(column + 20, row)
    display.wait(r"\(sohu\) print [axy]\n")
    display.enter("print 6 * 7", "= 42")  # the focus has stayed
    column, row = display.find("vadds")
    display.click(column, row)  # on the text: the pane has it now
    display.type("i")
    display.wait(r"=> +11")


def test_the_wheel_scrolls_the_pane_under_it(display: Display) -> None:
    column, row = display.find("=>")
    first = display.lines[1]
    for _ in range(2):
        display.mouse(65, column, row)
    display.wait(lambda: display.lines[1] != first and " 7 " in display.lines[1][:12])
    display.mouse(64, column, row)
    display.wait(lambda: " 4 " in display.lines[1][:12])


def test_borders_are_dragged_and_moved_with_keys(display: Display) -> None:
    column, row = display.lines[3].index("│") + 1, 4
    display.mouse(0, column, row)
    display.pump(0.3)
    for at in (column - 5, column - 20):
        display.mouse(32, at, row)
        display.pump(0.3)
    display.mouse(0, column - 20, row, up=True)
    display.wait(lambda: display.lines[3].index("│") + 1 == column - 20)
    _, code = display.find(" code ")
    display.mouse(0, 10, code)
    display.pump(0.3)
    display.mouse(32, 10, code - 4)
    display.pump(0.3)
    display.mouse(0, 10, code - 4, up=True)
    display.wait(lambda: display.find(" code ")[1] == code - 4)
    display.type("\x1b[1;3B")  # Alt-down
    display.wait(lambda: display.find(" code ")[1] == code - 3)
    display.mouse(32, 10, code + 5)  # nobody holds it any more
    display.pump(0.3)
    assert display.find(" code ")[1] == code - 3


def test_ctrl_c_stops_the_program_and_the_screen_stays_alive(folder: Folder) -> None:
    folder.add("spin", SPIN)
    display = Display(folder, "spin.elf", "--chip", "small", "--tui")
    display.wait("F1 lists the keys")
    for command in ("run", "stepi 1000000000"):
        display.type(command + "\r")
        display.wait(r"running +instruction [1-9]")
        count = re.search(r"instruction ([\d,]+)", display.lines[-1])
        assert count is not None
        display.wait(lambda before=count[0]: before not in display.lines[-1])  # type: ignore[misc]
        display.enter("print 1", "the program is running; this is done when it has stopped")
        display.type("\x18o\x18o\x1b[B")  # keys work
        display.type("\x03")
        display.wait("Interrupted in spin")
        display.type("\x1b")
        display.enter("print x20 > 1000", r"x20 > 1000 = 1")
    display.type("quit\r")
    assert display.close() == 0


def test_what_is_typed_ahead_is_done_in_its_order(display: Display) -> None:
    display.type("stepi\rstepi\rstepi\rprint 6 * 7\r")
    display.wait(r"=> +12")
    display.wait(r"6 \* 7\n.*= 42")
    display.type("\x18onnn")
    display.wait("instruction 13")
    display.type("c")
    display.wait(r"│  y +f32\[4, 8\]  min 1  max 32")  # the output
    display.wait("not running")


def test_a_program_that_runs_does_not_keep_the_user_from_leaving(folder: Folder) -> None:
    folder.add("spin", SPIN)
    display = Display(folder, "spin.elf", "--chip", "small", "--tui")
    display.wait("F1 lists the keys")
    display.type("run\r")
    display.wait("running")
    display.type("\x04")
    assert display.close() == 0


COMPILED = """\
import sohu
from sohu import In, Out, f32

def shifted(t, by):
    u = t * by
    return u + 1.0

@sohu.kernel
def k(x: In[f32, "R C"], y: Out[f32, "R C"], *, rows: int = 8):
    for r in sohu.range(0, x.R, rows):
        t = x[r:r + rows]
        e = shifted(t, 2.0)
        y[r:r + rows] = e
"""


def test_a_compiled_kernel_with_its_variables_operations_and_frames(folder: Folder) -> None:
    import importlib.util

    (folder.path / "k.py").write_text(COMPILED)
    spec = importlib.util.spec_from_file_location("k", folder.path / "k.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    x = np.ones((20, 16), np.float32)
    np.save(folder.path / "ones.npy", x)
    (folder.path / "k.elf").write_bytes(module.k.compile(x).elf)
    args = ["k.elf", "--arg", "x=ones.npy", "-ex", "break k.py:6", "-ex", "run", "--tui"]
    display = Display(folder, *args, columns=140)
    display.wait("F1 lists the keys")
    display.wait(r"1 => +6 ")
    display.wait(r"1=> 0x[0-9a-f]+ ")  # in sight, though operations and lines stand between instructions
    display.wait(r"%u = vmuls %t")
    display.wait(r"\n[^\n]*│  u +f32\[8, 16\] ")
    _, row = display.find("  7 ")
    display.wait(lambda: any(c.underscore for c in display.screen.buffer[row - 2].values()))  # the expression
    display.type("\x18ou")  # up: the caller's line
    display.wait(r"=> +12 ")
    display.type("d")
    display.wait(r"1 => +6 ")
    display.type("N")  # reverse-next
    display.wait(r"=> +5 ")
    display.wait("back in time")
    display.type("\x1b")
    display.wait("F1 keys")
    display.type("\x04")
    assert display.close() == 0


def test_an_error_of_the_program_is_shown(folder: Folder) -> None:
    folder.add("bad", ".kernel bad\nli x20, 7\ntrap 3\nhalt\n")
    display = Display(folder, "bad.elf", "--chip", "small", "--tui", "-ex", "run")
    display.wait(r"error\[trap\]: the program trapped with code 3")
    display.wait("stopped by an error")
    display.enter("run", r"run\n+error\[trap\]")
    display.type("\x04")
    assert display.close() == 0


@pytest.mark.parametrize(("columns", "rows"), [(40, 10), (20, 6), (200, 60), (79, 12), (3, 2)])
def test_any_terminal_will_do(display: Display, columns: int, rows: int) -> None:
    display.resize(columns, rows)
    display.wait("Window too small" if rows < 6 and columns > 20 else "scale.s|Wi", 20)
    display.type("stepi\r")
    display.resize(WIDTH, HEIGHT)
    display.wait(r"=> +10 +vadds")
    assert display.child.isalive()
    if (columns, rows) == (40, 10):
        display.resize(columns, rows)
        display.wait(lambda: "tiles" not in display.text)
        display.wait(r"=> +10 +vadds")
        for title in ("code", "tiles", "queues", "output"):
            display.type("\x18o")
            if title == "code":
                display.type("\x18o")
            display.wait(f" {title} ")


def test_no_colour_means_none(folder: Folder) -> None:
    display = Display(folder, *ARGS, "--tui", "-ex", "start", NO_COLOR="1")
    display.wait("F1 lists the keys")
    assert {c.fg for line in display.screen.buffer.values() for c in line.values()} == {"default"}
    display.type("\x04")
    assert display.close() == 0


def test_in_the_c_locale_lines_are_ascii(folder: Folder) -> None:
    display = Display(folder, *ARGS, "--tui", "-ex", "start", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    display.wait("F1 lists the keys")
    display.wait(r"=> +9")
    assert display.text.isascii() and "-- scale.s ---" in display.text
    display.type("\x04")
    assert display.close() == 0


def test_no_full_screen_without_a_terminal(folder: Folder) -> None:
    done = folder.debug(*ARGS, "-batch", "-ex", "tui")
    assert done.returncode == 1 and "wants a terminal" in done.stderr
    done = folder.debug(*ARGS, "--tui")
    assert done.returncode == 2 and "wants a terminal" in done.stderr


@pytest.mark.parametrize("columns", [10, 40, 69, 70, 120, 400])
@pytest.mark.parametrize("rows", [3, 6, 8, 10, 24, 60])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_sizes_always_fit_the_terminal(columns: int, rows: int, share: float) -> None:
    shares = {"left": share, "source": share, "state": share, "output": share}
    for wanted in ABOVE:
        sizes = arrange(columns, rows, shares, wanted)
        assert min(sizes.rows.values()) >= 0
        sides = [("source", "code"), ("state", "queues")] if sizes.left else [ABOVE]
        for side in sides:
            assert sum(sizes.rows[n] for n in side) + sizes.rows[LOG] == max(0, rows - 2)
        assert rows < 6 or sizes.rows[wanted] > 1 or sizes.left
        assert not sizes.left or 20 <= sizes.left <= columns - 20
