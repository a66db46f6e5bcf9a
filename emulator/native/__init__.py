"""Matrix products of bf16 by a C function, compiled for this machine when it is first wanted; optional.

It is faster than BLAS, which has float32 only: processors have instructions for products of bf16 with sums in float32,
and factors half as large are read twice as fast. Where there is no compiler, `load` says None and `why` says why; all
else works without it. SOHU_NATIVE=0 turns it off; SOHU_NATIVE=avx2, avx512 or portable allows no vector instructions
beyond those.

Sums are float32 in a fixed order. Their error is at most K * 2^-24 * sum |a * b|, as the manual allows, and at most
2^-149 more for each product, where those are too small for float32; subnormal numbers are not taken for zeros.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from sohu.emulator.cache import NoHomeError, cache_folder

Array = NDArray[Any]

_BF16 = np.dtype(ml_dtypes.bfloat16)
_F32 = np.dtype(np.float32)
_HERE = Path(__file__).parent
_SOURCES = (_HERE / "product.c", _HERE / "kernels.h")
# Not -march=native: the functions ask the machine themselves, and a cache folder may be shared by several machines.
_FLAGS = ("-O3", "-shared", "-fPIC", "-ffp-contract=off")
_PATIENCE = 300  # seconds for the compiler
LEVELS = ("portable", "avx2", "avx512", "avx512_bf16")  # sets of vector instructions, in the numbers of product.c


class _Unavailable(Exception):
    """Why there is no native library."""


class Library:
    """The compiled functions in memory. `level` is the set of vector instructions they use, one of LEVELS."""

    def __init__(self, path: Path, level: str = "") -> None:
        """Load the file `path`, to use `level` or the best there is. Raises OSError, AttributeError (other files)."""
        self.path = path
        library = ctypes.CDLL(str(path))  # its functions run without Python's lock
        self._function = library.sohu_product_bf16_at
        size, address = ctypes.c_long, ctypes.c_void_p
        self._function.argtypes = [
            ctypes.c_int, size, size, size, address, size, size, address, size, size, address, size, ctypes.c_int,
        ]  # fmt: skip
        best = int(library.sohu_product_level())
        self._level = min(LEVELS.index(level), best) if level else best

    @property
    def level(self) -> str:
        """The set of vector instructions in use."""
        return LEVELS[self._level]

    def product(self, a: Array, b: Array, out: Array, accumulate: bool = False) -> bool:
        """out = a @ b, or out += a @ b; False, with `out` untouched, where arrays are not of its kind.

        Its kind: a bf16 [.., M, K], b bf16 [.., K, N], out float32 [.., M, N] of which no part is in a or b; leading
        dimensions of a and b are those of out, or 1, or fewer. One of the last two strides of a and of b is that of
        neighbours, and the last one of out. Raises MemoryError.
        """
        calls = self._calls(a, b, out, accumulate)
        if calls is None:
            return False
        for call in calls:
            if self._function(*call):
                raise MemoryError("no memory for a matrix product")
        return True

    def bound(self, a: Array, b: Array, out: Array, accumulate: bool = False) -> Callable[[], None] | None:
        """`product` for arrays that stay where they are: to be called many times, without looking at them again."""
        calls = self._calls(a, b, out, accumulate)
        if calls is None:
            return None
        function, held = self._function, (a, b, out)

        def call() -> None:
            for arguments in calls:
                if function(*arguments):
                    raise MemoryError(f"no memory for a matrix product of {held[2].shape}")

        return call

    def _calls(self, a: Array, b: Array, out: Array, accumulate: bool) -> list[tuple[int, ...]] | None:
        """The function's arguments for each matrix; None for what is not of its kind."""
        if a.dtype != _BF16 or b.dtype != _BF16 or out.dtype != _F32 or not out.flags.writeable:
            return None
        if not 2 <= a.ndim <= out.ndim or not 2 <= b.ndim <= out.ndim:
            return None
        (m, k), (depth, n) = a.shape[-2:], b.shape[-2:]
        if k != depth or (m, n) != out.shape[-2:]:
            return None
        a_row, a_col = _strides(a)
        b_row, b_col = _strides(b)
        c_row, c_col = out.strides[-2:] if out.size else (0, 4)
        at, bt, ct = _address(a), _address(b), _address(out)
        if (at | bt | a_row | a_col | b_row | b_col) & 1 or (ct | c_row) & 3 or (c_col != 4 and n > 1):
            return None
        if (a_row != 2 and a_col != 2) or (b_row != 2 and b_col != 2):
            return None
        level, add = self._level, int(accumulate)
        a_row, a_col, b_row, b_col, c_row = a_row >> 1, a_col >> 1, b_row >> 1, b_col >> 1, c_row >> 2
        if out.ndim == 2:
            return [(level, m, n, k, at, a_row, a_col, bt, b_row, b_col, ct, c_row, add)]
        lead = out.shape[:-2]
        x, y, z = _offsets(a, lead, 1), _offsets(b, lead, 1), _offsets(out, lead, 3)
        if x is None or y is None or z is None:
            return None
        return [
            (level, m, n, k, at + i, a_row, a_col, bt + j, b_row, b_col, ct + o, c_row, add)
            for i, j, o in zip(x, y, z, strict=True)
        ]


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _strides(array: Array) -> tuple[int, int]:
    """The last two strides in bytes; those of dimensions of size 1, which nobody steps along, as the function likes."""
    if not array.size:
        return 2, 2
    row, col = array.strides[-2:]
    if row != 2 and col != 2:
        if array.shape[-1] == 1:
            col = 2
        elif array.shape[-2] == 1:
            row = 2
    return row, col


def _offsets(array: Array, lead: tuple[int, ...], odd: int) -> list[int] | None:
    """Where the matrices of an array begin, in bytes, broadcast to leading dimensions.

    None where they don't fit, or where an offset has one of the bits `odd`.
    """
    offsets = [0]
    missing = len(lead) + 2 - array.ndim
    for i, size in enumerate(lead):
        step = 0
        if i >= missing and array.shape[i - missing] != 1:
            step = array.strides[i - missing]
            if array.shape[i - missing] != size or step & odd:
                return None
        offsets = [offset + j * step for offset in offsets for j in range(size)]
    return offsets


_lock = threading.Lock()
_state: tuple[Library | None, str] | None = None


def load() -> Library | None:
    """The library, compiled now if need be (seconds, once for a machine); None where none can be: `why` tells."""
    global _state
    with _lock:
        if _state is None:
            try:
                _state = _load(), ""
            except _Unavailable as reason:
                _state = None, str(reason)
        return _state[0]


def why() -> str:
    """One sentence that says why `load` gave None; "" when it gave a library or was not called."""
    return _state[1] if _state else ""


def _load() -> Library:
    wanted = os.environ.get("SOHU_NATIVE", "")
    if wanted == "0":
        raise _Unavailable("turned off by SOHU_NATIVE=0")
    level = "" if wanted in ("", "1") else wanted
    if level and level not in LEVELS:
        raise _Unavailable(f"SOHU_NATIVE={wanted} is none of 0, 1, {', '.join(LEVELS)}")
    if os.name != "posix":
        raise _Unavailable(f"it is not made for {platform.system()}")
    compiler = _compiler()
    try:
        key = _key(compiler)
        folder = _folder()
        path = _kept(folder, key)
        built = path is None
        library = _opened(path or _build(folder, key, compiler), level)
        if library is None and not built:  # made on another system that shares the folder, perhaps
            library = _opened(_build(folder, key, compiler), level)
    except NoHomeError as error:
        raise _Unavailable(error.message) from error
    except OSError as error:
        raise _Unavailable(f"{error.filename or cache_folder()}: {error.strerror or error}") from error
    if library is None:
        raise _Unavailable("what the compiler made cannot be loaded here")
    if not _right(library):
        raise _Unavailable(f"what {shlex.join(compiler)} made of it gives wrong results here")
    return library


def _compiler() -> list[str]:
    """The C compiler's command: $CC, else the first there is."""
    if chosen := os.environ.get("CC"):
        try:
            command = shlex.split(chosen)
        except ValueError as error:
            raise _Unavailable(f"CC={chosen}: {error}") from error
        if not command or not (found := shutil.which(command[0])):
            raise _Unavailable(f"the C compiler that CC names is not there: {chosen}")
        return [found, *command[1:]]
    for name in ("cc", "gcc", "clang"):
        if found := shutil.which(name):
            return [found]
    raise _Unavailable("no C compiler (cc, gcc or clang); CC names another one")


def _key(compiler: list[str]) -> str:
    """What the library is made from. A compiler is another one when its file has changed: asking it takes longer."""
    digest = hashlib.sha256()
    for source in _SOURCES:
        digest.update(source.read_bytes() + b"\0")
    program = os.path.realpath(compiler[0])
    info = os.stat(program)
    made = (sys.platform, platform.machine(), ctypes.sizeof(ctypes.c_long), program, info.st_size, info.st_mtime_ns)
    digest.update(repr((made, compiler[1:], _FLAGS)).encode())
    return digest.hexdigest()[:16]


def _folder() -> Path:
    """The folder for compiled code, made if need be. Others must not be able to put anything there."""
    folder = cache_folder() / "native"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _ours(info := folder.lstat()) or not stat.S_ISDIR(info.st_mode):
        raise _Unavailable(f"{folder} is not used, since others can write to it; remove it, or chmod 700")
    return folder


def _ours(info: os.stat_result) -> bool:
    """Whether nobody but this user (and root) can write to it."""
    return info.st_uid in (os.geteuid(), 0) and not info.st_mode & 0o022


def _kept(folder: Path, key: str) -> Path | None:
    """The library made earlier, if it is whole: its name ends in the hash of its content. Damaged ones are removed."""
    for path in sorted(folder.glob(f"product-{key}-*.so")):
        info = path.lstat()
        if stat.S_ISREG(info.st_mode) and _ours(info) and path.name == _name(key, path):
            return path
        path.unlink(missing_ok=True)
    return None


def _name(key: str, path: Path) -> str:
    return f"product-{key}-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}.so"


def _build(folder: Path, key: str, compiler: list[str]) -> Path:
    """Compile, under a name of its own until it is whole."""
    handle, name = tempfile.mkstemp(prefix=".product-", suffix=".so", dir=folder)
    os.close(handle)
    part = Path(name)
    try:
        command = [*compiler, *_FLAGS, str(_SOURCES[0]), "-o", name]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_PATIENCE,
            check=False,
        )  # fmt: skip
        if done.returncode:
            said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:200])
            raise _Unavailable(f"{shlex.join(compiler)} failed: {said or f'exit {done.returncode}'}")
        part.chmod(0o600)
        path = folder / _name(key, part)
        os.replace(part, path)
        return path
    except subprocess.TimeoutExpired as error:
        raise _Unavailable(f"{shlex.join(compiler)} took more than {_PATIENCE} s") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _opened(path: Path, level: str) -> Library | None:
    try:
        return Library(path, level)
    except (OSError, AttributeError):
        return None


def _right(library: Library) -> bool:
    """Whether it computes what it should, on whole numbers that float32 adds exactly: tiles, tails and few rows."""
    for m, k, n in ((19, 35, 67), (3, 35, 67)):
        a = (np.arange(m * k).reshape(m, k) * 7 % 31 - 15).astype(_BF16)
        b = (np.arange(k * n).reshape(k, n) * 11 % 29 - 14).astype(_BF16)
        want = a.astype(np.float32) @ b.astype(np.float32)
        for right in (b, np.asfortranarray(b)):
            out = np.empty((m, n), np.float32)
            if not library.product(a, right, out) or not np.array_equal(out, want):
                return False
    return True
