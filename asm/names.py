"""What names mean: registers, the declarations of a kernel, and which names nobody may take."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from sohu.isa import NUM_SCALARS, NUM_SEMAPHORES, NUM_TILES
from sohu.isa.machine import ARGS, GP, SCALAR_ALIASES

RegisterFile = Literal["x", "t", "s"]

# What a register file's members are called in messages.
FILES: dict[RegisterFile, str] = {"x": "scalar register", "t": "tile", "s": "semaphore"}
SIZES: dict[RegisterFile, int] = {"x": NUM_SCALARS, "t": NUM_TILES, "s": NUM_SEMAPHORES}

REGISTERS: dict[str, tuple[RegisterFile, int]] = {
    f"{file}{i}": (file, i) for file, size in SIZES.items() for i in range(size)
} | {alias: ("x", i) for alias, i in SCALAR_ALIASES.items()}

_SUGGEST_AMONG = 2000  # names compared for a suggestion

_WORDS = {"wait", "signal", "inf", "nan"}
_REGISTER_LIKE = re.compile(r"[xts][0-9]+")
_NAME = re.compile(r"\.?[^\W\d][\w.]*")  # as in grammar.lark
_SYMBOL = re.compile(rf"(?!\.L|{_REGISTER_LIKE.pattern}\Z){_NAME.pattern}")
_TAKEN = {*REGISTERS, *_WORDS}


def file_of(name: str) -> RegisterFile | None:
    """The register file that a name like x5 speaks of, whether or not the machine has that register."""
    return next((f for f in SIZES if name[0] == f), None) if _REGISTER_LIKE.fullmatch(name) else None


def declarable(file: RegisterFile) -> set[int]:
    """Registers that a declaration can take: not x0, and none from which the prologue loads the others."""
    return set(range(SIZES[file])) - ({0, GP, ARGS} if file == "x" else set())


def reserved(name: str) -> bool:
    """True for what reads as a register or a word of the language, whether or not the machine has it."""
    return name in REGISTERS or name in _WORDS or _REGISTER_LIKE.fullmatch(name) is not None


def is_name(name: str) -> bool:
    """True when a program can define `name`: the assembler reads it as a name, and it is not reserved."""
    return _NAME.fullmatch(name) is not None and not reserved(name)


def is_symbol(name: str) -> bool:
    """True for a name that a symbol table can hold: is_name and not is_local, in one look."""
    return _SYMBOL.fullmatch(name) is not None and name not in _TAKEN


def is_local(name: str) -> bool:
    """True for labels that stay out of the symbol table, as GNU tools have it: those that begin with `.L`."""
    return name.startswith(".L")


def nearest(name: str, among: Iterable[str]) -> str:
    """`did you mean 'x'?` for the name most like `name`, or "" where none is."""
    import difflib  # slow to import, and seldom wanted

    folded = {n.lower(): n for n, _ in zip(among, range(_SUGGEST_AMONG), strict=False)}
    found = difflib.get_close_matches(name.lower(), folded, 1, 0.6)
    return f"did you mean {folded[found[0]]!r}?" if found else ""
