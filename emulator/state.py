"""What a machine holds beside its memories, taken out of it and put back: for snapshots and core files.

`capture` and `restore` share no mutable object with the machine, so that a State can be restored any number of
times. `to_json` and `from_json` are for files; the latter believes nothing that it reads.
"""

from __future__ import annotations

import random
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sohu.emulator.errors import MachineError, Place
from sohu.emulator.schedules import RandomOrder, Spec, schedule_of
from sohu.emulator.timing import Timer
from sohu.emulator.timing import _Entry as TimedEntry
from sohu.emulator.translate import Frame, Issued
from sohu.isa import (
    BY_CODE,
    CATEGORIES,
    INSTRUCTION_BYTES,
    LOOP_DEPTH,
    MIN_QUEUE_DEPTH,
    NUM_SCALARS,
    NUM_SEMAPHORES,
    NUM_TILES,
    Fault,
    Signal,
    SohuError,
    Space,
    Tile,
)
from sohu.isa.machine import MAX_RANK

if TYPE_CHECKING:
    from sohu.emulator.machine import Machine

Scalar: TypeAlias = "int | float | Tile"

_WORD = 1 << 63
_RANDOM_WORDS = 625  # of Python's Mersenne Twister: 624 and a position
_TIMES = ("now", "time", "_hbm_free")
_MOST_QUEUED = 1 << 16  # in timed order, queues are as deep as the chip's


class Parked(NamedTuple):
    """An instruction in a queue: its index, its operands as they were resolved, what its semaphore must reach."""

    at: int
    tiles: tuple[Tile, ...]
    scalars: tuple[Scalar, ...]
    value: int


class TimedQueue(NamedTuple):
    """The timed side of an engine queue."""

    entries: tuple[TimedEntry, ...]
    running: bool
    busy: float
    stalled: float
    until: float


class Clock(NamedTuple):
    """The timer; sent: the signal of the sequencer's last instruction, which is still to count."""

    times: tuple[float, ...]
    sent: Signal | None
    sems: tuple[int, ...]
    events: tuple[tuple[float, int, int], ...]
    signals: tuple[tuple[int, Signal | None], ...]
    order: int
    queues: tuple[TimedQueue, ...]

    @property
    def cycles(self) -> int:
        """As Timer.cycles."""
        return round(max([self.times[0], *(at for at, _, place in self.events if place >= 0)]))


@dataclass(frozen=True)
class State:
    """Registers, semaphores, loops, queues, pc, counters, random state, timer and fault of a machine."""

    x: tuple[int, ...]
    t: tuple[Tile | None, ...]
    sems: tuple[int, ...]
    loops: tuple[tuple[int, int, int], ...]  # start, end, left
    queues: tuple[tuple[Parked, ...], ...]
    entry: int  # pc where the kernel started
    index: int  # of the instruction that comes next
    instructions: int
    halted: bool
    ending: bool
    announced: bool
    drained: bool
    schedule: Spec
    random: tuple[Any, ...] | None  # None in orders that are not random
    weights: tuple[float, ...]
    clock: Clock | None  # None without timing
    fault: MachineError | None

    def differs(self, other: State) -> str:
        """What of two states is not the same; "" when nothing is. Faults are the same when they say the same."""
        for name in self.__dataclass_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if name == "fault":
                mine, theirs = str(mine), str(theirs)
            if mine != theirs and repr(mine) != repr(theirs):  # repr: a NaN is the same as itself
                return "pc" if name == "index" else name
        return ""


def capture(machine: Machine) -> State:
    """The state of a machine that stands between two instructions; of a chip of a group, what is its own."""
    order = machine.order
    return State(
        tuple(machine.x),
        tuple(machine.t),
        tuple(machine.sems),
        tuple([(f.start, f.end, f.left) for f in machine.loops]),
        tuple([tuple([_parked(i) for i in q.entries]) for q in machine.queues]),
        machine.entry,
        machine._index,
        machine.instructions,
        machine.halted,
        machine.ending,
        machine.announced,
        machine.drained or not machine._code.resets,  # not kept where nobody asks
        machine.schedule,
        order.random.getstate() if isinstance(order, RandomOrder) else None,
        tuple(order.weights) if isinstance(order, RandomOrder) else (),
        None if machine.timer is None else _clock(machine.timer),
        machine.fault,
    )


def need_alone(machine: Machine) -> None:
    """Raises SohuError for a chip of a group that runs: what it shares with the others is not its own."""
    if machine.group is not None and not machine.halted:
        raise SohuError("a chip of a group has no snapshot by itself while the group runs")


def restore(machine: Machine, state: State) -> None:
    """Put a state back into a machine that has the program it was captured with.

    The memories are those of the state already. Raises SohuError when an instruction that waits in a queue uses
    memory that has been freed since, and for a state that no machine can be in.
    """
    queues = [[_issued(machine, number, p) for p in entries] for number, entries in enumerate(state.queues)]
    if state.schedule == "timed" and not _in_step(state, queues, machine.group is not None):
        raise SohuError("the timer does not know of what the queues hold")
    machine.x[:] = state.x
    machine.t[:] = state.t
    machine.sems[:] = state.sems
    machine.loops[:] = [Frame(*f) for f in state.loops]
    for q, entries in zip(machine.queues, queues, strict=True):
        q.entries.clear()
        q.entries.extend(entries)
    machine.parked = sum(map(len, queues))
    machine.entry = state.entry
    machine._index = state.index
    machine.instructions = state.instructions
    machine.halted = state.halted
    machine.ending = state.ending
    machine.announced = state.announced
    machine.drained = state.drained
    if machine.schedule != state.schedule:
        machine.schedule = state.schedule
        machine.order = schedule_of(state.schedule, machine)
    if isinstance(machine.order, RandomOrder) and state.random is not None:
        machine.order.random.setstate(state.random)
        machine.order.weights = list(state.weights)
    machine.fault = state.fault
    if state.clock is None:
        machine.timer = None
    else:
        machine.timer = machine.timer or machine._new_timer()
        _set_clock(machine.timer, state.clock)
        machine.order.lead()


# -- instructions in queues ----------------------------------------------------------------------------


def _parked(issued: Issued) -> Parked:
    scalars: tuple[Scalar, ...] = ()
    if issued.op.scalars:
        assert isinstance(issued.run, partial)
        scalars = issued.run.args
    return Parked(issued.op.index, issued.bound.tiles, scalars, issued.value)


def _issued(machine: Machine, number: int, parked: Parked) -> Issued:
    op = machine._code.op(parked.at)
    wrong = op.inst is None or op.queue is not machine.queues[number] or op.bind is None
    if wrong or len(parked.scalars) != len(op.scalars) or len(parked.tiles) != len(op.inst.row.data):  # type: ignore[union-attr]  # inst
        raise SohuError(f"pc {op.pc:#06x} holds no such instruction as waits in {machine.queues[number].name}")
    assert op.inst is not None and op.bind is not None
    registers = [op.inst.values[at] for at, _, _ in op.inst.row.data]
    before = machine.t[:]
    try:  # bound as when it issued, with the tiles that its registers held then
        for register, tile in zip(registers, parked.tiles, strict=True):
            machine.t[register] = tile
        bound = op.bind()
    except Fault as e:
        raise SohuError(f"pc {op.pc:#06x} waits in a queue and cannot be bound again: {e.message}") from None
    finally:
        machine.t[:] = before
    run: Callable[[], Any] = bound.invoke
    if op.scalars:
        run = partial(bound.invoke, *parked.scalars)
    return Issued(op, bound, run, parked.value)


# -- the timer -----------------------------------------------------------------------------------------


def _clock(timer: Timer) -> Clock:
    return Clock(
        tuple([getattr(timer, name) for name in _TIMES]),
        timer._sent,
        tuple(timer._sems),
        tuple(timer._events),
        tuple(timer._signals.items()),
        timer._order,
        tuple([TimedQueue(tuple(q.entries), q.running, q.busy, q.stalled, q.until) for q in timer._queues]),
    )


def _set_clock(timer: Timer, clock: Clock) -> None:
    for name, value in zip(_TIMES, clock.times, strict=True):
        setattr(timer, name, value)
    timer._sent = clock.sent
    timer._sems = list(clock.sems)
    timer._events = list(clock.events)
    timer._signals = dict(clock.signals)
    timer._order = clock.order
    for q, was in zip(timer._queues, clock.queues, strict=True):
        q.entries = deque(was.entries)
        q.running, q.busy, q.stalled, q.until = was.running, was.busy, was.stalled, was.until


def _in_step(state: State, queues: list[list[Issued]], in_group: bool) -> bool:
    """Whether the timer, which leads in timed order, has what the machine has; in_group: signals to other chips are
    the group's.
    """

    def signal(issued: Issued) -> Signal | None:
        remote = in_group and issued.op.inst is not None and issued.op.inst.row.remote
        return None if remote else issued.op.signal

    clock = state.clock
    if clock is None:
        return False
    signals = dict(clock.signals)
    runs = {place: signals[order] for _, order, place in clock.events}
    for place, (entries, timed) in enumerate(zip(queues, clock.queues, strict=True)):
        if timed.running and (not entries or signal(entries[0]) != runs[place]):
            return False
        waits = entries[timed.running :]
        if [(e.sem, e.value if e.sem >= 0 else 0, e.signal) for e in timed.entries] != [
            (-1 if i.op.wait is None else i.op.wait.sem, 0 if i.op.wait is None else i.value, signal(i)) for i in waits
        ]:
            return False
    sems = list(clock.sems)
    if clock.sent is not None:
        sems[clock.sent.sem] += clock.sent.inc
    return sems == list(state.sems)


# -- as JSON -------------------------------------------------------------------------------------------


def to_json(state: State) -> dict[str, Any]:
    """A state as numbers, texts, lists and dicts."""
    out: dict[str, Any] = {
        "x": list(state.x),
        "t": [None if t is None else tile_to_json(t) for t in state.t],
        "sems": list(state.sems),
        "loops": [list(f) for f in state.loops],
        "queues": [
            [[p.at, [tile_to_json(t) for t in p.tiles], [_scalar_to_json(v) for v in p.scalars], p.value] for p in q]
            for q in state.queues
        ],
        "entry": state.entry,
        "index": state.index,
        "instructions": state.instructions,
        "halted": state.halted,
        "ending": state.ending,
        "announced": state.announced,
        "drained": state.drained,
        "schedule": state.schedule,
        "random": None if state.random is None else list(state.random[1]),
        "weights": list(state.weights),
        "clock": None,
        "fault": None,
    }
    if (c := state.clock) is not None:
        out["clock"] = {
            "times": list(c.times),
            "sent": _signal_to_json(c.sent),
            "sems": list(c.sems),
            "events": [list(e) for e in c.events],
            "signals": [[order, _signal_to_json(s)] for order, s in c.signals],
            "order": c.order,
            "queues": [
                {
                    "entries": [[*e[:4], _signal_to_json(e.signal), e.issued] for e in q.entries],
                    "running": q.running,
                    "times": [q.busy, q.stalled, q.until],
                }
                for q in c.queues
            ],
        }
    if (e := state.fault) is not None:
        out["fault"] = {
            "category": e.category,
            "message": e.message,
            "pc": e.pc,
            "instruction": e.instruction,
            "operand": e.operand,
            "help": e.help,
            "chip": e.chip,
            "notes": [[n.text, n.pc, n.instruction] for n in e.notes],
        }
    return out


def tile_to_json(tile: Tile) -> list[Any]:
    """Not its 64 bytes: what a program computes can lie outside what they hold."""
    regs = list(tile.dimregs) if tile.dimregs else []
    return [int(tile.space), tile.dtype.code, tile.base, list(tile.dims), list(tile.strides), regs]


def _scalar_to_json(value: Scalar) -> Any:
    if isinstance(value, Tile):
        return {"tile": tile_to_json(value)}
    if isinstance(value, float):
        return {"f64": struct.unpack("<Q", struct.pack("<d", value))[0]}  # JSON has no NaN
    return int(value)


def _signal_to_json(signal: Signal | None) -> list[int] | None:
    return None if signal is None else [signal.sem, signal.inc]


class Damaged(ValueError):
    """A file does not hold what it should; says what."""


class Reader:
    """Values out of JSON, each checked; raises Damaged."""

    def __init__(self, value: Any, what: str) -> None:
        if not isinstance(value, dict):
            raise Damaged(f"{what} is no record")
        self.value = value
        self.what = what

    def get(self, key: str) -> Any:
        """Whatever is there."""
        if key not in self.value:
            raise Damaged(f"{self.what} has no {key}")
        return self.value[key]

    def number(self, key: str, low: int = 0, high: int = _WORD) -> int:
        """A whole number, low <= n < high."""
        return number(self.get(key), f"{key} of {self.what}", low, high)

    def text(self, key: str) -> str:
        """A text."""
        value = self.get(key)
        if not isinstance(value, str):
            raise Damaged(f"{key} of {self.what} is no text")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.get(key)
        if not isinstance(value, bool):
            raise Damaged(f"{key} of {self.what} is neither true nor false")
        return value

    def items(self, key: str, count: int | None = None, most: int = 1 << 20) -> list[Any]:
        """A list of `count`, or at most `most`."""
        return items(self.get(key), f"{key} of {self.what}", count, most)

    def record(self, key: str) -> Reader | None:
        """A record, or None for null."""
        value = self.get(key)
        return None if value is None else Reader(value, f"{key} of {self.what}")


def number(value: Any, what: str, low: int = 0, high: int = _WORD) -> int:
    """`value` as a whole number, low <= n < high; raises Damaged."""
    if type(value) is not int or not low <= value < high:
        raise Damaged(f"{what} is {value!r:.40}")
    return value


def items(value: Any, what: str, count: int | None = None, most: int = 1 << 20) -> list[Any]:
    """`value` as a list of `count`, or of at most `most`; raises Damaged."""
    if not isinstance(value, list) or len(value) > most or (count is not None and len(value) != count):
        raise Damaged(f"{what} is no list{'' if count is None else f' of {count}'}")
    return value


def _time(value: Any, what: str) -> float:
    if type(value) not in (int, float) or not 0 <= value < 1e300:
        raise Damaged(f"{what} is {value!r:.40}, which is no time")
    return float(value)


def _weight(value: Any) -> float:
    if not 1e-3 <= _time(value, "a weight") <= 1e6:
        raise Damaged(f"{value!r:.40} is no weight")
    return float(value)


def from_json(value: Any, size: int, queues: int) -> State:
    """The state that `to_json` wrote, of a program with `size` instructions; raises Damaged.

    Whether instructions in queues are ones of the program, `restore` finds.
    """
    r = Reader(value, "the state")
    loops = [items(f, "a loop", 3) for f in r.items("loops", most=LOOP_DEPTH)]
    drawn = r.get("random")
    random_state = None
    if drawn is not None:
        words = [number(n, "the random state", 0, 1 << 32) for n in items(drawn, "the random state", _RANDOM_WORDS)]
        if words[-1] > _RANDOM_WORDS - 1:
            raise Damaged("the random state is none")
        random_state = (random.Random.VERSION, tuple(words), None)
    schedule = r.get("schedule")
    drawn_order = schedule is not None and schedule != "timed"
    if drawn_order == (random_state is None):
        raise Damaged("a schedule and its random state belong together")
    most = _MOST_QUEUED if schedule == "timed" else MIN_QUEUE_DEPTH
    weights = r.items("weights", queues + 1 if drawn_order else 0)
    clock = r.record("clock")
    return State(
        x=tuple(number(v, "a register", -_WORD, _WORD) for v in r.items("x", NUM_SCALARS)),
        t=tuple(None if v is None else tile_from_json(v) for v in r.items("t", NUM_TILES)),
        sems=tuple(number(v, "a semaphore", 0, 1 << 32) for v in r.items("sems", NUM_SEMAPHORES)),
        loops=tuple(
            (number(a, "a loop", 0, size), number(b, "a loop", 0, size + 1), number(n, "a loop", 1))
            for a, b, n in loops
        ),
        queues=tuple(
            tuple(_parked_from_json(p, size) for p in items(q, "a queue", most=most)) for q in r.items("queues", queues)
        ),
        entry=r.number("entry", 0, size * INSTRUCTION_BYTES + 1),
        index=r.number("index", 0, size + 1),
        instructions=r.number("instructions"),
        halted=r.flag("halted"),
        ending=r.flag("ending"),
        announced=r.flag("announced"),
        drained=r.flag("drained"),
        schedule=number(schedule, "the schedule", -_WORD, _WORD) if drawn_order else schedule,
        random=random_state,
        weights=tuple(_weight(w) for w in weights),
        clock=None if clock is None else _clock_from_json(clock, queues),
        fault=_fault_from_json(r.record("fault"), size),
    )


def tile_from_json(value: Any) -> Tile:
    """The tile that `tile_to_json` wrote; raises Damaged."""
    space, code, base, dims, strides, regs = items(value, "a tile", 6)
    number(space, "a tile's space", 0, len(Space))
    if type(code) is not int or code not in BY_CODE:
        raise Damaged(f"a tile's dtype is {code!r:.40}")
    number(base, "a tile's base", -(1 << 100), 1 << 100)
    rank = len(items(dims, "a tile's shape", most=MAX_RANK))
    if not rank:
        raise Damaged("a tile has no dimensions")
    for d in dims:
        number(d, "a tile's dimension", 0, 1 << 32)
    for s in items(strides, "a tile's strides", rank):
        number(s, "a tile's stride", -(1 << 100), 1 << 100)
    for n in items(regs, "a tile's registers", rank if regs else 0):
        number(n, "a tile's register", 0, NUM_SCALARS)
    return Tile(Space(space), BY_CODE[code], base, dims, strides, regs or None)


def _parked_from_json(value: Any, size: int) -> Parked:
    index, tiles, scalars, reach = items(value, "an instruction in a queue", 4)
    return Parked(
        number(index, "an instruction in a queue", 0, size),
        tuple(tile_from_json(t) for t in items(tiles, "its tiles", most=16)),
        tuple(_scalar_from_json(v) for v in items(scalars, "its scalars", most=16)),
        number(reach, "what it waits for", -_WORD << 1, _WORD << 1),
    )


def _scalar_from_json(value: Any) -> Scalar:
    if isinstance(value, dict):
        r = Reader(value, "a scalar")
        if "tile" in value:
            return tile_from_json(r.get("tile"))
        bits: float = struct.unpack("<d", struct.pack("<Q", r.number("f64", 0, 1 << 64)))[0]
        return bits
    return number(value, "a scalar", -_WORD, _WORD)


def _signal_from_json(value: Any) -> Signal | None:
    if value is None:
        return None
    sem, inc = items(value, "a signal", 2)
    return Signal(number(sem, "a signal", 0, NUM_SEMAPHORES), number(inc, "a signal", 0, 1 << 32))


def _clock_from_json(r: Reader, queues: int) -> Clock:
    events = []
    for e in r.items("events", most=queues):
        at, order, place = items(e, "an event", 3)
        events.append((_time(at, "an event"), number(order, "an event"), number(place, "an event", 0, queues)))
    signals = []
    for e in r.items("signals", most=queues):
        order, signal = items(e, "a signal", 2)
        signals.append((number(order, "a signal"), _signal_from_json(signal)))
    timed = [_timed_from_json(Reader(q, "a timed queue")) for q in r.items("queues", queues)]
    running = sorted(i for i, q in enumerate(timed) if q.running)
    if {o for _, o, _ in events} != {o for o, _ in signals} or sorted(p for _, _, p in events) != running:
        raise Damaged("the timer's events are not those of its queues")
    return Clock(
        tuple(_time(v, "a time") for v in r.items("times", len(_TIMES))),
        _signal_from_json(r.get("sent")),
        tuple(number(v, "a semaphore", 0, 1 << 40) for v in r.items("sems", NUM_SEMAPHORES)),
        tuple(events),
        tuple(signals),
        r.number("order"),
        tuple(timed),
    )


def _timed_from_json(r: Reader) -> TimedQueue:
    entries = []
    for e in r.items("entries"):
        latency, transfer, sem, value, signal, issued = items(e, "a timed instruction", 6)
        entries.append(
            TimedEntry(
                _time(latency, "a cost"),
                _time(transfer, "a cost"),
                number(sem, "a semaphore", -1, NUM_SEMAPHORES),
                number(value, "what it waits for", -_WORD << 1, _WORD << 1),
                _signal_from_json(signal),
                _time(issued, "a time"),
                joint=False,
            )
        )
    busy, stalled, until = (_time(v, "a time") for v in r.items("times", 3))
    return TimedQueue(tuple(entries), r.flag("running"), busy, stalled, until)


def _fault_from_json(r: Reader | None, size: int) -> MachineError | None:
    """Without source lines, which the program knows."""
    if r is None:
        return None
    category = r.text("category")
    if category not in CATEGORIES:
        raise Damaged(f"an error has category {category!r:.40}")
    end = (size + 1) * INSTRUCTION_BYTES
    notes = []
    for n in r.items("notes", most=1000):
        text, pc, instruction = items(n, "a side of an error", 3)
        if not isinstance(text, str) or not isinstance(instruction, str):
            raise Damaged("a side of an error is no text")
        notes.append(Place(text, None if pc is None else number(pc, "a side of an error", 0, end), instruction))
    return MachineError(
        category,
        r.text("message"),
        pc=r.number("pc", 0, end),
        instruction=r.text("instruction"),
        operand=r.text("operand"),
        help=r.text("help"),
        chip=None if r.get("chip") is None else r.number("chip"),
        notes=notes,
    )
