"""Files that a source names: `.include`, `.incbin`, `.npy`; how they are found and read."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sohu.asm.diagnostics import AsmError, Diagnostic, Mistake
from sohu.asm.directives import Arguments, directive
from sohu.asm.npy import read_header
from sohu.asm.source import split_lines
from sohu.asm.syntax import Statement, Text
from sohu.isa import DTYPES, DType

if TYPE_CHECKING:
    from sohu.asm.assembler import Assembler

MAX_SOURCE = 1 << 26  # bytes of an included file
MAX_DATA = 1 << 28  # bytes of a data file; .rodata takes no more


def decode_source(data: bytes, name: str) -> str:
    """The text of a source file; raises AsmError where it is no UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        before = data[: e.start]
        line = before.count(b"\n") + 1
        start = before.rfind(b"\n") + 1
        column = len(before[start:].decode("utf-8", "replace")) + 1
        text = data[start:].split(b"\n", 1)[0].decode("utf-8", "replace")
        what = f"byte {data[e.start]:#04x} is no UTF-8: this is no source text"
        raise AsmError([Diagnostic("A001", what, name, line, column, 1, text)]) from None


def real_path(name: str) -> str:
    """What a file is known by; "" for a source that is in no file."""
    try:
        return os.path.realpath(name) if os.path.isfile(name) else ""
    except (OSError, ValueError):
        return ""


def read_named(asm: Assembler, node: Text, limit: int) -> tuple[str, bytes]:
    """The file that a string names: its name for messages, and its bytes; raises Mistake.

    It is looked for in the folder of the file that names it, then in those of -I.
    """
    try:
        name = node.value.decode()
    except UnicodeDecodeError:
        raise Mistake("A041", "the path is no UTF-8", node.span) from None
    if not name or "\0" in name:
        raise Mistake("A041", "this is no path", node.span)
    own, _ = asm.sources.place(asm.line)
    folders = [os.path.dirname(own), *asm.options.include]
    for folder in folders:
        path = os.path.normpath(os.path.join(folder, name))
        try:
            if not os.path.exists(path):
                continue
            if not os.path.isfile(path):
                raise Mistake("A050", f"{path} is no file", node.span)
            with Path(path).open("rb") as f:
                data = f.read(limit + 1)
        except OSError as e:
            raise Mistake("A050", f"can't read {path}: {e.strerror or e}", node.span) from None
        if len(data) > limit:
            raise Mistake("A050", f"{path} has more than {limit} bytes", node.span)
        return path, data
    looked = ", ".join(folder or "." for folder in folders)
    raise Mistake(
        "A050", f"there is no file {name!r}", node.span, help=f"it was looked for in {looked}; -I adds folders"
    )


@directive(".include")
def include(asm: Assembler, st: Statement) -> None:
    """.include "FILE"

    Read another file here. It is looked for in the folder of the file that includes it, then in those of -I.
    """
    args = Arguments(asm, st)
    node = args.text("a file's name")
    args.done()
    try:
        path, data = read_named(asm, node, MAX_SOURCE)
        text = decode_source(data, path)
    except AsmError as e:
        (bad,) = e.diagnostics
        asm.errors.incomplete = True
        raise Mistake("A001", f"{path}:{bad.line}: {bad.message}", node.span) from None
    except Mistake:
        asm.errors.incomplete = True
        raise
    real = os.path.realpath(path)
    if real in (cycle := [f.path for f in asm.reader.frames if f.path]):
        asm.errors.incomplete = True
        shown = " includes ".join(os.path.basename(p) for p in [*cycle[cycle.index(real) :], real])
        raise Mistake("A051", f"files include each other: {shown}", node.span)
    asm.reader.include(split_lines(text), path, real, asm.line, node.span)


@directive(".incbin")
def incbin(asm: Assembler, st: Statement) -> None:
    """.incbin "FILE" [, SKIP [, COUNT]]

    The bytes of a file as data: without the first SKIP, and no more than COUNT.
    """
    args = Arguments(asm, st)
    node = args.text("a file's name")
    skip = args.integer("how many bytes to leave out", 0, MAX_DATA) if args.rest else 0
    count = args.integer("the number of bytes", 0, MAX_DATA) if args.rest else MAX_DATA
    args.done()
    path, data = read_named(asm, node, MAX_DATA)
    if skip > len(data):
        raise Mistake("A050", f"{path} has only {len(data)} bytes", node.span)
    asm.data(data[skip : skip + count], node.span)


@directive(".npy")
def npy(asm: Assembler, st: Statement) -> None:
    """.npy "FILE" [, DTYPE]

    The elements of an array that NumPy has saved, in C order. Its dtype must be the one given, or one of the machine's.
    """
    args = Arguments(asm, st)
    node = args.text("a file's name")
    wanted = DTYPES[args.choice("a dtype", DTYPES)] if args.rest else None
    args.done()
    path, data = read_named(asm, node, MAX_DATA)
    try:
        array = _array(data)
    except (ValueError, OSError) as e:
        raise Mistake("A050", f"can't read {path}: {e}", node.span) from None
    dtype = wanted or next((d for d in DTYPES.values() if d.np == array.dtype), None)
    if dtype is None or not _same(array.dtype, dtype):
        expected = str(wanted) if wanted else f"one of {', '.join(DTYPES)}"
        help = 'NumPy saves bf16 and fp8 without their names: say which, as in .npy "f.npy", bf16'
        nameless = array.dtype.kind == "V"
        why = f"{path} holds {array.dtype}, expected {expected}"
        raise Mistake("A043", why, node.span, help=help if nameless else "")
    asm.data(np.ascontiguousarray(array).tobytes(), node.span)


def _array(data: bytes) -> np.ndarray[Any, np.dtype[Any]]:
    """The array in a .npy file; raises ValueError, before it takes any memory."""
    f = io.BytesIO(data)
    shape, fortran, dtype = read_header(f)
    if math.prod(shape) * dtype.itemsize != len(data) - f.tell():
        raise ValueError(f"it holds {len(data) - f.tell()} bytes for an array {shape} of {dtype}")
    flat = np.frombuffer(data, dtype, offset=f.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def _same(stored: np.dtype[Any], dtype: DType) -> bool:
    """NumPy's own format has no name for bfloat16 and its like: it writes them as bytes, |V2."""
    return stored == dtype.np or (stored.kind == "V" and stored.names is None and stored.itemsize == dtype.itemsize)
