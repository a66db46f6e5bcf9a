"""Decoding in columns: word by word the same as `decode`, refusals included."""

import random

import numpy as np
import pytest
from sohu.isa import INSTRUCTION_BYTES, ROWS, EncodingError, Engine, Inst, Reg, Row, Table, decode, encode, instruction
from sohu.isa.operands import CANONICAL_NAN, FImm, Imm, Kind, UImm
from sohu.isa.sample import random_inst, random_words
from sohu.isa.vector import decode_all

EACH = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.mnemonic)


def one_by_one(words: list[int], table: Table = ROWS) -> list[Inst | None]:
    out: list[Inst | None] = []
    for word in words:
        try:
            out.append(decode(word, table))
        except EncodingError:
            out.append(None)
    return out


def check(words: list[int], table: Table = ROWS) -> list[Inst | None]:
    """Both decoders agree; returns what they say."""
    decoded = decode_all(b"".join(w.to_bytes(INSTRUCTION_BYTES, "little") for w in words), table)
    expected = one_by_one(words, table)
    found = decoded.insts()
    # repr: NaN is not equal to itself, and 0.0 is equal to -0.0 and to 0
    assert [repr(i) for i in found] == [repr(i) for i in expected]
    assert decoded.bad.tolist() == [inst is None for inst in expected]
    halves = [(w & (1 << 64) - 1, w >> 64) for w in words]
    assert list(zip(decoded.low.tolist(), decoded.high.tolist(), strict=True)) == halves
    assert sorted(i for g in decoded.groups for i in g.at) == [i for i, inst in enumerate(expected) if inst is not None]
    assert all((np.diff(g.at) > 0).all() and g.at.size for g in decoded.groups)
    return expected


@EACH
def test_each_instruction(row: Row) -> None:
    rng = random.Random(row.opcode)
    assert None not in check([encode(random_inst(row, rng)) for _ in range(200)])


@EACH
def test_each_flipped_bit(row: Row) -> None:
    """Every rule about reserved bits is among these."""
    rng = random.Random(row.opcode)
    words = [encode(random_inst(row, rng)) for _ in range(10)]
    found = check([w ^ 1 << bit for w in words for bit in range(128)])
    assert None in found and found.count(None) < len(found)


@EACH
def test_random_operands(row: Row) -> None:
    rng = random.Random(row.opcode)
    check([(rng.getrandbits(128) & ~row.reserved_mask) >> 12 << 12 | row.opcode for _ in range(300)])


def test_all_rows_at_once() -> None:
    rng = random.Random(1)
    rows = list(ROWS)
    words = [encode(random_inst(rng.choice(rows), rng)) for _ in range(5000)]
    words += [w ^ 1 << rng.randrange(128) for w in words]
    words += [rng.getrandbits(128) for _ in range(2000)]
    rng.shuffle(words)
    found = check(words)
    assert 5000 < sum(inst is not None for inst in found) < 11_000


def test_floats() -> None:
    """Not-a-numbers, infinities and both zeros, beside and instead of registers."""
    special = [0, 1 << 31, 1, 0x7F800000, 0xFF800000, 0x7F800001, 0xFFC00000, CANONICAL_NAN, CANONICAL_NAN | 1, 31, 32]
    words = []
    for row in ROWS:
        for o in row.operands:
            if o.kind.bits in (32, 33):
                base = encode(random_inst(row, random.Random(2))) & ~(((1 << o.kind.bits) - 1) << o.low)
                words += [base | raw << o.low for raw in special]
                words += [base | (1 << 32 | raw) << o.low for raw in special if o.kind.bits == 33]
    found = check(words)
    assert None in found and "nan" in repr(found) and "-0.0" in repr(found) and "Reg" in repr(found)


def test_nothing_and_no_whole_number_of_words() -> None:
    assert len(decode_all(b"")) == 0 and decode_all(b"").groups == ()
    with pytest.raises(EncodingError, match="17 bytes are no whole number of instructions"):
        decode_all(bytes(17))


class Even(Imm):
    """A kind that has no vectorized form of its own."""

    decode_column = Kind.decode_column

    def decode(self, raw: int) -> int:
        if raw % 2:
            raise EncodingError("odd")
        return super().decode(raw)


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 16, 17, 31, 32, 33, 40, 63, 64])
def test_kinds_of_other_people(bits: int) -> None:
    """A kind needs no decode_column; and fields of any width, signed and not, are found where they are."""
    rng = random.Random(3)
    for kind in (UImm(bits), Imm(bits, signed=True), Even(bits, signed=True)):

        def semantics(a, b, c) -> None:  # type: ignore[no-untyped-def]
            """Does nothing at all."""

        semantics.__annotations__ = {"a": UImm(3), "b": FImm(), "c": kind}
        table = Table()
        row = instruction("odd", 5, Engine.SEQ, table=table)(semantics)
        words = [rng.getrandbits(128) & ~row.reserved_mask & ~0xFFF | 5 for _ in range(300)]
        assert sum(inst is not None for inst in check(words, table)) > 100


def test_columns() -> None:
    words = [encode(Inst(ROWS["add"], v)) for v in ((1, 2, 3), (4, 5, Reg(6)), (7, 8, -9))]
    (group,) = decode_all(b"".join(w.to_bytes(16, "little") for w in words)).groups
    d, a, b = group.operands
    assert group.row is ROWS["add"] and group.at.tolist() == [0, 1, 2] and group.sync is None
    assert (d.values.tolist(), a.values.tolist(), b.values.tolist()) == ([1, 4, 7], [2, 5, 8], [3, 6, -9])
    assert d.is_reg is None and b.is_reg is not None and b.is_reg.tolist() == [False, True, False]


def test_random_words() -> None:
    """They are instructions, of all rows, with special values among them."""
    rows = list(ROWS)
    code = random_words(rows, 30_000, np.random.default_rng(4))
    decoded = decode_all(code)
    assert not decoded.bad.any() and len(decoded) == 30_000
    assert {g.row for g in decoded.groups} == set(rows)
    insts = [inst for inst in decoded.insts() if inst is not None]
    assert b"".join(encode(inst).to_bytes(INSTRUCTION_BYTES, "little") for inst in insts) == code
    loads = [inst for inst in insts if inst.row is ROWS["dma.load"]]
    assert {bool(inst.wait) for inst in loads} == {bool(inst.signal) for inst in loads} == {True, False}
    assert {inst.wait.reg == 0 for inst in loads if inst.wait} == {True, False}
    (adds,) = decode_all(random_words([ROWS["add"]], 10_000, np.random.default_rng(5))).groups
    values = set(adds.operands[2].tolist())
    assert {0, -1, -(1 << 31), Reg(0), Reg(31)} < values and len(values) > 5000
