"""The memories of one chip: HBM with its allocation map, SRAM and ACC.

Each is one anonymous mapping: the host gives pages to what is touched, so that HBM can have all the
addresses of the real one. A tile becomes a NumPy view of a mapping, checked once when it is made.
"""

from __future__ import annotations

import bisect
import mmap
import struct
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.emulator.deferred import NOWHERE, Cover, Deferrals, Widened
from sohu.isa import Chip, Fault, SohuError, Space, Tile

ALIGN = 64  # of every allocation: a cache line, and the bytes of a descriptor
PAGE = 4096
_MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # in Python's mmap from 3.13 on
_SMALLEST_HBM = 1 << 30
_RETURN_PAGES = 16 << 20  # freed blocks from this size on give their pages back to the host


class Allocation:
    """A block of HBM that a program may touch: [start, end), and nobody else has what follows up to `reserved`.

    `live` turns false when it is freed. `fresh`: the host has put nothing there; `scratch`: and each launch finds it
    so. `mapped`: its pages are those of a file, which has all they hold.
    """

    __slots__ = (
        "end",
        "fresh",
        "live",
        "mapped",
        "name",
        "reserved",
        "rewritten",
        "scratch",
        "start",
        "widened",
        "writable",
    )

    def __init__(self, start: int, end: int, writable: bool, name: str, reserved: int = 0) -> None:
        self.start = start
        self.end = end
        self.reserved = max(reserved, end)
        self.mapped = False
        self.writable = writable
        self.name = name
        self.live = True
        self.rewritten = False  # the host writes there at each launch
        self.fresh = False
        self.scratch = False
        self.widened: dict[int, Widened] = {}  # float32 copies of its elements, by dtype code

    @property
    def constant(self) -> bool:
        """Neither programs nor the host change what it holds."""
        return not self.writable and not self.rewritten

    def __repr__(self) -> str:
        return f"Allocation({self})"

    def __str__(self) -> str:
        return f"{self.name or 'a tensor'} at {self.start:#x}..{self.end:#x}"


class View:
    """A tile's elements as stored, and what binding wants to know of them. Kept in Tile.cache.

    kind: space and dtype code as one number. low, high: byte range. allocation: of tiles in HBM. cover: of tiles in
    SRAM, what is known of copies to there that have not been made yet (emulator/deferred.py).
    """

    __slots__ = ("allocation", "array", "cover", "high", "kind", "low", "owner", "tile")

    def __init__(
        self,
        owner: Memories,
        tile: Tile,
        array: NDArray[Any],
        kind: int,
        low: int,
        high: int,
        allocation: Allocation | None,
    ) -> None:
        self.owner = owner
        self.tile = tile
        self.array = array
        self.kind = kind
        self.low = low
        self.high = high
        self.allocation = allocation
        self.cover: Cover = NOWHERE


def kind_of(space: Space, dtype_code: int) -> int:
    """Space and dtype as one small number, for one look-up where two would be needed."""
    return int(space) << 8 | dtype_code


def _on_chip(space: Space, size: int) -> mmap.mmap:
    try:
        return _reserve(size)
    except OSError as e:
        raise SohuError(f"the host refuses {size:,} bytes for {space}: {e.strerror}") from None


def _reserve(size: int) -> mmap.mmap:
    return mmap.mmap(
        -1,
        size,
        flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE,
        prot=mmap.PROT_READ | mmap.PROT_WRITE,
    )


class Hbm:
    """High-bandwidth memory: addresses from 0 to `size`, of which only allocations may be touched.

    `size` is the chip's, or what the host's limits allow when that is less. Page 0 is never allocated.
    """

    def __init__(self, size: int) -> None:
        self.wanted = self.size = size
        while True:
            try:
                self.map = _reserve(self.size)
                break
            except OSError as e:
                if self.size <= _SMALLEST_HBM:
                    raise SohuError(
                        f"the host refuses {self.size:,} bytes of address space for HBM: {e.strerror}",
                        help="raise its limit (ulimit -v)",
                    ) from None
                self.size = max(self.size // 2, _SMALLEST_HBM)
        self.bytes: NDArray[np.uint8] = np.frombuffer(self.map, np.uint8)
        self._starts: list[int] = []
        self._allocations: list[Allocation] = []
        self._free: list[tuple[int, int]] = [(PAGE, self.size)]  # sorted, never adjacent
        self.before_free: Callable[[Allocation], None] = lambda _: None
        self.rights_changed: Callable[[], None] = lambda: None  # who has looked at `writable` must look again
        self._touched = 0  # nothing above was ever allocated, so it is zero

    @property
    def allocations(self) -> tuple[Allocation, ...]:
        """All live blocks, by address."""
        return tuple(self._allocations)

    def allocate(
        self,
        size: int,
        *,
        name: str = "",
        writable: bool = True,
        zero: bool = False,
        align: int = ALIGN,
        guard: int = 0,
    ) -> Allocation:
        """A block of `size` bytes at the lowest address that has room.

        `zero` clears it; otherwise it holds what its last owner left. `guard` bytes on either side belong to
        no block from then on. Raises SohuError when nothing fits.
        """
        need = max(-(-size // align) * align, align)
        for i, (start, end) in enumerate(self._free):
            at = -(-(start + guard) // align) * align
            if at + need + guard <= end:
                rest = [(a, b) for a, b in ((start, at - guard), (at + need + guard, end)) if a < b]
                self._free[i : i + 1] = rest
                break
        else:
            left = sum(end - start for start, end in self._free)
            host = "" if self.size == self.wanted else f" (the host gave {self.size:,} of {self.wanted:,} bytes)"
            raise SohuError(
                f"HBM has no room for {size:,} bytes{': ' + name if name else ''}; {left:,} are free{host}",
                help="free tensors, or raise the host's limit (ulimit -v)" if host else "free tensors",
            )
        block = Allocation(at, at + size, writable, name, at + need)
        self._insert(block)
        if zero and at < self._touched:
            self.bytes[at : min(at + size, self._touched)] = 0
        self._touched = max(self._touched, at + need)
        return block

    def release(self, block: Allocation, low: int, high: int) -> None:
        """Bytes that will not be read soon: pages of a file go back to the host, and come again when touched."""
        low, high = -(-low // mmap.PAGESIZE) * mmap.PAGESIZE, high // mmap.PAGESIZE * mmap.PAGESIZE
        if block.mapped and low < high:
            self.map.madvise(mmap.MADV_DONTNEED, low, high - low)

    def free(self, block: Allocation) -> None:
        """Give a block back; whoever still holds its address gets an out-of-bounds error."""
        if not block.live:
            return
        self.before_free(block)
        block.live = False
        block.widened.clear()
        i = bisect.bisect_left(self._starts, block.start)
        del self._starts[i], self._allocations[i]
        start, end = block.start, block.reserved
        if end - start >= _RETURN_PAGES and hasattr(mmap, "MADV_DONTNEED"):
            low, high = -(-start // PAGE) * PAGE, end // PAGE * PAGE
            self.map.madvise(mmap.MADV_DONTNEED, low, high - low)
        i = bisect.bisect_left(self._free, (start, end))
        if i < len(self._free) and self._free[i][0] == end:
            end = self._free.pop(i)[1]
        if i and self._free[i - 1][1] == start:
            start = self._free.pop(i - 1)[0]
            i -= 1
        self._free.insert(i, (start, end))

    def revive(self, block: Allocation) -> None:
        """Take back a block that has been freed, where it was; raises SohuError when others have its memory now."""
        if block.live:
            return
        end = block.reserved
        i = bisect.bisect_right(self._free, (block.start, self.size)) - 1
        if i < 0 or self._free[i][1] < end:
            raise SohuError(f"the memory of {block} has been given away since")
        low, high = self._free[i]
        self._free[i : i + 1] = [(a, b) for a, b in ((low, block.start), (end, high)) if a < b]
        block.live = True
        self._insert(block)

    def adopt(self, blocks: Sequence[Allocation], free: Sequence[tuple[int, int]]) -> None:
        """Have exactly these blocks and free ranges, sorted and apart, in place of those there are."""
        for old in self._allocations:
            old.live = False
        self._allocations = list(blocks)
        self._starts = [b.start for b in blocks]
        self._free = list(free)
        self._touched = max([self._touched, *(b.reserved for b in blocks)])

    @property
    def free_ranges(self) -> tuple[tuple[int, int], ...]:
        """What `allocate` may give, by address."""
        return tuple(self._free)

    def _insert(self, block: Allocation) -> None:
        i = bisect.bisect_right(self._starts, block.start)
        self._starts.insert(i, block.start)
        self._allocations.insert(i, block)

    def find(self, address: int) -> Allocation | None:
        """The block that holds an address."""
        i = bisect.bisect_right(self._starts, address) - 1
        return self._allocations[i] if i >= 0 and address < self._allocations[i].end else None

    def starting_at(self, address: int) -> Allocation | None:
        """The block that begins at an address."""
        i = bisect.bisect_left(self._starts, address)
        return self._allocations[i] if i < len(self._starts) and self._starts[i] == address else None

    def check(self, low: int, high: int) -> Allocation:
        """The one block that holds the bytes [low, high), low < high; raises Fault (out-of-bounds)."""
        i = bisect.bisect_right(self._starts, low) - 1
        block = self._allocations[i] if i >= 0 else None
        if block is not None and high <= block.end:
            return block
        where = f"hbm {low:#x}..{high:#x}"
        if block is not None and low < block.end:
            raise Fault("out-of-bounds", f"{where} reaches {high - block.end} bytes past the end of {block}")
        help = "page 0 is never allocated: was the address ever set?" if low < PAGE else ""
        raise Fault("out-of-bounds", f"{where} is not allocated", help=help)

    def read_only(self, block: Allocation, low: int) -> Fault:
        """The fault of a write at `low` into a block that programs may only read."""
        return Fault("read-only", f"hbm {low:#x} is in {block}, which a program may only read")

    def load64(self, address: int) -> int:
        """Eight bytes, signed; raises Fault (misaligned, out-of-bounds)."""
        self._word(address)
        return int.from_bytes(self.map[address : address + 8], "little", signed=True)

    def store64(self, address: int, value: int) -> None:
        """Write eight bytes; raises Fault (misaligned, out-of-bounds, read-only)."""
        block = self._word(address)
        if not block.writable:
            raise self.read_only(block, address)
        self.map[address : address + 8] = struct.pack("<q", value)

    def load_bytes(self, address: int, size: int) -> bytes:
        """Some bytes at an 8-byte aligned address; raises Fault (misaligned, out-of-bounds)."""
        self._word(address, size)
        return self.map[address : address + size]

    def store_bytes(self, address: int, data: bytes) -> None:
        """Write bytes at an 8-byte aligned address; raises Fault (misaligned, out-of-bounds, read-only)."""
        block = self._word(address, len(data))
        if not block.writable:
            raise self.read_only(block, address)
        self.map[address : address + len(data)] = data

    def _word(self, address: int, size: int = 8) -> Allocation:
        if address & 7:
            raise Fault("misaligned", f"address {address:#x} is no multiple of 8")
        return self.check(address, address + size)


def strides(tile: Tile, itemsize: int) -> Sequence[int]:
    """Strides in bytes. A dimension of size 1 gets the stride of a dense tile, whatever its descriptor says:
    NumPy hands a matrix to BLAS only when even those strides look like a matrix's.
    """
    if 1 not in tile.dims:
        return [s * itemsize for s in tile.strides]
    out = []
    dense = itemsize
    for d, s in zip(reversed(tile.dims), reversed(tile.strides), strict=True):
        step = dense if d == 1 else s * itemsize
        out.append(step)
        dense = abs(step) * d
    return out[::-1]


class Memories:
    """The three memories of a chip, and the views of tiles in them."""

    strides = staticmethod(strides)

    def __init__(self, chip: Chip, *, keep: int | None = None) -> None:
        """keep: bytes of host memory for float32 copies of narrow constants; None: half of what is free."""
        self.chip = chip
        self.deferrals = Deferrals(self, keep)
        self.hbm = Hbm(chip.hbm_bytes)
        self.hbm.before_free = self.deferrals.freed
        self._maps: dict[Space, mmap.mmap] = {
            Space.HBM: self.hbm.map,
            Space.SRAM: _on_chip(Space.SRAM, chip.sram_bytes),
            Space.ACC: _on_chip(Space.ACC, chip.acc_bytes),
        }
        self._sizes = {
            Space.HBM: self.hbm.size,
            Space.SRAM: chip.sram_bytes,
            Space.ACC: chip.acc_bytes,
        }
        self._sram: NDArray[np.uint8] = np.frombuffer(self._maps[Space.SRAM], np.uint8)
        self.acc: NDArray[np.uint8] = np.frombuffer(self._maps[Space.ACC], np.uint8)

    @property
    def sram(self) -> NDArray[np.uint8]:
        """The bytes of SRAM."""
        self.deferrals.settle()
        return self._sram

    def settle(self) -> None:
        """Have in every byte what a program would find there: before the memories are copied or overwritten."""
        self.deferrals.settle()

    def map(self, space: Space) -> mmap.mmap:
        """The bytes of a memory."""
        return self._maps[space]

    def view(self, tile: Tile) -> View:
        """The elements of a resolved tile as stored, live.

        Raises Fault: misaligned; out-of-bounds when any element lies outside its memory (HBM: outside
        one allocation); operand when it has more elements than its memory has bytes (an empty tile: without its
        dimensions of size 0).
        """
        known = tile.cache
        if known is not None and known.owner is self and (known.allocation is None or known.allocation.live):
            return known  # type: ignore[no-any-return]  # cache is Any: isa knows no executor
        space, dtype, base = tile.space, tile.dtype, tile.base
        itemsize = dtype.itemsize
        if base % itemsize:
            raise Fault("misaligned", f"{tile}: base is no multiple of {itemsize}, the bytes of {dtype}")
        low, high = tile.extent()
        allocation = None
        if low == high:
            # semantics may make vectors as long as a dimension, whether or not the tile has elements
            if prod(d for d in tile.dims if d) > self._sizes[space]:
                raise Fault("operand", f"{tile} is empty, but its other dimensions are larger than {space}")
            array: NDArray[Any] = np.empty(tile.dims, dtype.np)
        else:
            size = self._sizes[space]
            if low < 0 or high > size:
                raise Fault("out-of-bounds", f"{tile} covers {low:#x}..{high:#x}, {space} ends at {size:#x}")
            if tile.size > size:
                raise Fault("operand", f"{tile} has more elements than {space} has bytes")
            if space is Space.HBM:
                try:
                    allocation = self.hbm.check(low, high)
                except Fault as e:
                    raise Fault(e.category, f"{tile}: {e.message}", help=e.help) from None
            array = np.ndarray(tile.dims, dtype.np, self._maps[space], base, strides(tile, itemsize))
        made = View(self, tile, array, kind_of(space, dtype.code), low, high, allocation)
        tile.cache = made
        if space is Space.SRAM and low < high:
            self.deferrals.register(made)
        return made
