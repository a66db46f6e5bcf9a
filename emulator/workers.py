"""Threads that share the pieces of large work (isa/pieces.py), each with one thread of BLAS.

Whether there is one worker or many changes no bit of any result: pieces depend on shapes only.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from sohu.isa import pieces, products
from sohu.isa.pieces import Task
from sohu.isa.products import Native
from threadpoolctl import ThreadpoolController


class Workers:
    """So many threads, the caller's own being one of them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._tasks: SimpleQueue[tuple[Task, _Batch]] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count - 1)]
        for thread in self._threads:
            thread.start()

    def run(self, tasks: Sequence[Task]) -> None:
        """Run all tasks; returns when they have been done. Raises what one of them raised, if any did."""
        if len(tasks) < 2:  # nobody else would ever say that the batch is done
            for task in tasks:
                task()
            return
        batch = _Batch(len(tasks) - 1)
        for task in tasks[1:]:
            self._tasks.put((task, batch))
        failure: BaseException | None = None
        try:
            tasks[0]()
            while True:
                self._one(wait=False)
        except Empty:
            pass  # the other threads have taken all that is left
        except BaseException as e:  # noqa: BLE001 (handed to the caller)
            failure = e  # the others still write into the caller's arrays: wait for them first
        batch.done.acquire()
        if failure or batch.failure:
            raise failure or batch.failure  # type: ignore[misc]  # one of them is an exception

    def _work(self) -> None:
        with np.errstate(all="ignore"):  # of each thread its own
            while True:
                self._one()

    def _one(self, *, wait: bool = True) -> None:
        task, batch = self._tasks.get(wait)
        batch.run(task)


class _Batch:
    """Tasks that belong together. `done` can be acquired when none is left."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.failure: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()
        self._lock = threading.Lock()

    def run(self, task: Task) -> None:
        try:
            task()
        except BaseException as e:  # noqa: BLE001 (handed to the caller)
            self.failure = e
        with self._lock:
            self.left -= 1
            if self.left == 0:
                self.done.release()


@cache
def _blas() -> Any:
    """What sets BLAS's number of threads: looked up once, since it looks at every library that is loaded."""
    return ThreadpoolController().select(user_api="blas")


@cache
def _pool(count: int, process: int) -> Workers:
    """One for each process: threads do not survive a fork."""
    return Workers(count)


def usable() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share(count: int, tasks: Sequence[Task]) -> None:
    """Run tasks in `count` threads; returns when they have been done. Raises what one of them raised, if any did."""
    if count > 1:
        _pool(count, os.getpid()).run(tasks)
    else:
        for task in tasks:
            task()


@contextmanager
def at_work(count: int, native: Native | None = None) -> Iterator[None]:
    """Large work is shared by `count` threads, and BLAS itself has one; `native` makes those it takes."""
    before = pieces.run, products.native
    with _blas().limit(limits=1):
        products.native = native
        if count > 1:
            pieces.run = _pool(count, os.getpid()).run
        try:
            yield
        finally:
            pieces.run, products.native = before
