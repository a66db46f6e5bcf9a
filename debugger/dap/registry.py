"""Requests that are answered: one function each, in sohu/debugger/dap/requests, found there.

    @request("pause", Thread, when=When.ALWAYS)
    def pause(adapter: Adapter, args: Thread) -> Body:
        '''Stop the program.'''

What a function returns is the response's body; it raises SohuError for an error response. A request that lets the
program run sets `adapter.then`: that is done when the response has been sent.
"""

from __future__ import annotations

import enum
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from sohu.debugger.dap.adapter import Adapter

Body: TypeAlias = "dict[str, Any] | None"
A = TypeVar("A")


class When(enum.Enum):
    """What becomes of a request that comes while the program runs."""

    STOPPED = "refused"
    EDIT = "the program is stopped for it, and goes on"
    ALWAYS = "answered at once, by the thread that reads: it must not touch the machine"
    END = "the program is stopped, for good"


@dataclass(frozen=True)
class Request:
    """A request by its name. setup: it can come before there is a program."""

    command: str
    arguments: type
    run: Callable[[Any, Any], Body]
    when: When
    setup: bool


REQUESTS: dict[str, Request] = {}


def request(
    command: str, arguments: type[A], *, when: When = When.STOPPED, setup: bool = False
) -> Callable[[Callable[[Adapter, A], Body]], Callable[[Adapter, A], Body]]:
    """Define how a request is answered (see the module's documentation)."""

    def define(run: Callable[[Adapter, A], Body]) -> Callable[[Adapter, A], Body]:
        assert command not in REQUESTS, command
        REQUESTS[command] = Request(command, arguments, run, when, setup)
        return run

    return define


def load_requests() -> dict[str, Request]:
    """All requests there are, by name."""
    package = importlib.import_module("sohu.debugger.dap.requests")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return REQUESTS
