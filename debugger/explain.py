"""What every part of the machine is doing, what it waits for, and who would have to signal it.

Right wherever a program stands: between two instructions, after an error, at a deadlock, in a core file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sohu.debugger.errors import CommandError
from sohu.debugger.stops import Caught, Exited, Faulted
from sohu.emulator.waits import SEQUENCER, Need, needs

if TYPE_CHECKING:
    from sohu.debugger.session import Session
    from sohu.emulator import Machine
    from sohu.emulator.translate import Op

_SHOWN = 3  # instructions of one kind that are named


@dataclass(frozen=True)
class Doing:
    """One part of the machine: `who` is a queue, or "sequencer".

    state: "idle", "next" (an instruction is about to issue or execute), "ready" (issued, and may execute), "waits"
    (for a semaphore), "blocked" (for room in a queue), "executes", "stopped". pc: of its instruction. need: what it
    waits for. text: a sentence.
    """

    who: str
    state: str
    pc: int | None
    text: str
    need: Need | None = None


@dataclass(frozen=True)
class Explanation:
    """All of it. missing: signals that never come, a sentence each; verdict: what follows from it."""

    doings: tuple[Doing, ...]
    missing: tuple[str, ...] = ()
    verdict: str = ""
    idle: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        """One paragraph: what follows from it all first, then who waits in vain, then the others."""
        busy = [d for d in self.doings if d.state != "idle"]
        busy.sort(key=lambda d: d.need is None or not d.need.hopeless)
        sentences = [self.verdict, *(d.text for d in busy)]
        if self.idle:
            sentences.append(f"{_list(self.idle)} {'is' if len(self.idle) == 1 else 'are'} idle.")
        return " ".join(filter(None, sentences))

    def record(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "text": self.text,
            "missing": list(self.missing),
            "verdict": self.verdict,
            "parts": [
                {"who": d.who, "state": d.state, "pc": d.pc, "text": d.text}
                | (
                    {}
                    if d.need is None
                    else {
                        "semaphore": d.need.name,
                        "wants": d.need.value,
                        "has": d.need.now,
                        "hopeless": d.need.hopeless,
                    }
                )
                for d in self.doings
            ],
        }


def explain(session: Session) -> Explanation:
    """What the machine of a session is doing; raises CommandError when there is none to look at."""
    if isinstance(stop := session.stop, Exited):
        text = f"`{stop.kernel}` has ended: the sequencer has halted, and every queue is empty."
        return Explanation((Doing(SEQUENCER, "stopped", None, text),))
    if not session.running:
        raise CommandError("the program is not being run", help="start or run it first")
    machine = session.machine
    op = machine.op
    wanted = {n.who: n for n in needs(machine, op)}
    fault = session.stop.error if isinstance(session.stop, Faulted) else None
    if fault is not None and fault.chip not in (None, machine.chip):
        fault = None  # of another chip
    stuck = isinstance(session.stop, (Faulted, Caught)) and session.stop.error.category == "deadlock"
    doings = [_sequencer(session, op, wanted.get(SEQUENCER), stuck)]
    if fault is not None and not stuck:
        doings.insert(0, _error(session))
    idle = []
    for q in machine.queues:
        if not q.entries:
            idle.append(q.name)
            doings.append(Doing(q.name, "idle", None, f"{q.name} is idle."))
            continue
        doings.append(_queue(session, q.name, wanted.get(q.name)))
    missing = tuple(dict.fromkeys(n.missing for n in wanted.values() if n.missing))
    return Explanation(tuple(doings), missing, _verdict(session, wanted, stuck), _ranges(machine, idle))


def _error(session: Session) -> Doing:
    assert isinstance(session.stop, Faulted)
    e = session.stop.error
    first = e.message.split("\n")[0].rstrip(":.")
    return Doing(SEQUENCER, "stopped", e.pc, f"An error ({e.category}) has stopped {_at(session, e.pc)}: {first}.")


def _sequencer(session: Session, op: Op, need: Need | None, stuck: bool) -> Doing:
    machine = session.machine
    here = _at(session, op.pc)
    if machine.halted and machine.fault is None:
        return Doing(SEQUENCER, "stopped", op.pc, f"The sequencer has halted at {here}.")
    if machine.ending:
        halted = f"The sequencer has halted at {here}, and waits for all queues to empty."
        return Doing(SEQUENCER, "waits" if stuck else "stopped", op.pc, halted)
    if need is not None:
        return Doing(SEQUENCER, "waits", op.pc, f"The sequencer waits at {here} {_need(session, need)}", need)
    if op.queue is not None and not machine.may_issue(op):
        full = f"{len(op.queue.entries)} of {op.queue.depth} are in it"
        room = f"The sequencer waits at {here} for room in the queue of {op.queue.name}: {full}."
        return Doing(SEQUENCER, "blocked", op.pc, room)
    if stuck:
        return Doing(SEQUENCER, "waits", op.pc, f"The sequencer waits at {here} for all queues to empty.")
    does = "issue" if op.queue is not None else "execute"
    to = f" to {op.queue.name}" if op.queue is not None else ""
    return Doing(SEQUENCER, "next", op.pc, f"The sequencer is about to {does} {here}{to}.")


def _queue(session: Session, name: str, need: Need | None) -> Doing:
    machine = session.machine
    q = next(q for q in machine.queues if q.name == name)
    head = q.entries[0].op
    here = _at(session, head.pc)
    more = len(q.entries) - 1
    behind = f" {more} more {'is' if more == 1 else 'are'} behind it." if more else ""
    timer = machine.timer
    until = timer.until_done(q.place) if timer is not None and machine.order.timed else None
    if until is not None:
        return Doing(name, "executes", head.pc, f"{name} executes {here} until cycle {round(until):,}.{behind}")
    if need is not None:
        return Doing(name, "waits", head.pc, f"{name} waits at {here} {_need(session, need)}{behind}", need)
    if machine.group is not None and head.inst is not None and head.inst.row.collective and not machine.ready(q):
        late = machine.group.missing(machine, q.entries[0])
        return Doing(name, "waits", head.pc, f"{name} waits at {here} {late}.{behind}")
    return Doing(name, "ready", head.pc, f"{name} can execute {here}, and has not had its turn.{behind}")


def _need(session: Session, need: Need) -> str:
    """`for full >= 1, which is 0: ...`, a sentence's end."""
    head = f"for {need.name} >= {need.value}, which is {need.now}"
    says = []
    for queue in dict.fromkeys(who for who, by in need.next if by is not need.op):
        ops = list(dict.fromkeys(by for who, by in need.next if who == queue and by is not need.op))[:_SHOWN]
        themselves = "waits itself" if len(ops) == 1 else "wait themselves"
        names = _list([_at(session, by.pc) for by in ops])
        says.append(f"{names} would signal it, and {themselves} in the queue of {queue}")
    if any(by is need.op for _, by in need.next):
        says.append("it would signal that itself, when it has executed")
    coming = [by for by in need.later if by is not need.op][:_SHOWN]
    if coming and need.most < need.value:
        verb = "executed" if coming[0].queue is None else "issued"
        names = _list([_at(session, by.pc) for by in coming])
        signal = "signals it" if len(coming) == 1 else "signal it"
        says.append(f"{names} {signal}, and the sequencer has not {verb} {'that' if len(coming) == 1 else 'them'} yet")
    others = [(c, by) for c, by in need.elsewhere if c != session.machine.chip] or need.elsewhere
    if others:
        chips = list(dict.fromkeys(c for c, _ in others))
        names = _list([_at(session, pc) for pc in dict.fromkeys(by.pc for _, by in others)][:_SHOWN])
        numbers = _list([str(c) for c in chips])
        says.append(f"chip{'s' * (len(chips) > 1)} {numbers} may signal it by {names}, which has not executed yet")
    if need.hopeless:
        says.append(_hopeless(session, need))
    return f"{head}{': ' if says else ''}{'; '.join(says)}."


def _hopeless(session: Session, need: Need) -> str:
    if need.queued:
        return f"all that is left brings it to {need.most} only"
    if need.all:
        names = _list([_at(session, by.pc) for by in need.all[:_SHOWN]])
        one = len(need.all) == 1
        return (
            f"only {names} {'signals' if one else 'signal'} it, and the sequencer is past {'that' if one else 'them'}"
        )
    says = need.missing
    if need.silent:
        names = _list([_at(session, by.pc) for by in need.silent[:_SHOWN]])
        many = len(need.silent) > 1
        does = "touch the same elements and signal" if many else "touches the same elements and signals"
        says += f"; {names} {does} nothing"
    return says


def _verdict(session: Session, wanted: dict[str, Need], stuck: bool) -> str:
    hopeless = [n for n in wanted.values() if n.hopeless]
    if hopeless:
        n = hopeless[0]
        what = "the signal is missing" if not n.all else "a signal is missing, or the wait asks for too much"
        end = "Nothing can move" if stuck else "The program will stand still there"
        fix = f": {_at(session, n.silent[0].pc)} was perhaps to send it" if n.silent else ""
        return f"{end}: {what}{fix}."
    if not stuck:
        return ""
    circle = ["the sequencer" if who == SEQUENCER else who for who in _circle(session, wanted)]
    if len(circle) == 2:
        return f"Nothing can move: {circle[0]} waits for itself."
    if not circle and session.machine.chips > 1:
        return ""  # who waits for whom between the chips is said of all of them
    return f"Nothing can move: {' waits for '.join(circle)}." if circle else "Nothing can move."


def _circle(session: Session, wanted: dict[str, Need]) -> list[str]:
    """Who waits for whom, round about; empty where nobody does."""
    machine = session.machine
    op = machine.op
    on = {n.who: [*(who for who, _ in n.queued), *([SEQUENCER] if n.later else [])] for n in wanted.values()}
    if SEQUENCER not in on:
        full = op.queue is not None and not machine.may_issue(op)
        on[SEQUENCER] = [op.queue.name] if full and op.queue else [q.name for q in machine.queues if q.entries]
    path = next(iter(wanted), SEQUENCER)
    seen = [path]
    while on.get(seen[-1]):
        following = on[seen[-1]][0]
        if following in seen:
            return [*seen[seen.index(following) :], following]
        seen.append(following)
    return []


def _at(session: Session, pc: int) -> str:
    """`dma.load a, x` (k.s:7), by the line of the kernel's source."""
    mnemonic, operands, _ = session.assembly(pc)
    line = session.symbols.line_at(pc)
    where = f"{line.file.rpartition('/')[2]}:{line.line}" if line is not None else f"pc {pc:#06x}"
    return f"`{' '.join(filter(None, (mnemonic, operands)))}` ({where})"


def _list(names: list[str] | tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _ranges(machine: Machine, idle: list[str]) -> tuple[str, ...]:
    """Names of idle queues, those of one engine together when all of them are."""
    out: dict[str, None] = {}
    for q in machine.queues:
        if q.name in idle:
            all_of_it = all(o.name in idle for o in machine.queues if o.engine is q.engine)
            out[q.engine.value if all_of_it else q.name] = None
    return tuple(out)
