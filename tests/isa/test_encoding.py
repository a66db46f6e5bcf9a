"""Words: encode and decode are each other's inverse, and every reserved bit is checked."""

import random
import struct

import numpy as np
import pytest
from sohu.isa import ROWS, EncodingError, Inst, Reg, Row, Signal, Table, Wait, decode, encode, format_sync
from sohu.isa.operands import CANONICAL_NAN, bits_f32, f32_bits, format_f32
from sohu.isa.sample import random_inst

EACH = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.mnemonic)


@EACH
def test_random_instructions_round_trip(row: Row) -> None:
    rng = random.Random(row.opcode)
    for _ in range(200):
        inst = random_inst(row, rng)
        word = encode(inst)
        assert 0 <= word < 1 << 128
        assert decode(word) == inst


@EACH
def test_each_reserved_bit_is_fatal(row: Row) -> None:
    word = encode(random_inst(row, random.Random(row.opcode)))
    for bit in range(128):
        if row.reserved_mask >> bit & 1:
            with pytest.raises(EncodingError, match=f"reserved bits {bit} are set"):
                decode(word | 1 << bit)


@EACH
def test_each_other_bit_means_something(row: Row) -> None:
    """Every word is refused, or is the one encoding of its instruction."""
    rng = random.Random(row.opcode + 1)
    for _ in range(20):
        word = encode(random_inst(row, rng))
        for bit in range(128):
            other = word ^ 1 << bit
            try:
                inst = decode(other)
            except EncodingError:
                continue
            assert encode(inst) == other


def test_random_words_are_refused_or_round_trip() -> None:
    rng = random.Random(6)
    opcodes = [row.opcode for row in ROWS]
    decoded = 0
    for _ in range(20_000):
        row = ROWS.by_opcode[rng.choice(opcodes)]
        word = (rng.getrandbits(128) & ~row.reserved_mask) >> 12 << 12 | row.opcode
        try:
            inst = decode(word)
        except EncodingError:
            continue
        decoded += 1
        assert encode(inst) == word
    assert decoded > 3000


def test_unknown_opcodes() -> None:
    for opcode in range(1 << 12):
        if opcode not in ROWS.by_opcode:
            with pytest.raises(EncodingError, match=f"opcode {opcode:#05x} is no instruction"):
                decode(opcode)
    with pytest.raises(EncodingError):
        decode(1, Table())


def test_the_layout_is_as_documented() -> None:
    inst = Inst(ROWS["dma.load"], (5, 6, 3), Wait(9, 20, -2), Signal(33, 200))
    word = encode(inst)
    assert word & 0xFFF == ROWS["dma.load"].opcode
    assert word >> 12 & 1 == 1
    assert word >> 13 & 63 == 9
    assert word >> 19 & 31 == 20
    assert word >> 24 & 0xFFFF == 0xFFFE
    assert word >> 40 & 1 == 1
    assert word >> 41 & 63 == 33
    assert word >> 47 & 0xFF == 200
    dst, src, q = ROWS["dma.load"].operands
    assert (word >> dst.low & 63, word >> src.low & 63, word >> q.low & 3) == (5, 6, 3)


@pytest.mark.parametrize(
    ("inst", "operand", "says"),
    [
        (Inst(ROWS["add"], (32, 0, 0)), "d", "add: operand d: scalar register must be 0..31, not 32"),
        (Inst(ROWS["add"], (0, 0, Reg(32))), "b", "scalar register must be 0..31, not 32"),
        (Inst(ROWS["add"], (0, 0, 1 << 31)), "b", "immediate 2147483648 does not fit 32 signed bits"),
        (Inst(ROWS["add"], (0, 0, 1.5)), "b", "immediate 1.5 does not fit"),
        (Inst(ROWS["vmov"], (64, 0)), "dst", "tile register must be 0..63"),
        (Inst(ROWS["vfill"], (0, "a")), "value", "'a' is no number"),
        (Inst(ROWS["j"], (8,)), "target", "branch displacement 8 is no multiple of 16"),
        (Inst(ROWS["j"], (1 << 32,)), "target", "does not fit 32 signed bits"),
        (Inst(ROWS["trap"], (-1,)), "code", "immediate must be 0..65535"),
        (Inst(ROWS["semreset"], (64,)), "sem", "semaphore must be 0..63"),
        (Inst(ROWS["dbg.mark"], (-1,)), "text", "string offset must be"),
        (Inst(ROWS["vmov"], (0, 0), Wait(64)), "", "semaphore must be 0..63, not 64"),
        (Inst(ROWS["vmov"], (0, 0), Wait(0, 32)), "wait", "wait value"),
        (Inst(ROWS["vmov"], (0, 0), Wait(0, 0, 1 << 15)), "wait", "wait value 32768 does not fit 16 signed bits"),
        (Inst(ROWS["vmov"], (0, 0), None, Signal(0, 0)), "signal", "signal increment must be 1..255, not 0"),
        (Inst(ROWS["vmov"], (0, 0), None, Signal(0, 256)), "signal", "signal increment must be 1..255, not 256"),
        (Inst(ROWS["halt"], (), Wait(0)), "wait", "can neither wait nor signal"),
        (Inst(ROWS["halt"], (), None, Signal(0)), "signal", "can neither wait nor signal"),
        (Inst(ROWS["halt"], (1,)), "", "halt takes 0 operands, not 1"),
    ],
)
def test_what_does_not_fit(inst: Inst, operand: str, says: str) -> None:
    with pytest.raises(EncodingError) as raised:
        encode(inst)
    assert says in raised.value.message
    assert raised.value.operand == operand


def test_absent_waits_and_signals_have_no_bits() -> None:
    word = encode(Inst(ROWS["vmov"], (0, 0)))
    for bit in range(13, 40):
        with pytest.raises(EncodingError, match="absent wait"):
            decode(word | 1 << bit)
    for bit in range(41, 55):
        with pytest.raises(EncodingError, match="absent signal"):
            decode(word | 1 << bit)
    with pytest.raises(EncodingError, match="a signal by 0"):
        decode(word | 1 << 40)


def test_floats_keep_their_bits() -> None:
    rng = random.Random(7)
    samples = [rng.getrandbits(32) for _ in range(20_000)] + [0, 1 << 31, 1, 0x7F7FFFFF, 0x7F800000, 0xFF800000]
    for raw in samples:
        value = bits_f32(raw)
        if np.isnan(value):
            continue
        assert f32_bits(value) == raw
        assert f32_bits(float(format_f32(value))) == raw
        assert struct.pack("<f", value) == struct.pack("<I", raw)


def test_one_nan_is_an_immediate() -> None:
    lf, vfill = ROWS["lf"], ROWS["vfill"]
    assert f32_bits(-float("nan")) == CANONICAL_NAN
    for inst in (Inst(lf, (1, float("nan"))), Inst(vfill, (1, float("nan")))):
        word = encode(inst)
        (value,) = (v for v in decode(word).values if isinstance(v, float))
        assert np.isnan(value)
        low = inst.row.operands[1].low
        for other in (1, 1 << 31, 1 << 22 | 1):  # another payload, sign, and a signalling one
            with pytest.raises(EncodingError, match="NaN"):
                decode(word ^ other << low)


def test_floats_too_large_are_infinite() -> None:
    assert f32_bits(1e300) == 0x7F800000
    assert f32_bits(-(10**400)) == 0xFF800000


def test_printing_of_wait_and_signal() -> None:
    vmov = ROWS["vmov"]
    assert format_sync(Inst(vmov, (0, 0))) == ""
    assert format_sync(Inst(vmov, (0, 0), Wait(1, 0, -3))) == "wait s1>=-3"
    assert format_sync(Inst(vmov, (0, 0), Wait(1, 20), Signal(2))) == "wait s1>=x20  signal s2"
    assert format_sync(Inst(vmov, (0, 0), Wait(1, 20, -3), Signal(2, 3))) == "wait s1>=x20-3  signal s2+=3"
    assert format_sync(Inst(vmov, (0, 0), Wait(1)), "sem{}".format) == "wait sem1>=0"


@EACH
def test_eval_of_repr_is_the_instruction(row: Row) -> None:
    inst = random_inst(row, random.Random(8))
    names = {"ROWS": ROWS, "Inst": Inst, "Reg": Reg, "Wait": Wait, "Signal": Signal, "inf": float("inf")}
    names["nan"] = float("nan")
    again = eval(repr(inst), names)  # noqa: S307  # text of our own making
    assert encode(again) == encode(inst)
