"""Bad rows fail when they are defined, each with a message that names the row and what is wrong."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sohu.isa import DTYPES, EXTENSION_OPCODES, ROWS, DefinitionError, Engine, Flow, Row, Space, Table, instruction
from sohu.isa.dtypes import F32, dtype
from sohu.isa.instruction import MIN_RESERVED, OPERANDS_AFTER_SYNC, SYNC_START, WORD_BITS
from sohu.isa.machine import REACHES
from sohu.isa.operands import XI, In, InOut, Label, Out, SImm, UImm, X, XOut

# Rows are written with operand kinds as annotations, and these too.


def free(_: Any) -> float:
    return 0.0


def define(semantics: Callable[..., Any], engine: Engine = Engine.SEQ, opcode: int = 1, **options: Any) -> Row:
    return instruction("test", opcode, engine, table=Table(), **options)(semantics)


def good(d: XOut(), a: X(), b: XI()):  # type: ignore[valid-type,no-untyped-def]
    """A row as it should be."""


def no_doc(d: XOut()):  # type: ignore[valid-type,no-untyped-def]
    pass


def short_doc(d: XOut()):  # type: ignore[valid-type,no-untyped-def]
    """Too short."""


def vector(dst: Out(F32, "R"), src: In(F32, "R")):  # type: ignore[valid-type,no-untyped-def]
    """A row of an engine with queues."""


def no_kind(d: XOut(), a: int):  # type: ignore[valid-type,no-untyped-def]
    """A parameter that is no operand kind."""


def no_annotation(d: XOut(), a):  # type: ignore[valid-type,no-untyped-def]
    """A parameter without an annotation."""


def too_wide(a: SImm(64), b: SImm(50)):  # type: ignore[valid-type,no-untyped-def]
    """Operands that do not fit the word."""


def too_full(a: SImm(52), b: SImm(64)):  # type: ignore[valid-type,no-untyped-def]
    """Operands that leave too few reserved bits."""


def default_that_does_not_fit(a: UImm(2) = 4):  # type: ignore[valid-type,no-untyped-def]
    """A default that the operand cannot encode."""


def two_results(d: XOut(), e: XOut()):  # type: ignore[valid-type,no-untyped-def]
    """Two registers are written."""


def with_label(a: Label()):  # type: ignore[valid-type,no-untyped-def]
    """A row with a label."""


def unreachable(dst: Out(F32, "R", [Space.ACC]), src: In(F32, "R")):  # type: ignore[valid-type,no-untyped-def]
    """A memory that the engine does not reach."""


def loose_broadcast(dst: Out(F32, "... R?"), src: In(F32, "... R")):  # type: ignore[valid-type,no-untyped-def]
    """A broadcast of a dimension that nobody gave."""


def loose_leading(dst: InOut(F32, "...? R")):  # type: ignore[valid-type,no-untyped-def]
    """Leading dimensions that broadcast to nothing."""


@pytest.mark.parametrize(
    ("semantics", "options", "says"),
    [
        (good, {"opcode": 1 << 12}, "opcode 0x1000 does not fit 12 bits"),
        (good, {"opcode": -1}, "does not fit 12 bits"),
        (no_doc, {}, "has no documentation"),
        (short_doc, {}, "has no documentation"),
        (vector, {"engine": Engine.VPU, "cost": free, "moves": ("mask",)}, "moves mask, which is no tile operand"),
        (
            vector,
            {"engine": Engine.VPU, "cost": free, "decides": ("mask",)},
            "decides by mask, which is no tile operand",
        ),
        (vector, {"engine": Engine.VPU}, "has no cost"),
        (no_kind, {}, "parameter a: <class 'int'> is no operand kind"),
        (no_annotation, {}, "is no operand kind"),
        (too_wide, {}, "operand b does not fit the word"),
        (too_full, {}, "uses 128 bits; 12 of 128 must stay reserved"),
        (default_that_does_not_fit, {}, "default of a: immediate must be 0..3, not 4"),
        (two_results, {}, "writes more than one register"),
        (good, {"engine": Engine.VPU, "cost": free}, "the VPU engine cannot write a register"),
        (with_label, {}, "flow next and its label operand do not go together"),
        (good, {"flow": Flow.BRANCH}, "flow branch and its label operand do not go together"),
        (unreachable, {"engine": Engine.DMA, "cost": free}, "operand dst: the DMA engine does not reach acc"),
        (loose_broadcast, {"engine": Engine.VPU, "cost": free}, "shape pattern '... R?' leans on a dimension"),
        (loose_leading, {"engine": Engine.VPU, "cost": free}, "shape pattern '...? R' leans on a dimension"),
    ],
)
def test_a_bad_row(semantics: Callable[..., Any], options: dict[str, Any], says: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        define(semantics, **options)
    assert says in raised.value.message
    assert "instruction 'test'" in raised.value.message
    assert raised.value.where.startswith("test_definitions.py:")


def test_the_same_rows_are_good_otherwise() -> None:
    assert define(good).mnemonic == "test"
    assert define(vector, Engine.VPU, cost=free).sync
    assert define(with_label, flow=Flow.JUMP).label_operand == 0


def test_opcodes_of_extensions_are_theirs_alone() -> None:
    def own(d: XOut(), a: X(), b: XI()):  # type: ignore[valid-type,no-untyped-def]
        """A row of this package."""

    own.__module__ = "sohu.isa.rows.scalar"
    with pytest.raises(DefinitionError, match="opcode 0xc00 of package sohu; extensions have 0xc00 to 0xfff"):
        instruction("own", 0xC00, Engine.SEQ)(own)
    own.__module__ = "somebody.rows"
    with pytest.raises(DefinitionError, match="opcode 0xbff of package somebody; extensions have 0xc00 to 0xfff"):
        instruction("own", 0xBFF, Engine.SEQ)(own)
    assert "own" not in ROWS


def test_collisions_name_both_rows() -> None:
    table = Table()
    instruction("one", 5, Engine.SEQ, table=table)(good)
    with pytest.raises(DefinitionError, match="opcode 0x005 of two is taken by one"):
        instruction("two", 5, Engine.SEQ, table=table)(good)
    with pytest.raises(DefinitionError, match="mnemonic of one is taken by one"):
        instruction("one", 6, Engine.SEQ, table=table)(good)
    assert [row.mnemonic for row in table] == ["one"] and len(table) == 1
    assert "one" in table and "two" not in table


def test_dtypes_do_not_collide() -> None:
    for name, code, says in (
        ("f32", 200, "of tests: name or code 0xc8 is taken by f32 of sohu"),
        ("f99", DTYPES["f32"].code, "of tests: code 0x1; extensions have 0xc0 to 0xff"),
    ):
        with pytest.raises(DefinitionError, match=says):
            dtype(name, code, "f4", True, "")


# -- the table as it is --------------------------------------------------------------------------


def fields(row: Row) -> Iterator[tuple[str, int, int]]:
    """(name, low, high) of every field of the word."""
    yield "opcode", 0, SYNC_START
    if row.sync:
        yield "sync", SYNC_START, OPERANDS_AFTER_SYNC
    for o in row.operands:
        yield o.name, o.low, o.low + o.kind.bits


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.mnemonic)
def test_every_row(row: Row) -> None:
    assert ROWS[row.mnemonic] is row and ROWS.by_opcode[row.opcode] is row
    assert (row.opcode in EXTENSION_OPCODES) == (row.package != "sohu"), "extensions have opcodes of their own"
    assert len(row.summary.split()) >= 3 and row.summary.endswith((".", ":")), "the first line is a sentence"
    used = 0
    for name, low, high in fields(row):
        bits = (1 << high) - (1 << low)
        assert not used & bits, f"{name} overlaps another field"
        assert high <= 64 or low >= 64, f"{name} crosses the middle of the word"
        used |= bits
    assert used ^ row.reserved_mask == (1 << WORD_BITS) - 1
    assert row.used_bits == used.bit_count() <= WORD_BITS - MIN_RESERVED
    for _, o, kind in row.data:
        assert row.spaces(kind) <= REACHES[row.engine], o.name
    assert row.queue_operand is None or row.engine is Engine.DMA


def test_opcodes_are_disjoint_and_zero_is_none() -> None:
    opcodes = [row.opcode for row in ROWS]
    assert opcodes == sorted(set(opcodes))
    assert 0 not in opcodes


def test_every_engine_has_a_row() -> None:
    assert {row.engine for row in ROWS} == set(Engine)
    for engine in Engine:
        if engine.is_async:
            assert engine.queues >= 1
            only_sync = [r for r in ROWS if r.engine is engine and not r.data and r.sync]
            assert only_sync, f"{engine.value} has no instruction that only waits and signals"
