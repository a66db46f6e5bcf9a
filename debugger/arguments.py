"""What several commands read from their arguments, and what can be completed there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sohu.debugger.display import short
from sohu.debugger.errors import CommandError
from sohu.debugger.expressions import leading
from sohu.debugger.functions import function_names
from sohu.debugger.values import Value
from sohu.emulator.run_cli import opaque, read_array
from sohu.isa import DType, Space, bf16, dtype_of

if TYPE_CHECKING:
    from sohu.debugger.session import Session


MAX_FILES = 1000  # offered for completion
MAX_FILE = 4 << 30  # bytes of a file that is read whole


def read_count(session: Session, text: str) -> int:
    """How often; once without an argument. Raises CommandError for what is no positive integer."""
    if not text:
        return 1
    value = session.evaluate(text).data
    if not isinstance(value, int) or value < 1:
        raise CommandError(f"{text}: wants how many times, 1 or more")
    return value


def no_arguments(text: str, command: str) -> None:
    """Raises CommandError when something is left on the line."""
    if text:
        raise CommandError(f"{command} takes no arguments, {text!r} given")


def places(session: Session, text: str) -> Iterable[str]:
    """Completes kernels, labels and lines."""
    m = re.fullmatch(r"(.+):\d*", text)
    if m is not None:
        files = session.symbols.matching(m[1])
        return [f"{m[1]}:{n}" for file in files for n in session.symbols.lines_of(file)]
    return [*session.symbols.code_names(), *(f"{short(f)}:" for f in session.symbols.files())]


def files(session: Session, text: str) -> Iterable[str]:
    """Completes names of files and folders, the latter with a slash."""
    head, slash, start = text.rpartition(" ")[2].rpartition("/")
    folder = Path(head + slash or ".").expanduser()
    try:
        found = sorted(folder.iterdir())[:MAX_FILES]
    except (OSError, RuntimeError, ValueError):
        return []
    shown = [p for p in found if not p.name.startswith(".") or start.startswith(".")]
    return [f"{head}{slash}{p.name}{'/' if p.is_dir() else ''}" for p in shown]


def kernel_arguments(session: Session, text: str) -> Iterable[str]:
    """Completes NAME=FILE of the kernel's parameters."""
    word = text.split(" ")[-1]
    name, equals, value = word.partition("=")
    if equals:
        return [f"{name}={file}" for file in files(session, value)]
    return [f"{p.name}=" for p in session.kernel.params]


def expressions(session: Session, text: str) -> Iterable[str]:
    """Completes names of registers, tiles and symbols."""
    m = re.search(r"\$?[\w.]*$", text)
    word = m[0] if m is not None else ""
    names = session.names.all()
    if word.startswith("$"):
        return [*session.values.variables, *(f"$arg.{n}" for n in session.args), *(f"${n}" for n in names)]
    return [*names, *(f"{n}(" for n in function_names())]


def numbers(session: Session, text: str) -> list[int]:
    """The breakpoints that are meant: those named, or all. Raises CommandError for what is no number."""
    words = text.split()
    if bad := next((w for w in words if not w.isdecimal()), None):
        raise CommandError(f"{bad!r} is no breakpoint number", help="info breakpoints lists them")
    return [int(w) for w in words] or list(session.points)


def addresses(session: Session, text: str) -> Iterable[str]:
    """Completes what can stand for an address: also sram: and acc:."""
    return [*expressions(session, text), *(f"{space}:" for space in Space)]


def operands(session: Session, text: str) -> Iterable[str]:
    """Completes names, and .npy files."""
    return [*expressions(session, text), *(f for f in files(session, text) if f.endswith((".npy", "/")))]


_FILE = re.compile(r"(?<![^\s,])(\"[^\"]+\.npy\"|[^\s,\"\[]+\.npy)(?=[\s,\[.]|$)")


def read_operand(session: Session, text: str) -> tuple[Value, str, str]:
    """The tile that begins `text`, how it was written, and what follows it.

    A tile is an expression or a .npy file, and slices of either. Raises CommandError, SohuError for a bad file.
    """
    m = _FILE.search(text)
    if m is None or m.start():
        # what names a file is no part of an expression: a / in it divides nothing
        here, after = (text, "") if m is None else (text[: m.start()].rstrip(", \t"), text[m.start() :])
        made, rest = leading(here)
        return made.evaluate(session.lookup), made.text, f"{rest.removeprefix(',').strip()} {after}".strip()
    value = of_file(Path(m[1].strip('"')).expanduser())
    made, rest = leading(f"$file{text[m.end() :]}")
    found = made.evaluate(lambda name: value if name == "$file" else session.lookup(name))
    return found, f"{m[1]}{made.text.removeprefix('$file')}", rest.removeprefix(",").strip()


def of_file(path: Path, dtype: DType | None = None) -> Value:
    """The array of a .npy file, read without trust in it; raises SohuError, also for more than 4 GiB.

    dtype: what elements are that the file holds as bytes without meaning, as those of ml_dtypes are.
    """
    try:
        if path.stat().st_size > MAX_FILE:
            raise CommandError(f"{path} is too large to be read here", help=f"at most {MAX_FILE >> 30} GiB")
    except (OSError, ValueError) as e:
        raise CommandError(f"cannot read {path}: {getattr(e, 'strerror', None) or e}") from None
    array = read_array(path)
    if array.dtype.kind == "V":
        guess = dtype or {1: None, 2: bf16}.get(array.dtype.itemsize)
        if guess is None or opaque(guess.np) != array.dtype:
            raise CommandError(
                f"{path} holds bytes without a dtype", help="save it as float32, or restore it into a tile of its dtype"
            )
        array = array.view(guess.np)
    return Value(array, dtype_of(array.dtype))


def words(text: str, flag: str, count: int, usage: str) -> tuple[bool, list[str], str]:
    """Whether `flag` is there, the first words (in quotes when they have spaces), and the rest; raises CommandError."""
    found: list[str] = []
    flagged = False
    rest = text.strip()
    while len(found) < count and rest:
        m = re.match(r"\"([^\"]*)\"|(\S+)", rest)
        assert m is not None
        rest = rest[m.end() :].strip()
        if flag and m[0] == flag:
            flagged = True
        else:
            found.append(m[1] if m[1] is not None else m[2])
    if len(found) < count:
        raise CommandError("something is missing", help=usage)
    if flag and rest == flag:
        return True, found, ""
    return flagged, found, rest


def write_text(path: Path, parts: Iterable[str]) -> None:
    """Write a file, whole or not at all; raises CommandError when that cannot be."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("x", encoding="utf-8") as file:
            file.writelines(parts)
        temporary.replace(path)
    except OSError as e:
        raise CommandError(f"cannot write {path}: {e.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)


def options(text: str, known: Mapping[str, str]) -> dict[str, float]:
    """`tol=1e-3, worst=9` as numbers; raises CommandError for others than the known ones and what is no number."""
    out: dict[str, float] = {}
    for word in filter(None, re.split(r"[\s,]+", text)):
        name, equals, value = word.partition("=")
        if not equals or name not in known:
            hint = ", ".join(f"{n}=N ({what})" for n, what in known.items())
            raise CommandError(f"{word!r} is not expected here", help=f"there are: {hint}")
        try:
            out[name] = float(value)
        except ValueError:
            raise CommandError(f"{word}: {value!r} is no number") from None
    return out


def breakpoint_numbers(session: Session, text: str) -> Iterable[str]:
    """Completes the numbers of breakpoints."""
    return [str(n) for n in session.breakpoints]
