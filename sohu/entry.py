"""Where commands begin that take a while to be imported."""

from __future__ import annotations

import signal


def debugger() -> int:
    """`sohu-dbg`. Ctrl-C before it is there ends the process as it ends any other, without a traceback."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as for a command in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from sohu.debugger.cli import main

    signal.signal(signal.SIGINT, before)
    return main()
