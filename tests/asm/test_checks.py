"""Static checks: what they find, and above all what they don't say."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sohu.asm import AsmError, assemble
from sohu.asm.assembler import assemble_object
from sohu.asm.checks import CHECKS
from sohu.asm.checks.worlds import ANY, agreed, size, unknown
from sohu.asm.codes import CODES
from sohu.asm.diagnostics import Diagnostic
from sohu.asm.options import Options
from sohu.asm.warnings import WarningPolicy
from sohu.dsl import Kernel
from sohu.isa import ROWS, Fault, Space, Tile, bf16, f32
from sohu.isa.shapes import match, parse

from tests.dsl.support import library
from tests.dsl.test_ir import compiled

ROOT = Path(__file__).parents[2]
FAULTY = sorted((Path(__file__).parent / "diagnostics").glob("W0*.s"))
EXAMPLES = [p for p in sorted((ROOT / "examples").rglob("*.s")) if "custom_instruction" not in p.parts]  # a plugin's
RIGHT = [*EXAMPLES, *sorted((ROOT / "tests" / "dsl").rglob("golden/*.s"))]


def warnings(source: str, *flags: str, file: str = "a.s") -> list[Diagnostic]:
    found: list[Diagnostic] = []
    assemble(source, file, Options(warnings=WarningPolicy(flags)), found)
    return found


def kernel(*lines: str) -> str:
    head = [".kernel k", ".param x, inout, f32, [R, 64]", ".param n, i64", ".tile a, sram, f32, [16, 64]"]
    ends = lines[-1].split()[-1] in ("halt", "ret") or lines[-1].startswith("trap")
    return "\n".join([*head, *lines, *(["halt"] * (not ends)), ""])


def codes(*lines: str) -> list[str]:
    """Codes of the warnings for a kernel with these lines in it."""
    return [d.code for d in warnings(kernel(*lines), "no-unused-tile", "no-unused-label")]


def test_every_check_has_a_file_that_shows_it() -> None:
    assert {path.name[:4] for path in FAULTY} >= set(CHECKS)
    assert {code: c.name for code, c in CHECKS.items()} == {
        code: CODES[code].name for code in CODES if "W010" <= code < "W100"
    }


@pytest.mark.parametrize("path", RIGHT, ids=lambda p: p.name)
def test_nothing_is_said_of_what_is_right(path: Path) -> None:
    assert warnings(path.read_text(encoding="utf-8"), file=str(path)) == []


@pytest.mark.parametrize(("k", "constants"), [pytest.param(k, c, id=n) for n, k, c in library()])
@pytest.mark.parametrize("dtype", [f32, bf16], ids=str)
def test_nothing_is_said_of_what_the_compiler_makes(k: Kernel, constants: dict[str, Any], dtype: Any) -> None:
    assert warnings(compiled(k, dtype, **constants).asm) == []


@pytest.mark.parametrize(
    "lines",
    [
        # a size that is not known is no mistake, and neither is one that only looks it
        ["tslice t9, x, 0, n, 16", "dma.load a, t9"],
        ["tset t9, a, 0, n", "tslice t10, x, 0, 0, n", "dma.load t9, t10"],
        ["tslice t9, x, 0, n, 1", "tdrop t9, t9, 0"],
        ["and x5, n, 1", "tset t9, a, 0, x5", "tslice t10, x, 0, 0, 16", "dma.load t9, t10"],
        ["rem x5, n, 16", "tset t9, a, 0, x5", "tslice t10, x, 0, 0, 16", "dma.load t9, t10"],
        ["slt x5, n, 1", "add x5, x5, 1", "tset t9, a, 0, x5", "vexp t9, t9"],
        # two ways to one place, each with another tile
        ["beq n, 0, 1f", "tset a, a, 0, 8", "1: tslice t9, x, 0, 0, 8", "dma.load a, t9"],
        ["tmv t9, a", "beq n, 0, 1f", "tmv t9, x", "1: tget x5, t9, 0"],
        # functions
        ["call f", "halt", "f: vexp a, a", "ret"],
        ["call f", "halt", "f: sd ra, sp, -8", "call g", "ld ra, sp, -8", "ret", "g: ret"],
        ["li ra, f", "ret", "f: halt"],
        # loops
        ["loop n, 2f", "loop 4, 1f", "nop", "1: nop", "2:"],
        ["loop n, 1f", "loop 4, 1f", "nop", "1:"],
        ["loop 4, 1f", "li x5, 1", "1: add x6, x5, 1"],
        ["loop 9, 1f", "beq n, 3, 1f", "nop", "1:"],
        ["loop 9, 1f", "call f", "1: halt", "f: loop 2, 2f", "nop", "2: ret"],
        ["loop n, 1f", "beq n, 3, 2f", "nop", "2: nop", "1:"],
        # semaphores
        ["1: dma.load a, x signal s0", "vexp a, a wait s0>=n", "bne n, 0, 1b"],
        ["dma.load a, x signal s0+=3", "vexp a, a wait s0>=3"],
        ["vexp a, a wait s0>=0"],
        ["call f", "vexp a, a wait s0>=1", "halt", "f: dma.load a, x signal s0", "ret"],
        ["dbg.assert n, \"n\"", "trap 3"],
        # ranges
        ["dbg.push \"a\"", "loop n, 1f", "dbg.push \"b\"", "beq n, 0, 2f", "nop", "2: dbg.pop", "1: dbg.pop"],
        ["dbg.push \"a\"", "beq n, 0, 1f", "dbg.pop", "halt", "1: dbg.pop"],
        ["dbg.push \"a\"", "call f", "dbg.pop", "halt", "f: dbg.push \"b\"", "dbg.pop", "ret"],
        ["dbg.push \"a\"", "beq n, 0, 1f", "trap 4", "1: dbg.pop"],
    ],
    ids=" ; ".join,
)  # fmt: skip
def test_nothing_is_said_of_what_may_be_right(lines: list[str]) -> None:
    assert codes(*lines) == []


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["tslice t9, x, 0, n, 16", "tdrop t9, t9, 2"], "W020"),
        (["tswap t9, x, 0, 1", "tset t9, t9, 1, 16", "dma.load a, t9"], "W020"),
        (["li x5, 8", "tset a, a, 1, x5", "tslice t9, x, 1, 0, 16", "tset t9, t9, 0, 16", "dma.load a, t9"], "W020"),
        (["loop n, 1f", "mul x5, n, 0", "add x5, x5, 7", "tset t9, a, 1, x5", "vadd a, a, t9", "1:"], "W020"),
        (["beq n, 0, 1f", "tmv t9, x", "j 2f", "1: tmv t9, x", "2: vexp t9, t9"], "W020"),
        (["call f", "halt", "f: vexp x, x", "ret"], "W020"),
        (["vexp a, a wait s0>=1", "vexp a, a signal s0", "vexp a, a wait s0>=2"], "W042"),
        (["call f", "halt", "f: nop", "call g", "halt", "g: ret"], ""),
        (["taddr x5, a", "sd x5, args, 0"], "W021"),
    ],
    ids=str,
)
def test_what_is_seen_through(lines: list[str], code: str) -> None:
    assert codes(*lines) == [code] * bool(code)


def test_other_files_may_do_anything() -> None:
    source = kernel("call other", "vexp a, a wait s0>=1", "tget x5, t40, 0")
    found: list[Diagnostic] = []
    assemble_object(".extern other\n" + source, "a.s", warnings=found)
    assert found == []
    assert [d.code for d in warnings(source.replace("call other", "nop"))] == ["W040", "W022"]


def test_flags() -> None:
    source = kernel("vexp a, t40", "j 1f", "nop", "1:")
    assert [d.name for d in warnings(source)] == ["uninitialized", "unreachable"]
    assert [d.name for d in warnings(source, "no-unreachable")] == ["uninitialized"]
    assert warnings(source, "none") == []
    with pytest.raises(AsmError) as raised:
        warnings(source, "error=unreachable")
    assert [(d.name, d.severity) for d in raised.value.diagnostics] == [
        ("uninitialized", "warning"), ("unreachable", "error"),
    ]  # fmt: skip


def test_a_size_that_is_not_known_fits_everything() -> None:
    patterns = [("a", parse("M K")), ("b", parse("K N")), ("c", parse("N/2 1"))]
    match(patterns, [(4, ANY), (7, ANY), (9, ANY)])
    match(patterns, [(ANY, ANY), (ANY, 8), (4, 1)])
    with pytest.raises(Fault, match="does not fit K=7"):
        match(patterns, [(ANY, 7), (8, ANY), (9, 1)])


def test_what_is_not_known_differs_between_the_worlds() -> None:
    a, b = unknown("a"), size("b")
    assert len(set(a)) > 3 and any(x < y for x, y in zip(a, b, strict=True))
    assert any(x > y for x, y in zip(a, b, strict=True))
    for modulus in range(2, 300):
        assert len({x % modulus for x in a}) > 1
    tiles = tuple(Tile(Space.SRAM, f32, 0, (4, s)) for s in b)
    known = agreed(tiles)
    assert known is not None and known.dims[0] == 4 and known.dims[1] is ANY


def test_a_word_that_is_no_instruction_is_left_alone() -> None:
    assert codes(".inst 0", ".inst 1 << 127") == []


def test_every_row_is_followed() -> None:
    """Nothing that an instruction can be given upsets the checks."""
    import random

    from sohu.asm import format_inst
    from sohu.isa.sample import random_inst

    rng = random.Random(1)
    for row in ROWS:
        lines = [format_inst(random_inst(row, rng), 16 * i) for i in range(8)]
        warnings("\n".join([".kernel k", *lines, "halt"]))


def test_it_costs_little() -> None:
    """A long program: what grows with it is a few array operations, and no Python call for each instruction."""

    def calls(work: Callable[[str], object], lines: int) -> int:
        count = 0

        def see(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += 1

        source = kernel(*[f"vadd a, a, a wait s0>={i % 100} signal s0" for i in range(lines)])
        sys.setprofile(see)
        try:
            work(source)
        finally:
            sys.setprofile(None)
        return count

    warnings(kernel("nop"))  # all is loaded
    few, many = (calls(warnings, n) - calls(assemble, n) for n in (20_000, 40_000))
    assert many - few < 20_000 / 20
