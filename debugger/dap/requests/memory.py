"""Bytes and instructions: readMemory, disassemble."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sohu.debugger.dap.messages import Disassemble, ReadMemory, WriteMemory
from sohu.debugger.dap.registry import Body, request
from sohu.debugger.dap.stopping import frame_name
from sohu.debugger.dap.typed import BadRequest
from sohu.debugger.errors import CommandError
from sohu.debugger.session import Session
from sohu.debugger.style import clean
from sohu.isa import INSTRUCTION_BYTES, Space

if TYPE_CHECKING:
    from sohu.debugger.dap.adapter import Adapter

MAX_BYTES = 16 << 20
MAX_INSTRUCTIONS = 20_000


def address_of(reference: str, offset: int) -> tuple[Space, int]:
    """The place of a memoryReference: `sram:0x4000`; a number alone is an address of HBM. Raises BadRequest."""
    m = re.fullmatch(r"(?:(\w+):)?(0[xX][0-9a-fA-F]{1,16}|\d{1,20})", reference)
    try:
        if m is not None:
            return Space[(m[1] or "hbm").upper()], int(m[2], 0) + offset
    except KeyError:
        pass
    raise BadRequest(f"{reference[:40]!r} is no place in memory")


def reach(session: Session, space: Space, address: int) -> int:
    """How many bytes lie there from an address on; 0 where there is none."""
    memories = session.machine.memories
    if space is Space.HBM:
        block = memories.hbm.find(address)
        return 0 if block is None else block.end - address
    size = (memories.sram if space is Space.SRAM else memories.acc).size
    return max(0, size - address) if address >= 0 else 0


@request("readMemory", ReadMemory)
def read_memory(adapter: Adapter, args: ReadMemory) -> Body:
    """Bytes of a memory, as many as there are from there on."""
    space, address = address_of(args.memoryReference, args.offset)
    if not 0 <= args.count <= MAX_BYTES:
        raise BadRequest(f"{args.count:,} bytes cannot be read; at most {MAX_BYTES:,} at a time")
    session = adapter.session
    count = min(args.count, reach(session, space, address))
    out: dict[str, Any] = {"address": f"{max(address, 0):#x}"}
    if count:
        out["data"] = base64.b64encode(_memory(session, space)[address : address + count].tobytes()).decode()
    if count < args.count:
        out["unreadableBytes"] = args.count - count
    return out


@request("writeMemory", WriteMemory)
def write_memory(adapter: Adapter, args: WriteMemory) -> Body:
    """Bytes for a memory: all of them, or with allowPartial as many as there is room for."""
    space, address = address_of(args.memoryReference, args.offset)
    try:
        data = base64.b64decode(args.data, validate=True)
    except ValueError:
        raise BadRequest("data is no base64") from None
    session = adapter.session
    session.need_run()
    if not session.alive:
        raise CommandError("the program was stopped by an error: what it has left can only be looked at")
    room = reach(session, space, address)
    if len(data) > room and not (args.allowPartial and room):
        raise CommandError(f"there are {room:,} bytes at {space} {address:#x}, not {len(data):,}")
    block = session.machine.memories.hbm.find(address) if space is Space.HBM else None
    if block is not None and not block.writable:
        raise CommandError(f"{space} {address:#x} is in {block}, which programs may only read")
    count = min(len(data), room)
    if count:
        _memory(session, space)[address : address + count] = np.frombuffer(data, np.uint8)[:count]
        session.timeline.edited()
        adapter.changed()
    return {"bytesWritten": count}


def _memory(session: Session, space: Space) -> NDArray[np.uint8]:
    memories = session.machine.memories
    memories.settle()
    return {Space.HBM: memories.hbm.bytes, Space.SRAM: memories.sram, Space.ACC: memories.acc}[space]


@request("disassemble", Disassemble)
def disassemble(adapter: Adapter, args: Disassemble) -> Body:
    """So many instructions, exactly: those before and after the program's code are shown as none."""
    try:
        pc = int(args.memoryReference, 0) + args.offset
    except ValueError:
        raise BadRequest(f"{args.memoryReference[:40]!r} is no pc of an instruction") from None
    if not 0 <= args.instructionCount <= MAX_INSTRUCTIONS:
        raise BadRequest(
            f"{args.instructionCount:,} instructions cannot be shown; at most {MAX_INSTRUCTIONS:,} at a time"
        )
    first = pc // INSTRUCTION_BYTES + args.instructionOffset
    out, before = [], None
    for n in range(first, first + args.instructionCount):
        made = _instruction(adapter, n * INSTRUCTION_BYTES)
        line = adapter.session.symbols.line_at(n * INSTRUCTION_BYTES)
        here = None if line is None else (line.file, line.line)
        if line is not None and here != before:
            place = adapter.places.place(line)
            made |= {"location": place.pop("source"), **place}
        before = here
        out.append(made)
    return {"instructions": out}


def _instruction(adapter: Adapter, pc: int) -> dict[str, Any]:
    session = adapter.session
    if not session.symbols.is_code(pc):
        # below zero there are no addresses: they come from a client that looks before the beginning
        return {"address": f"{pc % (1 << 64):#06x}", "instruction": "(no code)", "presentationHint": "invalid"}
    mnemonic, operands, sync = session.assembly(pc)
    out = {
        "address": f"{pc:#06x}",
        "instructionBytes": session.program.text[pc : pc + INSTRUCTION_BYTES].hex(" ", 4),
        "instruction": clean(f"{mnemonic:<12}{operands:<34}{sync}".rstrip()),
    }
    found = session.symbols.place(pc)
    if found is not None and found[1] == 0:
        out["symbol"] = frame_name(session, pc)
    if session.symbols.inst(pc) is None:
        out["presentationHint"] = "invalid"
    return out
