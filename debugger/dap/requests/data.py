"""Data breakpoints, and exceptions: what checkers find."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sohu.debugger.breakpoints import find_target
from sohu.debugger.dap.messages import (
    DataBreakpoint,
    DataBreakpointInfo,
    ExceptionFilterOptions,
    SetDataBreakpoints,
    SetExceptionBreakpoints,
)
from sohu.debugger.dap.points import Entry
from sohu.debugger.dap.registry import Body, When, request
from sohu.debugger.dap.requests.breakpoints import answer
from sohu.debugger.dap.requests.variables import find_child, level_of
from sohu.debugger.dap.typed import BadRequest
from sohu.debugger.errors import CommandError
from sohu.debugger.points import CATCHES, Catch, Watch
from sohu.debugger.session import Session
from sohu.debugger.style import clean

if TYPE_CHECKING:
    from sohu.debugger.dap.adapter import Adapter

_ACCESS = {"write": "write", "read": "read", "readWrite": "any"}
LIMIT = 1e-3  # of `error`, where the client gives none

_LABELS = {
    "nan": ("NaN", "an instruction makes a NaN of numbers"),
    "inf": ("Infinity", "an instruction makes an infinity of finite numbers"),
    "overflow": ("Overflow", "a number is too large for its dtype"),
    "uninit": ("Uninitialized read", "elements are used that nothing has written"),
    "oob": ("Out of bounds", "a tile reaches out of its room"),
    "race": ("Data race", "two accesses that nothing orders"),
    "deadlock": ("Deadlock", "nothing can run, and something waits"),
    "error": ("Numerical error", "a result strays from a shadow computed in float64"),
}
FILTERS = [
    {
        "filter": kind,
        "label": _LABELS[kind][0],
        "description": _LABELS[kind][1],
        "default": False,
        "supportsCondition": True,
        "conditionDescription": f"how far it may stray, such as {LIMIT:g}" if kind == "error" else "an expression",
    }
    for kind in CATCHES
]


@request("dataBreakpointInfo", DataBreakpointInfo, when=When.EDIT)
def data_breakpoint_info(adapter: Adapter, args: DataBreakpointInfo) -> Body:
    """Whether something can be watched; its dataId is the expression that names it."""
    expression, level = args.name, level_of(adapter, args.frameId)
    if args.asAddress:
        expression = _range(args.name, args.bytes or 1)
    elif args.variablesReference:
        child, level = find_child(adapter, args.variablesReference, args.name)
        if not child.evaluate:
            return {"dataId": None, "description": f"{clean(args.name)} lies nowhere"}
        expression = child.evaluate
    try:
        with adapter.seen_from(level):
            target, pending = find_target(adapter.session, expression)
    except CommandError as e:
        return {"dataId": None, "description": clean(str(e))}
    if target is None:
        return {"dataId": None, "description": clean(pending)}
    access = list(_ACCESS) if target.array is not None else ["write"]
    text = clean(expression)
    if target.space is not None:
        text += f" ({target.space} {target.low:#x}..{target.high:#x})"
    return {"dataId": expression, "description": text, "accessTypes": access, "canPersist": True}


def _range(address: str, size: int) -> str:
    m = re.fullmatch(r"((?:sram|acc|hbm):)?(0[xX][0-9a-fA-F]{1,16}|\d{1,20})", address)
    if m is None:
        raise BadRequest(f"{address[:40]!r} is no place in memory")
    return f"{m[1] or '*'}{m[2]}:{size}"


@request("setDataBreakpoints", SetDataBreakpoints, when=When.EDIT)
def set_data_breakpoints(adapter: Adapter, args: SetDataBreakpoints) -> Body:
    """All of them. One set before its tile exists stays pending until it does."""

    def of(b: DataBreakpoint) -> Entry:
        def make(session: Session) -> Watch:
            if b.accessType not in _ACCESS:
                raise CommandError(f"there is no access {b.accessType!r}", help=", ".join(_ACCESS))
            return session.add_watch(b.dataId, access=_ACCESS[b.accessType], condition=b.condition)

        return Entry(b, make, b.hitCondition)

    return answer(adapter, "data", [of(b) for b in args.breakpoints])


@request("setExceptionBreakpoints", SetExceptionBreakpoints, when=When.EDIT)
def set_exception_breakpoints(adapter: Adapter, args: SetExceptionBreakpoints) -> Body:
    """What is to be caught. A program that runs is run again up to here, so that the checkers have seen it all."""
    wanted = [ExceptionFilterOptions(name) for name in args.filters] + args.filterOptions

    def of(f: ExceptionFilterOptions) -> Entry:
        def make(session: Session) -> Catch:
            if f.filterId != "error":
                made = session.add_catch(f.filterId)
                made.condition = f.condition.strip()
                return made
            try:
                limit = float(f.condition) if f.condition.strip() else LIMIT
            except ValueError:
                raise CommandError(f"{f.condition!r} is no number", help=f"such as {LIMIT:g}") from None
            return session.add_catch("error", limit=limit)

        return Entry(f, make)

    return answer(adapter, "exception", [of(f) for f in wanted])
