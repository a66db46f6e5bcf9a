"""Where the adapter is reached: standard input and output, or a port of this machine."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import BinaryIO

from sohu.asm import Program
from sohu.debugger.dap.adapter import Adapter
from sohu.debugger.dap.protocol import Writer
from sohu.debugger.session import Session
from sohu.emulator import Argument, Device
from sohu.isa import SohuError

HOST = "127.0.0.1"  # never another: whoever connects can read the memory of what is debugged, and the files it names

PORT = "SOHU_DAP_PORT"  # the environment variable
DEFAULT_PORT = 4711


def on_stdio() -> None:
    """One conversation over standard input and output. What anything else prints goes to standard error."""
    stream, out = sys.stdin.buffer, sys.stdout.buffer
    before, sys.stdout = sys.stdout, sys.stderr
    try:
        Adapter(stream, Writer(out)).talk()
    finally:
        sys.stdout = before


def on_port(port: int, ready: Callable[[int], None], *, once: bool = False) -> None:
    """Conversations over TCP, one after the other; `ready` is told the port when it listens (0 takes a free one).

    Raises SohuError for a port that cannot be had.
    """
    with listen(port) as server:
        ready(server.getsockname()[1])
        while True:
            _accept(server, None)
            if once:
                return


def serve(session: Session, port: int = DEFAULT_PORT, *, ready: Callable[[int], None] | None = None) -> None:
    """Let an editor debug a session: wait for one to attach at a port of this machine, and return when it leaves.

    A session that has not been started is stopped at its kernel's first line; a launch that is under way is shown
    where it stands. ready: told the port when it listens; port 0 takes a free one. Raises SohuError for a port that
    cannot be had.
    """
    output = session.output
    with listen(port) as server:
        if ready is not None:
            ready(server.getsockname()[1])
        try:
            _accept(server, session)
        finally:
            session.output = output


def attach(
    program: Program,
    kernel: str | None = None,
    args: Mapping[str, Argument] | None = None,
    *,
    device: Device | None = None,
) -> Session:
    """Let an editor debug a launch: `softmax.attach(x)`; returns when the editor has left.

    The port is $SOHU_DAP_PORT, 4711 by default; standard error says where it waits. What the kernel wrote is in the
    returned session's `stop.outputs` when it ran to its end. Raises SohuError for a kernel that is not there, for
    arguments that do not fit, and for a port that cannot be had.
    """
    text = os.environ.get(PORT, str(DEFAULT_PORT))
    if not text.isdecimal():
        raise SohuError(f"{PORT} = {text!r} is no port", help="0 to 65535; 0 takes a free one")
    session = Session(program, kernel, args, device=device)
    session.begin()
    serve(session, int(text), ready=_tell)
    return session


def _tell(port: int) -> None:
    print(f"waiting for an editor to attach at {HOST}:{port}", file=sys.stderr, flush=True)


def listen(port: int) -> socket.socket:
    """A socket at a port of this machine, which no other can reach; raises SohuError."""
    if not 0 <= port <= 65535:
        raise SohuError(f"there is no port {port}", help="0 to 65535; 0 takes a free one")
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((HOST, port))
        server.listen(1)
    except OSError as e:
        server.close()
        raise SohuError(f"cannot listen at {HOST}:{port}: {e.strerror or e}", help="choose another port") from None
    return server


def _accept(server: socket.socket, session: Session | None) -> None:
    connection, _ = server.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.ExitStack() as closing:
            reading: BinaryIO = connection.makefile("rb")
            writing: BinaryIO = connection.makefile("wb")
            closing.callback(reading.close)
            closing.callback(_close, writing)
            Adapter(reading, Writer(writing), session).talk()


def _close(stream: BinaryIO) -> None:
    """Whoever read it may have gone."""
    with contextlib.suppress(OSError):
        stream.close()
