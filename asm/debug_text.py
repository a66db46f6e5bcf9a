"""What is known of a kernel (debuginfo.py) as the directives that say it (debug_directives.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sohu.asm.debuginfo import KernelDebug, Location
from sohu.asm.syntax import quote

_PAIRS = 100  # to a line
_INDENT = " " * 8
_ARGUMENTS = 8  # of a directive, behind its name


def debug_text(k: KernelDebug, files: Mapping[str, int]) -> Iterator[str]:
    """The lines that describe a kernel, to be put after its code. files: numbers of all files that are named."""
    own = k.scopes[0]
    yield _line(".debug", f"{k.size}, {_text(own.function)}, {files[own.file]}, {own.line}")
    code = _by_index(k.scope_runs)
    for i, s in enumerate(k.scopes[1:], 1):
        file, line, column = s.call
        where = f"{_text(s.function)}, {files[s.file]}, {s.line}, [{files[file]}, {line}, {column}]"
        for part in _parts(code.get(i, [])):
            yield _line(".inlined", f"{i}, {s.parent}, {where}, {part}")
    code = _by_index(k.op_runs)
    for i, op in enumerate(k.ops):
        for part in _parts(code.get(i, [])):
            yield _line(".op", f"{op.number}, {_text(op.text)}, {part}")
    for v in k.variables:
        places: dict[Location, list[tuple[int, int]]] = {}
        for p in v.places:
            places.setdefault(p.location, []).append((p.start, p.end))
        for at, pairs in places.items() or [(Location("constant"), [])]:
            for part in _parts(pairs):
                yield _line(".var", f"{_text(v.name)}, {v.scope}, {_place(at)}, {part}{_options(at)}")


def _line(name: str, arguments: str) -> str:
    return f"{_INDENT}{name:<{_ARGUMENTS}}{' ' if len(name) >= _ARGUMENTS else ''}{arguments}"


def _text(text: str) -> str:
    return quote(text.encode())


def _by_index(runs: Iterable[tuple[int, int, int]]) -> dict[int, list[tuple[int, int]]]:
    out: dict[int, list[tuple[int, int]]] = {}
    for start, end, index in runs:
        out.setdefault(index, []).append((start, end))
    return out


def _parts(pairs: list[tuple[int, int]]) -> Iterator[str]:
    """Lists in brackets, none too long for a line; one that is empty where there are no pairs."""
    for at in range(0, max(len(pairs), 1), _PAIRS):
        yield f"[{', '.join(f'{a}, {b}' for a, b in pairs[at : at + _PAIRS])}]"


def _place(at: Location) -> str:
    match at.kind:
        case "tile":
            return f"t{at.reg}"
        case "constant":
            return repr(at.value)
    return f"x{at.reg}"


def _options(at: Location) -> str:
    offset = f", offset={at.value}" if at.kind == "memory" else ""
    return offset + (", type=f32" if at.type == "f32" and at.kind != "constant" else "")
