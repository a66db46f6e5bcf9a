"""Breakpoints, watchpoints and catches in a file: JSON, versioned, read without trust in it.

    {"sohu-breakpoints": 1, "program": "softmax", "points": [{"kind": "breakpoint", "where": "softmax.py:9"}]}

What is read is text for the commands that make points: places and expressions are found anew, in the program at hand,
and what is not there stays pending. Nothing in a file is executed when it is read; commands of breakpoints run when
their breakpoint is hit, as they would if they had been typed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sohu.debugger.errors import CommandError
from sohu.debugger.expressions import compile_expression
from sohu.debugger.points import CATCHES, Breakpoint, Catch, Point, Watch
from sohu.isa import SohuError

if TYPE_CHECKING:
    from sohu.debugger.session import Session

VERSION = 1
KEY = "sohu-breakpoints"
MAX_FILE = 1 << 20  # bytes
MAX_POINTS = 1000
MAX_TEXT = 4096
_KINDS = ("breakpoint", "watch", "catch")
_ACCESS = ("write", "read", "any")


class _Damaged(Exception):
    """Says what is wrong with a file."""


def to_json(session: Session) -> dict[str, Any]:
    """All points, without numbers and hits, which belong to a session."""
    return {
        KEY: VERSION,
        "program": session.program.name,
        "points": [_point(session, p) for p in session.points.values()],
    }


def _point(session: Session, p: Point) -> dict[str, Any]:
    out: dict[str, Any] = {"kind": p.kind, "where": p.where}
    line = session.symbols.line_at(p.pcs[0]) if p.pcs else None
    if p.where.isdecimal() and line is not None:  # of the file at hand, which is another one later
        out["where"] = f"{line.file}:{p.where}"
    if isinstance(p, Breakpoint):
        out |= {"instruction": p.instruction, "cycle": p.cycle}
    elif isinstance(p, Watch):
        out["access"] = p.access
    elif isinstance(p, Catch):
        out |= {"what": p.what, "limit": p.limit}
    out |= {"temporary": p.temporary, "condition": p.condition, "enabled": p.enabled, "ignore": p.ignore}
    out["commands"] = p.commands
    out = {k: v for k, v in out.items() if v not in (None, "", [], 0, False) or (k == "enabled" and v is False)}
    return out if p.chip is None else out | {"chip": p.chip}


def read(path: Path) -> list[dict[str, Any]]:
    """The points of a file, every value checked; raises CommandError that says why a file is refused."""
    try:
        if not path.is_file():
            raise CommandError(f"cannot read {path}: {'it is no file' if path.exists() else 'there is none'}")
        if path.stat().st_size > MAX_FILE:
            raise CommandError(f"{path} is refused: it is larger than {MAX_FILE:,} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise CommandError(f"cannot read {path}: {e.strerror}") from None
    except (UnicodeDecodeError, ValueError):
        raise CommandError(f"{path} is refused: it is no text") from None
    try:
        return _points(json.loads(text))
    except (ValueError, RecursionError) as e:
        at = f", at line {e.lineno}" if isinstance(e, json.JSONDecodeError) else ""
        raise CommandError(f"{path} is refused: it is no JSON{at}", help="save FILE writes one") from None
    except _Damaged as e:
        raise CommandError(f"{path} is refused: {e}", help="save FILE writes one") from None


def _points(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, dict) or KEY not in value:
        raise _Damaged("it holds no breakpoints of this debugger")
    if value[KEY] != VERSION or type(value[KEY]) is not int:
        raise _Damaged(f"it has version {value[KEY]!r:.20}; this debugger reads version {VERSION}")
    points = value.get("points")
    if not isinstance(points, list) or len(points) > MAX_POINTS:
        raise _Damaged(f"its points are no list of at most {MAX_POINTS}")
    return [_checked(p, n) for n, p in enumerate(points, 1)]


def _checked(p: Any, n: int) -> dict[str, Any]:
    if not isinstance(p, dict):
        raise _Damaged(f"point {n} is no record")
    known = {
        "kind": _word(*_KINDS), "where": _text, "instruction": _count, "cycle": _count, "access": _word(*_ACCESS),
        "what": _word(*CATCHES), "limit": _limit, "temporary": _flag, "condition": _text, "enabled": _flag,
        "ignore": _count, "commands": _lines, "chip": _count,
    }  # fmt: skip
    for key, v in p.items():
        if key not in known:
            raise _Damaged(f"point {n} has {key!r:.40}, which is not known")
        if not known[key](v):
            raise _Damaged(f"point {n}: its {key} is {v!r:.40}")
    if "kind" not in p or ("where" not in p and not {"instruction", "cycle", "what"} & p.keys()):
        raise _Damaged(f"point {n} has no kind, or no place")
    if p["kind"] == "watch" and "where" not in p:
        raise _Damaged(f"point {n} is a watchpoint without a place")
    if (p["kind"] == "catch") != ("what" in p):
        raise _Damaged(f"point {n} is a {p['kind']} and {'has' if 'what' in p else 'lacks'} what it catches")
    if condition := p.get("condition"):
        try:
            compile_expression(condition)
        except SohuError as e:
            raise _Damaged(f"the condition of point {n} cannot be read: {e.message.splitlines()[0]}") from None
    return p


def _text(v: Any) -> bool:
    return isinstance(v, str) and len(v) <= MAX_TEXT and "\n" not in v


def _lines(v: Any) -> bool:
    return isinstance(v, list) and len(v) <= MAX_POINTS and all(map(_text, v))


def _flag(v: Any) -> bool:
    return isinstance(v, bool)


def _count(v: Any) -> bool:
    return type(v) is int and 0 <= v < 1 << 62


def _limit(v: Any) -> bool:
    return type(v) in (int, float) and 0 < v < 1e300


def _word(*words: str) -> Any:
    return lambda v: isinstance(v, str) and v in words


def add(session: Session, points: list[dict[str, Any]]) -> list[tuple[Point | None, str]]:
    """Make points that `read` gave; with each of them, why there is none or why it has no place yet."""
    out: list[tuple[Point | None, str]] = []
    for p in points:
        try:
            chip = p.get("chip")
            if chip is not None and chip >= session.machine.chips:
                raise CommandError(f"there is no chip {chip}")
            with session.on_chip(chip):
                made = _make(session, p)
            made.chip = chip
        except SohuError as e:
            out.append((None, f"{p.get('where') or p.get('what', '')}: {e.message}"))
            continue
        made.condition = p.get("condition", "")
        made.ignore = p.get("ignore", 0)
        made.commands = list(p.get("commands", ()))
        if not p.get("enabled", True):
            session.enable(made.number, False)
        out.append((made, made.pending))
    return out


def _make(session: Session, p: dict[str, Any]) -> Point:
    if p["kind"] == "catch":
        return session.add_catch(p["what"], limit=p.get("limit"))
    if p["kind"] == "watch":
        return session.add_watch(p["where"], access=p.get("access", "write"))
    return session.add_breakpoint(
        p.get("where", ""),
        temporary=p.get("temporary", False),
        pending=True,
        instruction=p.get("instruction"),
        cycle=p.get("cycle"),
    )
