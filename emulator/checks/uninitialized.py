"""Uses of elements that nothing has written: SRAM, ACC and the stack since the launch, HBM since it was allocated.

What only moves elements (Row.moves) carries along which of them are missing; the first instruction that computes with
one, takes it as an index or brings it to a scalar is at fault, and a kernel that ends with a part of its outputs
unwritten.

What is written is remembered as a list of places. That says enough for almost every read: of the place just written,
or of a part of it. Only for others is the list laid out into a byte for every byte, of that memory or allocation.
Tensors that the host has filled, or has seen, hold no such elements.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sohu.emulator.checks.places import KEPT, Place, Places, bytes_of, name_of
from sohu.emulator.checks.registry import Check, check
from sohu.emulator.checks.scalars import Held, Scalars, operands
from sohu.emulator.memory import Allocation
from sohu.isa import DTYPES, Fault, Note, Space, Tile

if TYPE_CHECKING:
    from sohu.emulator.bind import Bound
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Issued, Op

_LOG = 512  # writes remembered one by one
_WHOLE = 64  # dense places among which the one that holds a read is looked for
_BYTE = DTYPES["u8"]
_NEVER = -1
Shadow = np.ndarray[tuple[int], np.dtype[np.uint8]]
Missing = NDArray[np.uint8]  # of a tile's elements: 1 where nothing was written


class _Area(Place):
    """A place; `sound` is the version of its home in which all of it is known to be written."""

    __slots__ = ("home", "inside", "sound")

    def __init__(self, tile: Tile, low: int, high: int, block: Allocation | None) -> None:
        super().__init__(tile, low, high, block)
        self.home: _Home | None = None
        self.sound = _NEVER
        self.inside: _Area | None = None  # the dense place that held it the last time


class _Home:
    """What has been written of one memory or allocation: bytes of `shadow`, then the log, in order.

    `version` changes when something that was written is no longer: at a launch, and when a copy brings missing
    elements. Until then what is sound stays so.
    """

    __slots__ = ("block", "dense", "kept", "log", "past", "scratch", "shadow", "size", "start", "touched", "version")

    def __init__(self, start: int, size: int, block: Allocation | None, scratch: bool) -> None:
        self.start = start
        self.size = size
        self.block = block
        self.scratch = scratch
        self.shadow: Shadow | None = None  # 1: written
        self.version = 0
        self.log: list[tuple[_Area, Op, Missing | None]] = []
        self.past: deque[tuple[_Area, Op, Missing | None]] = deque(maxlen=_LOG)  # what the log was, for messages
        self.dense: list[_Area] = []
        self.touched = (size, 0)  # of the shadow, since it was cleared
        self.kept: bytes | None = None  # of the shadow, a bit each, as it was saved last

    def save(self) -> tuple[Any, ...]:
        """For `load`."""
        low, high = self.touched
        if self.kept is None and self.shadow is not None and low < high:
            self.kept = np.packbits(self.shadow[low:high]).tobytes()
        return self.kept, self.touched, tuple(self.log), tuple(self.past)

    def load(self, state: tuple[Any, ...]) -> None:
        """Have written what was; nothing is known to be sound that was found so since."""
        self.forget()
        self.kept, (low, high), log, past = state
        self.log.extend(log)
        self.past.extend(past)
        if self.kept is not None:
            if self.shadow is None:
                self.shadow = np.zeros(self.size, np.uint8)
            bits = np.frombuffer(self.kept, np.uint8)
            self.shadow[low:high] = np.unpackbits(bits, count=high - low)
            self.touched = low, high

    def forget(self) -> None:
        """Nothing has been written."""
        self.version += 1
        self.log.clear()
        self.past.clear()
        self.dense.clear()
        self.kept = None
        low, high = self.touched
        if self.shadow is not None and low < high:
            self.shadow[low:high] = 0
            self.touched = (self.size, 0)

    def flat(self) -> Shadow:
        """The shadow with the whole log in it."""
        if self.shadow is None:
            self.shadow = np.zeros(self.size, np.uint8)
        if self.log:
            self.kept = None
        low, high = self.touched
        for area, _, missing in self.log:
            written = bytes_of(self.shadow, area.tile, self.start)
            written[...] = 1 if missing is None else 1 - missing[..., None]
            low, high = min(low, area.low - self.start), max(high, area.high - self.start)
        self.touched = low, high
        self.past.extend(self.log)
        self.log.clear()
        return self.shadow


class _Plan:
    """What one binding means here; only what lies in memory that may hold unwritten elements."""

    __slots__ = ("moved", "needs", "writes")

    def __init__(self) -> None:
        self.needs: list[tuple[str, _Area]] = []  # operand
        self.moved: list[_Area] = []
        self.writes: list[_Area] = []


@check("uninitialized", "uninitialized", "a use of elements of SRAM, ACC or HBM that nothing has written")
class Uninitialized(Check):
    """Finds the first use that matters of elements nothing has written."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.places = Places(_Area, machine.memories)
        self.plans: dict[Bound, _Plan] = {}
        chip = machine.config
        self.chip = {
            Space.SRAM: _Home(0, chip.sram_bytes, None, True),
            Space.ACC: _Home(0, chip.acc_bytes, None, True),
        }
        self.blocks: dict[Allocation, _Home] = {}
        self.scalars = Scalars()
        self.spoiled: dict[Allocation, Op] = {}  # tensors of the host to which missing elements were brought

    def launch(self) -> None:
        for home in self.chip.values():
            home.forget()
        for block, home in list(self.blocks.items()):
            if block.scratch:
                home.forget()
            elif not block.live or not block.fresh:
                del self.blocks[block]
        self.scalars.clear()
        self.spoiled.clear()
        if len(self.plans) > KEPT or len(self.places.known) > KEPT:
            self.plans.clear()
            self.places.known.clear()

    def save(self) -> tuple[Any, ...]:
        return (
            {space: home.save() for space, home in self.chip.items()},
            {block: (home, home.save()) for block, home in self.blocks.items()},
            [(block, block.fresh) for block in self.machine.memories.hbm.allocations],
            dict(self.spoiled),
            self.scalars.save(),
        )

    def load(self, state: tuple[Any, ...]) -> None:
        chip, blocks, fresh, spoiled, scalars = state
        for space, saved in chip.items():
            self.chip[space].load(saved)
        for home in self.blocks.values():
            home.forget()
        self.blocks = {block: home for block, (home, _) in blocks.items()}
        for home, saved in blocks.values():
            home.load(saved)
        for block, was in fresh:
            block.fresh = was
        self.spoiled = dict(spoiled)
        self.scalars.load(scalars)
        self.plans.clear()
        self.places.known.clear()

    def large(self, state: tuple[Any, ...]) -> Iterator[bytes]:
        for kept, *_ in [*state[0].values(), *(saved for _, saved in state[1].values())]:
            if kept is not None:
                yield kept

    # -- hooks -------------------------------------------------------------------------------------

    def parked(self, issued: Issued) -> None:
        self.scalars.park(issued)

    def before(self, op: Op, bound: Bound, value: int) -> None:
        plan = self.plans.get(bound) or self._plan(op, bound)
        held = self.scalars.take(op) if self.scalars.parked else None
        for name, a in plan.needs:
            home = a.home
            if home is not None and a.sound != home.version and (missing := self._missing(a)) is not None:
                self.found(self._fault(op, name, a, missing))
        for a in plan.moved:
            home = a.home
            if home is not None and a.sound != home.version and self._missing(a) is not None:
                self._carry(op, bound, held)
                return
        for a in plan.writes:
            home = a.home
            if home is not None and a.sound != home.version:
                self._wrote(a, op)

    def touched(self, op: Op, low: int, high: int, write: bool) -> None:
        block = self.machine.memories.hbm.find(low)
        if block is None or not block.fresh:
            return
        home = self._home(Space.HBM, block)
        shadow = home.flat()
        at, end = low - home.start, high - home.start
        if write:
            shadow[at:end] = 1
            home.kept = None
            home.touched = min(at, home.touched[0]), max(end, home.touched[1])
        elif not shadow[at:end].all():
            place = self.places.of(Tile(Space.HBM, _BYTE, low, (high - low,)))
            assert place is not None
            self.found(
                Fault(
                    "uninitialized",
                    f"the sequencer reads {name_of(self.machine, place)}, and nothing was stored there"
                    + (" since the launch" if block.scratch else ""),
                    help="store it first",
                )
            )

    def host_wrote(self, tile: Tile) -> None:
        area = self._area(tile)
        if area is None:
            return
        home = area.home
        assert home is not None
        bytes_of(home.flat(), tile, home.start)[...] = 1
        home.kept = None
        low, high = home.touched
        home.touched = min(low, area.low - home.start), max(high, area.high - home.start)
        area.sound = home.version

    def halted(self) -> None:
        for name, tile in self.machine.outputs:
            area = self.places.of(tile)
            if area is None or area.block is None or not area.block.fresh:
                continue
            area.home = self._home(Space.HBM, area.block)
            if area.sound != area.home.version and (missing := self._missing(area)) is not None:
                self.found(self._unwritten(name, area, missing))
        for block, op in self.spoiled.items():
            area = self.places.of(Tile(Space.HBM, _BYTE, block.start, (block.end - block.start,)))
            if block.live and block.fresh and area is not None:
                area.home = self._home(Space.HBM, block)
                if (missing := self._missing(area)) is not None:
                    notes = [Note("copy", op.pc), Note("the copy has brought elements that nothing has written")]
                    what = f"{np.count_nonzero(missing):,} bytes of {name_of(self.machine, area)}"
                    self.found(
                        Fault("uninitialized", f"the kernel ends, and {what} hold nothing any more", notes=notes)
                    )

    # -- what is written ---------------------------------------------------------------------------

    def _home(self, space: Space, block: Allocation | None) -> _Home:
        if block is None:
            return self.chip[space]
        home = self.blocks.get(block)
        if home is None:
            home = self.blocks[block] = _Home(block.start, block.end - block.start, block, block.scratch)
        return home

    def _area(self, tile: Tile) -> _Area | None:
        area = self.places.of(tile)
        if area is None or (area.block is not None and not area.block.fresh):
            return None
        if area.home is None or (area.block is not None and area.block not in self.blocks):
            area.home = self._home(area.space, area.block)
            area.sound = _NEVER
        return area

    def _plan(self, op: Op, bound: Bound) -> _Plan:
        plan = _Plan()
        assert op.inst is not None
        row = op.inst.row
        for (_, o, kind), tile in zip(row.data, bound.tiles, strict=True):
            area = self._area(tile)
            if area is None:
                continue
            if row.collective and (kind.writes_data or o.name in row.moves):
                pass  # which elements are read, other chips decide
            elif kind.reads_data:
                if o.name in row.moves:
                    plan.moved.append(area)
                else:
                    plan.needs.append((o.name, area))
            if kind.writes_data:
                plan.writes.append(area)
        self.plans[bound] = plan
        return plan

    def _wrote(self, a: _Area, op: Op) -> None:
        home = a.home
        assert home is not None
        a.sound = home.version
        home.log.append((a, op, None))
        if a.dense:
            home.dense.append(a)
            if len(home.dense) > _WHOLE:
                del home.dense[: _WHOLE // 2]
            if home.block is not None and a.high - a.low == home.size and not home.scratch:
                home.block.fresh = False  # all of it is written, for good
        if len(home.log) > _LOG:
            shadow = home.flat()
            if home.block is not None and not home.scratch and shadow.all():
                home.block.fresh = False

    def _missing(self, a: _Area) -> Missing | None:
        """Which elements nothing has written; None when all are there, which is then remembered."""
        home = a.home
        assert home is not None
        if home.block is not None and not home.block.fresh:
            a.sound = home.version
            return None
        held = a.inside
        if held is None or held.sound != home.version or held.home is not home:
            held = next(
                (d for d in reversed(home.dense) if d.low <= a.low and a.high <= d.high and d.sound == home.version),
                None,
            )
        if held is not None:
            a.inside = held
            a.sound = home.version
            return None
        written = bytes_of(home.flat(), a.tile, home.start)
        if written.all():
            a.sound = home.version
            return None
        missing: Missing = np.logical_not(written.all(axis=-1)).view(np.uint8)
        return missing

    def _carry(self, op: Op, bound: Bound, held: Held | None) -> None:
        """The semantics, on what is missing in place of the elements it moves."""
        assert op.inst is not None
        row = op.inst.row
        self.machine.memories.settle()
        values = operands(op, held)
        written: list[tuple[_Area, Missing]] = []
        memories = self.machine.memories
        for (_, o, kind), tile in zip(row.data, bound.tiles, strict=True):
            area = self._area(tile)
            if not kind.writes_data and o.name not in row.moves:
                values[o.name] = memories.view(tile).array
                continue
            shadow: Missing | None = None
            if area is not None and kind.reads_data and area.home is not None and area.sound != area.home.version:
                shadow = self._missing(area)
            values[o.name] = shadow = np.zeros(tile.dims, np.uint8) if shadow is None else shadow
            if kind.writes_data and (place := self.places.of(tile)) is not None:
                written.append((place, shadow))
        row.semantics(**values)
        for area, missing in written:
            if area.block is not None and not area.block.fresh:
                if missing.any():
                    self._spoil(area, op)
                else:
                    continue
            if not missing.any():
                self._wrote(area, op)
                continue
            home = area.home
            assert home is not None
            home.version += 1
            home.log.append((area, op, missing.copy()))
            home.dense.clear()
            if len(home.log) > _LOG:
                home.flat()

    def _spoil(self, area: _Area, op: Op) -> None:
        """A tensor of which all was written is so no longer: from now on it is looked at."""
        block = area.block
        assert block is not None
        block.fresh = True
        self.spoiled[block] = op
        area.home = home = _Home(block.start, block.end - block.start, block, block.scratch)
        home.flat()[...] = 1
        home.kept = None
        home.touched = 0, home.size
        self.blocks[block] = home
        self.plans.clear()
        self.places.known.clear()

    # -- what is said ------------------------------------------------------------------------------

    def _fault(self, op: Op, operand: str, a: _Area, missing: Missing) -> Fault:
        m = self.machine
        home = a.home
        assert home is not None and op.inst is not None
        since = "" if home.block is not None and not home.scratch else " since the launch"
        notes = [Note("use", op.pc)]
        carried = self._carried(a)
        if carried is not None:
            notes += [Note("copy", carried.pc), Note("the copy has brought the missing elements here")]
        elif (nearest := self._nearest(a)) is not None:
            notes += [Note("write", nearest.pc), Note("the write reaches a part of it only")]
        else:
            notes.append(Note("no instruction has written any of it"))
        adds = any(o.name == operand and k.writes_data for _, o, k in op.inst.row.data)
        help = "fill it first, or begin with an instruction that does not read what was there" if adds else ""
        return Fault(
            "uninitialized",
            f"{_which(missing)} of {name_of(m, a)} {_was(missing)} never written{since}",
            operand=operand,
            notes=notes,
            element=(a.tile, _first(missing)),
            help=help or "load or compute it first; is a tail shorter than the tile?",
        )

    def _unwritten(self, name: str, a: _Area, missing: Missing) -> Fault:
        notes = []
        if (nearest := self._nearest(a)) is not None:
            notes = [Note("write", nearest.pc), Note("the write reaches a part of it only")]
        return Fault(
            "uninitialized",
            f"the kernel ends, and {_which(missing)} of its output `{name}` {_was(missing)} never written",
            notes=notes,
            help="does its last block have a tail?",
        )

    def _carried(self, a: _Area) -> Op | None:
        return next((op for _, op, missing in self._recent(a) if missing is not None), None)

    def _nearest(self, a: _Area) -> Op | None:
        return next((op for _, op, missing in self._recent(a) if missing is None), None)

    def _recent(self, a: _Area) -> list[tuple[_Area, Op, Missing | None]]:
        home = a.home
        assert home is not None
        return [e for e in (*reversed(home.log), *reversed(home.past)) if e[0].low < a.high and a.low < e[0].high]


def _which(missing: Missing) -> str:
    """The first missing element, and how many more there are."""
    count = int(np.count_nonzero(missing))
    if count == missing.size:
        return "everything" if count > 1 else "the element"
    first = f"element [{', '.join(map(str, _first(missing)))}]"
    return first if count == 1 else f"{first} and {count - 1} more"


def _first(missing: Missing) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(missing.reshape(-1))), missing.shape))


def _was(missing: Missing) -> str:
    count = int(np.count_nonzero(missing))
    return "was" if count == 1 or count == missing.size else "were"
