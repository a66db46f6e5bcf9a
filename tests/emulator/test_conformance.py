"""The kit that checks instructions passes good ones, and says of bad ones what is wrong."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sohu.emulator.conformance import ConformanceError, check, check_package
from sohu.isa import ROWS, Engine, Fault, Row, instruction
from sohu.isa.costs import per_element
from sohu.isa.dtypes import Float, Num
from sohu.isa.operands import XFI, Data, In, Out, UImm, X

DOC = """Twice each element.

Example:
    src = f32 [[1.5]]
    vtwice dst, src
    dst = f32 [[3.0]]
"""


@pytest.fixture
def define() -> Iterator[Callable[..., Row]]:
    """Makes a row `vtwice` of the instruction set, for one test."""
    made: list[Row] = []

    def row(body: Callable[..., None], doc: str = DOC, cost: Any = None, kinds: Any = Float, **more: Any) -> Row:
        body.__doc__ = doc
        body.__annotations__ = {"dst": Out(kinds), "src": In(kinds)} | more
        made.append(instruction("vtwice", 0xFFF, Engine.VPU, cost=cost or per_element(1))(body))
        return made[0]

    yield row
    for r in made:
        del ROWS.by_mnemonic[r.mnemonic], ROWS.by_opcode[r.opcode]


def twice(dst: Any, src: Any) -> None:
    dst[...] = src + src


def exact(src: Any) -> Any:
    return 2 * src


def test_a_good_instruction(define: Callable[..., Row]) -> None:
    report = check(define(twice), exact)
    assert (report.words, report.dtypes) == (500, {"f32", "bf16", "f16"} | {d.name for d in Float})
    assert len(report.shapes) == 3 and report.runs > 3 * len(Float)
    assert str(report).startswith("vtwice: 500 words round trip, the example runs; ")
    assert str(check(ROWS["vtwice"])) == "vtwice: 500 words round trip, the example runs"


def test_shapes_scalars_and_inputs_of_ones_own(define: Callable[..., Row]) -> None:
    def scaled(dst: Any, src: Any, by: Any, times: Any) -> None:
        dst[...] = src * np.float32(by) * np.float32(times)

    seen = []

    def reference(src: Any, by: float, times: int) -> Any:
        seen.append((src.shape, by, times, float(src.min())))
        return src * by * times

    doc = DOC.replace("vtwice dst, src", "vtwice dst, src, 2.0, x5").replace("    vtwice", "    x5 = 1\n    vtwice")
    row = define(scaled, doc, by=XFI(), times=X())
    check(
        row,
        reference,
        [{"": 4, "...": 2}],
        scalars={"by": [0.25, 3.0], "times": -2},
        inputs={"src": lambda rng, shape: rng.uniform(7, 8, shape)},
    )
    assert {(shape, by, times) for shape, by, times, _ in seen} == {((2, 4), 0.25, -2), ((2, 4), 3.0, -2)}
    assert min(low for *_, low in seen) >= 7
    with pytest.raises(ConformanceError, match="vtwice has no scalar operand speed"):
        check(row, reference, scalars={"speed": 1})


def wrong(dst: Any, src: Any) -> None:
    dst[...] = src + src
    if src.size > 9:
        dst[..., -1] = 0


def reads_output(dst: Any, src: Any) -> None:
    dst += src


def integers(dst: Any, src: Any) -> None:
    dst[...] = src + src if dst.dtype.kind == "f" else src


@pytest.mark.parametrize(
    ("body", "more", "says"),
    [
        (wrong, {}, r"dst\[16\] is 0.0, wants \S+\n  with dst f32\[17\], src f32\[17\]\n  src =\n\["),
        (reads_output, {}, r"says\n  dst = f32 \[\[3.0\]\]\nand the machine\n  dst = f32 \[\[1.5\]\]"),
        (integers, {"kinds": Num}, r"with dst i32\[1\], src i32\[1\]\n"),
        (twice, {"doc": "Twice each element."}, "its documentation has no example"),
        (twice, {"doc": DOC.replace("3.0", "3.5")}, "dst = f32 \\[\\[3.0\\]\\]"),
        (twice, {"doc": DOC.replace("element.", "element")}, "is no sentence: 'Twice each element'"),
        (twice, {"cost": lambda a: -1.0}, "its cost on small is -1.0 for shapes"),
    ],
)
def test_a_bad_instruction(define: Callable[..., Row], body: Any, more: dict[str, Any], says: str) -> None:
    row = define(body, **more)
    with pytest.raises(ConformanceError, match=says):
        check(row, exact)


def test_a_reference_that_does_not_fit(define: Callable[..., Row]) -> None:
    row = define(twice)
    with pytest.raises(ConformanceError, match="vtwice has no operand x, which the reference asks for"):
        check(row, lambda x: x)
    with pytest.raises(ConformanceError, match="the reference gives y; vtwice writes dst"):
        check(row, lambda src: {"y": src})


def test_an_instruction_that_stops(define: Callable[..., Row]) -> None:
    def picky(dst: Any, src: Any, flag: Any) -> None:
        if flag:
            raise Fault("operand", "not today", operand="flag")
        dst[...] = src + src

    row = define(picky, DOC.replace("vtwice dst, src", "vtwice dst, src, 0"), flag=UImm(1))
    with pytest.raises(ConformanceError, match=r"(?s)vtwice is stopped: .*not today.*\n  with .*, flag=1"):
        check(row, exact)


def test_an_input_that_is_changed_in_place(define: Callable[..., Row]) -> None:
    def careless(dst: Any, src: Any) -> None:
        dst[...] = 0
        dst += src + src

    with pytest.raises(ConformanceError, match=r"with .*, src the same tile as dst\n"):
        check(define(careless), exact)


def test_a_package() -> None:
    with pytest.raises(ConformanceError, match="package nowhere has defined no instruction"):
        check_package("nowhere")


@pytest.mark.parametrize(
    ("mnemonic", "reference", "slack"),
    [
        ("vexp", lambda src: np.exp(src), 0),
        ("vadd", lambda a, b: a + b, 0),
        ("vsum.row", lambda src: src.sum(-1, keepdims=True), 1e-5),
        ("mm", lambda a, b: a @ b, 1e-4),
        ("dma.load", lambda src: src, 0),
        ("vsel", lambda cond, a, b: np.where(cond != 0, a, b), 0),
    ],
)
def test_instructions_of_the_set_itself(mnemonic: str, reference: Any, slack: float) -> None:
    report = check(ROWS[mnemonic], reference, slack=slack)
    kinds = [k for _, _, k in ROWS[mnemonic].data if isinstance(k, Data)]
    assert report.dtypes == {d.name for k in kinds for d in k.dtypes}
