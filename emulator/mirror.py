"""Snapshots one after the other, quickly: beside the memories lies a copy of what they held at the last one.

What has changed since is found by comparing large pieces of both at once. Pages of one snapshot that are as they were
are those of the one before, and dictionaries of pages in which nothing has changed too. Those that have changed are
read out of the copy when somebody wants them: the snapshot of a launch that ends soon is never wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sohu.emulator.memory import PAGE, _reserve
from sohu.emulator.snapshot import (
    ZERO,
    Held,
    Snapshot,
    bytes_of,
    held,
    make_room,
    of_state,
    page_spans,
    pieces_of,
    presence,
    put_back,
    put_state_back,
    take_part,
    write,
)
from sohu.emulator.workers import share
from sohu.isa import Space

if TYPE_CHECKING:
    from sohu.emulator.device import Device

_AT_ONCE = 64  # pages compared at once: they and their copies stay in the cache while the result is looked at
_TASK = 8  # times that, for one worker
_FEW = 16  # pages: shorter ranges are compared together
_ENTRY = 100  # bytes of a dictionary, for each page
Runs = list[tuple[int, int]]  # of pages, [first, end)


class Mirror:
    """Takes snapshots of one device and puts them back. `base`: the last one of either; its pages are not all there
    before `complete`.

    Where the host has no address space for the copy, it does without.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.base: Snapshot | None = None
        self.fresh = 0  # bytes that the last one does not share with the one before it
        self._blocks: tuple[Held, ...] = ()
        self._pending: dict[Space, NDArray[np.int64]] = {}  # pages of `base` that are only in the copy
        self._copies = self._zeros()

    def _zeros(self) -> dict[Space, NDArray[np.uint8]] | None:
        sizes = {space: -(-len(bytes_of(self.device.memories, space)) // PAGE) * PAGE for space in Space}
        try:
            return {space: np.frombuffer(_reserve(size), np.uint8) for space, size in sizes.items()}
        except OSError:
            return None

    def let_go(self) -> None:
        """Keep no tensor of an earlier launch alive, whose memory is the next one's."""
        if self.base is not None:
            self.base = replace(self.base, launch=(None, None))

    def forget(self) -> None:
        """Start anew: share nothing with what was taken before."""
        self.complete()
        self.base = None

    @property
    def nbytes(self) -> int:
        """Of the copy, as far as it is in use."""
        if self._copies is None or self.base is None:
            return 0
        return self.base.nbytes + PAGE * sum(map(len, self._pending.values()))

    def complete(self) -> None:
        """Have all pages of `base`."""
        if self.base is not None:
            for space, pages in self._pending.items():
                self._read(space, pages, self.base.pages[space])  # type: ignore[arg-type]  # made here: a dict
        self._pending = {}

    def take(self, *, shadows: bool = True, last: bool = False) -> Snapshot:
        """A snapshot of now, with what checkers know or without. last: nobody wants `base` any more."""
        device = self.device
        self.fresh = 0
        blocks = held(device)
        if self._copies is None:
            old = self.base
            self.base = take_part(device, old)
            self.fresh = self.base.nbytes if old is None else 0
            return self.base
        device.memories.settle()
        if not last:
            self.complete()
        pending, self._pending = self._pending, {}
        old, self.base = self.base, None  # whoever interrupts this leaves no half of it
        if old is None or self._blocks != blocks:
            old, self._copies, pending = None, self._zeros(), {}
            if self._copies is None:
                return self.take(shadows=shadows)
        pages: dict[Space, Mapping[int, bytes]] = {}
        for space in Space:
            runs = self._touched(space, blocks)
            if old is not None:
                runs = self._differing(space, runs)
                pages[space] = dict(old.pages[space]) if runs else old.pages[space]
            else:
                pages[space] = {}
            if runs:
                self._copy(space, runs)
                changed = np.concatenate([np.arange(first, end) for first, end in runs])
                pending[space] = np.union1d(pending[space], changed) if space in pending else changed
                self.fresh += PAGE * len(changed) + _ENTRY * (len(pages[space]) + len(changed))
        self._pending = pending
        self._blocks = blocks
        self.base = of_state(device, blocks, pages, shadows=shadows)
        return self.base

    def put_back(self, snapshot: Snapshot, *, shadows: bool = True) -> None:
        """Make the device what it was; not `shadows`: checkers go on knowing what they know."""
        device, base = self.device, self.base
        if self._copies is None or base is None or self._blocks != snapshot.blocks or not _as_now(snapshot.blocks):
            self.complete()
            put_back(device, snapshot, shadows=shadows)
            self.base = snapshot if self._copies is None else None
            return
        make_room(device, snapshot)
        self.complete()
        self.base = None
        for space in Space:
            was, pages = base.pages[space], snapshot.pages[space]
            now = set(self._pages(self._differing(space, self._touched(space, snapshot.blocks))))
            if was is not pages:
                now |= {p for p, data in pages.items() if was.get(p) is not data}
                now |= was.keys() - pages.keys()
            if now:
                order = sorted(now)
                write(device.memories, space, pages, pieces_of(device, space, snapshot.blocks), order)
                self._copy(space, _runs_of(np.array(order)))
        put_state_back(device, snapshot, shadows=shadows)
        self.base = snapshot

    # -- pages -------------------------------------------------------------------------------------

    def _touched(self, space: Space, blocks: tuple[Held, ...]) -> Runs:
        """What the host has given memory to: all else is zero."""
        spans = page_spans(pieces_of(self.device, space, blocks))
        out: Runs = []
        for first, there in presence(self.device.memories, space, spans):
            edges = np.flatnonzero(np.diff(there, prepend=False, append=False)) + first
            out += zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        return out

    def _differing(self, space: Space, runs: Runs) -> Runs:
        """Pages that are not as they were."""
        assert self._copies is not None
        now, then = bytes_of(self.device.memories, space), self._copies[space]
        whole = len(now) // PAGE
        x, y = (m[: whole * PAGE].view(np.uint64).reshape(whole, -1) for m in (now, then))
        found: list[NDArray[np.int64]] = []
        parts: list[slice | NDArray[np.int64]] = []
        apart: list[int] = []
        for first, end in runs:
            end = min(end, whole)
            if end - first < _FEW:
                apart += range(first, end)
            else:
                parts += [slice(a, min(a + _AT_ONCE, end)) for a in range(first, end, _AT_ONCE)]
        parts += [np.array(apart[i : i + _AT_ONCE]) for i in range(0, len(apart), _AT_ONCE)]

        def look(parts: list[slice | NDArray[np.int64]]) -> None:
            for part in parts:
                unlike = x[part] != y[part]
                if unlike.any():
                    at = np.flatnonzero(unlike.any(axis=1))
                    found.append(at + part.start if isinstance(part, slice) else part[at])

        share(self.device.machine.workers, [partial(look, parts[i : i + _TASK]) for i in range(0, len(parts), _TASK)])
        if runs and runs[-1][1] > whole and (now[whole * PAGE :] != then[whole * PAGE : len(now)]).any():
            found.append(np.array([whole]))
        return _runs_of(np.sort(np.concatenate(found)) if found else np.empty(0, np.int64))

    def _pages(self, runs: Runs) -> Iterable[int]:
        for first, end in runs:
            yield from range(first, end)

    def _copy(self, space: Space, runs: Runs) -> None:
        assert self._copies is not None
        now, then = bytes_of(self.device.memories, space), self._copies[space]
        for first, end in runs:
            part = now[first * PAGE : end * PAGE]
            then[first * PAGE : first * PAGE + len(part)] = part

    def _read(self, space: Space, numbers: NDArray[np.int64], pages: dict[int, bytes]) -> None:
        assert self._copies is not None
        then = memoryview(self._copies[space])  # type: ignore[arg-type]  # an array is a buffer
        for page in numbers.tolist():
            data = then[page * PAGE : page * PAGE + PAGE].tobytes()
            if data != ZERO:
                pages[page] = data
            else:
                pages.pop(page, None)


def _as_now(blocks: tuple[Held, ...]) -> bool:
    return all(b.live and b.writable is writable for b, writable in blocks)


def _runs_of(pages: NDArray[np.int64]) -> Runs:
    """Pages in order, as ranges."""
    if not len(pages):
        return []
    breaks = np.flatnonzero(np.diff(pages) != 1)
    firsts = pages[np.r_[0, breaks + 1]]
    ends = pages[np.r_[breaks, len(pages) - 1]] + 1
    return list(zip(firsts.tolist(), ends.tolist(), strict=True))
