"""Instructions of engines in random programs: operands of any shape, dtype and place that the row takes."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sohu.isa import ROWS, Row
from sohu.isa.operands import XF, XFI, XI, Data, FImm, Imm, X

from tools.fuzz.choices import FITTED, FLOATS, NARROW, NUMBERS, NUMERIC, as_they_are, weight
from tools.fuzz.scalars import NOISE, ROUND, SCALARS
from tools.fuzz.tiles import RANK, SIZES, TILE_REGISTERS, Tile, Tiles

LARGEST = 300  # elements of a tile


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


class Instructions(Tiles):
    """Appends instructions to a block, each after those that give it its inputs."""

    def __init__(self, rng: random.Random, only: Collection[str] = ()) -> None:
        super().__init__(rng)
        self.rows = [r for r in ROWS if weight(r) and (not only or r.mnemonic in only)]
        self.weights = [weight(r) for r in self.rows]
        self.rounds = 0  # of the loop around, whose register ROUND counts; 0: none
        self.pool: list[str] = []  # scalar registers that an instruction has not used yet
        self.sizes_of: dict[int, tuple[int, int]] = {}  # by register: the least and the largest size that it gives

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
        self.sizes_of = {}
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
                part = None
                if policy == "any" and not any(of_dims) and rng.random() < 0.45 and not k.writes_data:
                    part = self.view_of(space, dtypes[o.name], dims)
                if policy == "any":
                    policy = self.kind_of_numbers(row)
                tile = part or self.loaded(ops, space, dtypes[o.name], room, policy, k.writes_data)
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
        t, chosen = rng.choice(fits)
        base = t.base
        for a, d in zip(chosen, dims, strict=True):
            base += rng.randrange(t.dims[a] - d + 1) * t.strides[a] * SIZES[dtype]
        return Tile(space, dtype, base, tuple(dims), tuple(t.strides[a] for a in chosen))

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
        FITTED.get(row.mnemonic, as_they_are)(sizes, rng)
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
            value = rng.choice(NUMBERS.get(name, FLOATS))
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
            return rng.choice(FLOATS), []
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


def _meet(a: Tile, b: Tile) -> bool:
    (low, high), (bottom, top) = a.extent, b.extent
    return a.space == b.space and low < top and bottom < high
