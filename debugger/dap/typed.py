"""What a client sends, read into dataclasses: types are checked, what is not known is ignored."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

from sohu.debugger.errors import CommandError

T = TypeVar("T")
MAX_ITEMS = 100_000  # of a list

_NAMES = {str: "a string", int: "an integer", float: "a number", bool: "true or false", dict: "an object"}


class BadRequest(CommandError):
    """A request whose arguments are not what the protocol says."""


def read(kind: type[T], raw: Any, where: str) -> T:
    """An instance of a dataclass from JSON. Raises BadRequest that says which field is wrong, and what it must be."""
    if not isinstance(raw, dict):
        raise BadRequest(f"{where}: wants an object")
    given: dict[str, Any] = {}
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # T is a dataclass
        if raw.get(field.name) is None:
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise BadRequest(f"{where}: {field.name} is missing")
            continue
        given[field.name] = _value(hints[field.name], raw[field.name], f"{where}: {field.name}")
    return kind(**given)


def _value(hint: Any, raw: Any, where: str) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return raw
    if origin in (types.UnionType, typing.Union):
        choices = [h for h in inner if h is not types.NoneType]
        for choice in choices[:-1]:
            try:
                return _value(choice, raw, where)
            except BadRequest:
                continue
        return _value(choices[-1], raw, where)
    if origin is list:
        if not isinstance(raw, list):
            raise BadRequest(f"{where} wants a list")
        if len(raw) > MAX_ITEMS:
            raise BadRequest(f"{where} has {len(raw):,} items; at most {MAX_ITEMS:,}")
        return [_value(inner[0], item, f"{where}[{i}]") for i, item in enumerate(raw)]
    if origin is dict or hint is dict:
        if not isinstance(raw, dict):
            raise BadRequest(f"{where} wants an object")
        return {name: _value(inner[1], item, f"{where}.{name}") for name, item in raw.items()} if inner else raw
    if dataclasses.is_dataclass(hint):
        return read(hint, raw, where)  # type: ignore[arg-type]  # a class, not an instance
    if hint is float and type(raw) is int:
        return float(raw)
    if type(raw) is not hint:  # True is no integer here
        raise BadRequest(f"{where} wants {_NAMES[hint]}")
    if hint is str and not _is_text(raw):
        raise BadRequest(f"{where} is no text: it has half a surrogate pair")
    if hint is int and not -(1 << 63) <= raw < 1 << 64:
        raise BadRequest(f"{where} is out of range")
    return raw


def _is_text(raw: str) -> bool:
    """False for what JSON can hold and no file name or UTF-8 text can."""
    try:
        raw.encode()
    except UnicodeEncodeError:
        return False
    return True
