"""Limits of time and memory for runs, and Ctrl-C that takes effect between two instructions."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

POLL = 0.01  # seconds between two looks at memory
_PAGE = resource.getpagesize()

# The C functions behind signal.signal and getsignal, which make enums of handlers and so take 14 microseconds.
_signal: Callable[..., Any] = getattr(signal.signal, "__wrapped__", signal.signal)
_getsignal: Callable[..., Any] = getattr(signal.getsignal, "__wrapped__", signal.getsignal)
_SIGINT = int(signal.SIGINT)


class CtrlC:
    """A context in which the first Ctrl-C calls `interrupt`, and KeyboardInterrupt follows at the end.

    Only in the main thread, and where Python's own handler is in place: whoever has another one decides alone. A
    second Ctrl-C does not wait for the end.
    """

    __slots__ = ("_before", "_interrupt", "pressed")

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self._interrupt = interrupt
        self._before: Any = None
        self.pressed = False

    def __enter__(self) -> CtrlC:
        if threading.current_thread() is threading.main_thread():
            before = _getsignal(_SIGINT)
            if before is signal.default_int_handler:
                self._before = before
                _signal(_SIGINT, self._press)
        return self

    def _press(self, _signal: int, _frame: FrameType | None) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True
        self._interrupt()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            _signal(_SIGINT, self._before)
            if self.pressed and kind is None:
                raise KeyboardInterrupt


class Watch:
    """A context in which `interrupt` is called when a run has taken too long or too much; `why` then says so.

    seconds: that are left, and limit: that were set; memory: bytes that may be taken beyond `base`. None: no limit.
    """

    def __init__(
        self,
        interrupt: Callable[[], None],
        *,
        seconds: float | None,
        limit: float | None,
        memory: int | None,
        base: int,
    ) -> None:
        self.why = ""
        self._interrupt = interrupt
        self._end = None if seconds is None else time.monotonic() + seconds
        self._limit = limit
        self._memory = memory
        self._base = base
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="limits of a run", daemon=True)

    def __enter__(self) -> Watch:
        if not self._over():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        while True:
            wait = None if self._end is None else max(0.0, self._end - time.monotonic())
            if self._memory is not None:
                wait = POLL if wait is None else min(wait, POLL)
            if self._done.wait(wait) or self._over():
                return

    def _over(self) -> bool:
        if self._end is not None and time.monotonic() >= self._end:
            self.why = f"the run has taken {self._limit:,g} seconds, the limit that was set"
        elif self._memory is not None and (taken := resident() - self._base) > self._memory:
            self.why = (
                f"the run has taken {taken:,} bytes of the host's memory; the limit that was set is {self._memory:,}"
            )
        if self.why:
            self._interrupt()
        return bool(self.why)


def resident() -> int:
    """Bytes of the host's memory that this process has to itself: what it has touched, less files that are mapped."""
    try:
        file = os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    try:
        _, all_pages, shared, *_ = os.read(file, 200).split()
    finally:
        os.close(file)
    return (int(all_pages) - int(shared)) * _PAGE
