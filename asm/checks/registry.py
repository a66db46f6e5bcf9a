"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sohu.asm.checks.code import Code
from sohu.asm.codes import CODES


@dataclass(frozen=True)
class Declaration:
    """A name that a kernel declares (a tile, a parameter, a semaphore), or a label, of no kernel."""

    kernel: str
    name: str


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `at` is the index of an instruction, or a declaration.

    `operand` names the operand (or "wait", "signal") that is to be marked. A note can point at another place.
    """

    code: str
    message: str
    at: int | Declaration
    operand: str = ""
    help: str = ""
    notes: tuple[tuple[str, int | Declaration | None], ...] = ()


Run = Callable[[Code], Iterator[Finding]]


@dataclass(frozen=True)
class Check:
    """A check: the code of its warnings, their name for -W, and the function."""

    code: str
    name: str
    run: Run


CHECKS: dict[str, Check] = {}


def check(code: str, name: str) -> Callable[[Run], Run]:
    """Register a check under the code and the name of its warning."""

    def register(run: Run) -> Run:
        assert code not in CHECKS and CODES[code].name == name, code
        CHECKS[code] = Check(code, name, run)
        return run

    return register
