"""Damage: whatever comes in, the result is one clear error or a program that survives the whole round.

`make test` tries the same cases each time; `make fuzz` new ones, and as many as it likes (tools/fuzz).
"""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sohu.asm import AsmError, assemble, format_inst, read_elf, read_object, write_elf
from sohu.isa import INSTRUCTION_BYTES, ROWS, SohuError
from sohu.isa.sample import random_inst

from tools.fuzz import corpus, elfs, sources
from tools.fuzz.run import TARGETS, problem
from tools.fuzz.sources import survives

SEEDS = st.integers(0, 2**64)
CASES = {"rows": 1, "words": 1, "sources": 60, "elfs": 300, "links": 60, "runs": 120, "cores": 60, "programs": 3}
ELF = write_elf(assemble(corpus.sources()[-1], "a.s"))


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_cases_of_each_target(name: str) -> None:
    target = TARGETS[name]
    for i in range(CASES[name]):
        assert not problem(target, target.make(random.Random(i)))


@given(st.sampled_from(list(ROWS)), SEEDS)
def test_instructions(row, seed):  # type: ignore[no-untyped-def]
    rng = random.Random(seed)
    insts = [random_inst(row, rng) for _ in range(20)]
    survives(assemble("\n".join(format_inst(inst, i * INSTRUCTION_BYTES) for i, inst in enumerate(insts)), "a.s"))


@given(st.sampled_from(("sources", "elfs")), SEEDS)
def test_damage(name: str, seed: int) -> None:
    target = TARGETS[name]
    target.check(target.make(random.Random(seed)))


@given(st.text(st.characters(max_codepoint=0x2FF), max_size=100))
def test_any_text(text: str) -> None:
    try:
        assemble(text)
    except AsmError as e:
        assert str(e)


@given(st.binary(max_size=200), st.integers(0, 64), st.sampled_from((read_elf, read_object)))
def test_any_bytes(data, kept, read):  # type: ignore[no-untyped-def]
    try:
        read(ELF[:kept] + data)
    except SohuError as e:
        assert "\n" not in e.message


def test_damage_is_neither_always_fatal_nor_never() -> None:
    """The tests above go both ways."""
    good = {"program": 0, "object": 0, "source": 0}
    for i in range(200):
        for what, read in (("program", read_elf), ("object", read_object)):
            try:
                read(elfs.make(random.Random(i)))
                good[what] += 1
            except SohuError:
                pass
        try:
            assemble(sources.make(random.Random(i)).decode(), "a.s")
            good["source"] += 1
        except (AsmError, UnicodeDecodeError):
            pass
    assert all(10 < n < 190 for n in good.values()), good
