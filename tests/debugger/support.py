"""Programs to debug, as assembly, and the command run as a user runs it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
from sohu.asm import assemble, write_elf
from sohu.debugger import Session
from sohu.debugger.shell import Shell
from sohu.emulator import Argument, Device

SCALE = """\
# y = x + n in place; a loop calls a function three times
        .kernel scale
        .param  x, in, f32, [R, 8]
        .param  y, out, f32, [R, 8]
        .param  n, i64
        .param  f, f32
        .tile   a, sram, f32, [4, 8]
        .sem    loaded
        dma.load   a, x                          signal loaded
        vadds      a, a, 1.0   wait loaded>=1    signal loaded
        li         x20, 0
        loop       3, done
        add        x20, x20, 1
        call       twice
done:   sync       wait loaded>=2
        dma.store  y, a
        halt
twice:  add        x21, x20, x20
        ret
        .endkernel
"""
LOAD, VADDS, LI, LOOP, ADD, CALL, SYNC = 9, 10, 11, 12, 13, 14, 15  # lines of it
PROLOGUE = 5 * 16  # four parameters, one tile

SPIN = """\
        .kernel spin
top:    add  x20, x20, 1
        j    top
        .endkernel
"""

X = np.arange(32, dtype=np.float32).reshape(4, 8)
ARGS: dict[str, Argument] = {"x": X, "n": 5, "f": 2.5}


def make_session(source: str, args: dict[str, Argument] | None = None, **device: int) -> Session:
    """A session of another program."""
    return Session(assemble(source, "test.s"), args=args, device=Device("small", **device))  # type: ignore[arg-type]


def talk(session: Session, *lines: str) -> str:
    """What the debugger answers to command lines, without colours."""
    out = StringIO()
    shell = Shell(session, out)
    session.device.machine.output = shell.write
    for line in lines:
        shell.execute(line)
    return out.getvalue()


@dataclass(frozen=True)
class Folder:
    """Files of one test, and `sohu-dbg` run beside them."""

    path: Path

    def add(self, name: str, source: str) -> Path:
        """Write NAME.s and NAME.elf; returns the latter."""
        text = self.path / f"{name}.s"
        text.write_text(source)
        elf = self.path / f"{name}.elf"
        elf.write_bytes(write_elf(assemble(source, text.name)))
        return elf

    @property
    def environment(self) -> dict[str, str]:
        """With a home of its own, so that the history of whoever runs the tests stays as it is."""
        unwanted = ("XDG_CONFIG_HOME", "NO_COLOR", "COLUMNS", "LINES", "PROMPT_TOOLKIT_NO_CPR")
        kept = {k: v for k, v in os.environ.items() if k not in unwanted}
        state = {"HOME": str(self.path), "XDG_STATE_HOME": str(self.path / "state")}
        return kept | state | {"TERM": "xterm", "OPENBLAS_NUM_THREADS": "1"}

    def command(self, *args: str) -> list[str]:
        """The command line of sohu-dbg; warnings are errors in it too."""
        code = "import sys; from sohu.debugger.cli import main; sys.exit(main())"
        return [sys.executable, "-W", "error", "-c", code, *args]

    def debug(
        self, *args: str, stdin: str = "", environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            self.command(*args),
            cwd=self.path,
            env=self.environment | dict(environment or {}),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
