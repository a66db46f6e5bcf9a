"""Which line of the sources each part of an object comes from, in more detail than its line table says."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from sohu.asm.source import Sources


@dataclass
class Origins:
    """Lines of instructions and pieces of data, by their number in `sources`."""

    sources: Sources
    word_lines: array[int]  # of each instruction
    data_starts: array[int]  # offsets in .rodata, ascending
    data_lines: array[int]
