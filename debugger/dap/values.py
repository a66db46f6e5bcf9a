"""Values as a tree that a client unfolds: tiles by rows, registers, semaphores, queues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sohu.debugger.errors import CommandError
from sohu.debugger.session import Session
from sohu.debugger.values import Value
from sohu.debugger.views import scalar, statistics
from sohu.isa import DType, fp4x2
from sohu.isa.numerics import unpack_fp4

PREVIEW = 8  # elements of a row that are shown in its line
UNPAGED = 256  # children for clients that cannot ask for a part
ROW = 100_000  # elements of a part beyond which its line shows no statistics: they take time


@dataclass(frozen=True)
class Variable:
    """A line of the tree. name: in its parent; evaluate: the expression that gives it, "" where there is none."""

    name: str
    value: str
    type: str = ""
    evaluate: str = ""
    node: Node | None = None
    memory: str = ""
    kind: str = "data"
    read_only: bool = False


class Node(Protocol):
    """What can be unfolded: children with names, and children by index, which are asked for in parts."""

    @property
    def indexed(self) -> int:
        """How many children there are by index."""

    def named(self) -> list[Variable]:
        """The children with names."""

    def part(self, start: int, count: int) -> list[Variable]:
        """Some of those by index."""


@dataclass(frozen=True)
class Group:
    """Children that are listed when the group is unfolded."""

    listing: Callable[[], list[Variable]]
    indexed: int = 0

    def named(self) -> list[Variable]:
        """All of them."""
        return self.listing()

    def part(self, start: int, count: int) -> list[Variable]:
        """None."""
        return []


@dataclass(frozen=True)
class Elements:
    """A tile, or a part of one, by its first dimension.

    expression: what gives `data`, before the indices `at`; memory and address: where data begins.
    """

    data: NDArray[Any]
    dtype: DType | None
    expression: str
    at: tuple[int, ...] = ()
    memory: str = ""
    address: int = 0
    hex: bool = False
    about: dict[str, str] = field(default_factory=dict)

    @property
    def indexed(self) -> int:
        """Rows."""
        return len(self.data) if self.data.ndim else 0

    def named(self) -> list[Variable]:
        """What is known of the whole: its dtype and shape, and where it lies."""
        return [Variable(name, text, kind="property", read_only=True) for name, text in self.about.items()]

    def part(self, start: int, count: int) -> list[Variable]:
        """Some rows."""
        return [self.child(i) for i in range(start, min(start + count, self.indexed))]

    def child(self, i: int) -> Variable:
        """One row, or one element."""
        data = self.data[i : i + 1][0, ...] if self.data.ndim > 1 else self.data[i : i + 1].reshape(())
        at = (*self.at, i)
        text = f"{self.expression}[{', '.join(map(str, at))}]" if self.expression else ""
        where = f"{self.memory}:{self.address + _distance(data, self.data):#x}" if self.memory else ""
        if data.ndim == 0 and self.dtype is not fp4x2:
            return Variable(str(i), element(data, self.hex), str(self.dtype or data.dtype), text, memory=where)
        inner = Elements(
            data, self.dtype, self.expression, at, self.memory, self.address + _distance(data, self.data), self.hex
        )
        return Variable(str(i), line(data, self.dtype, self.hex), kind_of(data, self.dtype), text, inner, where)


def _distance(part: NDArray[Any], whole: NDArray[Any]) -> int:
    return int(part.__array_interface__["data"][0] - whole.__array_interface__["data"][0])


def kind_of(data: NDArray[Any], dtype: DType | None) -> str:
    """`f32[4, 8]`"""
    return f"{dtype if dtype is not None else data.dtype}{list(data.shape)}"


def element(data: NDArray[Any], hex: bool = False) -> str:
    """One element as text, as short as tells it from its neighbours in its own format."""
    if hex and data.dtype.kind != "b":
        bits = np.ascontiguousarray(data).reshape(1).view(f"u{data.dtype.itemsize}")[0]
        return f"0x{int(bits):0{2 * data.dtype.itemsize}x}"
    if data.dtype.kind in "iu":
        return str(int(data))
    if data.dtype.kind == "b":
        return str(bool(data)).lower()
    if data.dtype.itemsize < 4:
        return f"{float(data.astype(np.float32)):.6g}"
    return str(data[()])


def line(data: NDArray[Any], dtype: DType | None, hex: bool = False) -> str:
    """`f32[128, 64]  min -1.5  max 2  mean 0.25`, and of rows the first elements."""
    if dtype is fp4x2:
        data = unpack_fp4(np.atleast_1d(data))
    head = kind_of(data, dtype)
    if data.ndim == 1:
        shown = ", ".join(element(data[i : i + 1].reshape(()), hex) for i in range(min(PREVIEW, data.size)))
        return f"{head}  {shown}{', ...' if data.size > PREVIEW else ''}"
    return head if data.size > ROW else f"{head}  {statistics(data)}"


def variable(name: str, value: Value, expression: str, hex: bool = False) -> Variable:
    """The line of a value."""
    data = value.data
    if not isinstance(data, np.ndarray):
        text = scalar(value, "x" if hex and isinstance(data, int) else "")
        return Variable(name, text, "f32 bits" if value.is_float_bits else type(data).__name__, expression)
    about = {"dtype": str(value.dtype or data.dtype), "shape": str(list(data.shape))}
    memory, address = "", 0
    if value.tile is not None:
        memory, address = str(value.tile.space), value.tile.base
        about["place"] = f"{memory} {address:#x}"
    shown = unpack_fp4(np.atleast_1d(data)) if value.dtype is fp4x2 else data
    if data.size <= ROW:
        about["statistics"] = statistics(shown)
    where = f"{memory}:{address:#x}" if memory else ""
    if data.ndim == 0:
        return Variable(name, element(data, hex), str(value.dtype or data.dtype), expression, memory=where)
    node = Elements(data, value.dtype, expression, (), memory, address, hex, about)
    return Variable(name, line(data, value.dtype, hex), kind_of(data, value.dtype), expression, node, where)


def look(session: Session, name: str, expression: str, hex: bool = False) -> Variable:
    """The line of an expression; where it has no value now, the reason stands in its place."""
    try:
        return variable(name, session.evaluate(expression), expression, hex)
    except CommandError as e:
        return Variable(name, f"<{str(e).splitlines()[0]}>", evaluate=expression, kind="virtual", read_only=True)
