"""Random programs for both executors: instructions of any row, over tiles of any shape, in legal order by construction.

A program is made of blocks. In a block, instructions of engines depend on one another through memory alone; each gets
the waits that its dependencies ask for, and then the block is shuffled, queue against queue, so that instructions park.
Around blocks stand loops, branches and calls. Which instruction reads what is known here, so the result of a program is
defined: only the values are random.
"""

from __future__ import annotations

import random
from collections.abc import Collection

from tools.fuzz.choices import INTEGERS
from tools.fuzz.instructions import Instructions, Op
from tools.fuzz.scalars import ARENA, COUNT, NOISE, OTHER, ROUND, SPARE
from tools.fuzz.tiles import TILE_REGISTERS, Tile, words


class Generator(Instructions):
    """Makes one program from a seed. `only`: of these instructions, and of those that give them their inputs."""

    def __init__(self, rng: random.Random, only: Collection[str] = ()) -> None:
        super().__init__(rng, only)
        self.functions: list[list[str]] = []
        self.labels = 0

    def program(self) -> str:
        """The text of one."""
        rng = self.rng
        body: list[str] = []
        for _ in range(rng.choice((1, 1, 2, 3))):
            body += self.structure(2)
        if rng.random() < 0.04:
            body += self.fault()
        schedule = rng.choice(("none", "none", "none", "none", "timed", rng.randrange(1 << 20), rng.randrange(1 << 20)))
        effort = rng.choice(("eager", "eager", "usual"))
        text = [f"# program, schedule {schedule}, {effort}", *self.fills, "        .kernel k, noprologue"]
        for name in ("arena", "other"):
            text.append(f"        .param {name}, inout, u8, [{max(64, -(-self.used[name] // 64) * 64)}]")
        for n, name in enumerate((ARENA, OTHER)):
            text += [f"        tld t{63 - n}, args, {64 * n}", f"        taddr {name}, t{63 - n}"]
        text += [f"        {line}" if not line.endswith(":") else line for line in body]
        text.append("        halt")
        for f in self.functions:
            text += [f"        {line}" if not line.endswith(":") else line for line in f]
        text += ["        .rodata", "        .align 64", *self.descriptors, "c0:"]
        text += [f"        .i64 {words(self.image[i : i + 64])}" for i in range(0, len(self.image), 64)]
        return "\n".join(text) + "\n"

    def structure(self, depth: int) -> list[str]:
        """A block, or blocks in a loop, in the arms of a branch, or in a function."""
        rng = self.rng
        kind = rng.random() if depth else 1.0
        if kind < 0.12:
            end = self.label()
            count, before = self.integer(rng.choice((1, 2, 2, 3, 0)))
            inner = [line for _ in range(rng.choice((1, 1, 2))) for line in self.structure(depth - 1)]
            return [*before, f"loop {count}, {end}", *inner, f"{end}:", "nop"]
        if kind < 0.24:
            other, end = self.label(), self.label()
            branch = rng.choice(("beq", "bne", "blt", "bge"))
            right, before = self.integer(rng.choice(INTEGERS))
            first, second = self.structure(depth - 1), self.structure(depth - 1) if rng.random() < 0.5 else ["nop"]
            head = [*before, f"{branch} {rng.choice(NOISE)}, {right}, {other}"]
            return [*head, *first, f"j {end}", f"{other}:", *second, f"{end}:", "nop"]
        if kind < 0.34:
            name = self.label()
            body = [f"{name}:", "sub sp, sp, 16", "sd ra, sp, 0", *self.structure(depth - 1)]
            self.functions.append([*body, "ld ra, sp, 0", "add sp, sp, 16", "ret"])
            return [f"call {name}"] * rng.choice((1, 1, 2))
        if kind < 0.5:
            return self.chain()
        return self.flow()

    def label(self) -> str:
        """A new one."""
        self.labels += 1
        return f"l{self.labels}"

    def fault(self) -> list[str]:
        """Something that stops a program."""
        rng = self.rng
        t, u = rng.sample(TILE_REGISTERS, 2)
        good = self.described(self.placed("sram", "f32", (2, 3)))
        far = self.described(Tile("sram", "f32", 1 << 20, (2,), (1,)))
        odd = self.described(Tile("sram", "f32", 2, (2,), (1,)))
        twice = self.described(Tile("sram", "f32", 64, (2, 2), (1, 1)))
        return rng.choice(
            (
                ["trap 7"],
                ["li x5, 0", "div x6, x6, x5"],
                ["li x5, 0", 'dbg.assert x5, "no"'],
                [f"tld {t}, gp, {far}", f"vneg {t}, {t}"],
                [f"tld {t}, gp, {odd}", f"vneg {t}, {t}"],
                [f"tld {t}, gp, {twice}", f"vneg {t}, {t}"],
                [f"tld {t}, gp, {good}", "sync signal s63", "semreset s63", f"vneg {t}, {t}", "semreset s63"],
                ["sync wait s62>=1"],
                [f"tld {t}, gp, {good}", f"vneg {t}, {t} wait s62>=1", "drain"],
                ["li x5, 12", "ld x6, x5, 0"],
                ["li x5, 64", "ld x6, x5, 0"],
                ["sd x5, gp, 0"],
                ["li x1, -16", "ret"],
                [f"tld {t}, gp, {good}", f"tdrop {u}, {t}, 0"],
                [f"tld {t}, gp, {good}", f"tslice {u}, {t}, 0, -1, 1"],
            )
        )

    # -- blocks ------------------------------------------------------------------------------------

    def fresh_block(self) -> list[Op]:
        """The instructions of a block, in an order in which each finds what it needs."""
        self.live = []
        self.top = {"sram": self.rng.randrange(64) * 16, "acc": self.rng.randrange(16) * 16}
        ops: list[Op] = []
        for _ in range(self.rng.choice((2, 3, 4, 6, 8))):
            self.op(ops)
        return ops

    def flow(self) -> list[str]:
        """Instructions that wait for what they need, and for no more, in any order of the queues."""
        rng = self.rng
        ops = self.fresh_block()
        queues: dict[str, list[Op]] = {}
        for op in ops:
            queues.setdefault(op.queue, []).append(op)
        self._depend(queues, ops)
        sems = dict(zip(queues, rng.sample(range(1, 60), len(queues)), strict=True))
        ops = self._counted(queues, ops)
        out: list[str] = []
        for op in self._shuffled(queues, ops):
            out += op.before
            line = op.text
            for target in op.waits:
                s, n = sems[target.queue], target.count
                if rng.random() < 0.25:
                    out.append(f"li {SPARE}, {n - 3}")
                    line += f"  wait s{s}>={SPARE}+3"
                else:
                    line += f"  wait s{s}>={n}"
            if op.signals:
                line += f"  signal s{sems[op.queue]}+={op.signals}"
            out.append(line)
            if rng.random() < 0.1:
                out += self.noise(2)
        return [*out, "drain", *(f"semreset s{s}" for s in sems.values()), *self.after()]

    def _depend(self, queues: dict[str, list[Op]], ops: list[Op]) -> None:
        """Give each instruction the waits that order it behind what it conflicts with."""
        known: dict[str, dict[str, int]] = {q: {} for q in queues}  # what each queue has seen complete
        after: dict[int, dict[str, int]] = {}
        place = dict.fromkeys(queues, 0)
        done: list[Op] = []
        for op in ops:
            place[op.queue] += 1
            op.at = place[op.queue]
            needs: dict[str, Op] = {}
            for other in done:
                if other.queue != op.queue and _conflict(op, other):
                    needs[other.queue] = other
            mine = known[op.queue]
            for q, other in needs.items():
                if mine.get(q, 0) >= other.at and self.rng.random() < 0.9:
                    continue
                if not other.signals:
                    other.signals = self.rng.choice((1, 1, 1, 2, 7))
                op.waits.append(other)
                for name, n in after[id(other)].items():
                    mine[name] = max(mine.get(name, 0), n)
            mine[op.queue] = op.at
            after[id(op)] = dict(mine)
            if self.rng.random() < 0.1 and not op.signals:
                op.signals = 1
            done.append(op)

    def _counted(self, queues: dict[str, list[Op]], ops: list[Op]) -> list[Op]:
        """With waits beyond the first as instructions of their own; and what each semaphore then is."""
        out: list[Op] = []
        for op in ops:
            for target in op.waits[1:]:
                of = f" q={op.queue[3:]}" if op.queue.startswith("DMA") else ""
                extra = Op(op.queue, [], f"{op.queue.rstrip('0123').lower()}.sync{of}", waits=[target])
                queues[op.queue].insert(queues[op.queue].index(op), extra)
                out.append(extra)
            op.waits = op.waits[:1]
            out.append(op)
        for ops_of in queues.values():
            n = 0
            for op in ops_of:
                n += op.signals
                op.count = n
        return out

    def _shuffled(self, queues: dict[str, list[Op]], ops: list[Op]) -> list[Op]:
        """An order of issue that keeps that of each queue, and parks at most eight in one."""
        rng = self.rng
        left = {q: list(o) for q, o in queues.items()}
        parked: dict[str, list[Op]] = {q: [] for q in queues}
        executed: set[int] = set()
        favour = {q: rng.choice((1, 1, 6)) for q in queues}
        tidy = rng.random() < 0.3
        out: list[Op] = []

        def ready(op: Op) -> bool:
            return all(id(t) in executed for t in op.waits)

        while any(left.values()):
            names = [q for q, o in left.items() if o]
            may = [q for q in names if len(parked[q]) < 8]
            now = [q for q in may if not parked[q] and ready(left[q][0])]
            chosen = rng.choice(now) if tidy and now else rng.choices(may, [favour[q] for q in may])[0]
            op = left[chosen].pop(0)
            out.append(op)
            parked[chosen].append(op)
            moved = True
            while moved:
                moved = False
                for line in parked.values():
                    while line and ready(line[0]):
                        executed.add(id(line.pop(0)))
                        moved = True
        return out

    def chain(self) -> list[str]:
        """A loop whose instructions each wait for the one before, by a count in a register; sizes change by round."""
        rng = self.rng
        count = rng.choice((2, 3, 4))
        self.rounds = count
        ops = self.fresh_block()
        self.rounds = 0
        s, end = rng.randrange(1, 60), self.label()
        out = [f"li {COUNT}, 0", f"li {ROUND}, 0", f"loop {count}, {end}"]
        for i, op in enumerate(ops):
            out += [*op.before, f"{op.text}  wait s{s}>={COUNT}+{i}  signal s{s}"]
        out += [f"add {COUNT}, {COUNT}, {len(ops)}", f"add {ROUND}, {ROUND}, 1", f"{end}:"]
        return [*out, "drain", f"semreset s{s}", *self.after()]

    def after(self) -> list[str]:
        """What the sequencer does between blocks: it looks at a tile, computes, prints."""
        rng = self.rng
        out = self.noise(rng.choice((0, 1, 3)))
        if self.live and rng.random() < 0.4:
            t = rng.choice(self.live)
            if all(t.dims) and t.space in ("sram", "acc"):
                one = Tile(t.space, t.dtype, t.base, (1,) * len(t.dims), t.strides)
                if rng.random() < 0.3:
                    regs = tuple(12 if i == 0 else 0 for i in range(len(t.dims)))
                    one = Tile(t.space, t.dtype, t.base, one.dims, t.strides, regs)
                reg, before = self.held(one, rng.sample(TILE_REGISTERS, 2))
                out += [*before, "li x12, 1"]
                out += [rng.choice((f"sld {rng.choice(NOISE)}, {reg}", f'dbg.printt "t ", {reg}'))]
        return out


def _conflict(a: Op, b: Op) -> bool:
    return any(
        s == t and low < top and bottom < high
        for mine, theirs in ((a.writes, b.reads), (a.reads, b.writes))
        for s, low, high in mine
        for t, bottom, top in theirs
    )
