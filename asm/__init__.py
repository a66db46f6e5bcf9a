"""Text to bits and back: assembler, linker, printer and ELF objects."""
