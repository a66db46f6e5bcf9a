"""The debugger: a session engine without printing, and the command line on top of it."""

from sohu.debugger.breakpoints import Breakpoint
from sohu.debugger.errors import CommandError
from sohu.debugger.repl import debug
from sohu.debugger.session import Frame, Session
from sohu.debugger.stops import BreakpointHit, Exited, Faulted, Interrupted, Started, Stepped, Stop
from sohu.debugger.values import Value

__all__ = [
    "Breakpoint", "BreakpointHit", "CommandError", "Exited", "Faulted", "Frame", "Interrupted", "Session", "Started",
    "Stepped", "Stop", "Value", "debug",
]  # fmt: skip
