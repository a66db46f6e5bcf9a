"""The prompt, through a real pseudo-terminal."""

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.debugger.support import SCALE, SPIN, Folder

PROMPT = r"\(sohu\) ?"
ARGS = ["scale.elf", "--chip", "small", "--arg", "x=x.npy", "--arg", "n=5", "--arg", "f=2.5"]
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()=>][0-9A-B]?|\r")
_WHERE = "\x1b[6n"  # the cursor's place is asked for


class Terminal:
    """A user at a terminal of 100 columns, who reads what is on the screen in the order in which it appears."""

    def __init__(self, folder: Folder, *command: str, **environment: str) -> None:
        program, *args = command
        self.child: pexpect.spawn[str] = pexpect.spawn(
            program,
            args,
            cwd=str(folder.path),
            env=folder.environment | {"NO_COLOR": "1"} | environment,  # type: ignore[arg-type]
            dimensions=(40, 100),
            encoding="utf-8",
        )
        self.raw = ""
        self.read = 0  # characters of the clean text that were expected already
        self.expect(PROMPT)

    @property
    def text(self) -> str:
        """All that was shown, without colours and movements of the cursor."""
        return _ESCAPES.sub("", self.raw)

    def type(self, keys: str) -> None:
        self.child.send(keys)

    def expect(self, pattern: str, seconds: float = 20) -> str:
        """Wait until something is shown after what was expected last; returns it."""
        end = time.monotonic() + seconds
        while True:
            if m := re.compile(pattern).search(self.text, self.read):
                self.read = m.end()
                return m[0]
            left = end - time.monotonic()
            assert left > 0, f"no {pattern!r} in {self.text[self.read :]!r}"
            self.pump(min(left, 0.2))

    def pump(self, seconds: float) -> None:
        """Read what comes, and answer as a terminal does."""
        try:
            new = self.child.read_nonblocking(4096, seconds)
        except pexpect.TIMEOUT:
            return
        except pexpect.EOF:
            pytest.fail(f"it has ended after {self.text[self.read :]!r}")
        self.raw += new
        for _ in range(new.count(_WHERE)):
            self.child.send("\x1b[10;1R")

    def enter(self, line: str, answer: str) -> None:
        """A command line, what must come of it, and the next prompt."""
        self.type(line + "\r")
        self.expect(answer)
        self.expect(PROMPT)

    def leave(self, keys: str = "quit\r") -> int | None:
        """The exit code after these keys."""
        self.type(keys)
        self.child.expect(pexpect.EOF, timeout=20)
        self.raw += self.child.before or ""
        self.child.close()
        return self.child.exitstatus


def start(folder: Folder, *args: str, **environment: str) -> Terminal:
    """sohu-dbg at its first prompt."""
    return Terminal(folder, *folder.command(*args), **environment)


@pytest.fixture
def terminal(folder: Folder) -> Iterator[Terminal]:
    made = start(folder, *ARGS)
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
    terminal.enter("", "li ")
    terminal.enter("", "loop")
    terminal.enter("list 1", "y = x")
    terminal.enter("", "19 +ret")  # goes on from there
    terminal.enter("delete", "")
    terminal.type("\r")  # is not repeated
    terminal.enter("print 7", "= 7")
    assert "no breakpoint" not in terminal.text


def test_completion(terminal: Terminal) -> None:
    terminal.type("disas\t")
    terminal.expect("semble")
    terminal.type(" tw\t")
    terminal.expect("ice")
    terminal.type("\r")
    terminal.expect(r"add +x21")
    terminal.expect(PROMPT)
    terminal.type("info ti\t\r")
    terminal.expect("not being run")
    terminal.expect(PROMPT)
    terminal.type("break scale.s:1\t")
    for number in range(10, 20):
        terminal.expect(f"scale.s:{number}")
    terminal.type("\x03")
    terminal.expect(PROMPT)


def test_what_was_typed_before_is_suggested(folder: Folder) -> None:
    first = start(folder, *ARGS)
    first.enter("print 12345", "12345 = ")
    assert first.leave() == 0
    assert "+print 12345" in (folder.path / "state/sohu/dbg_history").read_text()
    second = start(folder, *ARGS)
    second.type("pri")
    second.expect("nt 12345")  # grey, to be taken with the right arrow
    second.enter("\x1b[C", "12345 = ")
    assert second.leave() == 0


def test_the_context_is_shown_at_each_stop_and_can_be_switched_off(terminal: Terminal) -> None:
    terminal.enter("start", r"── scale\.s ─+\n[\s\S]*=> +9  [\s\S]*── code: scale\+0x50 ─+\n[\s\S]*=> 0x0050  dma")
    terminal.enter("stepi", r"── changed ─+\n  loaded 0 → 1\n  a +f32\[4, 8\]  31 of 32 changed  min 0  max 31")
    terminal.enter("context", r"── changed ─+\n  loaded 0 → 1\n")
    terminal.enter("set context-panels changed code", "")
    terminal.enter("stepi", r"stepi\n── changed ─+\n  loaded 1 → 2\n  a .*\n── code")
    terminal.enter("set context off", "")
    terminal.enter("stepi", r"stepi\n  scale\.s:12 +loop.*\n  => 0x0080  loop")
    terminal.enter("show context", "context = off")
    terminal.enter("set contex-panels", "no setting 'contex-panels'")
    terminal.enter("set context maybe", "wants one of on, off, auto")


def test_going_back_shows_where_in_time_it_stands(terminal: Terminal) -> None:
    terminal.enter("start", "dma.load")
    terminal.enter("stepi 4", "add ")
    terminal.enter("reverse-stepi", r"\n  => 0x0080  loop")
    terminal.expect(r"instruction 8 of 9 \(back in time\)")
    terminal.enter("reverse-continue", "The beginning of the launch")
    terminal.expect(r"instruction 0 of 9 \(back in time\)")
    terminal.enter("record off", "")
    terminal.enter("info line 9", "scale.s:9")
    terminal.expect("not recording")


def test_ctrl_r_searches_and_completions_say_what_they_are(terminal: Terminal) -> None:
    terminal.enter("print 4321", r"\$\d = 4321")
    terminal.type("\x12432")
    terminal.expect("print 4321")
    terminal.enter("\r", r"\$\d = 4321")
    terminal.type("info \t")
    terminal.expect("queues +What has issued to the engines")
    terminal.type("\x03")
    terminal.expect(PROMPT)
    terminal.type("break scale.s:1\t")
    terminal.expect("scale.s:12 +loop +3, done")
    terminal.type("\x03")
    terminal.expect(PROMPT)
    terminal.type("start x\t")
    terminal.expect("=")
    terminal.type("x.n\t")
    terminal.expect("py")
    terminal.enter("\r", "dma.load")
    terminal.type("set conte\t")
    terminal.expect("context-panels")
    terminal.type("\x03")
    terminal.expect(PROMPT)


def test_lines_after_commands_belong_to_a_breakpoint_until_end_or_ctrl_c(terminal: Terminal) -> None:
    terminal.enter("break done", "Breakpoint 1")
    terminal.type("commands\r")
    terminal.expect("\n>")
    terminal.type("print 77\r")
    terminal.expect(">")
    terminal.enter("end", "")
    terminal.enter("run", "= 77")
    terminal.type("commands 1\r")
    terminal.expect("\n>")
    terminal.type("\x03")
    terminal.expect(PROMPT)
    terminal.enter("print 5", "= 5")


def test_ctrl_x_a_goes_to_the_full_screen_and_back(terminal: Terminal) -> None:
    terminal.enter("start", "dma.load")
    terminal.type("\x18a")
    terminal.expect("F1 lists the keys")
    terminal.type("stepi\r")
    terminal.expect("=> 0x0060  vadds")
    terminal.type("\x18a")
    terminal.expect(r"── changed ─+\n  loaded 0 → 1\n")  # as it was left
    terminal.expect(PROMPT)
    terminal.enter("print 5", "= 5")
    terminal.type("\x1b[A\x1b[A\r")  # what was typed there, is remembered here
    terminal.expect(r"stepi\n")
    terminal.expect("=> 0x0070")


def test_ctrl_c_stops_the_program_and_not_the_debugger(folder: Folder) -> None:
    folder.add("spin", SPIN)
    terminal = start(folder, "spin.elf", "--chip", "small")
    for command in ("run", "continue", "stepi 1000000000", "next 1000000000"):
        terminal.type(command + "\r")
        time.sleep(0.7)
        terminal.type("\x03")
        terminal.expect("Interrupted in spin")
        terminal.expect(PROMPT)
    terminal.type("half a com\x03")
    terminal.expect(PROMPT)
    terminal.enter("print x20 > 1000", "= 1")
    assert terminal.leave("\x04") == 0


def test_a_read_only_home_has_no_history_and_no_complaint(folder: Folder) -> None:
    (folder.path / "file").write_text("")
    terminal = start(folder, *ARGS, XDG_STATE_HOME=str(folder.path / "file"))
    terminal.enter("print 1", "1 = 1")
    assert terminal.leave() == 0


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": "", "TERM": "dumb"}, False)],
)
def test_colour_where_it_is_wanted(folder: Folder, environment: dict[str, str], coloured: bool) -> None:
    terminal = start(folder, *ARGS, **environment)
    terminal.enter("start", "dma.load")
    terminal.enter("stepi", "31 of 32 changed")
    terminal.enter("list 9", "dma.load")
    terminal.enter("nonsense", "no command")
    assert terminal.leave() == 0
    assert bool(re.search(r"\x1b\[[0-9;]*3[1-7]m", terminal.raw)) is coloured


def test_the_python_api_opens_a_prompt_on_a_launch(folder: Folder) -> None:
    (folder.path / "own.py").write_text(
        "import numpy as np\n"
        "from sohu.asm import assemble\n"
        "from sohu.debugger import debug\n"
        f"program = assemble({SCALE!r}, 'scale.s')\n"
        "session = debug(program, 'scale', {'x': np.load('x.npy'), 'n': 5, 'f': 1.0})\n"
        "print('sum', session.stop.outputs['y'].sum())\n"
    )
    terminal = Terminal(folder, sys.executable, "-W", "error", "own.py")
    assert "dma.load" in terminal.text
    terminal.enter("continue", "has ended")
    assert terminal.leave() == 0
    assert "sum 528.0" in terminal.text


def test_the_history_is_where_the_xdg_rules_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from sohu.debugger.prompt import history_file

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert history_file() == tmp_path / "sohu/dbg_history"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # to be ignored, say the rules
    monkeypatch.setenv("HOME", str(tmp_path))
    assert history_file() == tmp_path / ".local/state/sohu/dbg_history"
