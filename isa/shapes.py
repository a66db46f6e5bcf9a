"""Shape patterns of tile operands, such as "... M K".

A pattern is matched from the right. Its words:

- a name: binds the dimension, or must equal what the name is bound to
- `1`: the dimension has size 1
- `D/2`: half of D; where D is not yet bound, it is twice this size
- a trailing `?`: the dimension may also be 1 (it is broadcast)
- `...` (first only): any further leading dimensions, the same for all operands that say `...`;
  `...?` lets them be broadcast as NumPy does
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sohu.isa.errors import DefinitionError, Fault

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Dim:
    """One word of a pattern."""

    name: str
    divisor: int = 1
    broadcast: bool = False


@dataclass(frozen=True)
class Pattern:
    """A parsed shape pattern."""

    text: str
    dims: tuple[Dim, ...]
    leading: str  # "", "...", "...?"

    @property
    def min_rank(self) -> int:
        """Fewest dimensions that can match."""
        return len(self.dims)


def parse(text: str) -> Pattern:
    """Parse a pattern; raises DefinitionError."""
    words = text.split()
    leading = ""
    if words and words[0] in ("...", "...?"):
        leading = words.pop(0)
    dims = []
    for w in words:
        broadcast = w.endswith("?")
        name, _, div = w.rstrip("?").partition("/")
        if not (name.isidentifier() or name == "1") or (div and not div.isdigit()):
            raise DefinitionError(f"shape pattern {text!r}: {w!r} is no dimension")
        dims.append(Dim(name, int(div or 1), broadcast))
    return Pattern(text, tuple(dims), leading)


def unbound(patterns: Sequence[Pattern]) -> str | None:
    """The first pattern, if any, with a `?` or a `...?` that no earlier pattern gives a meaning."""
    bound, lead = {"1"}, False
    for p in patterns:
        if p.leading == "...?" and not lead:
            return p.text
        lead = lead or bool(p.leading)
        for d in p.dims:
            if d.name not in bound and d.broadcast:
                return p.text
            bound.add(d.name)
    return None


def match(patterns: Sequence[tuple[str, Pattern]], shapes: Sequence[Shape]) -> dict[str, int]:
    """Check the operands' shapes against their patterns (none `unbound`); returns what each name is bound to.

    Raises Fault (operand) that names the operand at fault and both sizes.
    """
    bound: dict[str, int] = {"1": 1}
    who: dict[str, str] = {}
    lead: Shape | None = None
    for (operand, p), shape in zip(patterns, shapes, strict=True):
        extra = len(shape) - len(p.dims)
        tail = shape
        if extra < 0 and p.leading == "...?":
            tail = (1,) * -extra + shape  # NumPy's rule: missing leading dimensions are 1
            extra = 0
        if extra < 0 or (extra and not p.leading):
            raise Fault("operand", f"{operand} has shape {list(shape)}, wants [{p.text}]", operand=operand)
        for d, size in zip(p.dims, tail[extra:], strict=True):
            if d.name not in bound:
                bound[d.name] = size * d.divisor
                who[d.name] = operand
            elif size * d.divisor != bound[d.name] and not (d.broadcast and size == 1):
                origin = f" in {who[d.name]}" if d.name in who else ""
                per = f"/{d.divisor}" if d.divisor > 1 else ""
                whole, rest = divmod(bound[d.name], d.divisor)
                want = "size 1" if d.name == "1" else f"{d.name}{per}={whole}{f' rest {rest}' if rest else ''}{origin}"
                raise Fault(
                    "operand",
                    f"{operand} has shape {list(shape)} ([{p.text}]): {size} does not fit {want}",
                    operand=operand,
                )
        if p.leading:
            got = tail[:extra]
            if lead is None:
                lead = got
            elif p.leading == "..." and got != lead:
                why = f"has leading dimensions {list(got)}, wants {list(lead)}"
                raise Fault("operand", f"{operand} {why}", operand=operand)
            elif p.leading == "...?" and not _broadcasts(got, lead):
                why = f"has shape {list(shape)}, which does not broadcast to {list(lead)}"
                raise Fault("operand", f"{operand} {why}", operand=operand)
    return bound


def _broadcasts(shape: Shape, to: Shape) -> bool:
    more = len(shape) - len(to)
    if more > 0:
        return all(s == 1 for s in shape[:more]) and _broadcasts(shape[more:], to)
    return all(s in (1, t) for s, t in zip(reversed(shape), reversed(to), strict=False))
