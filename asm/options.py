"""What a caller can ask of the assembler."""

from __future__ import annotations

from dataclasses import dataclass, field

from sohu.asm.warnings import WarningPolicy


@dataclass(frozen=True)
class Options:
    """How to assemble."""

    include: tuple[str, ...] = ()  # folders where .include, .incbin and .npy look, after that of the file itself
    defines: dict[str, int | float] = field(default_factory=dict)  # constants of the command line
    warnings: WarningPolicy = field(default_factory=WarningPolicy)
    listing: bool = False  # keep what a listing needs (Object.origins)
    externals: bool = False  # names that the file does not define are those of other files, without .extern too
    max_expansion: int = 1 << 17  # lines that macros and repetitions make, all together


DEFAULT = Options()
