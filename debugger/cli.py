"""The `sohu-dbg` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sohu.debugger.repl import interact
from sohu.debugger.session import Session
from sohu.debugger.shell import Quit, Shell
from sohu.debugger.style import Style
from sohu.emulator import Device
from sohu.emulator.run_cli import read_arguments, read_program, read_schedule
from sohu.emulator.snapshot_file import SnapshotFile
from sohu.isa import SohuError

_EPILOG = """\
examples:
  sohu-dbg softmax.elf --arg x=x.npy
  sohu-dbg --core softmax.core
  sohu-dbg -batch softmax.elf --arg x=x.npy -ex 'break softmax.py:9' -ex run -ex 'print t[0:4, :]'

Arguments are given as to `sohu run`. -x and -ex are done in the order in which they stand.
exit codes: 0 all went well; 1 a file or an argument is wrong, or (with -batch, or when commands do not come
from a terminal) a command failed; 2 the command line is wrong; 3 as 1, but the machine stopped the program;
130 interrupted; 141 whoever read the output has gone.
"""
COMMAND_FAILED = 1
INTERRUPTED, READER_GONE = 130, 141  # 128 + SIGINT and SIGPIPE, as shells report them


class _InOrder(argparse.Action):
    """Keeps -x and -ex in one list."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, value: Any, option: str | None = None
    ) -> None:
        namespace.todo = [*namespace.todo, (self.dest, value)]


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="sohu-dbg",
        description="Debug a kernel of an ELF file on the emulator.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument("elf", type=Path, nargs="?", help="the program, as sohu-asm or the compiler writes it")
    p.add_argument("core", type=Path, nargs="?", help="a core file of it, or a snapshot")
    p.add_argument("--kernel", metavar="NAME", help="which kernel; needed when the program has several")
    p.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter: a .npy file for a tensor, a number for a scalar",
    )
    p.add_argument("--core", dest="core_file", type=Path, metavar="FILE", help="a core file, which holds its program")
    p.add_argument("-x", dest="script", action=_InOrder, metavar="FILE", help="do the commands in a file")
    p.add_argument("-ex", dest="command", action=_InOrder, metavar="COMMAND", help="do a command")
    p.add_argument("-batch", action="store_true", help="leave when these are done, read no commands")
    p.add_argument("-q", "-quiet", action="store_true", dest="quiet", help="do not say hello")
    p.add_argument("--tui", action="store_true", help="begin in the full screen")
    p.add_argument("--chip", default="sohu", help="configuration by name, or a .toml file (default: sohu)")
    p.add_argument("--timing", action="store_true", help="count cycles")
    p.add_argument(
        "--schedule",
        type=read_schedule,
        metavar="SEED|timed",
        help="instead of program order: a random legal order, or `timed`, when the timer says that effects are there",
    )
    p.set_defaults(todo=[])
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (sys.argv's by default); returns the exit code."""
    p = parser()
    options = p.parse_args(argv)
    if options.core is not None and options.core_file is not None:
        p.error("two core files")
    options.core = options.core or options.core_file
    if options.tui and not (sys.stdin.isatty() and sys.stdout.isatty()):
        p.error("--tui wants a terminal")
    if options.elf is None and options.core is None:
        p.error("the program is missing, or --core FILE")
    try:
        return _run(options)
    except SohuError as e:
        print(Style.of(sys.stderr).safe(f"sohu-dbg: {e}"), file=sys.stderr)
        return COMMAND_FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has seen enough; keep Python from complaining when it flushes at exit
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE


def _session(options: argparse.Namespace) -> Session:
    program = read_program(options.elf)
    device = Device(options.chip, schedule=options.schedule, timing=options.timing)
    session = Session(program, options.kernel, device=device)
    session.args = read_arguments(session.kernel, options.arg)
    return session


def _of_core(options: argparse.Namespace) -> Session:
    file = SnapshotFile(options.core)
    if options.elf is not None and read_program(options.elf).text != file.program.text:
        raise SohuError(f"{options.core} is of another program than {options.elf}")
    return Session.of_file(file)


def _run(options: argparse.Namespace) -> int:
    session = _session(options) if options.core is None else _of_core(options)
    shell = Shell(session)
    session.machine.output = shell.write
    ours = options.batch or not sys.stdin.isatty()  # nobody watches: failures must show in the exit code
    try:
        if not (options.quiet or ours):
            name = shell.style.paint("name", session.kernel.name)
            shell.write(f"{name} of {session.program.name}. Type help for help.")
        if session.stop is not None:
            shell.show(session.stop)
        for kind, what in options.todo:
            shell.execute(what if kind == "command" else f"source {what}")
        if options.tui:
            shell.execute("tui")
        if not options.batch:
            interact(shell)
    except Quit:
        pass
    return shell.exit_code if ours else 0
