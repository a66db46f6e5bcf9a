"""Random programs for both executors: instructions of any row, over tiles of any shape, in legal order by construction.

A program is made of blocks. In a block, instructions of engines depend on one another through memory alone; each gets
the waits that its dependencies ask for, and then the block is shuffled, queue against queue, so that instructions park.
Around blocks stand loops, branches and calls. Which instruction reads what is known here, so the result of a program is
defined: only the values are random.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sohu.isa import ROWS, Row
from sohu.isa.machine import Flow
from sohu.isa.operands import XF, XFI, XI, Data, FImm, Imm, Kind, X

from tools.fuzz.contents import contents

SIZES = {
    "f32": 4, "bf16": 2, "f16": 2, "fp8e4m3": 1, "fp8e5m2": 1, "e8m0": 1, "fp4x2": 1, "i32": 4, "u8": 1, "i8": 1,
}  # fmt: skip
CODES = {name: i + 1 for i, name in enumerate(SIZES)}
NUMERIC = {"f32", "bf16", "f16", "i32"}
SRAM_BYTES, ACC_BYTES = 48 << 10, 24 << 10  # that programs use
RANK = 4
LARGEST = 300  # elements of a tile
TILE_REGISTERS = [f"t{i}" for i in range(58)]
SCALARS = [f"x{i}" for i in (4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25)]
NOISE = SCALARS[:6]
ROUND, COUNT, OTHER, ARENA, SPARE = "x26", "x28", "x29", "x30", "x27"  # of loops; of signals; addresses of tensors
_FLOATS = ("0.0", "-0.0", "1.0", "-1.5", "0.3", "2.0", "-7.25", "1e-3", "300.0", "3e38", "1e-40", "inf", "-inf", "nan")
_WORDS = (0, 1, -1, 2, 3, 5, 31, 32, 63, 64, 100, -128, 2**31 - 1, -(2**31))


@dataclass
class Tile:
    """A descriptor: dims are the largest sizes, regs the registers of those that come from one."""

    space: str  # sram, acc, arena, other, image
    dtype: str
    base: int
    dims: tuple[int, ...]
    strides: tuple[int, ...]
    regs: tuple[int, ...] = ()

    @property
    def extent(self) -> tuple[int, int]:
        """The bytes it touches."""
        low = sum(min(0, (d - 1) * s) for d, s in zip(self.dims, self.strides, strict=True))
        high = sum(max(0, (d - 1) * s) for d, s in zip(self.dims, self.strides, strict=True))
        n = SIZES[self.dtype]
        return (self.base + low * n, self.base + (high + 1) * n) if all(self.dims) else (self.base, self.base)


@dataclass
class Op:
    """An instruction of an engine, and what must stand before it."""

    queue: str
    before: list[str]
    text: str
    reads: list[tuple[str, int, int]] = field(default_factory=list)
    writes: list[tuple[str, int, int]] = field(default_factory=list)
    waits: list[Op] = field(default_factory=list)  # at most one in the end
    signals: int = 0
    at: int = 0  # place in its queue
    count: int = 0  # of its queue's semaphore when it has completed


def weight(row: Row) -> int:
    """How often a row is drawn: as many cells of coverage as it has."""
    if not row.engine.is_async:
        return 0
    choices = sorted((len(k.dtypes) for _, _, k in row.data), reverse=True) or [1]
    return 40 if choices[1:] and choices[1] > 6 else choices[0]


class Generator:
    """Makes one program from a seed."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.rows = [r for r in ROWS if weight(r)]
        self.weights = [weight(r) for r in self.rows]
        self.descriptors: list[str] = []
        self.fills: list[str] = []
        self.image = bytearray()  # constants, behind label c0
        self.functions: list[list[str]] = []
        self.used = {"arena": 0, "other": 0, "image": 0}
        self.labels = 0
        self.top = {"sram": 0, "acc": 0}
        self.live: list[Tile] = []
        self.rounds = 0  # of the loop around, whose register ROUND counts; 0: none
        self.clock = rng.random() < 0.01

    # -- whole programs ----------------------------------------------------------------------------

    def program(self) -> str:
        """The text of one."""
        rng = self.rng
        body: list[str] = []
        for _ in range(rng.choice((1, 2, 2, 3, 4))):
            body += self.structure(2)
        if rng.random() < 0.04:
            body += self.fault()
        schedule = rng.randrange(1 << 20) if rng.random() < 0.3 else "none"
        text = [f"# program, schedule {schedule}", *self.fills, "        .kernel k, noprologue"]
        for name in ("arena", "other"):
            text.append(f"        .param {name}, inout, u8, [{max(64, -(-self.used[name] // 64) * 64)}]")
        for n, name in enumerate((ARENA, OTHER)):
            text += [f"        tld t{63 - n}, args, {64 * n}", f"        taddr {name}, t{63 - n}"]
        text += [f"        {line}" if not line.endswith(":") else line for line in body]
        text.append("        halt")
        for f in self.functions:
            text += [f"        {line}" if not line.endswith(":") else line for line in f]
        text += ["        .rodata", "        .align 64", *self.descriptors, "c0:"]
        text += [f"        .byte {','.join(map(str, self.image[i : i + 64]))}" for i in range(0, len(self.image), 64)]
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
            right, before = self.integer(rng.choice(_WORDS))
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

    # -- descriptors and places --------------------------------------------------------------------

    def described(self, tile: Tile) -> str:
        """The label of a descriptor's bytes."""
        rank = len(tile.dims)
        zeros = [0] * (RANK - rank)
        space = {"sram": 1, "acc": 2}.get(tile.space, 0)
        regs = [*(tile.regs or (0,) * rank), *zeros]
        base = 0 if tile.space in self.used else tile.base  # that of a tensor is added by the program
        data = base.to_bytes(8, "little") + bytes([space, CODES[tile.dtype], rank, 0, *regs])
        data += b"".join(d.to_bytes(4, "little") for d in [*tile.dims, *zeros])
        data += b"".join((s % 2**64).to_bytes(8, "little") for s in [*tile.strides, *zeros])
        name = f"d{len(self.descriptors)}"
        dims = [f"x{r}<={d}" if r else str(d) for d, r in zip(tile.dims, regs, strict=False)]
        note = f"{tile.space} {tile.base:#x} {tile.dtype}[{', '.join(dims)}] {list(tile.strides)}"
        self.descriptors.append(f"{name}: .byte {','.join(map(str, data))}  # {note}")
        return name

    def layout(self, dims: Sequence[int], written: bool) -> tuple[int, ...]:
        """Strides for a tile of these sizes; those of one that is written lie within each other."""
        rng = self.rng
        order = list(range(len(dims)))
        if rng.random() < 0.4:
            rng.shuffle(order)
        strides, step = [0] * len(dims), 1
        loose = rng.random() < 0.3
        for i in reversed(order):
            if not written and dims[i] > 1 and rng.random() < 0.06:
                continue  # broadcast
            stride = step + (rng.choice((0, 0, 1, 3)) if loose else 0)
            strides[i] = stride
            if dims[i] > 1:
                step = stride * (dims[i] - 1) + step
            if rng.random() < 0.07:
                strides[i] = -stride
            elif dims[i] == 1 and rng.random() < 0.1:
                strides[i] = rng.choice((0, 77, -5))
        return tuple(strides)

    def placed(self, space: str, dtype: str, dims: Sequence[int], written: bool = True, over: bool = False) -> Tile:
        """A new tile somewhere in a memory; `over`: where another one is."""
        rng, n = self.rng, SIZES[dtype]
        tile = Tile(space, dtype, 0, tuple(dims), self.layout(dims, written))
        low, high = tile.extent
        size = high - low
        near = [t for t in self.live if t.space == space] if over else []
        if near:
            at = rng.choice(near).extent[0] + rng.randrange(16) * n
        elif space in self.top:
            at, limit = self.top[space], SRAM_BYTES if space == "sram" else ACC_BYTES
            if at + size + 8 > limit:
                at = rng.randrange(max(1, limit - size - 8)) // 16 * 16
            self.top[space] = at + size + rng.choice((0, 0, 4, 20))
        else:
            at = self.used[space]
            self.used[space] = -(-(at + size + rng.choice((0, 8))) // 4) * 4
        at = -(-at // n) * n
        if space in self.used:
            self.used[space] = max(self.used[space], -(-(at + size) // 4) * 4)
        return Tile(space, dtype, at - low, tile.dims, tile.strides)

    def held(self, tile: Tile, registers: list[str]) -> tuple[str, list[str]]:
        """A register that holds a tile, and how it got there: as it is, or as a view of another descriptor."""
        rng = self.rng
        t = registers.pop()
        before: list[str] = []
        start, steps = tile, []
        moves = () if tile.regs and any(tile.regs) else ("slice", "swap", "insert", "drop", "set", "base", "stack", "mv")
        for _ in range(rng.choice((0, 0, 1, 1, 2)) if moves else 0):
            start, step = self._undone(rng.choice(moves), start, t)
            steps = step + steps
        name = self.described(start)
        before.append(f"tld {t}, gp, {name}")
        if start.space in self.used and start.regs and any(start.regs) and rng.random() < 0.7:
            # a descriptor made on the stack: tbase would fix its sizes
            origin = {"arena": ARENA, "other": OTHER, "image": "gp"}[start.space]
            offset = f"c0{start.base:+d}" if start.space == "image" else str(start.base)
            before = [f"add {SPARE}, {origin}, {offset}", f"sd {SPARE}, sp, -128"]
            for i in range(8, 64, 8):
                before += [f"ld {SPARE}, gp, {name}+{i}", f"sd {SPARE}, sp, {i - 128}"]
            before.append(f"tld {t}, sp, -128")
        elif start.space in self.used:
            origin = {"arena": ARENA, "other": OTHER, "image": "gp"}[start.space]
            offset = f"c0{start.base:+d}" if start.space == "image" else str(start.base)
            before += [f"add {SPARE}, {origin}, {offset}", f"tbase {t}, {t}, {SPARE}"]
        return t, before + steps

    def _undone(self, move: str, tile: Tile, t: str) -> tuple[Tile, list[str]]:
        """Another tile, and the instruction that makes this one of it."""
        rng = self.rng
        dims, strides, base = list(tile.dims), list(tile.strides), tile.base
        axis = rng.randrange(len(dims))

        def made() -> Tile:
            return Tile(tile.space, tile.dtype, base, tuple(dims), tuple(strides))

        if move == "slice" and dims[axis]:
            start = rng.randrange(3)
            base -= start * strides[axis] * SIZES[tile.dtype]
            length = dims[axis]
            dims[axis] += start + (rng.randrange(3) if rng.random() < 0.7 else 0)
            if dims[axis] == length + start and rng.random() < 0.5:
                length += 9  # clamped
            if tile.space not in self.used and base < 0:
                return tile, []
            first, before = self.integer(start)
            return made(), [*before, f"tslice {t}, {t}, {axis}, {first}, {length}"]
        if move == "swap":
            other = rng.randrange(len(dims))
            for values in (dims, strides):
                values[axis], values[other] = values[other], values[axis]
            return made(), [f"tswap {t}, {t}, {axis}, {other}"]
        if move == "insert" and 1 in dims and len(dims) > 1:
            axis = dims.index(1)
            if strides[axis]:
                return tile, []
            del dims[axis], strides[axis]
            return made(), [f"tinsert {t}, {t}, {axis}"]
        if move == "drop" and len(dims) < RANK:
            dims.insert(axis, 1)
            strides.insert(axis, rng.randrange(5))
            return made(), [f"tdrop {t}, {t}, {axis}"]
        if move == "set":
            size, before = self.integer(dims[axis])
            dims[axis] = rng.randrange(9)
            return made(), [*before, f"tset {t}, {t}, {axis}, {size}"]
        if move == "base" and tile.space not in self.used:
            base = rng.randrange(64) * SIZES[tile.dtype]
            return made(), [f"li {SPARE}, {tile.base}", f"tbase {t}, {t}, {SPARE}"]
        if move == "stack":
            return tile, [f"tst {t}, sp, -64", f"tld {t}, sp, -64"]
        if move == "mv":
            return tile, [f"tmv {t}, {t}"]
        return tile, []

    def integer(self, n: int) -> tuple[str, list[str]]:
        """A number as it stands, or in a register."""
        if self.rng.random() < 0.6 and -(2**31) <= n < 2**31:
            return str(n), []
        reg = self.rng.choice(NOISE)
        return reg, [f"li {reg}, {n}"]

    # -- contents ----------------------------------------------------------------------------------

    def source(self, dtype: str, dims: Sequence[int], policy: str, writable: bool = False) -> Tile:
        """A tile in HBM that holds random numbers of a kind."""
        rng = self.rng
        space = rng.choice(("arena", "arena", "arena", "other", "arena" if writable else "image"))
        if policy == "tree":
            tile = self.placed(space, dtype, dims)
            tile = Tile(space, dtype, tile.extent[0], tuple(dims), (1,))
        else:
            tile = self.placed(space, dtype, dims, written=space == "image")
        low, high = tile.extent
        self.fill(space, low, dtype, (high - low) // SIZES[dtype], policy)
        return tile

    def fill(self, space: str, low: int, dtype: str, count: int, policy: str) -> None:
        """What is in HBM when the program starts; the file of a case makes it from this line."""
        seed = self.rng.randrange(1 << 30)
        if count and space == "image":
            data = contents(dtype, count, policy, seed)
            self.image += bytes(max(0, low + len(data) - len(self.image)))
            self.image[low : low + len(data)] = data
        elif count:
            self.fills.append(f"# fill {space} {low} {dtype} {count} {policy} {seed}")

    def loaded(
        self, ops: list[Op], space: str, dtype: str, dims: Sequence[int], policy: str, writable: bool = False
    ) -> Tile:
        """A tile with contents, and the instructions that put them there."""
        rng = self.rng
        if space in self.used:
            return self.source(dtype, dims, policy, writable)
        written = rng.random() < 0.85
        tile = self.placed(space, dtype, dims, written)
        # what is broadcast by a stride of 0 is loaded once
        narrow = tuple(1 if s == 0 else d for d, s in zip(tile.dims, tile.strides, strict=True))
        target = Tile(space, dtype, tile.base, narrow, tile.strides)
        if space == "acc":
            stop = self.loaded(ops, "sram", dtype, narrow, policy)
            move = "vmov" if dtype in NUMERIC else "vcast"
            if dtype == "fp4x2":
                raise AssertionError("packed elements have no way into the accumulators")
            self.issue(ops, ROWS[move], {"dst": target, "src": stop}, {})
            return tile
        origin = dtype
        if policy in ("normal", "wide") and dtype != "fp4x2" and rng.random() < 0.2:
            origin = rng.choice([d for d in SIZES if d != "fp4x2"])
        self.issue(ops, ROWS["dma.load"], {"dst": target, "src": self.source(origin, narrow, policy)}, {})
        if written and policy != "tree":
            self.live.append(target)
        return tile

    # -- instructions ------------------------------------------------------------------------------

    def issue(self, ops: list[Op], row: Row, tiles: dict[str, Tile], scalars: dict[str, str]) -> None:
        """Append an instruction with these tiles."""
        rng = self.rng
        registers = rng.sample(TILE_REGISTERS, 2 * len(tiles) + 1)
        # sizes first: a view of a tile has the sizes of the moment at which it was made
        before = self._sizes(tiles)
        if row.data and rng.random() < 0.15:
            before += self.noise(1)
        taken = {r for t in tiles.values() for r in t.regs}
        self.pool = [r for r in SCALARS[len(NOISE) :] if int(r[1:]) not in taken]
        rng.shuffle(self.pool)
        late: list[str] = []
        words, keywords = [], []
        same: dict[int, str] = {}
        queue = row.engine.value
        for o in row.operands:
            if isinstance(o.kind, Data):
                tile = tiles[o.name]
                if id(tile) not in same or rng.random() < 0.3:
                    reg, lines = self.held(tile, registers)
                    same[id(tile)] = reg
                    before += lines
                words.append(same[id(tile)])
                continue
            if o.name == "q":
                n = rng.randrange(4)
                queue = f"{queue}{n}"
                if n or rng.random() < 0.5:
                    keywords.append(f"q={n}")
                continue
            text = scalars.get(o.name)
            if text is None:
                text, lines = self.scalar(row, o, tiles)
                late += lines
            if o.keyword:
                keywords.append(f"{o.name}={text}")
            else:
                words.append(text)
        op = Op(queue, before + late, f"{row.mnemonic} {', '.join([*words, *keywords])}".rstrip())
        for _, o, k in row.data:
            tile = tiles[o.name]
            place = (tile.space, *tile.extent)
            if k.writes_data:
                op.writes.append(place)
            op.reads.append(place)
        ops.append(op)

    def _sizes(self, tiles: dict[str, Tile]) -> list[str]:
        """What sets the registers that tiles take their sizes from."""
        out = {}
        for r in (r for t in tiles.values() for r in t.regs if r):
            low, high = self.sizes_of.get(r, (1, 1))
            out[r] = f"li x{r}, {low}" if low == high else f"add x{r}, {ROUND}, {low}"
        return list(out.values())

    def sized(self, row: Row, size: int) -> tuple[int, int]:
        """The least and the largest size that a register gives to a dimension, in the rounds of a loop."""
        rng = self.rng
        if row.mnemonic in FITTED:
            return size, size
        if self.rounds and size >= self.rounds - 1 and rng.random() < 0.7:
            low = rng.randrange(size - self.rounds + 2)
            return low, low + self.rounds - 1
        low = rng.choice((size, rng.randint(min(1, size), size)))
        return low, low

    def op(self, ops: list[Op]) -> None:
        """Append a random instruction, after what gives it its inputs."""
        rng = self.rng
        row = rng.choices(self.rows, self.weights)[0]
        dtypes = self.dtypes(row)
        shapes, names = self.shapes(row)
        self.sizes_of: dict[int, tuple[int, int]] = {}
        regs: dict[str, int] = {}
        if names and rng.random() < 0.5:
            pool = [int(r[1:]) for r in SCALARS[len(NOISE) :]]
            rng.shuffle(pool)
            for key in rng.sample(sorted(names), rng.choice((1, 1, 2)) if len(names) > 1 else 1):
                regs[key] = pool.pop()
        tiles: dict[str, Tile] = {}
        mine: list[Tile] = []
        fresh = {}
        for _, o, k in sorted(row.data, key=lambda d: d[2].writes_data):  # inputs first
            dims, keys = shapes[o.name]
            of_dims = tuple(regs.get(key, 0) for key in keys)
            room = []
            for d, r in zip(dims, of_dims, strict=True):
                room.append(d + rng.choice((0, 0, 1)) if r else d)
                if r and r not in self.sizes_of:
                    self.sizes_of[r] = self.sized(row, d)
            space = self.space(row, k, dtypes[o.name])
            if k.writes_data and not k.reads_data:
                tile = self.output(row, o.name, k, space, dtypes[o.name], tuple(room), of_dims, mine)
            else:
                policy = self.policy(row, o.name, dtypes[o.name], {n: s[0] for n, s in shapes.items()})
                tile = None
                if policy == "any" and not any(of_dims) and rng.random() < 0.3 and not k.writes_data:
                    tile = self.view_of(space, dtypes[o.name], dims)
                if policy == "any":
                    policy = self.kind_of_numbers(row)
                if tile is None:
                    tile = self.loaded(ops, space, dtypes[o.name], room, policy, k.writes_data)
                if k.writes_data:
                    tile = self.written(tile)
                tile = Tile(tile.space, tile.dtype, tile.base, tile.dims, tile.strides, of_dims)
            fresh[o.name] = tile
            mine.append(tile)
        for _, o, _ in row.data:
            tiles[o.name] = fresh[o.name]
        outs = [tiles[o.name] for _, o, k in row.data if k.writes_data]
        if any(_meet(a, b) for i, a in enumerate(outs) for b in outs[:i]):
            return  # two outputs would overlap
        self.issue(ops, row, tiles, {})
        for t in outs:
            if all(t.dims) and t.dtype != "i32":
                self.live.append(Tile(t.space, t.dtype, t.base, t.dims, t.strides))
        if rng.random() < 0.1 and outs and outs[0].space == "sram":
            self.issue(ops, ROWS["dma.store"], self._stored(outs[0]), {})

    def _stored(self, src: Tile) -> dict[str, Tile]:
        src = Tile(src.space, src.dtype, src.base, src.dims, src.strides)
        return {"dst": self.placed(self.rng.choice(("arena", "other")), src.dtype, src.dims), "src": src}

    def written(self, tile: Tile) -> Tile:
        """The same place, without strides of 0: for what is read and written."""
        if all(s or d == 1 for s, d in zip(tile.strides, tile.dims, strict=True)):
            return tile
        if tile.space == "image":
            return self.placed("arena", tile.dtype, tile.dims)
        return self.placed(tile.space, tile.dtype, tile.dims)

    def output(
        self,
        row: Row,
        name: str,
        kind: Data,
        space: str,
        dtype: str,
        dims: tuple[int, ...],
        regs: tuple[int, ...],
        inputs: list[Tile],
    ) -> Tile:
        """Where a result goes: a new place, the very place of an input, or one that overlaps something."""
        rng = self.rng
        allowed = {str(s) for s in row.spaces(kind)}
        same = [
            t for t in inputs
            if t.dims == dims and t.dtype == dtype and t.regs == regs and t.space != "image"
            and ("hbm" if t.space in self.used else t.space) in allowed and all(t.strides)
        ]  # fmt: skip
        if same and rng.random() < 0.3:
            return rng.choice(same)
        tile = self.placed(space, dtype, dims, over=rng.random() < 0.15)
        return Tile(space, dtype, tile.base, tile.dims, tile.strides, regs)

    def view_of(self, space: str, dtype: str, dims: Sequence[int]) -> Tile | None:
        """A part of a tile that the block has already, perhaps with axes exchanged."""
        rng = self.rng
        fits = []
        for t in self.live:
            if t.space != space or t.dtype != dtype or len(t.dims) != len(dims):
                continue
            order = list(range(len(dims)))
            rng.shuffle(order)
            for axes in (range(len(dims)), order):
                if all(t.dims[a] >= d for a, d in zip(axes, dims, strict=True)):
                    fits.append((t, tuple(axes)))
        if not fits:
            return None
        t, axes = rng.choice(fits)
        base = t.base
        for a, d in zip(axes, dims, strict=True):
            base += rng.randrange(t.dims[a] - d + 1) * t.strides[a] * SIZES[dtype]
        return Tile(space, dtype, base, tuple(dims), tuple(t.strides[a] for a in axes))

    def space(self, row: Row, kind: Data, dtype: str) -> str:
        """A memory that the operand may lie in."""
        rng = self.rng
        choices = sorted(str(s) for s in row.spaces(kind))
        if dtype == "fp4x2" and kind.reads_data and "acc" in choices and len(choices) > 1:
            choices.remove("acc")
        chosen = rng.choice(choices if "acc" not in choices else [*choices, *["sram"] * (2 * ("sram" in choices))])
        if chosen == "hbm":
            return rng.choice(("arena", "other"))
        return chosen

    def dtypes(self, row: Row) -> dict[str, str]:
        """One for each operand; integers and floats do not mix, nor do packed elements and others."""
        rng = self.rng
        out = {}
        numbers = rng.random() < 0.25
        packed = rng.random() < 0.12
        for _, o, k in row.data:
            names = sorted(d.name for d in k.dtypes)
            if set(names) == NUMERIC:
                names = ["i32"] if numbers else ["bf16", "f16", "f32"]
            elif "fp4x2" in names and len(names) > 1:
                names = ["fp4x2"] if packed else [n for n in names if n != "fp4x2"]
            out[o.name] = rng.choice(names)
        return out

    def shapes(self, row: Row) -> tuple[dict[str, tuple[tuple[int, ...], tuple[str, ...]]], set[str]]:
        """As `drawn`, until no tile is large."""
        while True:
            out, keys = self.drawn(row)
            volumes = [math.prod(dims) for dims, _ in out.values()]
            if max(volumes, default=0) <= LARGEST and math.prod(sorted(volumes)[-2:]) <= LARGEST**2 // 6:
                return out, keys

    def drawn(self, row: Row) -> tuple[dict[str, tuple[tuple[int, ...], tuple[str, ...]]], set[str]]:
        """Sizes for each operand, each with the key of what it is a size of ("" for a broadcast one); and all keys."""
        rng = self.rng
        patterns = {o.name: (k.pattern.dims, k.pattern.leading) for _, o, k in row.data}
        steps: dict[str, int] = {}
        for dims, _ in patterns.values():
            for d in dims:
                steps[d.name] = math.lcm(steps.get(d.name, 1), d.divisor)
        sizes = {"1": 1}
        for name, step in steps.items():
            if name == "1":
                continue
            n = rng.choice((1, 2, 3, 3, 4, 5, 6, 7, 8)) if step < 32 else rng.choice((1, 1, 1, 2))
            if step == 1 and rng.random() < 0.06:
                n = rng.choice((0, 17, 33))
            sizes[name] = n * step if step > 1 else n
        deepest = max((len(d) for d, _ in patterns.values()), default=0)
        extra = rng.choice((0, 0, 1, 1, 2, 3))
        lead = [rng.choice((1, 2, 2, 3)) for _ in range(min(extra, RANK - deepest))] if deepest < RANK else []
        if not lead and not all(dims for dims, _ in patterns.values()):
            lead = [rng.choice((1, 2, 5, 8, 13))]
        FITTED.get(row.mnemonic, _as_they_are)(sizes, rng)
        out = {}
        for name, (dims, leading) in patterns.items():
            mine: list[tuple[int, str]] = []
            if leading:
                mine = [(d, f"lead{i}") for i, d in enumerate(lead)]
            if leading == "...?":
                mine = [(1, "") if rng.random() < 0.15 else d for d in mine]
                if rng.random() < 0.3:
                    mine = mine[rng.randrange(len(mine) + 1) :]
                    mine = mine or ([] if dims else [(1, "")])
            for d in dims:
                size = sizes[d.name] // d.divisor
                if d.broadcast and rng.random() < 0.25:
                    mine.append((1, ""))
                else:
                    mine.append((size, "" if d.name == "1" else f"{d.name}/{d.divisor}"))
            out[name] = tuple(d for d, _ in mine), tuple(key for _, key in mine)
        linked = {d.name for dims, _ in patterns.values() for d in dims if steps[d.name] > 1}
        keys = {k for _, ks in out.values() for k in ks if k and k.partition("/")[0] not in linked}
        return out, keys

    def kind_of_numbers(self, row: Row) -> str:
        """What inputs hold."""
        rng = self.rng
        if row.mnemonic in NARROW:
            return rng.choices(("normal", "wide", "special"), (12, 2, 1))[0]
        return rng.choices(("normal", "wide", "special", "bits"), (6, 2, 2, 1))[0]

    def policy(self, row: Row, name: str, dtype: str, shapes: dict[str, tuple[int, ...]]) -> str:
        """What an input must hold so that the instruction is legal; "any" where it may hold anything."""
        match row.mnemonic, name:
            case (("dma.gather" | "dma.scatter"), "index"):
                return f"below:{shapes['table'][0]}"
            case (("dma.gather.pad" | "dma.scatter.add"), "index"):
                return f"above:{shapes['table'][0]}"
            case (("dma.gather.pages" | "dma.scatter.pages"), "pages"):
                return f"below:{shapes['pool'][0]}"
            case ("vtake.row", "index"):
                return f"below:{shapes['src'][-1]}"
            case ("vosm.tree", "parents"):
                return "tree"
            case ("cce.alltoallv", "counts"):
                return f"below:{min(shapes['dst'][0], shapes['src'][0]) + 1}"
            case ("cce.permute", "to"):
                return "above:1"
            case (("vidiv" | "virem"), "b"):
                return "nonzero"
        return "any"

    def scalar(self, row: Row, operand: Any, tiles: dict[str, Tile]) -> tuple[str, list[str]]:
        """A number for an operand, and what puts it into a register where it must be in one."""
        rng, kind, name = self.rng, operand.kind, operand.name
        integers = any(t.dtype == "i32" for n, t in tiles.items() if n in ("a", "dst")) and name == "value"
        value: Any
        if isinstance(kind, (XF, XFI)):
            value = rng.choice(NUMBERS.get(name, _FLOATS))
            if integers and {d.name for d in row.data[0][2].dtypes} == NUMERIC:
                value = f"{rng.choice((0, 1, -1, 7, -100, 65536))}.0"
            if isinstance(kind, XF) or rng.random() < 0.4:
                reg = self.pool.pop()
                return reg, [f"lf {reg}, {value}"]
            return value, []
        if isinstance(kind, (X, XI)):
            value = self.number(row, name, tiles)
            if isinstance(kind, X) or not -(2**31) <= value < 2**31 or rng.random() < 0.4:
                reg = self.pool.pop()
                return reg, [f"li {reg}, {value}"]
            return str(value), []
        if isinstance(kind, FImm):
            return rng.choice(_FLOATS), []
        assert isinstance(kind, Imm), kind
        return str(rng.randrange(6 if name == "act" else min(1 << kind.bits, 4))), []

    def number(self, row: Row, name: str, tiles: dict[str, Tile]) -> int:
        """An integer for an operand."""
        rng = self.rng
        if name in ("root", "chip"):
            return 0
        if name in ("key", "block", "stream"):
            return rng.choice((0, 1, -1, rng.randrange(-(2**63), 2**63)))
        if row.mnemonic == "vosm.tree" and name != "window":
            rows, nodes = tiles["p"].dims[-2], tiles["parents"].dims[0]
            if name == "start":
                self.context = rng.randrange(6)
                return self.context
            if name == "qslot":
                return 0 if nodes < rows else rng.randrange(nodes - rows + 1)
            return rng.randrange(8)
        if "pages" in row.mnemonic:
            other = tiles["dst" if "gather" in row.mnemonic else "src"].dims[0]
            return rng.randrange(max(1, tiles["pages"].dims[0] * tiles["pool"].dims[1] - other + 1))
        if name in ("qpos", "kpos", "window", "sinks") and rng.random() < 0.95:
            return rng.randrange(-2, 9)
        return rng.choice((0, 7, -3, 2**31 - 2, rng.randrange(-(2**63), 2**63)))

    # -- blocks ------------------------------------------------------------------------------------

    def fresh_block(self) -> list[Op]:
        """The instructions of a block, in an order in which each finds what it needs."""
        self.live = []
        self.top = {"sram": self.rng.randrange(64) * 16, "acc": self.rng.randrange(16) * 16}
        ops: list[Op] = []
        for _ in range(self.rng.choice((2, 4, 6, 8, 10))):
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
                n = f" q={op.queue[3:]}" if op.queue.startswith("DMA") else ""
                extra = Op(op.queue, [], f"{op.queue.rstrip('0123').lower()}.sync{n}", waits=[target])
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

    def noise(self, count: int) -> list[str]:
        """Scalar instructions whose results matter to nobody but the comparison of registers."""
        rng = self.rng
        out = []
        for _ in range(count):
            row = rng.choice(_SCALAR_ROWS)
            a, b, c = (rng.choice(NOISE) for _ in range(3))
            if row.mnemonic in _BY_HAND:
                choices = [line.format(a=a, b=b, k=8 * rng.randrange(1, 20)) for line in _BY_HAND[row.mnemonic]]
                out += choices
                continue
            if row.mnemonic in ("sdcycle", "dbg.cycle"):
                if self.clock:
                    out.append("sdcycle sp, -512" if row.mnemonic == "sdcycle" else 'dbg.cycle "at "')
                continue
            words = []
            for o in row.operands:
                words.append(self._noise_operand(o.kind, row, a if o.kind.writes else rng.choice((b, c))))
            out.append(f"{row.mnemonic} {', '.join(words)}".rstrip())
        return out

    def _noise_operand(self, kind: Kind, row: Row, reg: str) -> str:
        rng = self.rng
        if isinstance(kind, XFI):
            return reg if rng.random() < 0.5 else rng.choice(_FLOATS)
        if isinstance(kind, XI):
            if row.mnemonic in ("div", "rem"):
                return str(rng.choice((1, 2, 3, -1, -2, 7, -100)))
            return reg if rng.random() < 0.5 else str(rng.choice(_WORDS))
        if isinstance(kind, X):
            return reg
        if isinstance(kind, FImm):
            return rng.choice(_FLOATS)
        if row.mnemonic == "li":
            return str(rng.choice((*_WORDS, rng.randrange(-(2**63), 2**63))))
        return {"dbg.print": '"x "', "dbg.mark": '"m"', "dbg.push": '"r"'}[row.mnemonic]


def _as_they_are(sizes: dict[str, int], rng: random.Random) -> None:
    """No more is asked of the sizes."""


def _at_most(small: str, large: str) -> Callable[[dict[str, int], random.Random], None]:
    def fit(sizes: dict[str, int], rng: random.Random) -> None:
        sizes[large] = max(sizes[large], sizes[small])

    return fit


def _equal(a: str, b: str) -> Callable[[dict[str, int], random.Random], None]:
    def fit(sizes: dict[str, int], rng: random.Random) -> None:
        sizes[a] = sizes[b]

    return fit


def _fit_pages(sizes: dict[str, int], rng: random.Random) -> None:
    sizes["S"], sizes["P"] = max(1, sizes["S"]), max(1, sizes["P"])
    sizes["N"] = -(-sizes["R"] // sizes["S"]) + rng.randrange(2)


def _fit_table(sizes: dict[str, int], rng: random.Random) -> None:
    sizes["V"] = max(1, sizes["V"])


def _fit_tree(sizes: dict[str, int], rng: random.Random) -> None:
    sizes["N"] = max(sizes["N"], sizes["R"])


def _fit_one(sizes: dict[str, int], rng: random.Random) -> None:
    sizes["N"] = 1


def _fit_part(sizes: dict[str, int], rng: random.Random) -> None:
    sizes["D"] = max(sizes["D"], 2 * sizes["H"])


def _some(name: str) -> Callable[[dict[str, int], random.Random], None]:
    def fit(sizes: dict[str, int], rng: random.Random) -> None:
        sizes[name] = max(1, sizes[name])

    return fit


FITTED: dict[str, Callable[[dict[str, int], random.Random], None]] = {
    "vtopk.row": _at_most("K", "C"),
    "vroute": _at_most("K", "E"),
    "vtake.row": _some("C"),
    "vrope.part": _fit_part,
    "vosm.tree": _fit_tree,
    "cce.reducescatter": _equal("M", "R"),
    "cce.allgather": _equal("M", "R"),
    "cce.alltoallv": _fit_one,
    "cce.permute": _fit_one,
    **dict.fromkeys(("dma.gather", "dma.gather.pad", "dma.scatter", "dma.scatter.add"), _fit_table),
    **dict.fromkeys(("dma.gather.pages", "dma.scatter.pages"), _fit_pages),
    **dict.fromkeys(("vmax.row", "vmin.row", "vargmax.row", "vargmin.row"), _some("C")),
    **dict.fromkeys(("vmax.col", "vmin.col"), _some("R")),
}
# rows whose error is bounded for numbers of moderate size
NARROW = {
    r.mnemonic for r in ROWS
    if r.mnemonic.startswith(("mm", "vosm", "vrms", "vln", "vrope", "vswi", "vge", "vroute", "vsum"))
}  # fmt: skip
NUMBERS = {
    "scale": ("1.0", "0.25", "0.125", "-0.5", "3.0"),
    "eps": ("0.0", "1e-5", "0.5"),
    "cap": ("1.0", "2.5", "30.0"),
    "alpha": ("1.0", "1.702"),
    "limit": ("7.0", "2.0", "0.5"),
}
_BY_HAND = {
    "ld": ("sd {a}, sp, -{k}", "ld {b}, sp, -{k}"),
    "sd": ("sd {a}, sp, -{k}",),
    "tget": ("tget {a}, t63, 0",),
    "taddr": ("taddr {a}, t62",),
    "dbg.assert": ("li {a}, 3", 'dbg.assert {a}, "is not 0"'),
    "sync": ("sync signal s61+=3", "sync wait s61>=3"),
    "nop": ("nop",),
}
_SCALAR_ROWS = [
    r for r in ROWS
    if not r.engine.is_async and not r.data and r.flow is Flow.NEXT
    and not {"tld", "tst", "tmv", "tslice", "tswap", "tinsert", "tdrop", "tset", "tbase"} & {r.mnemonic}
    and r.mnemonic not in ("drain", "semreset")
]  # fmt: skip


def _conflict(a: Op, b: Op) -> bool:
    return any(
        s == t and low < top and bottom < high
        for mine, theirs in ((a.writes, b.reads), (a.reads, b.writes))
        for s, low, high in mine
        for t, bottom, top in theirs
    )


def _meet(a: Tile, b: Tile) -> bool:
    (low, high), (bottom, top) = a.extent, b.extent
    return a.space == b.space and low < top and bottom < high

