"""What users can set: `set context off`, `show`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from sohu.asm.names import nearest
from sohu.debugger.errors import CommandError

T = TypeVar("T")
PANELS: tuple[str, ...] = ("source", "code", "changed", "queues")  # of the context


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One of them. `read` makes the value of a text and raises ValueError; `words` are what can be completed."""

    name: str
    about: str
    default: T
    read: Callable[[str], T]
    words: tuple[str, ...] = ()

    @property
    def form(self) -> str:
        """How a value is written."""
        return "|".join(self.words) or "N"


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        found = [w for w in words if w.startswith(text)] if text else []
        if text in words:
            return text
        if len(found) != 1:
            raise ValueError(f"wants one of {', '.join(words)}")
        return found[0]

    return read


def _number(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not low <= int(text[:9]) <= high:
            raise ValueError(f"wants a number from {low} to {high:,}")
        return int(text)

    return read


def _panels(text: str) -> tuple[str, ...]:
    words = text.replace(",", " ").split()
    for word in words:
        if word not in PANELS:
            raise ValueError(f"{word!r} is no panel; there are {', '.join(PANELS)}")
    if not words:
        raise ValueError(f"wants some of {', '.join(PANELS)}")
    return tuple(dict.fromkeys(words))


CONTEXT = Setting(
    "context",
    "source, code, what has changed and queues at each stop; auto: at a terminal",
    "auto",
    _one_of("on", "off", "auto"),
    ("on", "off", "auto"),
)
SECTIONS = Setting("context-panels", "what the context shows, in this order", PANELS, _panels, PANELS)
LIST_SIZE = Setting("listsize", "lines that list shows at a time", 10, _number(1, 10_000))
WIDTH = Setting("width", "columns to print in; 0: those of the terminal", 0, _number(0, 10_000))
SETTINGS: dict[str, Setting[str] | Setting[int] | Setting[tuple[str, ...]]] = {
    s.name: s for s in (CONTEXT, SECTIONS, LIST_SIZE, WIDTH)
}


class Settings:
    """The values of one shell."""

    def __init__(self) -> None:
        self._values: dict[str, object] = {}

    def __getitem__(self, setting: Setting[T]) -> T:
        value: T = self._values.get(setting.name, setting.default)  # type: ignore[assignment]  # as `read` made it
        return value

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name, self.text(name)) for name in SETTINGS)

    def change(self, name: str, text: str) -> None:
        """Set one from what the user wrote; raises CommandError."""
        setting = find(name)
        try:
            self._values[setting.name] = setting.read(text.strip())
        except ValueError as e:
            raise CommandError(f"set {setting.name}: {e}", help=f"set {setting.name} {setting.form}") from None

    def text(self, name: str) -> str:
        """A value as it is written."""
        setting = SETTINGS[name]
        value = self._values.get(name, setting.default)
        return " ".join(value) if isinstance(value, tuple) else str(value)


def find(name: str) -> Setting[str] | Setting[int] | Setting[tuple[str, ...]]:
    """A setting by its name or an unambiguous beginning; raises CommandError."""
    found = [s for n, s in SETTINGS.items() if n == name] or [s for n, s in SETTINGS.items() if n.startswith(name)]
    if len(found) != 1:
        hint = nearest(name, SETTINGS) or f"there are: {', '.join(SETTINGS)}"
        raise CommandError(f"no setting {name!r}" if not found else f"{name!r} can be several settings", help=hint)
    return found[0]
