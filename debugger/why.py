"""Where a value comes from: the instruction that wrote it, the elements that went into it, and on back from there.

Found by running parts of the launch again (emulator/timeline.py), from the last one back: engines' writes are written
down, and the instruction that made the element is asked about it the moment before it executes
(emulator/provenance.py). The machine stands where it stood before, afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

import numpy as np
from sohu.asm import Line
from sohu.asm.names import REGISTERS
from sohu.debugger.errors import CommandError
from sohu.emulator import MachineError
from sohu.emulator.provenance import (
    Entry,
    Index,
    Origin,
    Part,
    Place,
    Recorder,
    Write,
    index_of,
    place_of,
)
from sohu.isa import Fault, Space, Tile, fp4x2
from sohu.isa.numerics import unpack_fp4, widen

if TYPE_CHECKING:
    from sohu.debugger.session import Session

STEPS = 64  # of one chain
_TILE = re.compile(r"\s*(\$?\w+)\s*(?:\[(.*)\])?\s*", re.DOTALL)
_MADE = frozenset({"nan", "overflow", "tolerance"})  # errors of results that have been written


@dataclass(frozen=True)
class Element:
    """One element: `name` is that of the tile or parameter, or where it lies, and has the index with it."""

    name: str
    space: Space
    address: int
    value: float

    def record(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "element": self.name,
            "space": str(self.space),
            "address": self.address,
            "value": self.value if isfinite(self.value) else str(self.value),
        }


@dataclass(frozen=True)
class Source:
    """An element that went into another one. share: what it contributes to it, to first order; None: not known."""

    operand: str
    element: Element
    share: float | None


@dataclass(frozen=True)
class Step:
    """One link of the chain: an element, and where it comes from.

    kind: "moved" (from sources[0]), "computed" (sources: the most important ones first, of `of` in all; `about` says
    how: "sum of 1024 products"), "made" (of a constant, or random), "stored" (by the sequencer), "input" (it was
    there at the launch), "unwritten" (and nobody has put it there). pc, line and instruction are of what wrote it.
    """

    element: Element
    kind: str
    pc: int | None = None
    instruction: str = ""
    line: Line | None = None
    sources: tuple[Source, ...] = ()
    of: int = 0
    about: str = ""

    def record(self) -> dict[str, Any]:
        """The same for JSON."""
        where = None if self.line is None else {"file": self.line.file, "line": self.line.line}
        return self.element.record() | {
            "kind": self.kind,
            "pc": self.pc,
            "instruction": self.instruction,
            "source": where,
            "about": self.about,
            "of": self.of,
            "from": [s.element.record() | {"operand": s.operand, "share": s.share} for s in self.sources],
        }


def element_of(session: Session, text: str) -> tuple[Tile, Index]:
    """The element that `text` means: t[3, 17]; of several, or without an index, the most striking one.

    That is the first NaN, then the first infinity, then the largest. Raises CommandError.
    """
    m = _TILE.fullmatch(text)
    if m is None:
        raise CommandError(f"{text!r} is no element of a tile", help="why t[3, 17]")
    tile = _tile(session, m[1])
    array = session.machine.view(tile)
    places = [np.arange(n) for n in tile.dims]
    pieces = [p.strip() for p in m[2].split(",")] if m[2] is not None else []
    if len(pieces) > tile.rank:
        raise CommandError(f"{m[1]} has {tile.rank} dimensions, and {len(pieces)} indices are given")
    for axis, piece in enumerate(pieces):
        places[axis] = places[axis][_piece(session, piece, tile.dims[axis], f"{m[1]}, axis {axis}")]
    some = array[np.ix_(*places)]
    if not some.size:
        raise CommandError(f"{text}: no element", help=f"{m[1]} has the shape {list(tile.dims)}")
    at = np.unravel_index(_striking(some), some.shape)
    return tile, tuple(int(p[i]) for p, i in zip(places, at, strict=True))


def _tile(session: Session, name: str) -> Tile:
    """The tile that a name means now, also after the kernel's end."""
    bare = name.removeprefix("$")
    reg = session.names.tile_registers().get(name)
    if reg is None and bare in REGISTERS and REGISTERS[bare][0] == "t":
        reg = REGISTERS[bare][1]
    if reg is None or session.running:
        tile = session.evaluate(name).tile
        if tile is None:
            raise CommandError(f"{name} is no tile", help="why asks about an element of one: why t[3, 17]")
        return tile.resolve(session.machine.x)
    if session.stop is None:
        raise CommandError("the program is not being run", help="start or run it first")
    found = session.machine.t[reg]
    if found is None:
        raise CommandError(f"{name} holds no tile")
    return found.resolve(session.machine.x)


def _piece(session: Session, text: str, size: int, what: str) -> slice:
    """An index or a slice of one axis. Raises CommandError."""

    def number(part: str) -> int | None:
        if not part.strip():
            return None
        value = session.evaluate(part).data
        if not isinstance(value, int):
            raise CommandError(f"{part.strip()} is no index")
        return value

    if ":" in text:
        return slice(*[number(p) for p in text.split(":")])
    at = number(text)
    if at is None:
        raise CommandError(f"{what}: an index is missing")
    if not -size <= at < size:
        raise CommandError(f"{what}: {at} is outside 0..{size - 1}")
    at %= size
    return slice(at, at + 1)


def _striking(array: Any) -> int:
    """Of NaN the first one, else of infinities, else the largest."""
    wide = np.abs(widen(array) if array.dtype.kind not in "iu" else array.astype(np.float64)).reshape(-1)
    for bad in (np.isnan(wide), np.isinf(wide)):
        if bad.any():
            return int(np.argmax(bad))
    return int(np.argmax(wide))


def provenance(session: Session, tile: Tile, index: Index, *, steps: int = STEPS) -> list[Step]:
    """Where an element of a resolved tile comes from, step by step, to where the kernel got it.

    Where several elements went into one, the chain goes on with the one to blame: that is NaN or infinite, or
    contributes most. Raises CommandError for a machine without a past.
    """
    if session.machine.chips > 1:
        raise CommandError(
            "why looks at the launch of one chip, and here several run together",
            help="watch TILE chip N and reverse-continue lead to what wrote it",
        )
    if session.file is not None and not session.timeline.checkpoints:
        raise CommandError("a core file has no past to look at", help="debug the program itself: sohu-dbg PROGRAM")
    if not session.timeline.checkpoints:
        raise CommandError("the program is not being run", help="start or run it first")
    return _Chain(session).of(tile, index, steps)


class _Chain:
    """One question. The launch is looked at in pieces, from checkpoint to checkpoint, the last one first."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.machine = session.machine
        self.timeline = session.timeline
        if session.recorder is None:
            session.recorder = Recorder(session.machine)
        self.recorder = session.recorder
        self.at = session.position
        starts = [c.instruction for c in self.timeline.checkpoints if c.instruction < self.at]
        self.starts = starts or [self.timeline.start.instruction]
        self.logs: dict[int, list[Entry]] = {}
        self.fault = self.machine.fault
        self.time = self.machine.time

    def of(self, tile: Tile, index: Index, steps: int) -> list[Step]:
        """The chain."""
        element = self._element(tile, index, _value(self.machine.view(tile), tile, index))
        place = place_of(tile, index)
        out: list[Step] = []
        piece, before = len(self.starts) - 1, 1 << 62
        with self._elsewhere():
            while len(out) < steps:
                found = self._last(place, piece, before)
                if found is None:
                    out.append(self._given(element, place))
                    break
                piece, write = found
                before = write.number
                if write.bound is None or write.output is None:
                    out.append(self._step(element, "stored", write))
                    break
                origin, named = self._ask(piece, write, element.value)
                if origin.kind == "kept":
                    continue
                sources = tuple(Source(p.operand, e, p.share) for p, e in zip(origin.parts, named, strict=True))
                out.append(self._step(element, origin.kind, write, sources, origin))
                if not sources:
                    break
                element = sources[0].element
                place = place_of(origin.parts[0].tile, origin.parts[0].index)
        return out

    def _step(
        self, element: Element, kind: str, write: Write, sources: tuple[Source, ...] = (), origin: Origin | None = None
    ) -> Step:
        pc = write.op.pc
        mnemonic, operands, _ = self.session.assembly(pc)
        return Step(
            element, kind, pc, f"{mnemonic} {operands}".strip(), self.session.symbols.line_at(pc), sources,
            origin.of if origin is not None else 0, origin.about if origin is not None else "",
        )  # fmt: skip

    def _given(self, element: Element, place: Place) -> Step:
        """Nothing of this launch has written it."""
        block = self.machine.memories.hbm.find(place.low) if place.space is Space.HBM else None
        return Step(element, "unwritten" if block is None or block.fresh or block.scratch else "input")

    # -- the past ----------------------------------------------------------------------------------

    @contextmanager
    def _elsewhere(self) -> Iterator[None]:
        """The machine may be moved, and is then put back to where it stood."""
        halted = self.machine.halted and self.fault is None
        try:
            yield
        finally:
            self.recorder.begin()
            self._end()
            if halted and self.session.device.kernel is not None:
                self.session.device.finish()

    def _end(self) -> None:
        """Go to where the machine stood when it was asked."""
        self.timeline.goto(self.at)
        if self.fault is not None and self.machine.fault is None:
            with suppress(MachineError):  # the one that there was
                self.timeline.run(until_instruction=self.at + 1)
        elif self.time is not None and self.machine.time != self.time and not self.machine.halted:
            self.timeline.run(until_cycle=int(self.time))

    def _run(self, piece: int) -> list[Entry]:
        """A piece of the past once more."""
        self.timeline.goto(self.starts[piece])
        self.recorder.begin()
        end = self.starts[piece + 1] if piece + 1 < len(self.starts) else self.at
        self.timeline.replay(end, (self.recorder,))
        if end == self.at:
            with self.machine.watching((self.recorder,)):
                self._end()
        return self.recorder.log

    def _last(self, place: Place, piece: int, before: int) -> tuple[int, Write] | None:
        """The latest write to an element before number `before` of a piece, or in an earlier one."""
        while piece >= 0:
            if piece not in self.logs:
                self.logs.clear()  # of one piece, what is kept is enough
                log = self.logs[piece] = self._run(piece)
                if piece == len(self.starts) - 1 and self.fault is not None and self.fault.category not in _MADE:
                    while log and log[-1].op.pc == self.fault.pc:  # which has not made anything
                        log.pop()
            found = self.recorder.last(self.logs[piece], place, before)
            if found is not None:
                return piece, found
            piece, before = piece - 1, 1 << 62
        return None

    def _ask(self, piece: int, write: Write, value: float) -> tuple[Origin, list[Element]]:
        """What the instruction that wrote an element made it of."""
        entry = self.logs[piece][write.number]
        instruction = entry.instruction(self.machine) or self._once_more(piece, write).instruction(self.machine)
        if instruction is None or write.output is None:
            raise CommandError("the launch does not come out the same when it is run again")
        origin = instruction.origin(write.output, write.index, value)
        origin = Origin(origin.kind, _shown(origin.parts), origin.of, origin.about)
        return origin, [self._element(p.tile, p.index, p.value, entry) for p in origin.parts]

    def _once_more(self, piece: int, write: Write) -> Entry:
        """An instruction of which too little was kept, once more."""
        log = self.logs[piece]
        first = write.number
        while first and log[first - 1].at == log[write.number].at:
            first -= 1
        self.timeline.goto(max(log[first].at, self.starts[piece]))
        self.recorder.begin(write.number - first)
        with suppress(MachineError):  # what was found there, it has been seen before
            self.timeline.replay(self.timeline.last + 1, (self.recorder,))
        again = self.recorder.log
        return again[write.number - first] if len(again) > write.number - first else log[write.number]

    # -- names -------------------------------------------------------------------------------------

    def _element(self, tile: Tile, index: Index, value: float, entry: Entry | None = None) -> Element:
        place = place_of(tile, index)
        t, x = (entry.t, entry.x) if entry is not None else (self.machine.t, self.machine.x)
        return Element(self._name(tile, index, place, t, x), place.space, place.low, value)

    def _name(self, tile: Tile, index: Index, place: Place, t: list[Tile | None], x: list[int]) -> str:
        """`t[3, 17]`: by the register that holds the tile, by a declared tile that it lies in, by its parameter."""
        machine, names = self.machine, self.session.names.tile_registers()
        best: tuple[int, str] | None = None
        for name, reg in names.items():
            held = t[reg]
            if held is None:
                continue
            try:
                whole = held.resolve(x)
            except Fault:
                continue
            if whole == tile:
                return f"{name}{list(index)}"
            if whole.dtype == tile.dtype and (at := index_of(whole, place)) is not None:
                found = whole.size, f"{name}{list(at)}"
                best = found if best is None or found < best else best
        if best is not None:
            return best[1]
        block = machine.memories.hbm.find(place.low) if place.space is Space.HBM else None
        if block is not None and block.name:
            return f"{block.name}+{place.low - block.start:#x}"
        return f"{place.space} {place.low:#x}"


def _shown(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Those that are named: the few that matter most."""
    return parts[:7]


def _value(array: Any, tile: Tile, index: Index) -> float:
    element = array[index]
    if tile.dtype == fp4x2:
        return float(unpack_fp4(np.atleast_1d(element))[0])
    return float(element) if array.dtype.itemsize > 2 else float(widen(np.atleast_1d(element))[0])


def number(value: float) -> str:
    """A value as the chain shows it."""
    return "nan" if isnan(value) else f"{value:.6g}"
