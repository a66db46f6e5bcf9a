"""The `sohu-dbg` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sohu.debugger.chips import GroupSession
from sohu.debugger.events import JsonShell, write_event
from sohu.debugger.exitcodes import INTERRUPTED, OK, READER_GONE, TABLE, USAGE
from sohu.debugger.repl import interact
from sohu.debugger.session import Session
from sohu.debugger.shell import Quit, Shell
from sohu.debugger.startup import read_project_file, read_user_files
from sohu.debugger.style import Style, clean
from sohu.emulator import Device, Group
from sohu.emulator.checks import CHECKS
from sohu.emulator.run_cli import read_program, read_schedule
from sohu.emulator.snapshot_file import SnapshotFile, is_snapshot
from sohu.isa import SohuError

MAX_CHIPS = 64

_EPILOG = f"""\
examples:
  sohu-dbg softmax.elf --arg x=x.npy
  sohu-dbg --args softmax.elf x=x.npy
  sohu-dbg --core softmax.core
  sohu-dbg --chips 4 linear.elf --arg w=w.npy --arg 0:x=x0.npy --arg 1:x=x1.npy ...
  sohu-dbg -batch softmax.elf --arg x=x.npy -ex 'break softmax.py:9' -ex run -ex 'print t[0:4, :]'
  sohu-dbg --json softmax.elf --arg x=x.npy -batch -ex 'catch nan' -ex run | jq .reason

Arguments are given as to `sohu run`. These are done first to last: init files of the user, -ix and -iex, the init
file of the folder, -x and -ex. An init file is ~/.config/sohu/dbginit, ~/.sohudbginit, or .sohudbginit in a folder
that add-auto-load-safe-path has trusted.

{TABLE}"""


class _InOrder(argparse.Action):
    """Keeps -x and -ex in one list, -ix and -iex in another."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, value: Any, option: str | None = None
    ) -> None:
        todo = "early" if option in ("-ix", "-iex") else "todo"
        setattr(namespace, todo, [*getattr(namespace, todo), (self.dest, value)])


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
    p.add_argument("-ix", dest="script", action=_InOrder, metavar="FILE", help="as -x, before the folder's init file")
    p.add_argument("-iex", dest="command", action=_InOrder, metavar="COMMAND", help="as -ex, before that")
    p.add_argument("-nx", action="store_true", help="read no init files")
    p.add_argument("-batch", action="store_true", help="leave when these are done, read no commands")
    p.add_argument("-q", "-quiet", action="store_true", dest="quiet", help="do not say hello")
    p.add_argument("--tui", action="store_true", help="begin in the full screen")
    p.add_argument("--json", action="store_true", help="print one JSON object for each stop, text and error")
    p.add_argument("--python", action="store_true", help="have the command `python`, which runs Python code")
    p.add_argument(
        "--args",
        nargs=argparse.REMAINDER,
        metavar="ELF",
        help="all that follows is the program and its arguments: --args softmax.elf x=x.npy",
    )
    p.add_argument("--chip", default="sohu", help="configuration by name, or a .toml file (default: sohu)")
    p.add_argument(
        "--chips",
        type=_chips,
        metavar="N",
        help="run it on N chips together; --arg CHIP:NAME=VALUE is an argument for one of them",
    )
    p.add_argument("--timing", action="store_true", help="count cycles")
    p.add_argument(
        "--schedule",
        type=read_schedule,
        metavar="SEED|timed",
        help="instead of program order: a random legal order, or `timed`, when the timer says that effects are there",
    )
    p.add_argument(
        "--check",
        default="none",
        metavar="NAMES",
        help="checkers that stop the program, as for `sohu run`: all, none, or some of " + ", ".join(CHECKS),
    )
    p.add_argument("--no-record", action="store_true", help="make no checkpoints: going back is slow then")
    p.set_defaults(todo=[], early=[])
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (sys.argv's by default); returns the exit code."""
    p = parser()
    options = p.parse_args(argv)
    _check(p, options)
    try:
        shell = _shell(options)
    except SohuError as e:
        if options.json:
            write_event(sys.stdout, "error", message=clean(e.message), help=clean(e.help))
        print(Style.of(sys.stderr).safe(f"sohu-dbg: {e}"), file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    try:
        status = _run(options, shell)
        sys.stdout.flush()  # here, where a reader that is gone is noticed
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has seen enough; keep Python from complaining when it flushes at exit
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE


def _check(p: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """What argparse cannot see of the command line. Raises SystemExit."""
    if options.args is not None:
        if options.elf is not None or not options.args:
            p.error(
                "--args wants the program after it: --args PROGRAM NAME=VALUE ..."
                if not options.args
                else f"two programs: {options.elf} and {options.args[0]}, after --args"
            )
        options.elf, options.arg = Path(options.args[0]), [*options.arg, *options.args[1:]]
    if options.core is not None and options.core_file is not None:
        p.error("two core files")
    options.core = options.core or options.core_file
    if options.elf is None and options.core is None:
        p.error("the program is missing, or --core FILE")
    if options.core is None and is_snapshot(options.elf):
        options.elf, options.core = None, options.elf
    if options.core is not None and options.arg:
        p.error("a core file has its arguments; --arg is for a program that is to be run")
    if options.chips is not None and options.core is not None:
        p.error("a core file holds one chip")
    if options.chips is not None and options.timing and options.schedule != "timed":
        p.error("cycles of several chips are counted in timed order: --schedule timed")
    if options.tui and options.json:
        p.error("--tui and --json exclude each other")
    if options.tui and (options.batch or not (sys.stdin.isatty() and sys.stdout.isatty())):
        p.error("--tui wants a terminal" + (" and no -batch" if options.batch else ""))


def _chips(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_CHIPS:
        raise argparse.ArgumentTypeError(f"{text!r}: wants a number of chips, 1 to {MAX_CHIPS}")
    return int(text)


def _is_program(path: Path) -> bool:
    """False for a file that begins as no ELF file does; what cannot be read, or is assembly, is told elsewhere."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF" or path.suffix in (".s", ".sohu")
    except OSError:
        return True


def _session(options: argparse.Namespace) -> Session:
    if not _is_program(options.elf):
        raise SohuError(
            f"{options.elf} is neither a program nor a core file or snapshot",
            help="sohu-asm makes programs of assembly, sohu run --core leaves core files",
        )
    program = read_program(options.elf)
    record = not options.no_record
    session: Session
    if options.chips is None:
        device = Device(options.chip, schedule=options.schedule, timing=options.timing)
        session = Session(program, options.kernel, device=device, checks=options.check, record=record)
    else:
        group = Group(options.chips, options.chip, schedule=options.schedule)
        session = GroupSession(program, options.kernel, group=group, checks=options.check, record=record)
    session.give(options.arg)
    return session


def _of_core(options: argparse.Namespace) -> Session:
    file = SnapshotFile(options.core)
    if options.elf is not None and read_program(options.elf).text != file.program.text:
        raise SohuError(f"{options.core} is of another program than {options.elf}")
    return Session.of_file(file)


def _shell(options: argparse.Namespace) -> Shell:
    session = _session(options) if options.core is None else _of_core(options)
    shell = JsonShell(session) if options.json else Shell(session)
    session.output = shell.program_output
    shell.python = options.python
    return shell


def _run(options: argparse.Namespace, shell: Shell) -> int:
    session = shell.session
    ours = options.batch or not sys.stdin.isatty()  # nobody watches: failures must show in the exit code
    try:
        if not (options.quiet or ours or options.json):
            name = shell.style.paint("name", session.kernel.name)
            shell.write(f"{name} of {session.program.name}. Type help for help.")
        if not options.nx:
            read_user_files(shell)
        _do(shell, options.early)
        if not options.nx:
            read_project_file(shell)
        if session.stop is not None:
            shell.show(session.stop)
        _do(shell, options.todo)
        if options.tui:
            shell.execute("tui")
        if options.batch:
            shell.end()
        else:
            interact(shell)
    except Quit:
        pass
    return shell.exit_code if ours else OK


def _do(shell: Shell, todo: list[tuple[str, str]]) -> None:
    for kind, what in todo:
        if kind == "command":
            shell.execute(what)
        else:
            shell.execute_file(Path(what).expanduser())
