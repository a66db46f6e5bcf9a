"""Expressions and, at the debug console, commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sohu.debugger.dap.messages import Completions, Evaluate
from sohu.debugger.dap.registry import Body, request
from sohu.debugger.dap.requests.variables import children, level_of
from sohu.debugger.dap.sources import from_utf16, utf16
from sohu.debugger.dap.stopping import report
from sohu.debugger.dap.values import Variable, variable
from sohu.debugger.shell import Quit
from sohu.debugger.style import clean

if TYPE_CHECKING:
    from sohu.debugger.dap.adapter import Adapter


CHANGING = ("set", "restore")  # commands after which variables may have other values
_WORD = re.compile(r"[$\w.:/-]*$")


@request("evaluate", Evaluate)
def evaluate(adapter: Adapter, args: Evaluate) -> Body:
    """The value of an expression; at the console, what a command prints."""
    if args.context == "repl" and (adapter.console.is_command(args.expression) or not args.expression.strip()):
        return _command(adapter, args.expression)
    with adapter.seen_from(level_of(adapter, args.frameId)):
        value = adapter.session.evaluate(args.expression)
        return result(adapter, variable(args.expression, value, args.expression, args.format.hex))


def result(adapter: Adapter, found: Variable) -> dict[str, Any]:
    """A value as the body of a response."""
    out: dict[str, Any] = {"result": clean(found.value)} | children(adapter, found.node)
    if found.type:
        out["type"] = found.type
    if found.memory:
        out["memoryReference"] = found.memory
    return out


def _command(adapter: Adapter, line: str) -> Body:
    console, session = adapter.console, adapter.session
    before = session.level
    try:
        text = console.do(line)
    except Quit:
        adapter.then = lambda: adapter.event("terminated")
        return {"result": "", "variablesReference": 0}
    if (stop := console.stopped) is not None:
        adapter.then = lambda: report(adapter, stop)
    elif session.stop is None:
        adapter.forget()
        adapter.then = lambda: adapter.event("terminated")
    elif session.level != before or console.last in CHANGING:
        adapter.then = adapter.changed
    return {"result": clean(text), "variablesReference": 0}


@request("completions", Completions)
def completions(adapter: Adapter, args: Completions) -> Body:
    """What the word before the cursor can become: commands, and then what each takes."""
    line = args.text.split("\n")[max(0, args.line - 1)] if "\n" in args.text else args.text
    column = args.column - 1 if adapter.client.columnsStartAt1 else args.column
    before = line[: from_utf16(line, max(0, column))]
    found = _WORD.search(before)
    word = found[0] if found is not None else ""
    start = utf16(before) - utf16(word)
    seen: dict[str, None] = {}
    for name in adapter.console.complete(before):
        if name.startswith(word) and name != word:
            seen.setdefault(clean(name))
    return {"targets": [{"label": name, "start": start, "length": utf16(word)} for name in seen]}
