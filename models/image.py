"""HBM images: a model's weights as they lie in HBM, kept in the user's cache and mapped from there.

A model file (quantized, or of another dtype and layout) is converted once for each dtype, tensor by tensor. The image:

| bytes | what |
|---|---|
| 0..7 | `SOHU-HBM` |
| 8..15 | length of the header, little-endian |
| 16..47 | SHA-256 of the header |
| 48.. | the header: JSON |
| from 64 KiB on | the tensors, each at a multiple of 64 KiB, row-major, little-endian; zeros between them |

What is checked when an image is opened: magic, header and its hash, version of format and layout, size of the file,
shapes against the model's configuration; that the source's files have the size and time that they had, or else the
hash. The hash of the content is checked too unless the image is the very file that passed this check before (its size,
times and inode are noted beside it, in `.NAME.checked`): reading all of it at each start is what images are there to
avoid, so damage that leaves the times alone (a failing disk) is found only by `Image.check`. An image that fails any
check is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from sohu.emulator import Device, Tensor
from sohu.emulator.cache import cache_folder
from sohu.isa import DType
from sohu.models import layout
from sohu.models.config import LlamaConfig
from sohu.models.errors import ModelError
from sohu.models.fetch import check_space, locked, note_checked, was_checked
from sohu.models.weights import F32, Source

MAGIC = b"SOHU-HBM"
FORMAT = 1
ALIGN = 64 << 10  # the largest pages of a host that are in use
_HEADER_LIMIT = ALIGN - 48
_CHUNK = 1 << 20

Progress = Callable[[int, int], None]


class NoImage(ModelError):
    """There is no place to keep an image."""


class _Unfit(Exception):
    """Why an image cannot be used: it is made anew."""


@dataclass(frozen=True, eq=False)
class Image:
    """An image that has passed its checks: `map` puts it into a chip's HBM."""

    path: Path
    config: LlamaConfig
    dtype: DType
    offsets: dict[str, int]
    sha256: str

    @property
    def nbytes(self) -> int:
        """Of all tensors."""
        return sum(math.prod(s) for s in layout.shapes(self.config).values()) * self.dtype.itemsize

    def map(self, device: Device) -> dict[str, Tensor]:
        """The weights as read-only tensors, by the names of layout.py; raises SohuError when HBM is full."""
        shapes = layout.shapes(self.config)
        with _opened(self.path) as file:
            return {name: device.map(file, at, shapes[name], self.dtype, name) for name, at in self.offsets.items()}

    def check(self) -> bool:
        """Whether the whole content has the hash that the header says: reads all of it."""
        with _opened(self.path) as file:
            return _content_hash(file) == self.sha256


def image(source: Source, dtype: DType, *, progress: Progress | None = None) -> Image:
    """The image of a model for a dtype: the one in the cache, or a new one when there is none that fits.

    progress: called with the bytes written so far and those to write. Processes that want the same image wait for one
    another. Raises NoImage: the cache folder cannot be written, or has no space; ModelError: a damaged source.
    """
    folder = cache_folder() / "images"
    path = folder / f"{_name(source, dtype)}.hbm"
    with contextlib.suppress(_Unfit):
        return _open(path, source, dtype)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f".{path.name}.lock"):
            with contextlib.suppress(_Unfit):  # another process may have made it meanwhile
                return _open(path, source, dtype)
            _build(path, source, dtype, progress)
            return _open(path, source, dtype)
    except OSError as error:
        raise NoImage(
            f"no image can be kept there: {error.strerror}",
            where=str(error.filename or folder),
            help="set SOHU_CACHE to a folder you can write to",
        ) from error
    except _Unfit as error:
        raise ModelError(f"the image that was just made is unfit: {error}", where=str(path)) from error


def _name(source: Source, dtype: DType) -> str:
    """One image for each model file and dtype: made anew, it replaces the one before."""
    path = Path(source.where).absolute()
    stem = "".join(c if c.isalnum() or c in "-._" else "-" for c in path.stem)[:64]
    return f"{stem}-{dtype}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"


# -- opening --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _open(path: Path, source: Source, dtype: DType) -> Image:
    """The image at `path`, after all its checks; raises _Unfit."""
    try:
        with path.open("rb") as file:
            header = _header(file)
            places = _places(source.config, dtype)
            expected = {
                "format": FORMAT,
                "layout": layout.VERSION,
                "dtype": dtype.name,
                "config": _plain(asdict(source.config)),
                "tensors": {name: list(place) for name, place in places.items()},
            }
            for key, value in expected.items():
                if header.get(key) != value:
                    raise _Unfit(f"another {key}")
            size = _end(places)
            if os.fstat(file.fileno()).st_size != size:
                raise _Unfit("another size")
            _check_source(header.get("source"), source)
            sha256 = header.get("sha256")
            if not isinstance(sha256, str) or (not was_checked(file) and _content_hash(file) != sha256):
                raise _Unfit("damaged content")
            note_checked(file)
    except OSError as error:
        raise _Unfit(str(error)) from error
    return Image(path, source.config, dtype, {name: at for name, (at, _) in places.items()}, sha256)


def _header(file: BinaryIO) -> dict[str, Any]:
    start = file.read(48)
    length = int.from_bytes(start[8:16], "little")
    if len(start) < 48 or start[:8] != MAGIC or length > _HEADER_LIMIT:
        raise _Unfit("no image")
    text = file.read(length)
    if hashlib.sha256(text).digest() != start[16:48]:
        raise _Unfit("damaged header")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise _Unfit("damaged header") from None
    if not isinstance(header, dict):
        raise _Unfit("damaged header")
    return header


def _places(config: LlamaConfig, dtype: DType) -> dict[str, tuple[int, int]]:
    """Offset and bytes of each tensor."""
    out, at = {}, ALIGN
    for name, shape in layout.shapes(config).items():
        size = math.prod(shape) * dtype.itemsize
        out[name] = at, size
        at = -(-(at + size) // ALIGN) * ALIGN
    return out


def _end(places: dict[str, tuple[int, int]]) -> int:
    return max(-(-(at + size) // ALIGN) * ALIGN for at, size in places.values())


def _check_source(recorded: Any, source: Source) -> None:
    """The model's files are those of the image: by size and time, or by their content."""
    if not isinstance(recorded, list) or len(recorded) != len(source.files):
        raise _Unfit("another source")
    for entry, path in zip(recorded, source.files, strict=True):
        if not isinstance(entry, dict) or entry.get("name") != path.name:
            raise _Unfit("another source")
        status = path.stat()
        if entry.get("size") != status.st_size:
            raise _Unfit("the source has changed")
        if entry.get("time") != status.st_mtime_ns and entry.get("sha256") != _file_hash(path):
            raise _Unfit("the source has changed")


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content_hash(file: BufferedReader) -> str:
    file.seek(ALIGN)
    return hashlib.file_digest(file, "sha256").hexdigest()


# -- making ---------------------------------------------------------------------------------------


def _build(path: Path, source: Source, dtype: DType, progress: Progress | None) -> None:
    """Convert tensor by tensor to a temporary file, and rename it; raises ModelError, OSError."""
    places = _places(source.config, dtype)
    try:
        check_space(path.parent, _end(places))
    except ModelError as error:
        raise NoImage(error.message, where=error.where, help=error.help) from error
    files = [
        {"name": f.name, "size": f.stat().st_size, "time": f.stat().st_mtime_ns, "sha256": _file_hash(f)}
        for f in source.files
    ]
    header = {
        "format": FORMAT,
        "layout": layout.VERSION,
        "dtype": dtype.name,
        "config": _plain(asdict(source.config)),
        "tensors": {name: list(place) for name, place in places.items()},
        "source": files,
    }
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            digest = hashlib.sha256()
            file.seek(ALIGN)
            for block in _content(source, dtype, places):
                digest.update(block)
                file.write(block)
                if progress is not None:
                    progress(file.tell(), _end(places))
            text = json.dumps(header | {"sha256": digest.hexdigest()}).encode()
            if len(text) > _HEADER_LIMIT:
                raise ModelError("the model has more files than an image can name", where=source.where)
            file.seek(0)
            file.write(MAGIC + len(text).to_bytes(8, "little") + hashlib.sha256(text).digest() + text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        with path.open("rb") as file:  # what was written was hashed on the way
            note_checked(file)
    finally:
        part.unlink(missing_ok=True)


def _content(source: Source, dtype: DType, places: dict[str, tuple[int, int]]) -> Iterator[memoryview]:
    """All that comes after the header's place, in order."""

    def convert(piece: Callable[[layout.Read], F32]) -> memoryview:
        array = np.ascontiguousarray(piece(source.read).astype(dtype.np, copy=False))
        return array.reshape(-1).view(np.uint8).data

    # Dequantizing releases the interpreter's lock; two pieces ahead, so that memory holds three at most.
    with ThreadPoolExecutor(max_workers=2) as pool:
        ahead: deque[Future[memoryview]] = deque()
        for name, (_, size) in places.items():
            for piece in layout.pieces(source.config, name):
                ahead.append(pool.submit(convert, piece))
                if len(ahead) > 2:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
            yield memoryview(bytes(-size % ALIGN))


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in config.items()}
