"""Diagnostics for programs: JSON of our own, and SARIF 2.1.0 (OASIS, as code-scanning services read it)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from sohu.asm.codes import CODES
from sohu.asm.diagnostics import Diagnostic
from sohu.isa import ISA_VERSION

JSON_VERSION = 1  # goes up when a field changes its meaning or goes; new fields can come without that

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def to_json(diagnostics: Sequence[Diagnostic]) -> str:
    """`{"version": 1, "diagnostics": [...]}`, with one object each.

    file, line, column (both from 1, columns in characters; 0: of the whole file or line), length, severity (error,
    warning), code, name (of a warning, or ""), message, help, source (the line as it was assembled), stack (what
    brought the line in, innermost first: what, file, line) and notes (message, file, line; line 0: of no place).
    """
    objects = [
        {
            "file": d.file,
            "line": d.line,
            "column": d.column,
            "length": d.length,
            "severity": d.severity,
            "code": d.code,
            "name": d.name,
            "message": d.message,
            "help": d.help,
            "source": d.source,
            "stack": [{"what": o.what, "file": o.file, "line": o.line} for o in d.stack],
            "notes": [{"message": n.message, "file": n.file, "line": n.line} for n in d.notes],
        }
        for d in diagnostics
    ]
    return json.dumps({"version": JSON_VERSION, "diagnostics": objects}, indent=1)


def to_sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """A SARIF log of one run. Lines that macros made have the place of the macro; the calls are related places."""
    used = sorted({d.code for d in diagnostics})
    rules = [_rule(code) for code in used]
    results = [_result(d, used.index(d.code)) for d in diagnostics]
    driver = {"name": "sohu-asm", "version": ".".join(map(str, ISA_VERSION)), "rules": rules}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)


def _rule(code: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": code, "shortDescription": {"text": CODES[code].title}}
    if CODES[code].name:
        rule["name"] = CODES[code].name
    return rule


def _result(d: Diagnostic, rule: int) -> dict[str, Any]:
    text = d.message + (f"\n{d.help}" if d.help else "")
    region = {"startLine": d.line}
    if d.column:  # else it is of the whole line
        region |= {"startColumn": d.column, "endColumn": d.column + d.length}
    related = [_related(o.what, o.file, o.line) for o in d.stack]
    related += [_related(n.message, n.file, n.line) for n in d.notes if n.line]
    result: dict[str, Any] = {
        "ruleId": d.code,
        "ruleIndex": rule,
        "level": d.severity,
        "message": {"text": text},
        "locations": [{"physicalLocation": _place(d.file, region)}],
    }
    if related:
        result["relatedLocations"] = related
    return result


def _related(text: str, file: str, line: int) -> dict[str, Any]:
    return {"message": {"text": text}, "physicalLocation": _place(file, {"startLine": line})}


def _place(file: str, region: dict[str, int]) -> dict[str, Any]:
    uri = quote(file.encode("utf-8", "surrogateescape"))
    place: dict[str, Any] = {"artifactLocation": {"uri": "file://" + uri if file.startswith("/") else uri}}
    return place | {"region": region} if region["startLine"] else place  # line 0: of the file as a whole
