"""What a word of the source means, as Markdown."""

from __future__ import annotations

import inspect

from sohu.asm.directives import DIRECTIVES
from sohu.asm.editing.index import Index, Span
from sohu.asm.names import FILES, REGISTERS
from sohu.asm.tokens import Kind
from sohu.isa import DTYPES, ROWS
from sohu.isa.machine import SCALAR_ALIASES
from sohu.isa.manual.page import page

_ROLES = {
    "zero": "always 0",
    "ra": "the address to return to",
    "sp": "the stack pointer; the stack grows down",
    "gp": "the address of the program's image",
    "args": "the address of the parameter block",
}
_WORDS = {
    "wait": "`wait sem>=value`: start only when the semaphore has reached the value, a constant or a scalar register "
    "plus a constant.",
    "signal": "`signal sem[+=n]`: add n (1 if not given) to the semaphore when the instruction has completed.",
}


def describe(index: Index, line: int, column: int) -> tuple[str, Span] | None:
    """Markdown for what stands at a place, and where it stands: for an instruction, its page of the manual."""
    found = index.at(line, column)
    if found is None:
        return None
    text = found.token.text
    if found.token.kind is Kind.MNEMONIC and text in ROWS:
        return page(ROWS[text], links=False), found.span
    if found.token.kind is Kind.DIRECTIVE and text in DIRECTIVES:
        return directive(text), found.span
    if found.token.kind is Kind.WORD:
        return _WORDS[text], found.span
    if found.entity is not None:
        e = found.entity
        of = f" of kernel `{e.kernel}`" if e.kernel else ""
        shown = index.lines[e.definitions[0].line].strip()
        return f"{e.kind} `{e.name}`{of}, line {e.definitions[0].line + 1}\n\n```sohu\n{shown}\n```", found.span
    if found.token.kind is Kind.NAME and text in REGISTERS:
        return register(text), found.span
    if found.token.kind is Kind.NAME and text in DTYPES:
        d = DTYPES[text]
        return f"`{d.name}`: {d.doc}; {d.itemsize} byte{'s' * (d.itemsize > 1)} each", found.span
    return None


def directive(name: str) -> str:
    """What a directive does, from its documentation."""
    usage, _, text = inspect.cleandoc(DIRECTIVES[name].__doc__ or "").partition("\n\n")
    return f"```sohu\n{usage.replace('DIRECTIVE', name)}\n```\n\n{text}"


def register(name: str) -> str:
    """What a register is, and its role."""
    file, number = REGISTERS[name]
    alias = next((a for a, n in SCALAR_ALIASES.items() if file == "x" and n == number), "")
    own = f"{file}{number}"
    role = f" (`{alias}`): {_ROLES[alias]}" if alias else ""
    return f"{FILES[file]} `{own}`{role}"
