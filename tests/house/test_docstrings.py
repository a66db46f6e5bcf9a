"""What is public is documented, and the examples in its documentation run."""

import dataclasses
import doctest
import importlib
import inspect
import types
from collections.abc import Iterator
from dataclasses import dataclass

from tools.tree import modules


def undocumented(module: types.ModuleType) -> Iterator[str]:
    """Public functions and classes of `module`, and their public methods, that have no docstring.

    A method that overrides a documented one inherits its docstring.
    """
    if not module.__doc__:
        yield module.__name__
    for name, item in vars(module).items():
        if name.startswith("_") or getattr(item, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(item) and not inspect.getdoc(item):
            yield f"{module.__name__}.{name}"
        if inspect.isclass(item):
            # dataclass makes a docstring out of the signature where there is none
            made = dataclasses.is_dataclass(item) and (item.__doc__ or "").startswith(f"{name}(")
            if made or not vars(item).get("__doc__"):
                yield f"{module.__name__}.{name}"
            for inner, member in vars(item).items():
                function = getattr(member, "fget", None) or getattr(member, "__func__", None) or member
                public = not inner.startswith("_") and inspect.isfunction(function)
                if public and not inspect.getdoc(getattr(item, inner)):
                    yield f"{module.__name__}.{name}.{inner}"


def test_everything_public_has_a_docstring() -> None:
    found = [what for name in modules() for what in undocumented(importlib.import_module(name))]
    assert not found, "\n" + "\n".join(found)


def test_examples_in_docstrings_run() -> None:
    for name in modules():
        assert doctest.testmod(importlib.import_module(name)).failed == 0, name


class Bare:
    @property
    def size(self) -> int:
        return 1


@dataclass
class Record:
    x: int

    def grow(self) -> None:
        pass


class Base:
    """Documented."""

    def run(self) -> None:
        """Documented too."""


class Override(Base):
    """Documented."""

    def run(self) -> None:
        pass


def bare() -> None:
    pass


def test_what_has_none_is_found() -> None:
    module = types.ModuleType("sample")
    for item in (Bare, Record, Base, Override, bare):
        setattr(module, item.__name__, item)
    for item in vars(module).values():
        if inspect.isclass(item) or inspect.isfunction(item):
            item.__module__ = "sample"
    assert list(undocumented(module)) == [
        "sample",
        "sample.Bare",
        "sample.Bare.size",
        "sample.Record",
        "sample.Record.grow",
        "sample.bare",
    ]
