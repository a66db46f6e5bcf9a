"""Breakpoints: of source lines, functions, instructions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sohu.debugger.dap.messages import (
    BreakpointLocations,
    FunctionBreakpoint,
    InstructionBreakpoint,
    SetBreakpoints,
    SetFunctionBreakpoints,
    SetInstructionBreakpoints,
    Source,
    SourceBreakpoint,
)
from sohu.debugger.dap.points import Entry
from sohu.debugger.dap.registry import Body, When, request
from sohu.debugger.errors import CommandError
from sohu.debugger.points import Breakpoint
from sohu.debugger.session import Session

if TYPE_CHECKING:
    from sohu.debugger.dap.adapter import Adapter


def answer(adapter: Adapter, kind: str, entries: list[Entry]) -> dict[str, Any]:
    """Set these, and say what has become of each."""
    return {"breakpoints": [adapter.points.body(e) for e in adapter.points.replace(kind, entries)]}


@request("setBreakpoints", SetBreakpoints, when=When.EDIT)
def set_breakpoints(adapter: Adapter, args: SetBreakpoints) -> Body:
    """All of one source file. A line without code means the next one that has some."""
    wanted = args.breakpoints or [SourceBreakpoint(n) for n in args.lines]
    kind = f"source {args.source.path or args.source.sourceReference}"
    return answer(adapter, kind, [_of_line(adapter, args.source, b) for b in wanted])


def _of_line(adapter: Adapter, source: Source, b: SourceBreakpoint) -> Entry:
    def make(session: Session) -> Breakpoint:
        file = adapter.places.file(source)
        if file is None:
            name = source.path or source.name or "this source"
            raise CommandError(f"no code of this program comes from {name}")
        return session.add_breakpoint(f"{file}:{adapter.places.line_from_client(b.line)}", condition=b.condition)

    return Entry(b, make, b.hitCondition, b.logMessage)


@request("setFunctionBreakpoints", SetFunctionBreakpoints, when=When.EDIT)
def set_function_breakpoints(adapter: Adapter, args: SetFunctionBreakpoints) -> Body:
    """At kernels and labels."""

    def of(b: FunctionBreakpoint) -> Entry:
        return Entry(b, lambda session: session.add_breakpoint(b.name, condition=b.condition), b.hitCondition)

    return answer(adapter, "function", [of(b) for b in args.breakpoints])


@request("setInstructionBreakpoints", SetInstructionBreakpoints, when=When.EDIT)
def set_instruction_breakpoints(adapter: Adapter, args: SetInstructionBreakpoints) -> Body:
    """At pcs."""

    def of(b: InstructionBreakpoint) -> Entry:
        def make(session: Session) -> Breakpoint:
            try:
                pc = int(b.instructionReference, 0) + b.offset
            except ValueError:
                raise CommandError(f"{b.instructionReference[:40]!r} is no pc of an instruction") from None
            return session.add_breakpoint(f"*{pc}" if pc >= 0 else f"*0-{-pc}", condition=b.condition)

        return Entry(b, make, b.hitCondition)

    return answer(adapter, "instruction", [of(b) for b in args.breakpoints])


@request("breakpointLocations", BreakpointLocations, when=When.EDIT)
def breakpoint_locations(adapter: Adapter, args: BreakpointLocations) -> Body:
    """Lines of a part of a file that have code."""
    places = adapter.places
    file = places.file(args.source)
    if file is None:
        return {"breakpoints": []}
    first, last = (places.line_from_client(n) for n in (args.line, args.endLine or args.line))
    lines = [n for n in adapter.session.symbols.lines_of(file) if first <= n <= last]
    return {"breakpoints": [{"line": places.line_to_client(n)} for n in lines]}
