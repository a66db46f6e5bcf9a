"""Tensors of the host: arrays that lie in a chip's HBM."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from sohu.emulator.mapping import GRANULE, place, withdraw
from sohu.emulator.memory import Allocation, Hbm
from sohu.isa import DType, SohuError, Space, Tile

if TYPE_CHECKING:
    from sohu.emulator.device import Device


class _Storage:
    """A block of HBM and who uses it: freed when the last tensor and the last view of it are gone."""

    __slots__ = ("__weakref__", "block", "hbm")

    def __init__(self, hbm: Hbm, block: Allocation) -> None:
        self.hbm = hbm
        self.block = block

    def free(self) -> None:
        self.hbm.free(self.block)

    def __del__(self) -> None:
        self.free()


class _Borrowed(_Storage):
    """A block that belongs to someone else: it is not freed with the last tensor."""

    __slots__ = ()

    def __del__(self) -> None:
        pass


class _Mapped(_Storage):
    """A block whose pages are those of a file."""

    __slots__ = ()

    def free(self) -> None:
        if self.block.live:
            self.hbm.before_free(self.block)
            withdraw(self.hbm, self.block)
        super().free()


def _dense(tile: Tile) -> Tile:
    return Tile(Space.HBM, tile.dtype, tile.base, tile.dims)


class _Owner:
    """What a NumPy view of a tensor has as its base, so that the storage outlives the view."""

    __slots__ = ("__array_interface__", "storage")

    def __init__(self, storage: _Storage, size: int) -> None:
        self.storage = storage
        address = storage.hbm.bytes.__array_interface__["data"][0] + storage.block.start
        self.__array_interface__ = {
            "shape": (size,),
            "typestr": "|u1",
            "data": (address, False),
            "version": 3,
        }


class Tensor:
    """A dense row-major array in HBM, of 1 to 4 dimensions. Made by Device.tensor, .empty and .zeros.

    Its memory is given back by `free()`, or when neither it, nor a reshaped one, nor a view is in use.
    """

    __slots__ = ("_storage", "_view", "descriptor", "device", "dtype", "name", "shape", "tile")

    def __init__(self, device: Device, storage: _Storage, shape: tuple[int, ...], dtype: DType, name: str = "") -> None:
        self.device = device
        self._storage = storage
        self._view: NDArray[Any] | None = None
        self.shape = shape
        self.dtype = dtype
        self.name = name
        self.tile = Tile(Space.HBM, dtype, storage.block.start, shape)  # what a kernel sees of it
        self.descriptor = self.tile.pack()

    @classmethod
    def mapped(
        cls, device: Device, hbm: Hbm, file: BinaryIO, offset: int, shape: tuple[int, ...], dtype: DType, name: str
    ) -> Tensor:
        """A read-only tensor whose bytes are a file's from `offset` on; raises SohuError as `allocate`, `place` do."""
        _check(shape)
        block = hbm.allocate(prod(shape) * dtype.itemsize, name=name, writable=False, align=GRANULE)
        try:
            storage = _Mapped(hbm, block) if place(hbm, block, file, offset) else _Storage(hbm, block)
        except SohuError:
            hbm.free(block)
            raise
        return cls(device, storage, shape, dtype, name)

    @classmethod
    def allocate(cls, device: Device, hbm: Hbm, shape: tuple[int, ...], dtype: DType, name: str, zero: bool) -> Tensor:
        """A new tensor; raises SohuError for shapes that no tile has and when HBM is full."""
        _check(shape)
        block = hbm.allocate(prod(shape) * dtype.itemsize, name=name, zero=zero)
        block.fresh = not zero
        return cls(device, _Storage(hbm, block), shape, dtype, name)

    @classmethod
    def at(cls, device: Device, hbm: Hbm, tile: Tile, name: str) -> Tensor:
        """The tensor that a descriptor shows, in a block that is there; raises SohuError when it is in none."""
        block = hbm.starting_at(tile.base)
        if block is None or tile.base + tile.size * tile.dtype.itemsize > block.end or tile != _dense(tile):
            raise SohuError(f"{tile} is no tensor in HBM")
        return cls(device, _Borrowed(hbm, block), tile.dims, tile.dtype, name)

    @property
    def address(self) -> int:
        """Of its first byte in HBM."""
        return self._storage.block.start

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def writable(self) -> bool:
        """False once it is frozen."""
        return self._storage.block.writable

    def freeze(self) -> None:
        """From now on host and programs may only read its memory: a store into it is a fault, views are read-only.

        Constant operands run faster. A view that was cut out of `view()` before stays as it was.
        """
        if self._storage.block.writable:
            self._storage.block.writable = False
            self._storage.hbm.rights_changed()
        if self._view is not None:
            self._view.flags.writeable = False

    @property
    def live(self) -> bool:
        """False once it has been freed."""
        return self._storage.block.live

    def view(self) -> NDArray[Any]:
        """The elements in place: what a kernel writes appears here, and the other way round. Read-only once frozen.

        Raises SohuError when the tensor has been freed.
        """
        if not self.live:
            raise SohuError(f"{self} has been freed")
        self._storage.block.fresh = False  # who has a view may write
        if self._view is None:
            raw = np.asarray(_Owner(self._storage, self.nbytes))
            self._view = raw.view(self.dtype.np).reshape(self.shape)
            self._view.flags.writeable = self.writable
        return self._view

    def numpy(self) -> NDArray[Any]:
        """A copy of the elements; raises SohuError when the tensor has been freed."""
        return self.view().copy()

    def reshape(self, *shape: int) -> Tensor:
        """The same memory with another shape (one dimension may be -1); raises SohuError if sizes differ."""
        new = shape
        if shape.count(-1) == 1:
            known = prod(d for d in shape if d != -1)
            new = tuple(d if d != -1 else prod(self.shape) // max(known, 1) for d in shape)
        if prod(new) != prod(self.shape) or any(d < 0 for d in new) or not 1 <= len(new) <= 4:
            raise SohuError(f"{self} has no shape {list(shape)}")
        return Tensor(self.device, self._storage, new, self.dtype, self.name)

    def free(self) -> None:
        """Give the memory back now. A program that still uses the address gets an out-of-bounds error."""
        self._storage.free()

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<tensor{name} {self.dtype}{list(self.shape)} at hbm {self.address:#x}>"


def _check(shape: tuple[int, ...]) -> None:
    if not 1 <= len(shape) <= 4:
        raise SohuError(
            f"a tensor has 1 to 4 dimensions, not {len(shape)}",
            help="reshape it" if shape else "x.reshape(1)",
        )
    if any(d < 0 or d >= 1 << 32 for d in shape):
        raise SohuError(f"{list(shape)} is no shape of a tensor")
