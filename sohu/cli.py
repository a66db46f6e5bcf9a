"""Sohu: a transformer-inference chip in software.

Write kernels in Python, compile them to binaries, run them on an emulated chip, and debug them there.
"""

from __future__ import annotations

import ast
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib import import_module, resources

from sohu import __version__, commands
from sohu.arguments import Parser, suggestion
from sohu.isa import ISA_VERSION, SohuError

INTERRUPTED, READER_GONE = 130, 141  # 128 + SIGINT and SIGPIPE, as shells report them


def names() -> list[str]:
    """Names of the subcommands: the modules of sohu.commands."""
    return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the `sohu` command and give its exit status. Raises SystemExit for --help and usage errors."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(args)
        sys.stdout.flush()  # here, where a reader that is gone is noticed
        return status
    except SohuError as error:
        return _failed(str(error), error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to say at exit
        return READER_GONE
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _failed(f"{place}{error.strerror or error}")
    except MemoryError:
        return _failed("this machine has not enough memory for it")
    except KeyboardInterrupt:
        return INTERRUPTED


def _failed(message: str, status: int = SohuError.exit_code) -> int:
    print(f"sohu: {message}", file=sys.stderr)
    return status


def _dispatch(args: list[str]) -> int:
    if args and args[0] in names():
        command = import_module(f"sohu.commands.{args[0]}")
        status: int = command.main(args[1:])
        return status
    parser = _parser()
    if args and not args[0].startswith("-"):
        parser.error(f"unknown command {args[0]!r}{suggestion(args[0], names())}")
    parser.parse(args)  # --help and --version end here
    parser.print_help()
    return 0


def _parser() -> Parser:
    width = max(map(len, names()))
    summaries = "\n".join(f"  {name:{width}}  {_summary(name)}" for name in names())
    parser = Parser("", f"{__doc__}\ncommands (sohu COMMAND --help says more):\n{summaries}")
    version = f"sohu {__version__} (instruction set {ISA_VERSION[0]}.{ISA_VERSION[1]})"
    parser.add_argument("--version", action="version", version=version)
    parser.usage = "sohu COMMAND ..."
    return parser


def _summary(name: str) -> str:
    """First line of a command's docstring, read without importing all that the command needs."""
    source = resources.files(commands).joinpath(f"{name}.py").read_text(encoding="utf-8")
    doc = ast.get_docstring(ast.parse(source)) or ""
    return doc.partition("\n")[0].rstrip(".")
