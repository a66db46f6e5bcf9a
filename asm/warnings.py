"""-W flags: which warnings are given, and which of them are errors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from sohu.asm.codes import CODES, WARNINGS
from sohu.asm.names import nearest
from sohu.isa import SohuError


class WarningPolicy:
    """What becomes of warnings.

    `flags` are those of a command line without their `-W`, later ones over earlier: NAME or no-NAME turns one on
    or off, `all` all of them; error makes every warning an error, error=NAME one, no-error and no-error=NAME
    take that back. `none` is -w: no warning at all. Raises SohuError for a name that no warning has.
    """

    def __init__(self, flags: Iterable[str] = ()) -> None:
        self._on = {number: code.on for number, code in CODES.items() if code.name}
        self._errors: dict[str, bool] = {}  # what was said of one by its name
        self._all_errors = False
        self._none = False
        for flag in flags:
            self._apply(flag)

    def severity(self, code: str) -> Literal["error", "warning", "note"] | None:
        """What a diagnostic with this code is; None: it is not given."""
        if code.startswith("N"):
            return "note"
        if code not in self._on:
            return "error"
        if self._none or not self._on[code]:
            return None
        return "error" if self._errors.get(code, self._all_errors) else "warning"

    @property
    def silent(self) -> bool:
        """True when no warning is given at all."""
        return self._none or not any(self._on.values())

    def _apply(self, flag: str) -> None:
        if flag == "none":
            self._none = True
        elif flag == "all":
            self._on = dict.fromkeys(self._on, True)
        elif flag in ("error", "no-error"):
            self._all_errors = flag == "error"
        elif flag.startswith(("error=", "no-error=")):
            prefix, name = flag.split("=", 1)
            code = _number(name, flag)
            self._errors[code] = prefix == "error"
            if prefix == "error":
                self._on[code] = True
        else:
            self._on[_number(flag.removeprefix("no-"), flag)] = not flag.startswith("no-")


def _number(name: str, flag: str) -> str:
    if name in WARNINGS:
        return WARNINGS[name]
    if name in CODES and CODES[name].name:
        return name
    hint = nearest(name, WARNINGS) or f"there are: {', '.join(sorted(WARNINGS))}"
    raise SohuError(f"-W{flag}: no warning is called {name!r}", help=hint)
