"""Bit diagrams of instruction words, as SVG and as text.

The 128 bits are two rows of 64, the low half above, the high bit of each half on the left. Many instructions
have the same fields and share a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from sohu.isa.instruction import OPCODE_BITS, OPERANDS_AFTER_SYNC, SYNC_START, WORD_BITS, Row
from sohu.isa.operands import Data, Imm, Label, Sem, Str, T, X

HALF = 64
_WAIT = (("valid", 1), ("sem", 6), ("reg", 5), ("imm", 16))  # low bits first
_SIGNAL = (("valid", 1), ("sem", 6), ("inc", 8))
WAIT_BITS = sum(bits for _, bits in _WAIT)  # the rest of the bits before the operands is the signal
assert SYNC_START + WAIT_BITS + sum(bits for _, bits in _SIGNAL) == OPERANDS_AFTER_SYNC

_BIT = 12  # pixels
_LEFT, _RIGHT, _TOP = 12, 12, 22
_BOX, _ROW, _LABEL = 26, 58, 13  # heights: of a box, from one row to the next, of a line of labels below
_CHAR = 6.7  # width of a letter of labels
_DIGIT = 5.0  # and of bit numbers

# The picture brings its own background, so that it can be read on pages of any colour.
_STYLE = """
.page{fill:#fbfbfd}.box{stroke:#57606a;stroke-width:1}.name{font:11px monospace;fill:#1f2328}
.bit{font:8.5px monospace;fill:#57606a}.line{stroke:#8c959f;stroke-width:1}
.fixed{fill:#d8dee4}.sync{fill:#fbe3c0}.tile{fill:#cfe3fb}.scalar{fill:#d3efd7}.number{fill:#ead9f7}.free{fill:#fbfbfd}
@media (prefers-color-scheme:dark){
.page{fill:#161b22}.box{stroke:#8b949e}.name{fill:#e6edf3}.bit{fill:#9aa4ae}.line{stroke:#6e7681}
.fixed{fill:#3a414a}.sync{fill:#5c4419}.tile{fill:#1d4068}.scalar{fill:#1f4a2a}.number{fill:#47305f}.free{fill:#161b22}}
"""


@dataclass(frozen=True)
class Field:
    """Bits [low, low + bits) of a word: a name, and what kind of thing they hold."""

    name: str
    low: int
    bits: int
    look: str  # class of the picture: fixed, sync, tile, scalar, number, free

    @property
    def high(self) -> int:
        """The last bit."""
        return self.low + self.bits - 1

    @property
    def place(self) -> str:
        """`high..low`, or the one bit."""
        return f"{self.high}..{self.low}" if self.bits > 1 else str(self.low)


def sync_fields() -> list[Field]:
    """The low half of the words that can wait and signal, with the parts of both."""
    out = [Field("opcode", 0, OPCODE_BITS, "fixed")]
    for name, bits in (*_WAIT, *_SIGNAL):
        out.append(Field(name, out[-1].high + 1, bits, "sync"))
    return [*out, *_free(OPERANDS_AFTER_SYNC, HALF)]


def fields(row: Row) -> list[Field]:
    """The fields of a row's words, low bits first, the reserved ones among them (no name)."""
    used = [Field("opcode", 0, OPCODE_BITS, "fixed")]
    if row.sync:
        used.append(Field("wait", SYNC_START, WAIT_BITS, "sync"))
        used.append(Field("signal", SYNC_START + WAIT_BITS, OPERANDS_AFTER_SYNC - SYNC_START - WAIT_BITS, "sync"))
    used += [Field(o.name, o.low, o.kind.bits, _look(o.kind)) for o in row.operands]
    out: list[Field] = []
    at = 0
    for f in [*used, Field("", WORD_BITS, 0, "")]:
        if f.low > at:
            out += _free(at, f.low)
        out.append(f)
        at = f.low + f.bits
    return out[:-1]


def _free(low: int, high: int) -> Iterator[Field]:
    """Reserved bits; a run across the middle of the word is one field in each half."""
    if low < HALF < high:
        yield Field("", low, HALF - low, "free")
        low = HALF
    yield Field("", low, high - low, "free")


def _look(kind: object) -> str:
    if isinstance(kind, (Data, T)):
        return "tile"
    if isinstance(kind, X):
        return "scalar"
    return "sync" if isinstance(kind, Sem) else "number"


def format_name(row: Row) -> str:
    """A name for the fields of a row that exactly the rows with the same fields have."""
    parts = ["sync"] if row.sync else []
    parts += [f"{o.name}{o.kind.bits}{_CODES.get(_look(o.kind), '')}" for o in row.operands]
    return "-".join(parts) or "plain"


_CODES = {"tile": "t", "scalar": "x", "sync": "s", "number": "n"}


def svg(of: list[Field], title: str) -> str:
    """The picture of a word's fields, or of those of its low half; `title` is what a screen reader says."""
    width = _LEFT + HALF * _BIT + _RIGHT
    low, above = _half([f for f in of if f.low < HALF], 0, _TOP)
    height = _TOP + _BOX + 10 + _LABEL * above
    high: list[str] = []
    if upper := [f for f in of if f.low >= HALF]:
        top = _TOP + _ROW + _LABEL * above
        high, below = _half(upper, 1, top)
        height = top + _BOX + 10 + _LABEL * below
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f'<rect class="page" width="{width}" height="{height}" rx="6"/>'
    )
    return "\n".join([head, *low, *high, "</svg>"]) + "\n"


def _half(of: list[Field], half: int, top: int) -> tuple[list[str], int]:
    """One row of the picture: its elements, and on how many lines labels hang below it."""
    out = []
    ends: list[float] = []  # right end of the last label on each line below
    for f in sorted(of, key=lambda f: -f.low):
        x = _LEFT + (half * HALF + HALF - 1 - f.high) * _BIT
        w = f.bits * _BIT
        out.append(f'<rect class="box {f.look}" x="{x}" y="{top}" width="{w}" height="{_BOX}"/>')
        numbers = [(x + 1.5, f.high, "start"), (x + w - 1.5, f.low, "end")]
        if not f.name:  # its neighbours' numbers say the same, and may need the room
            numbers = [n for n in numbers if n[1] % HALF in (0, HALF - 1)]
        if 2 * len(str(f.high)) * _DIGIT + 8 > w:
            numbers = numbers[1:]
        out += [f'<text class="bit" x="{at:g}" y="{top - 4}" text-anchor="{a}">{n}</text>' for at, n, a in numbers]
        if not f.name:
            continue
        middle, long = x + w / 2, len(f.name) * _CHAR
        y = top + _BOX / 2 + 4.0
        if long + 4 > w:  # below, on the first line that has room
            start = middle - long / 2
            level = next((i for i, end in enumerate(ends) if end + 6 < start), len(ends))
            ends[level : level + 1] = [start + long]
            y = top + _BOX + 15 + _LABEL * level
            out.append(f'<path class="line" d="M{middle:g} {top + _BOX}V{y - 9:g}"/>')
        out.append(f'<text class="name" x="{middle:g}" y="{y:g}" text-anchor="middle">{escape(f.name)}</text>')
    return out, len(ends)


def table(of: list[Field]) -> Iterator[tuple[str, str]]:
    """(bits, name) of each field, high bits first; reserved bits are called so."""
    for f in sorted(of, key=lambda f: -f.low):
        yield f.place, f.name or "reserved, zero"


def kind_word(kind: object) -> str:
    """What a field holds, in words."""
    if isinstance(kind, (Data, T)):
        return "number of a tile register"
    if isinstance(kind, X):
        return "number of a scalar register"
    if isinstance(kind, Imm):
        return f"{'signed' if kind.signed else 'unsigned'} integer"
    if isinstance(kind, Label):
        return "byte displacement from this instruction, a multiple of 16, signed"
    if isinstance(kind, Str):
        return "offset of the text from `gp`"
    return _WORDS.get(type(kind).__name__, getattr(kind, "syntax", ""))


_WORDS = {
    "XI": "top bit 0: 32-bit signed integer; 1: number of a scalar register",
    "XFI": "top bit 0: float32; 1: number of a scalar register",
    "FImm": "float32",
    "Sem": "number of a semaphore",
}
