"""The codes of all diagnostics: A of the assembler, L of the linker, W warnings. A code never changes its meaning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """What a code says. `name` is that of a warning, for -W; `on` tells whether it is given without being asked for."""

    title: str
    name: str = ""
    on: bool = True


CODES = {
    "A001": Code("the file is no text"),
    "A002": Code("syntax"),
    "A003": Code("a malformed number or string"),
    "A010": Code("an unknown instruction"),
    "A011": Code("an unknown directive"),
    "A012": Code("missing or surplus operands"),
    "A013": Code("an operand of the wrong kind"),
    "A014": Code("a value that does not fit"),
    "A015": Code("an unknown or repeated keyword operand"),
    "A016": Code("a wait or signal where none can be"),
    "A020": Code("an undefined name"),
    "A021": Code("a name defined twice"),
    "A022": Code("a reserved name"),
    "A023": Code("a numeric label that is not there"),
    "A024": Code("an expression that has no value here"),
    "A025": Code("arithmetic that fails"),
    "A030": Code("a directive outside a kernel"),
    "A031": Code("a declaration after the kernel's first instruction"),
    "A032": Code("an unknown dtype, memory or direction"),
    "A033": Code("bad dimensions or strides"),
    "A034": Code("a register that is taken, or none left"),
    "A035": Code("a tile that has no place"),
    "A040": Code("code or data in the wrong section"),
    "A041": Code("a directive's arguments"),
    "A042": Code("a section grown too large"),
    "A043": Code("data of another dtype"),
    "A050": Code("a file that can't be read"),
    "A051": Code("files or expansions without end"),
    "A052": Code("half of a block"),
    "A053": Code("a macro's parameters"),
    "A054": Code("a macro's arguments"),
    "A055": Code("what .error says"),
    "A056": Code("a block without its end"),
    "L001": Code("a symbol that no file defines"),
    "L002": Code("a symbol that two files define"),
    "L003": Code("an address that does not fit its place"),
    "L004": Code("a relocation that does not fit its instruction"),
    "L005": Code("an image grown too large"),
    "W001": Code("what .warning says", "user"),
}

WARNINGS = {code.name: number for number, code in CODES.items() if code.name}
