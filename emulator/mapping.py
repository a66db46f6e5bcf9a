"""Files in HBM: their pages take the place of the memory's own, so that only what is touched is read and costs memory.

The pages are private: nothing that happens in the emulated memory ever reaches the file. A file must not be shortened
while it is mapped (replacing it by renaming another one over it is fine).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from typing import BinaryIO

from sohu.emulator.memory import PAGE, Allocation, Hbm
from sohu.isa import SohuError

GRANULE = max(PAGE, mmap.ALLOCATIONGRANULARITY)  # of places in memory and in the file
_FIXED = 0x10  # MAP_FIXED, on Linux and macOS alike
_NORESERVE = 0x4000 if sys.platform == "linux" else 0x40
_FAILED = ctypes.c_void_p(-1).value


def place(hbm: Hbm, block: Allocation, file: BinaryIO, offset: int) -> bool:
    """Put the file's bytes from `offset` on into a block. True: as mapped pages; False: as a copy, where the host
    maps no files over reserved memory, or the block or offset is on no page of its own.

    The block must be alone on its pages (`reserved` at a multiple of GRANULE). Raises SohuError when the file is too
    short or cannot be read.
    """
    size = block.end - block.start
    try:
        if os.fstat(file.fileno()).st_size < offset + size:
            raise SohuError(f"{file.name} is too short for {size:,} bytes at {offset:,}")
        if not (block.start % GRANULE or offset % GRANULE or block.reserved % GRANULE):
            flags = mmap.MAP_PRIVATE | _FIXED | _NORESERVE if sys.platform != "win32" else 0
            if _map(hbm, block, flags, file.fileno(), offset):
                block.mapped = hasattr(mmap, "MADV_DONTNEED") and not block.writable
                return True
        file.seek(offset)
        view = memoryview(hbm.map)[block.start : block.end]
        done = 0
        while done < size:
            count = file.readinto(view[done:])  # type: ignore[attr-defined]
            if not count:
                raise SohuError(f"{file.name} has become shorter while it was read")
            done += count
        return False
    except OSError as e:
        raise SohuError(f"{file.name} cannot be read: {e.strerror}") from None


def withdraw(hbm: Hbm, block: Allocation) -> None:
    """Memory of its own, all zero, where a block's pages were those of a file."""
    block.mapped = False
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _FIXED | _NORESERVE if sys.platform != "win32" else 0
    if not _map(hbm, block, flags, -1, 0):
        hbm.map[block.start : block.end] = bytes(block.end - block.start)


def _map(hbm: Hbm, block: Allocation, flags: int, fd: int, offset: int) -> bool:
    if sys.platform == "win32":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64]
    at = hbm.bytes.__array_interface__["data"][0] + block.start
    protection = mmap.PROT_READ | mmap.PROT_WRITE
    return bool(libc.mmap(at, block.reserved - block.start, protection, flags, fd, offset) != _FAILED)
