"""Text to bits and back: assembler, linker, printer and ELF objects."""

from sohu.asm.assembler import assemble
from sohu.asm.diagnostics import AsmError, Diagnostic
from sohu.asm.disassembler import disassemble
from sohu.asm.elf import read_elf, write_elf
from sohu.asm.lines import Line, Lines
from sohu.asm.printer import Names, format_inst
from sohu.asm.program import Kernel, Param, Program, Symbol, TileSymbol

__all__ = [
    "AsmError",
    "Diagnostic",
    "Kernel",
    "Line",
    "Lines",
    "Names",
    "Param",
    "Program",
    "Symbol",
    "TileSymbol",
    "assemble",
    "disassemble",
    "format_inst",
    "read_elf",
    "write_elf",
]
