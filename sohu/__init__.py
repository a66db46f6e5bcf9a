"""Sohu: write a kernel in Python, read its assembly, run its binary, step through it as tensors.

This is the front door. A name is fetched from its room (`sohu.isa`, `sohu.dsl`, ...) when it is first used,
so that `import sohu.isa` does not pay for the compiler, and `import sohu` pays for nothing.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

# The public names: here for type checkers, in the table below for Python. tests/house compares the two.
if TYPE_CHECKING:
    from sohu.isa.errors import SohuError as SohuError

_NAMES = {
    "sohu.isa.errors": ("SohuError",),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:  # a type checker that saw this function would let every misspelled name pass

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _MODULE_OF:
            raise AttributeError(f"module 'sohu' has no attribute '{name}'")
        value = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = value  # found without this function from now on
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
