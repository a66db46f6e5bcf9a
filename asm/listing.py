"""Listings: the lines of sources, with what each became and where that is in the program.

    line   address  encoding                          source
       5        20  00000000000000000080810000000100  again:  dma.load buf, x  signal ready

Lines of included files and of expansions stand under the line that asked for them, `>` for each level. Words are
numbers of 128 bits, as .inst takes them; data are bytes, lowest address first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from sohu.asm.diagnostics import printable
from sohu.asm.link import Placement, lay_out
from sohu.asm.objects import Object
from sohu.asm.origins import Origins
from sohu.asm.program import Program
from sohu.isa import INSTRUCTION_BYTES

_ROW = 16  # bytes of data in a row
_MOST_ROWS = 4  # of data from one line; further bytes are counted


def listing(objects: Sequence[Object], program: Program) -> str:
    """The listing of the sources among `objects`, of which `program` is the link."""
    out: list[str] = []
    for o, placement in zip(objects, lay_out(objects).placements, strict=True):
        if o.origins is not None:
            out += [f"{printable(o.name)}:", f"{'line':>6}  {'address':>8}  {'encoding':32}  source"]
            out += _lines(o.origins, len(o.rodata), placement, program)
    return "\n".join(out) + "\n"


def _lines(origins: Origins, rodata_size: int, placement: Placement, program: Program) -> Iterator[str]:
    words: dict[int, list[int]] = {}  # line -> pcs
    lines = np.frombuffer(origins.word_lines, np.int32) if origins.word_lines else np.zeros(0, np.int32)
    order = np.argsort(lines, kind="stable")
    for i, number in zip(order.tolist(), lines[order].tolist(), strict=True):
        words.setdefault(number, []).append(placement.text + INSTRUCTION_BYTES * i)
    data: dict[int, list[tuple[int, int]]] = {}  # line -> (image offset, size)
    ends = [*origins.data_starts[1:], rodata_size][: len(origins.data_starts)]
    for start, end, number in zip(origins.data_starts, ends, origins.data_lines, strict=True):
        if end > start:
            data.setdefault(number, []).append((placement.rodata + start, end - start))
    for number, depth in origins.sources.in_order():
        _, line = origins.sources.place(number)
        source = printable(origins.sources.text(number).expandtabs())
        rows = [*_words(program, words.get(number, ())), *_data(program, data.get(number, ()))]
        where = f"{line:6}{'>' * depth}"
        yield f"{where:<8}{rows[0] if rows else '':42}  {source}".rstrip()
        yield from (f"{'':8}{row}" for row in rows[1:])


def _words(program: Program, pcs: Sequence[int]) -> Iterator[str]:
    for pc in pcs:
        word = int.from_bytes(program.text[pc : pc + INSTRUCTION_BYTES], "little")
        yield f"{pc:8x}  {word:032x}"


def _data(program: Program, pieces: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Rows of data; what one line made in several pieces is in one place."""
    if not pieces:
        return
    start, size = pieces[0][0], sum(size for _, size in pieces)
    for at in range(start, start + min(size, _ROW * _MOST_ROWS), _ROW):
        first = at - program.rodata_address
        row = program.rodata[first : first + min(_ROW, start + size - at)]
        yield f"{at:8x}  {row.hex():32}"
    if size > _ROW * _MOST_ROWS:
        yield f"{'':8}  ... {size - _ROW * _MOST_ROWS} bytes more"
