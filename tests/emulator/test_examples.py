"""The examples of the manual run and are true."""

from collections.abc import Callable
from typing import Any

import pytest
from sohu.emulator.examples import ExampleError, run_example
from sohu.isa import ROWS, DefinitionError, Engine, Row, SohuError, Table, instruction
from sohu.isa.costs import per_element
from sohu.isa.dtypes import Float
from sohu.isa.manual.examples import assembly, parse
from sohu.isa.operands import In, Out


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.mnemonic)
def test_the_example_of_a_row(row: Row) -> None:
    run_example(row)


def double(dst, src):  # type: ignore[no-untyped-def]
    """Twice each element."""
    dst[...] = src + src


def row_with(example: str, semantics: Callable[..., Any] = double) -> Row:
    semantics.__doc__ = f"Twice each element.\n\nIt is added to itself.\n\nExample:\n{example}"
    semantics.__annotations__ = {"dst": Out(Float), "src": In(Float)}
    # an existing mnemonic, so that the assembler finds it
    return instruction("vmov", 0x300, Engine.VPU, cost=per_element(1), table=Table())(semantics)


VMOV = "    src = f32 [[0.5, inf]]\n    vmov dst, src\n"


def test_the_parts_of_an_example() -> None:
    inputs = "    src = bf16 [[1.0,\n           -2.5]]\n    x5 = 2\n    x6 = 2.5\n"
    row = row_with(inputs + "1:  vmov dst, src\n    dst = f32 [[1.0, nan]]\n")
    assert (row.summary, row.description) == ("Twice each element.", "It is added to itself.")
    example = parse(row)
    assert [str(t) for t in example.tiles] == ["src = bf16 [[1.0, -2.5]]"]
    assert [str(s) for s in example.scalars] == ["x5 = 2", "x6 = 2.5"]
    text = assembly(example)
    assert "\n        li      x5, 2\n        lf      x6, 2.5\n1:      vmov dst, src\n        halt\n" in text
    assert ".tile   dst, sram, f32, [1, 2]" in text


def test_values_said_once() -> None:
    example = parse(row_with("    nop\n    dst = u8 [[3 * 2, 4], [5 * 3]]\n    src = f32 [[1.0] * 3]\n"))
    assert [t.values.tolist() for t in example.tiles_after] == [[[3, 3, 4], [5, 5, 5]], [[1.0], [1.0], [1.0]]]


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ("    dst = f32 [[0.5, 1.0]]", "dst = f32 [[0.5, inf]]"),
        ("    dst = f32 [[0.5], [inf]]", "src has shape"),
        ("    dst = bf16 [[0.5, 2.0]]", "dst = bf16 [[0.5, inf]]"),
        ("    dst = f32 [[0.5, inf]]\n    x5 = 3", "x5 = 0"),
        ("    dst = f32 [[0.5, inf]]\n    fault operand", "runs to its end, wants operand"),
        ('    dst = f32 [[0.5, inf]]\n    prints "a"', "prints []"),
        ("    nonsense\n    dst = f32 [[0.5, inf]]", "unknown instruction 'nonsense'"),
    ],
)
def test_an_example_that_is_not_so(result: str, says: str) -> None:
    with pytest.raises(SohuError) as e:
        run_example(row_with(VMOV + result))
    assert says in str(e.value)
    run_example(row_with(VMOV + "    dst = f32 [[0.5, inf]]"))


def test_what_an_instruction_does_not_write_is_not_right_by_chance() -> None:
    row = row_with("    dst = f32 [[0.0]]\n".join(["    nop\n", ""]))
    with pytest.raises(ExampleError, match="dst = f32"):
        run_example(row)


@pytest.mark.parametrize(
    ("example", "says"),
    [
        ("", "has no example"),
        ("    src = f32 [1]\n", "has no assembly"),
        (VMOV, "has no result"),
        (VMOV + "    dst = f33 [1]", "'f33' is no dtype"),
        (VMOV + "    dst = f32 [1, one]", "'one' is no number"),
        (VMOV + "    dst = f32 [1 2]", "a comma is wanted before '2'"),
        (VMOV + "    dst = f32 [1 * 5000]", "repeated 1 to 1024 times"),
        (VMOV + "    dst = f32 [1 * x]", "invalid literal"),
        (VMOV + "    dst = f32 [1] 2", "'2' after the values"),
        (VMOV + "    dst = f32 [[1], [2, 3]]", "inhomogeneous"),
        (VMOV + "    dst = f32 [1", "a bracket is not closed"),
        (VMOV + "    dst = f32", "the values end too soon"),
        (VMOV + "    dst = f32 7", "a tile has 1 to 4 dimensions"),
        (VMOV + "    dst = u8 [256]", "a value does not fit u8"),
        (VMOV + "    x0 = 1", "x1 to x31 hold values"),
        (VMOV + "    fault broken", "no such category"),
        (VMOV + "    prints text", "Expecting value"),
        (VMOV + "    x5 = 1\n    nop", "assembly after the results"),
    ],
)
def test_text_that_is_no_example(example: str, says: str) -> None:
    with pytest.raises(DefinitionError) as e:
        parse(row_with(example))
    assert says in e.value.message and e.value.where.startswith("test_examples.py:")
