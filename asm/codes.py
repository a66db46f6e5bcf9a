"""The codes of all diagnostics: errors of the assembler (A) and linker (L), warnings (W), notes (N).

A code never changes its meaning.
"""

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
    "A044": Code("debug information that contradicts itself"),
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
    "N001": Code("what .print says"),
    "W001": Code("what .warning says", "user"),
    "W002": Code("debug information of other code", "stale-debug"),
    "W010": Code("code that nothing reaches", "unreachable"),
    "W011": Code("code that can run past its end", "runs-off-end"),
    "W012": Code("hardware loops that do not nest, or are left by a jump", "loop-nesting"),
    "W013": Code("a return without a call", "stray-return"),
    "W014": Code("ranges that are not closed, or not open", "unbalanced-range"),
    "W020": Code("a tile operand that the instruction does not take", "bad-operand"),
    "W021": Code("a write to what may only be read", "constant-write"),
    "W022": Code("a register that is read before it is written", "uninitialized"),
    "W030": Code("tiles that share bytes while both are in use", "overlap"),
    "W040": Code("a wait for a semaphore that nothing signals", "never-signalled"),
    "W041": Code("a signal that nothing waits for", "never-waited"),
    "W042": Code("a wait for more signals than there are", "wait-too-high"),
    "W050": Code("a label that nothing uses", "unused-label"),
    "W051": Code("a tile that nothing uses", "unused-tile"),
    "W052": Code("a semaphore that nothing uses", "unused-semaphore"),
    "W053": Code("an output that nothing is written to", "unwritten-output"),
}

WARNINGS = {code.name: number for number, code in CODES.items() if code.name}
