"""Tiles of random programs: where they lie, with which strides, what they hold, and the descriptors of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tools.fuzz.contents import contents
from tools.fuzz.scalars import ARENA, OTHER, SPARE, Scalars

SIZES = {
    "f32": 4, "bf16": 2, "f16": 2, "fp8e4m3": 1, "fp8e5m2": 1, "e8m0": 1, "fp4x2": 1, "i32": 4, "u8": 1, "i8": 1,
}  # fmt: skip
CODES = {name: i + 1 for i, name in enumerate(SIZES)}
SRAM_BYTES, ACC_BYTES = 48 << 10, 24 << 10  # that programs use
RANK = 4
MOVES = ("slice", "swap", "insert", "drop", "set", "base", "stack", "mv")
TILE_REGISTERS = [f"t{i}" for i in range(58)]


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


class Tiles(Scalars):
    """Places of tiles, and how registers come to hold them."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.descriptors: list[str] = []
        self.fills: list[str] = []
        self.image = bytearray()  # constants, behind label c0
        self.used = {"arena": 0, "other": 0, "image": 0}
        self.top = {"sram": 0, "acc": 0}
        self.live: list[Tile] = []

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
        self.descriptors.append(f"{name}: .i64 {words(data)}  # {note}")
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
        start = tile
        steps: list[str] = []
        for _ in range(0 if any(tile.regs) else rng.choice((0, 0, 1, 1, 2))):  # a view would fix sizes
            start, step = self._undone(rng.choice(MOVES), start, t)
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


def words(data: bytes | bytearray) -> str:
    """Bytes as numbers of 64 bits."""
    padded = bytes(data) + bytes(-len(data) % 8)
    return ", ".join(hex(int.from_bytes(padded[i : i + 8], "little")) for i in range(0, len(padded), 8))
