"""Examples in the documentation of rows: their text read into an Example, and an Example as assembly.

The last section of a row's docstring (sohu.emulator.examples runs it, the manual shows it):

    Example:
        src = f32 [[0.0, 1.0]]
        x5 = 2
        vexp dst, src
        dst = f32 [[1.0, 2.7182817]]

First the inputs, then lines of assembly, then the results:

- `NAME = [SPACE] DTYPE VALUES`: a tile, by the operand's name; VALUES are nested lists of numbers, inf and nan,
  `[1.5 * 32]` is a list of 32 times 1.5; they may go on over several lines. Without SPACE it lies in the first of
  SRAM, ACC, HBM that the operand allows.
- `xN = NUMBER`: a scalar register; a number with a point, an exponent, inf or nan is the bits of a float32.
- among the results also `fault CATEGORY`, or `prints "TEXT"` for each line that the program prints.

A tile that is only a result takes its shape from there, and holds other bytes before.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.isa.dtypes import DTYPES, DType
from sohu.isa.errors import CATEGORIES, DefinitionError
from sohu.isa.instruction import Row
from sohu.isa.machine import MAX_RANK, NUM_SCALARS, Space
from sohu.isa.operands import Data

KERNEL = "example"  # name of the kernel that the assembly of an example defines

_WIDTH, _TALL = 100, 8  # of values as text: more lines are filled, not one for each row

_GIVEN = re.compile(r"(\w+) *= *(.*)")
_MOST_TIMES = 1024
_SCALAR = re.compile(r"x(\d+)")
_LABELS = re.compile(r"((?:[\w.]+:\s*)*)(.*)")
_TOKEN = re.compile(r"[\[\],]|[^\s\[\],]+")


@dataclass(frozen=True)
class TileValue:
    """A tile before or after: its elements, in the dtype that the tile has."""

    name: str
    space: Space
    dtype: DType
    values: NDArray[Any]

    def __str__(self) -> str:
        shown = np.array2string(
            self.values if self.values.dtype.kind in "iu" else self.values.astype(np.float32),
            separator=", ",
            max_line_width=_WIDTH,
            prefix=f"{self.name} = {self.dtype} ",
            formatter={"float_kind": lambda x: f"{x:.8g}" if not x.is_integer() else f"{x:.1f}"},
        )
        text = f"{self.name} = {self.dtype} {shown}"
        if shown.count("\n") < _TALL:
            return text
        margin = " " * len(f"{self.name} = {self.dtype} [")
        return textwrap.fill(" ".join(text.split()), _WIDTH, subsequent_indent=margin)


@dataclass(frozen=True)
class ScalarValue:
    """A scalar register before or after; a float stands for the bits of a float32."""

    reg: int
    value: int | float

    def __str__(self) -> str:
        return f"x{self.reg} = {self.value}"


@dataclass
class Example:
    """What a row's example says: inputs, lines of assembly, results."""

    tiles: list[TileValue] = field(default_factory=list)
    scalars: list[ScalarValue] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    tiles_after: list[TileValue] = field(default_factory=list)
    scalars_after: list[ScalarValue] = field(default_factory=list)
    fault: str = ""
    prints: list[str] = field(default_factory=list)


def parse(row: Row) -> Example:
    """The example of a row.

    Raises DefinitionError, with the instruction and the line, for a row that has none and for text that is none.
    """
    if not row.example:
        raise DefinitionError(f"instruction {row.mnemonic!r}: its documentation has no example", where=row.where)
    example = Example()
    for line in _joined(row.example):
        try:
            _read(row, example, line)
        except ValueError as e:
            why = f"instruction {row.mnemonic!r}: example, {line.strip()!r}: {e}"
            raise DefinitionError(why, where=row.where) from None
    if not example.body:
        raise DefinitionError(f"instruction {row.mnemonic!r}: its example has no assembly", where=row.where)
    if not (example.tiles_after or example.scalars_after or example.fault or example.prints):
        raise DefinitionError(f"instruction {row.mnemonic!r}: its example has no result", where=row.where)
    return example


def _joined(text: str) -> Iterator[str]:
    """Lines; those within brackets joined to one."""
    held = ""
    for line in text.splitlines():
        if not line.strip():
            continue
        held = f"{held} {line.strip()}" if held else line
        if not _GIVEN.match(held.strip()) or held.count("[") <= held.count("]"):
            yield held
            held = ""
    if held:
        yield held


def _read(row: Row, example: Example, line: str) -> None:
    """One line of an example. Raises ValueError that says what is wrong with it."""
    text = line.strip()
    word, _, rest = text.partition(" ")
    after = bool(example.body)
    if given := _GIVEN.fullmatch(text):
        name, value = given.groups()
        if scalar := _SCALAR.fullmatch(name):
            reg = int(scalar[1])
            if not 0 < reg < NUM_SCALARS:
                raise ValueError(f"x1 to x{NUM_SCALARS - 1} hold values")
            (example.scalars_after if after else example.scalars).append(ScalarValue(reg, _number(value)))
        else:
            (example.tiles_after if after else example.tiles).append(_tile(row, example, name, value))
    elif word == "fault":
        if rest not in CATEGORIES:
            raise ValueError(f"there is no such category; there are {', '.join(CATEGORIES)}")
        example.fault = rest
    elif word == "prints":
        shown = json.loads(rest)  # its JSONDecodeError is a ValueError
        if not isinstance(shown, str):
            raise ValueError('wants text: prints "TEXT"')
        example.prints.append(shown)
    elif example.tiles_after or example.scalars_after or example.fault or example.prints:
        raise ValueError("assembly after the results")
    else:
        example.body.append(line)


def _tile(row: Row, example: Example, name: str, text: str) -> TileValue:
    before = next((t for t in example.tiles if t.name == name), None)
    space = before.space if before else _space(row, name)
    word, _, rest = text.partition(" ")
    if word.upper() in Space.__members__:
        space = Space[word.upper()]
        word, _, rest = rest.lstrip().partition(" ")
    if word not in DTYPES:
        raise ValueError(f"{word!r} is no dtype; there are {', '.join(DTYPES)}")
    dtype = DTYPES[word]
    tokens = _TOKEN.findall(rest)
    values = _nested(tokens)
    if tokens:
        raise ValueError(f"{tokens[0]!r} after the values")
    # as integers or as float64: NumPy says when they are ragged or do not fit
    whole = dtype.np.kind in "iu"
    try:
        array = np.array(values, np.int64 if whole else np.float64)
    except OverflowError as e:
        raise ValueError(str(e)) from None
    if not 1 <= array.ndim <= MAX_RANK:
        raise ValueError(f"a tile has 1 to {MAX_RANK} dimensions")
    if whole and array.size and not np.iinfo(dtype.np).min <= array.min() <= array.max() <= np.iinfo(dtype.np).max:
        raise ValueError(f"a value does not fit {dtype}")
    with np.errstate(all="ignore"):
        return TileValue(name, space, dtype, array.astype(dtype.np))


def _space(row: Row, name: str) -> Space:
    kind = next((o.kind for _, o, _ in row.data if o.name == name), None)
    allowed = row.spaces(kind) if isinstance(kind, Data) else frozenset(Space)
    return next(s for s in (Space.SRAM, Space.ACC, Space.HBM) if s in allowed)


def _nested(tokens: list[str]) -> Any:
    """Nested lists of numbers off the front of `tokens`."""
    if not tokens:
        raise ValueError("the values end too soon")
    token = tokens.pop(0)
    if token != "[":
        return _number(token)
    items: list[Any] = []
    while tokens and tokens[0] != "]":
        item, times = _nested(tokens), 1
        if len(tokens) > 1 and tokens[0] == "*":
            times = int(tokens[1])
            del tokens[:2]
        if not 0 < times <= _MOST_TIMES:
            raise ValueError(f"a number is repeated 1 to {_MOST_TIMES} times")
        items += [item] * times
        if tokens and tokens[0] == ",":
            tokens.pop(0)
        elif tokens and tokens[0] != "]":
            raise ValueError(f"a comma is wanted before {tokens[0]!r}")
    if not tokens:
        raise ValueError("a bracket is not closed")
    tokens.pop(0)
    return items


def _number(text: str) -> int | float:
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None


def assembly(example: Example) -> str:
    """The example as a whole assembly file: a kernel that declares its tiles, sets its registers, and halts."""
    lines = [f"        .kernel {KERNEL}"]
    known: dict[str, TileValue] = {}
    for t in (*example.tiles, *example.tiles_after):
        known.setdefault(t.name, t)
    for t in sorted(known.values(), key=lambda t: t.space is not Space.HBM):  # parameters come first
        dims = ", ".join(map(str, t.values.shape))
        if t.space is Space.HBM:
            lines.append(f"        .param  {t.name}, inout, {t.dtype}, [{dims}]")
        else:
            lines.append(f"        .tile   {t.name}, {t.space}, {t.dtype}, [{dims}]")
    for s in example.scalars:
        lines.append(f"        {'lf' if isinstance(s.value, float) else 'li'}      x{s.reg}, {s.value}")
    for line in example.body:
        label, rest = _LABELS.fullmatch(line.strip()).groups()  # type: ignore[union-attr]  # it matches anything
        lines.append(f"{label.strip():<8}{rest}" if len(label.strip()) < 8 else f"{label.strip()}\n        {rest}")
    lines.append("        halt")
    return "\n".join(lines) + "\n"
