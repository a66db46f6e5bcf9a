"""Section .sohu.kernels: parameters, tiles, bounds and semaphores of kernels, as JSON.

A tile's `address` counts from the image of a program, or from section .sohu.tiles of an object.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from sohu.asm.elf_file import SHT_PROGBITS, Reader, Section
from sohu.asm.kernels import bad_tile
from sohu.asm.names import RegisterFile, declarable, is_name
from sohu.asm.program import Direction, Kernel, Param, TileSymbol
from sohu.isa import DTYPES, TILE_BYTES, Fault, Tile
from sohu.isa.machine import MAX_RANK

_FORMAT = 1  # version of the JSON


def kernels_section(kernels: Iterable[Kernel]) -> Section:
    """The section that describes some kernels."""
    described = []
    for k in kernels:
        params = [
            {"name": p.name, "direction": p.direction, "reg": p.reg}
            | ({"dtype": str(p.dtype), "dims": list(p.dims)} if p.is_tensor else {})
            for p in k.params
        ]
        tiles = [{"name": t.name, "reg": t.reg, "address": t.address} for t in k.tiles]
        described.append(
            {"name": k.name, "params": params, "tiles": tiles, "bounds": k.bounds, "semaphores": k.semaphores}
        )
    data = json.dumps({"format": _FORMAT, "kernels": described}, ensure_ascii=False).encode()
    return Section(".sohu.kernels", SHT_PROGBITS, data)


def read_kernels(
    file: Reader, places: Mapping[str, tuple[int, int]], descriptors: bytes, start: int
) -> dict[str, Kernel]:
    """The kernels of a file. Raises Fault (loader).

    places: (pc, size) of each global symbol of .text. descriptors: the bytes at `start`, which begin with the
    descriptors of all tiles.
    """
    return _Kernels(file, places, descriptors, start).read()


class _Kernels:
    def __init__(self, file: Reader, places: Mapping[str, tuple[int, int]], descriptors: bytes, start: int) -> None:
        self.file = file
        self.places = places
        self.descriptors = descriptors
        self.start = start
        self.next_tile = start  # where the next tile's descriptor belongs

    def bad(self, why: str) -> NoReturn:
        self.file.bad(why)

    def read(self) -> dict[str, Kernel]:
        raw = self.file.section(".sohu.kernels", SHT_PROGBITS)
        try:
            described = json.loads(raw.decode(), object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            self.bad(".sohu.kernels is no JSON")
        top = self.record(described, {"format": int, "kernels": list}, "the description of kernels")
        if top["format"] != _FORMAT:
            self.bad(f".sohu.kernels has format {top['format']}; this toolchain reads {_FORMAT}")
        kernels: dict[str, Kernel] = {}
        end = 0
        for k in top["kernels"]:
            kernel = self.kernel(k)
            if kernel.entry < end:
                self.bad(f"kernel {kernel.name!r} overlaps another, or they are out of order")
            end = kernel.end
            kernels[kernel.name] = kernel
        return kernels

    def record(self, value: Any, keys: dict[str, type], what: str) -> dict[str, Any]:
        """`value` as an object with exactly these keys, of these types."""
        if not isinstance(value, dict) or set(value) != set(keys):
            self.bad(f".sohu.kernels: {what} wants {', '.join(keys)}")
        for key, kind in keys.items():
            if type(value[key]) is not kind:
                self.bad(f".sohu.kernels: {key} of {what} is no {kind.__name__}")
        return value

    def kernel(self, described: Any) -> Kernel:
        keys: dict[str, type] = {"name": str, "params": list, "tiles": list, "bounds": dict, "semaphores": dict}
        k = self.record(described, keys, "a kernel")
        name = k["name"]
        if name not in self.places:
            self.bad(f"kernel {name!r} has no global symbol in .text")
        entry, size = self.places[name]
        what = f"kernel {name!r}"
        params = tuple(self.param(p, what) for p in k["params"])
        tiles = tuple(self.tile(t, what) for t in k["tiles"])
        dims = {d for p in params for d in p.dims}
        for dim, most in k["bounds"].items():
            if dim not in dims or not self.is_size(most):
                self.bad(f"{what}: the bound {dim!r}: {most!r} is none")
        held: list[tuple[str, RegisterFile, Any]] = [(p.name, "t" if p.is_tensor else "x", p.reg) for p in params]
        held += [(t.name, "t", t.reg) for t in tiles]
        held += [(s, "s", reg) for s, reg in k["semaphores"].items()]
        for own, file, reg in held:
            if not is_name(own) or type(reg) is not int or reg not in declarable(file):
                self.bad(f"{what}: {own!r} in {file}{reg!r} is no declaration")
        if len({own for own, _, _ in held}) < len(held) or len({h[1:] for h in held}) < len(held):
            self.bad(f"{what}: a name or a register is declared twice")
        return Kernel(name, entry, entry + size, params, tiles, k["bounds"], k["semaphores"])

    def is_size(self, value: Any) -> bool:
        return type(value) is int and 0 <= value < 1 << 32

    def param(self, described: Any, kernel: str) -> Param:
        what = f"a parameter of {kernel}"
        keys: dict[str, type] = {"name": str, "direction": str, "reg": int}
        if isinstance(described, dict) and "dtype" in described:
            keys |= {"dtype": str, "dims": list}
        p = self.record(described, keys, what)
        direction: Direction = p["direction"]
        if direction not in (("in", "out", "inout") if "dtype" in p else ("i64", "f32")):
            self.bad(f".sohu.kernels: {what} has direction {direction!r}")
        if "dtype" not in p:
            return Param(p["name"], direction, reg=p["reg"])
        good = 1 <= len(p["dims"]) <= MAX_RANK and all(
            is_name(d) if isinstance(d, str) else self.is_size(d) for d in p["dims"]
        )
        if p["dtype"] not in DTYPES or not good:
            self.bad(f".sohu.kernels: {what} has dtype {p['dtype']!r}, dimensions {p['dims']!r}")
        return Param(p["name"], direction, DTYPES[p["dtype"]], tuple(p["dims"]), p["reg"])

    def tile(self, described: Any, kernel: str) -> TileSymbol:
        t = self.record(described, {"name": str, "reg": int, "address": int}, f"a tile of {kernel}")
        offset = t["address"] - self.start
        if t["address"] != self.next_tile or offset > len(self.descriptors) - TILE_BYTES:
            self.bad(f"{kernel}: the descriptor of tile {t['name']!r} is not where it belongs")
        self.next_tile += TILE_BYTES
        try:
            tile = Tile.unpack(self.descriptors[offset : offset + TILE_BYTES])
        except Fault as e:
            self.bad(f"{kernel}: tile {t['name']!r}: {e.message}")
        if why := bad_tile(tile):
            self.bad(f"{kernel}: tile {t['name']!r}: {why}")
        return TileSymbol(t["name"], t["reg"], tile, t["address"])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found
