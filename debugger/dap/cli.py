"""The `sohu-dap` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sohu.debugger.dap.server import on_port, on_stdio
from sohu.isa import SohuError

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_EPILOG = """\
An editor starts this and speaks the Debug Adapter Protocol with it; docs/dap.md shows how to set one up.
exit codes: 0 the client has gone, 1 the port cannot be had, 2 the command line is wrong, 130 interrupted.
"""


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="sohu-dap",
        description="Debug kernels from an editor: a server of the Debug Adapter Protocol.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument(
        "--port",
        type=int,
        metavar="N",
        help="speak over TCP at this port of this machine (0: a free one), instead of standard input and output",
    )
    p.add_argument("--once", action="store_true", help="with --port: leave after the first conversation")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (sys.argv's by default); returns the exit code."""
    p = parser()
    options = p.parse_args(argv)
    if options.once and options.port is None:
        p.error("--once goes with --port")
    try:
        if options.port is None:
            on_stdio()
        else:
            on_port(options.port, _say, once=options.once)
    except SohuError as e:
        print(f"sohu-dap: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _say(port: int) -> None:
    print(f"sohu-dap: listening at 127.0.0.1:{port}", file=sys.stderr, flush=True)
