"""Arguments of the requests that are answered, named and typed as in the protocol's schema; ours where it has none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Nothing:
    """No arguments, or none that matter here."""


@dataclass(frozen=True)
class Initialize:
    """What the client can do and how it counts."""

    adapterID: str = ""
    linesStartAt1: bool = True
    columnsStartAt1: bool = True
    pathFormat: str = "path"
    supportsVariablePaging: bool = False
    supportsInvalidatedEvent: bool = False


@dataclass(frozen=True)
class Launch:
    """A program to be started. All but noDebug are ours: see docs/dap.md."""

    program: str
    noDebug: bool = False
    kernel: str | None = None
    args: dict[str, str | int | float] = field(default_factory=dict)
    cwd: str | None = None
    chip: str = "sohu"
    schedule: str | int | None = None
    timing: bool = False
    checks: str | list[str] | None = None
    stopOnEntry: bool = False
    stopOnExit: bool = False
    record: bool = True


@dataclass(frozen=True)
class Attach:
    """A core file or snapshot to look at; without one, the session that is being served."""

    core: str | None = None
    program: str | None = None
    cwd: str | None = None
    stopOnExit: bool = False


@dataclass(frozen=True)
class Disconnect:
    """The client goes."""

    restart: bool = False
    terminateDebuggee: bool | None = None


@dataclass(frozen=True)
class Restart:
    """From the beginning, with the launch's arguments of now."""

    arguments: dict[str, Any] | None = None


@dataclass(frozen=True)
class Source:
    """A source file, by path or by a number of ours."""

    name: str | None = None
    path: str | None = None
    sourceReference: int = 0


@dataclass(frozen=True)
class SourceBreakpoint:
    """One of a source file."""

    line: int
    column: int | None = None
    condition: str = ""
    hitCondition: str = ""
    logMessage: str = ""


@dataclass(frozen=True)
class SetBreakpoints:
    """All breakpoints of a source file."""

    source: Source
    breakpoints: list[SourceBreakpoint] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class FunctionBreakpoint:
    """At a kernel or label."""

    name: str
    condition: str = ""
    hitCondition: str = ""


@dataclass(frozen=True)
class SetFunctionBreakpoints:
    """All of them."""

    breakpoints: list[FunctionBreakpoint]


@dataclass(frozen=True)
class InstructionBreakpoint:
    """At a pc."""

    instructionReference: str
    offset: int = 0
    condition: str = ""
    hitCondition: str = ""


@dataclass(frozen=True)
class SetInstructionBreakpoints:
    """All of them."""

    breakpoints: list[InstructionBreakpoint]


@dataclass(frozen=True)
class DataBreakpointInfo:
    """Can this be watched?"""

    name: str
    variablesReference: int = 0
    frameId: int | None = None
    bytes: int | None = None
    asAddress: bool = False


@dataclass(frozen=True)
class DataBreakpoint:
    """On what dataBreakpointInfo has named."""

    dataId: str
    accessType: str = "write"
    condition: str = ""
    hitCondition: str = ""


@dataclass(frozen=True)
class SetDataBreakpoints:
    """All of them."""

    breakpoints: list[DataBreakpoint]


@dataclass(frozen=True)
class ExceptionFilterOptions:
    """A kind of thing to catch, with its limit."""

    filterId: str
    condition: str = ""


@dataclass(frozen=True)
class SetExceptionBreakpoints:
    """All that is to be caught."""

    filters: list[str]
    filterOptions: list[ExceptionFilterOptions] = field(default_factory=list)


@dataclass(frozen=True)
class BreakpointLocations:
    """Which lines have code?"""

    source: Source
    line: int
    endLine: int | None = None


@dataclass(frozen=True)
class Thread:
    """Of requests that name a thread and nothing else."""

    threadId: int


@dataclass(frozen=True)
class Step:
    """next, stepIn, stepOut, stepBack."""

    threadId: int
    granularity: str = "statement"


@dataclass(frozen=True)
class GotoTargets:
    """When did this line run, and when will it?"""

    source: Source
    line: int


@dataclass(frozen=True)
class Goto:
    """Go there."""

    threadId: int
    targetId: int


@dataclass(frozen=True)
class StackTrace:
    """Frames of a thread."""

    threadId: int
    startFrame: int = 0
    levels: int = 0


@dataclass(frozen=True)
class Scopes:
    """Groups of variables in a frame."""

    frameId: int


@dataclass(frozen=True)
class ValueFormat:
    """How numbers are written."""

    hex: bool = False


@dataclass(frozen=True)
class Variables:
    """Children of a scope or a variable."""

    variablesReference: int
    filter: str | None = None
    start: int = 0
    count: int = 0
    format: ValueFormat = ValueFormat()


@dataclass(frozen=True)
class SetVariable:
    """A new value of a child."""

    variablesReference: int
    name: str
    value: str
    format: ValueFormat = ValueFormat()


@dataclass(frozen=True)
class SetExpression:
    """A new value of what an expression names."""

    expression: str
    value: str
    frameId: int | None = None
    format: ValueFormat = ValueFormat()


@dataclass(frozen=True)
class Evaluate:
    """An expression, or at the debug console a command."""

    expression: str
    frameId: int | None = None
    context: str = ""
    format: ValueFormat = ValueFormat()


@dataclass(frozen=True)
class Completions:
    """What can stand where the cursor is."""

    text: str
    column: int
    line: int = 1
    frameId: int | None = None


@dataclass(frozen=True)
class SourceText:
    """Contents of a source that is no file."""

    sourceReference: int
    source: Source = Source()


@dataclass(frozen=True)
class ReadMemory:
    """Bytes of a memory."""

    memoryReference: str
    count: int
    offset: int = 0


@dataclass(frozen=True)
class WriteMemory:
    """Bytes for a memory, in base64."""

    memoryReference: str
    data: str
    offset: int = 0
    allowPartial: bool = False


@dataclass(frozen=True)
class Disassemble:
    """Instructions around a pc."""

    memoryReference: str
    instructionCount: int
    offset: int = 0
    instructionOffset: int = 0
