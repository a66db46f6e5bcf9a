"""The debugger: a session engine without printing, and the faces on top of it."""

from sohu.debugger.chips import GroupSession
from sohu.debugger.errors import CommandError
from sohu.debugger.forward import Level
from sohu.debugger.frames import Frame
from sohu.debugger.points import Breakpoint, Catch, Point, Watch
from sohu.debugger.repl import debug
from sohu.debugger.session import Session
from sohu.debugger.stops import (
    Beginning,
    BreakpointHit,
    Caught,
    Change,
    Exited,
    Faulted,
    Interrupted,
    Started,
    Stepped,
    Stop,
    Watched,
)
from sohu.debugger.values import Value

__all__ = [
    "Beginning", "Breakpoint", "BreakpointHit", "Catch", "Caught", "Change", "CommandError", "Exited", "Faulted",
    "Frame", "GroupSession", "Interrupted", "Level", "Point", "Session", "Started", "Stepped", "Stop", "Value",
    "Watch", "Watched", "debug",
]  # fmt: skip
