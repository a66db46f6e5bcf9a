"""What a user of the debugger got wrong: one clear message, and the session lives on."""

from __future__ import annotations

from sohu.isa import SohuError


class CommandError(SohuError):
    """A command that cannot be done as it was given."""
