"""Programs without what is known of them: the bare image, and Intel HEX for tools that program memories."""

from __future__ import annotations

import json

from sohu.asm.program import Program

_HEX_BYTES = 16  # data bytes in a record
_DATA, _END_OF_FILE, _EXTENDED_LINEAR_ADDRESS = 0, 1, 4


def image(program: Program) -> bytes:
    """The program as it lies in memory: .text, zeros up to .rodata, .rodata."""
    gap = program.rodata_address - len(program.text) if program.rodata else 0
    return program.text + bytes(gap) + program.rodata


def intel_hex(program: Program) -> str:
    """The image as Intel HEX, 16 bytes a line, without the zeros between .text and .rodata.

    Format: Intel, Hexadecimal Object File Format Specification, revision A (1988).
    """
    lines: list[str] = []
    high = 0
    for start, data in ((0, program.text), (program.rodata_address, program.rodata)):
        for at in range(0, len(data), _HEX_BYTES):  # starts are multiples of 16, so no record crosses 64 KiB
            address = start + at
            if address >> 16 != high:
                high = address >> 16
                lines.append(_record(_EXTENDED_LINEAR_ADDRESS, 0, high.to_bytes(2, "big")))
            lines.append(_record(_DATA, address & 0xFFFF, data[at : at + _HEX_BYTES]))
    lines.append(_record(_END_OF_FILE, 0, b""))
    return "\n".join(lines) + "\n"


def _record(kind: int, address: int, data: bytes) -> str:
    body = bytes((len(data), address >> 8, address & 0xFF, kind)) + data
    return f":{body.hex().upper()}{-sum(body) & 0xFF:02X}"


def symbols_json(program: Program) -> str:
    """Symbols and kernels as JSON, for scripts. `format` changes when the meaning of a key does."""
    symbols = [
        {
            "name": s.name,
            "address": s.address,
            "section": f".{s.section}",
            "size": s.size,
            "binding": "global" if s.is_global else "local",
            "kernel": s.name in program.kernels,
        }
        for s in sorted(program.symbols.values(), key=lambda s: (s.address, s.name))
    ]
    described = {
        "format": 1,
        "file": program.name,
        "text": {"address": 0, "size": len(program.text)},
        "rodata": {"address": program.rodata_address, "size": len(program.rodata)},
        "symbols": symbols,
    }
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"
