"""Shape patterns."""

import pytest
from sohu.isa import ROWS, DefinitionError, Fault, Row
from sohu.isa.shapes import Shape, match, parse, unbound


def bound(patterns: str, *shapes: Shape) -> dict[str, int]:
    parsed = [(f"op{i}", parse(p)) for i, p in enumerate(patterns.split(","))]
    found = match(parsed, shapes)
    return {name: size for name, size in found.items() if name != "1"}


@pytest.mark.parametrize(
    ("patterns", "shapes", "names"),
    [
        ("R C", [(2, 3)], {"R": 2, "C": 3}),
        ("M N,M K,K N", [(2, 3), (2, 4), (4, 3)], {"M": 2, "N": 3, "K": 4}),
        ("... M N,... M K", [(7, 8, 2, 3), (7, 8, 2, 4)], {"M": 2, "N": 3, "K": 4}),
        ("... R 1,... R C", [(5, 1), (5, 9)], {"R": 5, "C": 9}),
        ("... D,...? D/2", [(4, 8), (4, 4)], {"D": 8}),
        ("... D,...? D/2", [(4, 8), (4,)], {"D": 8}),
        ("R C,R? C?", [(4, 8), (1, 8)], {"R": 4, "C": 8}),
        ("R C,R? C?", [(4, 8), (4, 1)], {"R": 4, "C": 8}),
        ("...,...?", [(4, 8), (8,)], {}),
        ("...,...?", [(4, 8), (1, 1)], {}),
        ("...,...?", [(8,), (1, 8)], {}),
        ("... M K,...? K N", [(5, 2, 3), (3, 4)], {"M": 2, "K": 3, "N": 4}),
        ("... T D,...? T? D/2", [(3, 5, 8), (4,)], {"T": 5, "D": 8}),
        ("C", [(0,)], {"C": 0}),
        ("M K/2,M K/32", [(3, 32), (3, 2)], {"M": 3, "K": 64}),
    ],
)
def test_what_matches(patterns: str, shapes: list[Shape], names: dict[str, int]) -> None:
    assert bound(patterns, *shapes) == names


@pytest.mark.parametrize(
    ("patterns", "shapes", "says"),
    [
        ("R C", [(2,)], "op0 has shape [2], wants [R C]"),
        ("R C", [(2, 3, 4)], "op0 has shape [2, 3, 4], wants [R C]"),
        ("M N,M K,K N", [(2, 3), (2, 4), (5, 3)], "op2 has shape [5, 3] ([K N]): 5 does not fit K=4 in op1"),
        ("... R 1", [(5, 2)], "op0 has shape [5, 2] ([... R 1]): 2 does not fit size 1"),
        ("... D,...? D/2", [(4, 8), (4, 8)], "8 does not fit D/2=4 in op0"),
        ("... D,...? D/2", [(4, 9), (4, 4)], "4 does not fit D/2=4 rest 1 in op0"),
        ("... M,... M", [(2, 3), (3, 3)], "op1 has leading dimensions [3], wants [2]"),
        ("...,...?", [(4, 8), (4,)], "op1 has shape [4], which does not broadcast to [4, 8]"),
        ("...,...?", [(8,), (4, 8)], "does not broadcast to [8]"),
        ("R C,R? C?", [(4, 8), (2, 8)], "2 does not fit R=4 in op0"),
        ("M K/2,M K/32", [(3, 24), (3, 1)], "op1 has shape [3, 1] ([M K/32]): 1 does not fit K/32=1 rest 16 in op0"),
    ],
)
def test_what_does_not(patterns: str, shapes: list[Shape], says: str) -> None:
    with pytest.raises(Fault) as raised:
        bound(patterns, *shapes)
    assert says in raised.value.message
    assert raised.value.category == "operand" and raised.value.operand == f"op{len(shapes) - 1}"


@pytest.mark.parametrize("text", ["R-C", "R ...", "2", "R/x", "R C/"])
def test_what_is_no_pattern(text: str) -> None:
    if text == "R C/":
        assert parse(text).dims[1].divisor == 1  # no divisor is a divisor of one
        return
    with pytest.raises(DefinitionError, match="is no dimension"):
        parse(text)


def test_what_needs_an_earlier_operand() -> None:
    assert unbound([parse("R C"), parse("R? C/2")]) is None
    assert unbound([parse("R?"), parse("R")]) == "R?"
    assert unbound([parse("...? R")]) == "...? R"
    assert unbound([parse("... R"), parse("...? R")]) is None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.mnemonic)
def test_rows_match_shapes_of_their_own_making(row: Row) -> None:
    """Sizes by name, leading dimensions included: each row takes what its patterns say."""
    sizes: dict[str, int] = {"1": 1}
    shapes = []
    for _, pattern in row.patterns:
        dims = [sizes.setdefault(d.name, 32 * len(sizes) + 64) // d.divisor for d in pattern.dims]
        shapes.append(((7,) if pattern.leading else ()) + tuple(dims))
    assert match(row.patterns, shapes).items() >= sizes.items()
