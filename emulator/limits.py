"""Limits of time and memory for runs, and Ctrl-C that takes effect between two instructions."""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from math import inf
from types import FrameType, TracebackType
from typing import Any

POLL = 0.01  # seconds between two looks at memory
LINGER = 0.5
_PAGE = resource.getpagesize()

# The C functions behind signal.signal and getsignal, which make enums of handlers: that takes 14 microseconds.
_plain: Any = importlib.import_module("_signal" if "_signal" in sys.builtin_module_names else "signal")
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
            before = _plain.getsignal(_SIGINT)
            if before is signal.default_int_handler:
                self._before = before
                _plain.signal(_SIGINT, self._press)
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
            _plain.signal(_SIGINT, self._before)
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
        self._end = inf if seconds is None else time.monotonic() + seconds
        self._limit = limit
        self._memory = memory
        self._base = base

    def __enter__(self) -> Watch:
        if not self.over():
            _watcher.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        _watcher.remove(self)

    @property
    def due(self) -> float:
        """When to look at it."""
        return self._end if self._memory is None else min(self._end, time.monotonic() + POLL)

    def over(self) -> bool:
        """Look at it now: whether a limit has been reached, of which the run has been told then."""
        if time.monotonic() >= self._end:
            self.why = f"the run has taken {self._limit:,g} seconds, the limit that was set"
        elif self._memory is not None and (taken := resident() - self._base) > self._memory:
            self.why = (
                f"the run has taken {taken:,} bytes of the host's memory; the limit that was set is {self._memory:,}"
            )
        if self.why:
            self._interrupt()
        return bool(self.why)


class Tick:
    """Calls something once, in another thread, a time after `start`, unless `stop` comes first."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.due = inf
        self._call = call

    def start(self, seconds: float) -> None:
        """So many seconds from now."""
        self.due = time.monotonic() + seconds
        _watcher.add(self)

    def stop(self) -> None:
        """Not any more."""
        _watcher.remove(self)

    def over(self) -> bool:
        """Look at it now: whether it has called."""
        if time.monotonic() < self.due:
            return False
        self._call()
        return True


class _Watcher:
    """One thread for all watches: to start one for each run would take longer than many a run."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: set[Watch | Tick] = set()
        self._wakes = inf  # when the thread looks next
        self._process = 0  # that the thread is in: a fork has none

    def add(self, watch: Watch | Tick) -> None:
        with self._changed:
            self._watches.add(watch)
            if self._process != os.getpid():
                self._process = os.getpid()
                threading.Thread(target=self._run, name="limits of runs", daemon=True).start()
            elif watch.due < self._wakes:
                self._changed.notify()

    def remove(self, watch: Watch | Tick) -> None:
        with self._changed:
            self._watches.discard(watch)

    def _run(self) -> None:
        with self._changed:
            while True:
                for watch in [w for w in self._watches if w.over()]:
                    self._watches.discard(watch)
                now = time.monotonic()
                # with nothing to watch it looks again soon: the next run is likely to come
                self._wakes = min([w.due for w in self._watches], default=now + LINGER)
                self._changed.wait(None if self._wakes == inf else max(0.0, self._wakes - now))


_watcher = _Watcher()


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
