"""The prompt, through a real pseudo-terminal."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.debugger.support import SCALE, SPIN, Folder

PROMPT = r"\(sohu\) "
ARGS = ["scale.elf", "--chip", "small", "--arg", "x=x.npy", "--arg", "n=5", "--arg", "f=2.5"]


class Terminal:
    """A user at a terminal of 100 columns."""

    def __init__(self, folder: Folder, *args: str, **environment: str) -> None:
        command, *rest = folder.command(*args)
        self.child: pexpect.spawn[str] = pexpect.spawn(
            command,
            rest,
            cwd=str(folder.path),
            env=folder.environment | {"PROMPT_TOOLKIT_NO_CPR": "1", **environment},  # type: ignore[arg-type]
            dimensions=(40, 100),
            timeout=30,
            encoding="utf-8",
        )
        self.expect(PROMPT)

    def type(self, keys: str) -> None:
        self.child.send(keys)

    def expect(self, pattern: str) -> None:
        self.child.expect(pattern)

    def enter(self, line: str, answer: str) -> None:
        """A command line, and what must come of it before the next prompt."""
        self.child.send(line + "\r")
        self.child.expect(answer)
        self.child.expect(PROMPT)

    def leave(self, line: str = "quit\r") -> int | None:
        self.child.send(line)
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus


@pytest.fixture
def terminal(folder: Folder) -> Iterator[Terminal]:
    made = Terminal(folder, *ARGS)
    yield made
    made.child.close(force=True)


def test_a_session(terminal: Terminal) -> None:
    terminal.enter("break twice", "Breakpoint 1 at")
    terminal.enter("run", "Breakpoint 1")
    terminal.enter("p x20", "x20 = 1")
    terminal.enter("nonsense", "no command 'nonsense'")
    terminal.enter("p $pc", r"\(0xe0\)")
    assert terminal.leave() == 0  # somebody watched


def test_the_toolbar_says_where_the_program_stands(terminal: Terminal) -> None:
    terminal.type("start\r")
    terminal.expect(r"pc 0x0050   scale\+0x50   scale.s:9   instruction 5")


def test_enter_repeats_the_last_command(terminal: Terminal) -> None:
    terminal.enter("start", "dma.load")
    terminal.enter("stepi", "vadds")
    terminal.enter("", "li")
    terminal.enter("", "loop")
    terminal.enter("list 1", "y = x")
    terminal.enter("", r"vadds")  # goes on from there
    terminal.enter("delete", "")
    terminal.enter("", "")  # is not repeated


def test_completion(terminal: Terminal) -> None:
    terminal.type("disas\t")
    terminal.expect("disassemble")
    terminal.type(" tw\t")
    terminal.expect("twice")
    terminal.type("\r")
    terminal.expect(r"add +x21")
    terminal.expect(PROMPT)
    terminal.type("info ti\t\r")
    terminal.expect("not being run")
    terminal.expect(PROMPT)
    terminal.type("break scale.s:1\t")
    terminal.expect("scale.s:10")
    terminal.expect("scale.s:19")
    terminal.type("\x03")
    terminal.expect(PROMPT)


def test_what_was_typed_before_is_suggested(folder: Folder) -> None:
    first = Terminal(folder, *ARGS)
    first.enter("print 12345", "12345 = ")
    assert first.leave() == 0
    assert "+print 12345" in (folder.path / "state/sohu/dbg_history").read_text()
    second = Terminal(folder, *ARGS)
    second.type("pri")
    second.expect("nt 12345")  # grey, to be taken with the right arrow
    second.enter("\x1b[C", "12345 = ")
    assert second.leave() == 0


def test_ctrl_c_stops_the_program_and_not_the_debugger(folder: Folder) -> None:
    folder.add("spin", SPIN)
    terminal = Terminal(folder, "spin.elf", "--chip", "small")
    for command in ("run", "continue", "stepi 1000000000", "next 1000000000"):
        terminal.type(command + "\r")
        with pytest.raises(pexpect.TIMEOUT):
            terminal.child.expect(PROMPT, timeout=0.7)
        terminal.type("\x03")
        terminal.expect("Interrupted")
        terminal.expect(PROMPT)
    terminal.type("half a com\x03")
    terminal.expect(PROMPT)
    terminal.enter("print x20 > 1000", "= 1")
    assert terminal.leave("\x04") == 0


def test_a_read_only_home_has_no_history_and_no_complaint(folder: Folder) -> None:
    (folder.path / "file").write_text("")
    terminal = Terminal(folder, *ARGS, XDG_STATE_HOME=str(folder.path / "file"))
    terminal.enter("print 1", "1 = 1")
    assert terminal.leave() == 0


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colour_where_it_is_wanted(folder: Folder, environment: dict[str, str], coloured: bool) -> None:
    terminal = Terminal(folder, *ARGS, **environment)
    terminal.type("start\r")
    terminal.expect(r"=>")
    before = terminal.child.before or ""
    terminal.expect("dma.load")
    shown = before[before.index("scale.s") :] + (terminal.child.before or "")
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)) is coloured
    assert terminal.leave() == 0


def test_the_python_api_opens_a_prompt_on_a_launch(folder: Folder) -> None:
    (folder.path / "own.py").write_text(
        "import numpy as np\n"
        "from sohu.asm import assemble\n"
        "from sohu.debugger import debug\n"
        f"program = assemble({SCALE!r}, 'scale.s')\n"
        "session = debug(program, 'scale', {'x': np.load('x.npy'), 'n': 5, 'f': 1.0})\n"
        "print('sum', session.stop.outputs['y'].sum())\n"
    )
    child = pexpect.spawn(
        sys.executable,
        ["-W", "error", "own.py"],
        cwd=str(folder.path),
        env=folder.environment | {"PROMPT_TOOLKIT_NO_CPR": "1"},  # type: ignore[arg-type]
        timeout=30,
        encoding="utf-8",
    )
    child.expect("dma.load")
    child.expect(PROMPT)
    child.send("continue\r")
    child.expect("has ended")
    child.expect(PROMPT)
    child.send("q\r")
    child.expect("sum 528.0")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_the_history_is_where_the_xdg_rules_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from sohu.debugger.prompt import history_file

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert history_file() == tmp_path / "sohu/dbg_history"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # to be ignored, say the rules
    monkeypatch.setenv("HOME", str(tmp_path))
    assert history_file() == tmp_path / ".local/state/sohu/dbg_history"
