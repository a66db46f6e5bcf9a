"""Text to bits and back: assembler, linker, printer and ELF objects."""

from sohu.asm.assembler import assemble, assemble_object
from sohu.asm.diagnostics import AsmError, Diagnostic
from sohu.asm.disassembler import disassemble
from sohu.asm.elf import read_elf, write_elf
from sohu.asm.elf_object import read_object, write_object
from sohu.asm.lines import Line, Lines
from sohu.asm.link import LinkError, link
from sohu.asm.objects import Object
from sohu.asm.printer import Names, format_inst
from sohu.asm.program import Kernel, Param, Program, Symbol, TileSymbol

__all__ = [
    "AsmError",
    "Diagnostic",
    "Kernel",
    "Line",
    "Lines",
    "LinkError",
    "Names",
    "Object",
    "Param",
    "Program",
    "Symbol",
    "TileSymbol",
    "assemble",
    "assemble_object",
    "disassemble",
    "format_inst",
    "link",
    "read_elf",
    "read_object",
    "write_elf",
    "write_object",
]
