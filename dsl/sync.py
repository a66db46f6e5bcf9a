"""Semaphores: makes every engine wait for what it needs, and for nothing else it can tell apart.

Each queue that others depend on has one semaphore, which every instruction of the queue raises by one when it
is done; so "instruction n of queue Q is done" is `sQ >= n`, and the program knows n while it issues. Outside
loops n is a constant. A loop keeps a counter register per queue, the number of signals issued up to here: an
instruction k signals before this point is `sQ >= xQ - k`. Queues are in order, so one wait for the newest
instruction of a queue covers all older ones.

What must be waited for is found by walking the program in order with, for each stretch of memory, its last
writer and the readers since, and for each pair of queues, how far the one has waited for the other. A loop's body
is walked first to see what a turn leaves behind, then with that, until what was waited for holds at every turn.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from sohu.dsl.mir import Buffer, MInst, MKernel, MLoop, MNode, MWait, Place, VReg
from sohu.isa import ROWS, Row

Queue = tuple[str, int]
SEQUENCER: Queue = ("SEQ", 0)

# A loop's body is walked a few times, and a loop in it as often each time; deeper ones less often.
KNOWING_DEPTH = 4


@dataclass
class Access:
    """The newest write of a place, and the newest read since by each queue, as ordinals in the present frame."""

    writes: dict[Queue, int] = field(default_factory=dict)
    reads: dict[Queue, int] = field(default_factory=dict)


Waited = dict[tuple[Queue, Queue], int]  # (who, for whom): the newest instruction it has waited for


def both(a: Waited, b: Waited) -> Waited:
    """What has been waited for on either of two roads."""
    return {k: min(n, b[k]) for k, n in a.items() if k in b}


class State:
    """Who touched what last. Ordinals count a queue's signals from the last flush on; older ones are <= 0."""

    def __init__(self) -> None:
        self.places: dict[Place, Access] = {}
        self.issued: dict[Queue, int] = {}
        self.waited: Waited = {}

    def shift(self, by: dict[Queue, int]) -> None:
        """The frame moves on: counters are now up to date."""
        for a in self.places.values():
            for table in (a.writes, a.reads):
                for q in table:
                    table[q] -= by.get(q, 0)
        for key in self.waited:
            self.waited[key] -= by.get(key[1], 0)
        self.issued = {}

    def copy(self) -> State:
        """An independent copy."""
        s = State()
        s.places = {p: Access(dict(a.writes), dict(a.reads)) for p, a in self.places.items()}
        s.issued = dict(self.issued)
        s.waited = dict(self.waited)
        return s

    def join(self, other: State) -> None:
        """What was accessed on either road."""
        for p, a in other.places.items():
            mine = self.places.setdefault(p, Access())
            for table, theirs in ((mine.writes, a.writes), (mine.reads, a.reads)):
                for q, n in theirs.items():
                    table[q] = max(table.get(q, n), n)


def overlap(a: Place, b: Place) -> bool:
    """Whether two places share bytes. Tensors of different parameters do not: the ABI says so."""
    if isinstance(a, Buffer) and isinstance(b, Buffer):
        return a.space is b.space and a.address < b.address + b.nbytes and b.address < a.address + a.nbytes
    return a is b or a == b


def sync_row(queue: Queue) -> Row:
    """The instruction of a queue that only waits and signals."""
    if queue == SEQUENCER:
        return ROWS["sync"]
    return ROWS[f"{queue[0].lower()}.sync"]


class Synchronizer:
    """Inserts waits, signals and counter updates into a kernel whose buffers have addresses."""

    def __init__(self, kernel: MKernel) -> None:
        self.kernel = kernel
        self.semaphores: dict[Queue, int] = {}
        self.counters: dict[Queue, VReg] = {}
        self.rivals: dict[Place, list[Place]] = {}  # what shares bytes with a place, itself included

    def run(self) -> None:
        """Rewrite the kernel's nodes."""
        places = {p for n in _instructions(self.kernel.nodes) for p in (*n.reads, *n.writes)}
        self.rivals = {p: [q for q in places if overlap(p, q)] for p in places}
        queues = sorted({n.engine for n in _instructions(self.kernel.nodes) if n.engine is not None})
        self.semaphores = {q: i for i, q in enumerate(queues)}
        self.counters = {q: VReg("x", f"n_{q[0].lower()}{q[1] or ''}", pinned=True) for q in queues}
        state = State()
        # nothing was issued yet, so nobody needs to wait for what is older
        state.waited = dict.fromkeys(itertools.product([*queues, SEQUENCER], queues), 0)
        nodes = self.block(self.kernel.nodes, state, static=True)
        used = {n.wait.sem for n in _instructions(nodes) if n.wait is not None}
        with_registers = {n.wait.reg for n in _instructions(nodes) if n.wait is not None and n.wait.reg is not None}
        for n in _instructions(nodes):
            if n.engine is not None and self.semaphores[n.engine] in used:
                n.signal = self.semaphores[n.engine]
        dropped = {r for r in self.counters.values() if r not in with_registers}
        nodes = _without(nodes, dropped)
        start: list[MNode] = [
            MInst(ROWS["li"], [r, 0], nodes[0].loc) for r in self.counters.values() if r in with_registers
        ]
        self.kernel.nodes = start + nodes

    def loop(self, n: MLoop, state: State, depth: int) -> MLoop:
        """A loop with its waits; `state`, whose counters are up to date, becomes that after it."""
        before, probe = state.copy(), state.copy()
        self.block(n.body, probe, False, depth)
        probe.shift(dict(probe.issued))
        state.join(probe)  # what the turn before may have left
        # What has been waited for at the start of every turn: suppose it is what holds before the first, and
        # drop what does not hold at the end of a turn, until all the rest does.
        suppose = dict(state.waited) if depth <= KNOWING_DEPTH else {}
        while True:
            turn = state.copy()
            turn.waited = dict(suppose)
            body = self.block(n.body, turn, False, depth)
            body += self.flush(turn, n)
            lost = [k for k, ordinal in suppose.items() if turn.waited.get(k, ordinal - 1) < ordinal]
            if not lost:
                break
            for k in lost:
                del suppose[k]
        state.places, state.issued, state.waited = turn.places, turn.issued, both(before.waited, turn.waited)
        state.join(before)  # there may be no turn at all
        return MLoop(n.count, body, n.loc, n.op)

    def block(self, nodes: list[MNode], state: State, static: bool, depth: int = 0) -> list[MNode]:
        """`static`: no loop has run yet, so that counts are constants and the counters still hold 0."""
        out: list[MNode] = []
        for n in nodes:
            if isinstance(n, MLoop):
                out += self.flush(state, n)
                static = False
                out.append(self.loop(n, state, depth + 1))
            else:
                out += self.instruction(n, state, static)
        return out

    def flush(self, state: State, loop: MLoop) -> list[MNode]:
        """Bring the counters up to date."""
        out: list[MNode] = [
            MInst(ROWS["add"], [self.counters[q], self.counters[q], n], loop.loc, op=loop.op)
            for q, n in state.issued.items()
            if n
        ]
        state.shift(dict(state.issued))
        return out

    def instruction(self, n: MInst, state: State, static: bool) -> list[MNode]:
        """The instruction with its waits; further waits go on instructions of their own before it."""
        if n.engine is None and not n.row.sync:
            return [n]
        me = n.engine or SEQUENCER
        needs: dict[Queue, int] = {}

        def need(table: dict[Queue, int]) -> None:
            for q, ordinal in table.items():
                if q != me:
                    needs[q] = max(needs.get(q, ordinal), ordinal)

        for place in n.reads:
            for p in self.rivals[place]:
                if (a := state.places.get(p)) is not None:
                    need(a.writes)
        for place in n.writes:
            for p in self.rivals[place]:
                if (a := state.places.get(p)) is not None:
                    need(a.writes)
                    need(a.reads)
        waits = []
        for q, ordinal in sorted(needs.items()):
            if state.waited.get((me, q), -(1 << 30)) >= ordinal:
                continue
            state.waited[me, q] = ordinal
            waits.append(MWait(self.semaphores[q], None if static else self.counters[q], ordinal))
        out: list[MNode] = []
        for w in waits[:-1]:
            row = sync_row(me)
            extra: list[int] = [me[1]] if row.operands else []
            out.append(MInst(row, list(extra), n.loc, n.engine, wait=w, op=n.op))
        last = waits[-1] if waits else None
        copy = MInst(n.row, list(n.operands), n.loc, n.engine, n.reads, n.writes, last, n.signal, n.op, n.makes)
        out.append(copy)
        for m in out:
            assert isinstance(m, MInst)
            if m.engine is not None:
                state.issued[m.engine] = state.issued.get(m.engine, 0) + 1
        if n.engine is not None:
            ordinal = state.issued[n.engine]
            for place in n.reads:
                state.places.setdefault(place, Access()).reads[me] = ordinal
            for place in n.writes:
                # a writer has waited for all before it: whoever waits for the writer has, too
                state.places[place] = Access({me: ordinal}, {})
        return out


def _instructions(nodes: list[MNode]) -> list[MInst]:
    out: list[MInst] = []
    for n in nodes:
        out += _instructions(n.body) if isinstance(n, MLoop) else [n]
    return out


def _without(nodes: list[MNode], counters: set[VReg]) -> list[MNode]:
    out: list[MNode] = []
    for n in nodes:
        if isinstance(n, MLoop):
            out.append(MLoop(n.count, _without(n.body, counters), n.loc, n.op))
        elif n.defines not in counters:
            out.append(n)
    return out
