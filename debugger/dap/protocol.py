"""Messages on the wire: a header that says how long the body is, and the body, JSON in UTF-8.

    Content-Length: 119\\r\\n
    \\r\\n
    {"seq": 153, "type": "request", "command": "next", "arguments": {"threadId": 3}}

Whoever speaks to us is not trusted: lengths are checked before anything is read, and what cannot be understood is a
ProtocolError. After one with `fatal` set nobody knows where the next message begins.
"""

from __future__ import annotations

import json
import threading
from typing import Any, BinaryIO

from sohu.isa import SohuError

MAX_HEADER = 4096  # bytes of all header lines of a message
MAX_BODY = 64 << 20  # bytes; a client's largest message is a write of memory
MAX_DEPTH = 100  # of lists and objects in one another


class ProtocolError(SohuError):
    """A message that breaks the protocol. fatal: what follows cannot be read either."""

    def __init__(self, message: str, *, fatal: bool) -> None:
        super().__init__(message)
        self.fatal = fatal


def read_message(stream: BinaryIO) -> dict[str, Any] | None:
    """The next message; None where the stream ends between two. Raises ProtocolError."""
    length = _read_header(stream)
    if length is None:
        return None
    body = stream.read(length)
    if len(body) < length:
        raise ProtocolError("the stream ends within a message", fatal=True)
    try:
        message = json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except UnicodeDecodeError:
        raise ProtocolError("a message is not in UTF-8", fatal=False) from None
    except RecursionError:
        raise ProtocolError(f"a message nests more than {MAX_DEPTH} deep", fatal=False) from None
    except ValueError as e:
        raise ProtocolError(f"a message is no JSON: {e}", fatal=False) from None
    if not isinstance(message, dict):
        raise ProtocolError("a message is no JSON object", fatal=False)
    if _too_deep(message):
        raise ProtocolError(f"a message nests more than {MAX_DEPTH} deep", fatal=False)
    return message


def _read_header(stream: BinaryIO) -> int | None:
    length, size = None, 0
    while True:
        line = stream.readline(MAX_HEADER + 1)
        size += len(line)
        if not line and not size:
            return None
        if not line.endswith(b"\n"):
            what = "the stream ends within a header" if size <= MAX_HEADER else "a header is too long"
            raise ProtocolError(what, fatal=True)
        if size > MAX_HEADER:
            raise ProtocolError(f"a header has more than {MAX_HEADER} bytes", fatal=True)
        line = line.strip()
        if not line:
            break
        name, colon, value = line.partition(b":")
        if not colon:
            raise ProtocolError(f"a header line is no `Name: value`: {line[:40]!r}", fatal=True)
        if name.strip().lower() == b"content-length":
            length = _length(value.strip())
    if length is None:
        raise ProtocolError("a header has no Content-Length", fatal=True)
    return length


def _length(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise ProtocolError(f"Content-Length is no number: {text[:40]!r}", fatal=True)
    length = int(text)
    if length > MAX_BODY:
        raise ProtocolError(f"a message of {length:,} bytes is refused; at most {MAX_BODY:,}", fatal=True)
    return length


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _too_deep(message: Any) -> bool:
    level = [message]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for at in level
            for child in (at.values() if isinstance(at, dict) else at)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


class Writer:
    """Sends messages, numbered in the order in which they go out; from any thread.

    A client that has gone is no error: what is sent then is dropped, and the reader finds the end of the stream.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._seq = 0
        self.gone = False

    def send(self, message: dict[str, Any]) -> None:
        """Send one message; `seq` is filled in."""
        with self._lock:
            self._seq += 1
            body = json.dumps({"seq": self._seq} | message, allow_nan=False).encode()
            try:
                self._stream.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
                self._stream.flush()
            except (OSError, ValueError):  # closed at either end
                self.gone = True
