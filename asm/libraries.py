"""Which objects of libraries a program needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from sohu.asm.archive import read_archive
from sohu.asm.elf_object import read_object
from sohu.asm.objects import Object


def read_library(data: bytes, name: str = "<archive>") -> list[Object]:
    """The objects in an archive, called `lib.a(member.o)`. Raises Fault (loader)."""
    return [read_object(m.data, f"{name}({m.name})") for m in read_archive(data, name)]


def needed(objects: Sequence[Object], libraries: Sequence[Sequence[Object]], names: Iterable[str] = ()) -> list[Object]:
    """The objects of libraries that define what `objects`, or objects found so, or `names` need and none defines.

    Libraries are searched in their order, wherever they stood among the objects. A weak name that is defined
    nowhere takes nothing out of a library.
    """
    offers: dict[str, Object] = {}
    for library in libraries:
        for o in library:
            for s in o.symbols.values():
                if s.is_defined and s.binding != "local":
                    offers.setdefault(s.name, o)
    defined: set[str] = set()
    wanted = deque(names)

    def take(o: Object) -> None:
        for s in o.symbols.values():
            if s.is_defined and s.binding != "local":
                defined.add(s.name)
            elif not s.is_defined and s.binding == "global":
                wanted.append(s.name)

    for o in objects:
        take(o)
    found: list[Object] = []
    while wanted:
        name = wanted.popleft()
        if name not in defined and name in offers:
            found.append(offers[name])
            take(offers[name])
    return found
