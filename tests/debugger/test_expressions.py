"""What can be printed, how it looks, and that nothing of Python's can be reached."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sohu.debugger import CommandError, Session, Value
from sohu.debugger.expressions import compile_expression, evaluate, leading
from sohu.debugger.views import render

from tests.debugger.support import X, make_session

A = np.arange(24, dtype=np.float32).reshape(4, 6)
INTS = np.array([3, 1, 2], np.int32)
NAMES = {
    "a": Value(A),
    "acc.0": Value(A * 2),
    "i": Value(INTS),
    "n": Value(2),
    "$n": Value(-1),
    "f": Value(0x3FC00000, is_float_bits=True),
    "big": Value(np.broadcast_to(np.float32(1), (1 << 28) + 1)),
    "tall": Value(np.zeros((1 << 16, 1), np.float32)),
    "wide": Value(np.zeros((1, 1 << 16), np.float32)),
}


def lookup(name: str) -> Value:
    if name not in NAMES:
        raise CommandError(f"nothing is called {name!r}")
    return NAMES[name]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1", 1),
        ("0x1F + 0b11", 34),
        ("1.5e1", 15.0),
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("7 // 2 - 7 % 2", 2),
        ("1 / 4", 0.25),
        ("--3", 3),
        ("10 - 4 - 3", 3),
        ("6 & 3 | 8 ^ 1", 11),
        ("n == 2", 1),
        ("$n", -1),
        ("f", 0x3FC00000),
        ("f * 2", 3.0),
        ("a[1, 2]", A[1, 2]),
        ("a[-1]", A[-1]),
        ("a[0:4:2, ::3]", A[0:4:2, ::3]),
        ("a[..., 1]", A[..., 1]),
        ("a[:, n]", A[:, 2]),
        ("a[n:+2]", A[2:4]),
        ("a[n - 1 : n + 1]", A[1:3]),
        ("a[1:][0]", A[1]),
        ("a[:n]", A[:2]),
        ("a[i[0]]", A[3]),
        ("acc.0[0] - a[0]", A[0]),
        ("a > 5", A > 5),
        ("i // 2", INTS // 2),
        ("-a", -A),
        ("2 ** 9", 512),
        ("-2 ** 2", -4),
        ("2 ** -1", 0.5),
        ("2 ** 3 ** 2", 512),
        ("a ** 2", A**2),
        ("1 << 4 | 1", 17),
        ("~n", -3),
        ("~(a > 5)", ~(A > 5)),
        ("(a > 5) + 0 - 1", (A > 5) - 1),
        ("(a > 5) & (a < 9)", (A > 5) & (A < 9)),
        ("sum(a > 5)", 18),
        ("exp(a > 99)[0, 0]", 1.0),
        ("not n", 0),
        ("not a > 5", ~(A > 5)),
        ("n == 2 and 3", 1),
        ("0 or n == 3", 0),
        ("0 and nope", 0),
        ("1 or nope", 1),
        ("a > 3 and a < 9", (A > 3) & (A < 9)),
        ("a < 3 or a > 20", (A < 3) | (A > 20)),
        ("1 < n < 3", 1),
        ("3 > n > 2", 0),
        ("3 < a <= 9", (A > 3) & (A <= 9)),
        ("a @ a.T", A @ A.T),
        ("a.T[1, 2]", A[2, 1]),
        ("a[0:2].T.shape", [6, 2]),
        ("abs(-a)", A),
        ("max(a)", 23.0),
        ("max(a, 1)", A.max(axis=1)),
        ("max(a, axis=1, keepdims=1)", A.max(axis=1, keepdims=True)),
        ("min(i)", 1),
        ("sum(a)", A.sum()),
        ("mean(a, axis=0)", A.mean(axis=0)),
        ("norm(a)", np.linalg.norm(A.astype(np.float64))),
        ("any(a > 22)", 1),
        ("all(a > 22)", 0),
        ("all(a[3] > 17)", 1),
        ("count_nonzero(a > 5)", 18),
        ("argmax(a)", [3, 5]),
        ("argmin(a, 1)", [0, 0, 0, 0]),
        ("argmax(i)", 0),
        ("where(a > 21)", [[3, 4], [3, 5]]),
        ("where(a > 3, a, -1)", np.where(A > 3, A, -1)),
        ("isnan(a / a)[0, 0]", True),
        ("isinf(1 / a[0])", [True, False, False, False, False, False]),
        ("isfinite(a)", np.isfinite(A)),
        ("exp(log(sqrt(n)))", 2**0.5),
        ("floor(-1.5)", -2.0),
        ("round(2.5)", 2.0),
        ("round(a / 3, 1)", np.round(A / 3, 1)),
        ("shape(a)", [4, 6]),
        ("bf16(1.00390625)", 1.0),
        ("isnan(fp8e4m3(a * 1000)[1, 0])", True),
        ("i32(3.7)", 4),
        ("near(a, a + 1e-9)", 1),
        ("near(a, a + 1e-3)", 0),
        ("near(a, a + 1e-3, tol=0.01)", 1),
        ("near(1e6, 1e6 + 0.5)", 1),
        ("a[max(i)]", A[3]),
    ],
)
def test_values(text: str, wanted: object) -> None:
    got = evaluate(text, lookup).data
    np.testing.assert_array_equal(got, wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an expression is missing"),
        ("nope", "nothing is called 'nope'"),
        ("1 +", "expected a number or a name, found 'the end'"),
        ("(1", r"expected '\)'"),
        ("1 2", "'2' is not expected here"),
        ("n[0]", "only a tile can be sliced"),
        ("a[0, 0, 0]", "too many indices"),
        ("a[9]", "out of bounds"),
        ("a[1.5]", "an index is an integer"),
        ("a[a]", "an index is an integer"),
        ("a[::0]", "zero"),
        ("a[0", "expected ','"),
        ("a + i", r"shapes \[4, 6\] and \[3\] do not go together"),
        ("1 // 0", "zero"),
        ("n & 1.5", "unsupported"),
        ("a; b", "';' means nothing here"),
        ("a.__class__", "nothing is called 'a.__class__'"),
        ("__import__", "nothing is called"),
        ("a[0].real", "'.real' is not expected here"),
        ("a(1)", "there is no function 'a'"),
        ("lambda: 1", "':' is not expected here"),
        ("'x'", '"\'" means nothing here'),
        ("(" * 60 + "1" + ")" * 60, "nests too deeply"),
        ("-" * 60 + "1", "nests too deeply"),
        ("a[" * 60 + "0", "nests too deeply"),
        ("9" * 2000, "too long"),
        ("2 ** 10 ** 10", "more than 4096 bits"),
        ("1 << 10 ** 9", "more than 4096 bits"),
        ("(-8) ** 0.5", "no real power"),
        ("a.T.__class__", "nothing is called 'a.T.__class__'"),
        ("a.shape.real", "nothing is called 'a.shape.real'"),
        ("a[0].T.base", "'.T.base' is not expected here"),
        ("max", "nothing is called 'max'"),
        ("max(a", r"expected ','"),
        ("max()", r"max is written max\(t, axis\)"),
        ("max(a, 1, 2)", r"max is written max\(t, axis\)"),
        ("max(a, dtype=1)", r"max is written max\(t, axis\)"),
        ("max(axis=0, a)", "max is written"),
        ("max(a, 2)", "axis 2 is out of bounds"),
        ("max(a, 0.5)", "an axis is an integer"),
        ("eval(1)", "there is no function 'eval'"),
        ("getattr(a, 1)", "there is no function 'getattr'"),
        ("a @ i", "mismatch"),
        ("a @ 2", "@ multiplies matrices"),
        ("where(a, a)", "where wants one argument, or three"),
        ("big * 1", "268,435,457 elements are too many to compute with"),
        ("tall + wide", "4,294,967,296 elements are too many to compute with"),
        ("tall @ wide", "too large to be multiplied"),
        ("round(1, 10 ** 9)", "how many digits"),
        ("a[10 ** 30]", "an index is out of bounds"),
        ("max(a, 10 ** 30)", "too large"),
        ("dtype(a) + 1", "signature matching types"),
        ("a = 1", "'=' is not expected here"),
        ("and", "expected a number or a name, found 'and'"),
        ("1" + " + 1" * 6000, "at most 20,000 characters"),
        (" * ".join(["0x" + "f" * 1000] * 5), "more than 4096 bits"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        evaluate(text, lookup)


def test_a_mistake_is_marked() -> None:
    with pytest.raises(CommandError) as e:
        evaluate("a[0] + )", lookup)
    assert e.value.message.endswith("\n    a[0] + )\n           ^")


_WORDS = (
    *"anf$i.[](),:+-*/%&|^<>=!@~ 0123456789", "**", "<<", " and ", " or ", "not ", "max(", "where(", "near(", "axis=",
    "bf16(", ".T", ".shape", "argmax(", "round(", "1e9", "$$", "$1",
)  # fmt: skip


@given(st.lists(st.sampled_from(_WORDS), max_size=16).map("".join))
def test_any_text_gives_a_value_or_one_clear_error(text: str) -> None:
    try:
        evaluate(text, lookup)
    except CommandError as e:
        assert str(e)


def test_a_long_expression_is_no_deep_one() -> None:
    assert evaluate("1" + " + 1" * 4000, lookup).data == 4001
    assert evaluate("1" + " and 1" * 3000, lookup).data == 1


def test_what_was_read_once_is_evaluated_with_the_names_of_then() -> None:
    made = compile_expression("n * 2 > m")
    assert made is compile_expression("n * 2 > m")
    names = {"n": Value(2), "m": Value(3)}
    assert made.true(names.__getitem__)
    names["m"] = Value(4)
    assert not made.true(names.__getitem__)


def test_a_condition_is_one_truth() -> None:
    assert compile_expression("a[0, 1] > 0").true(lookup) and not compile_expression("any(a < 0)").true(lookup)
    with pytest.raises(CommandError, match="a condition of 24 elements is neither true nor false") as e:
        compile_expression("a > 0").true(lookup)
    assert "any(...) or all(...)" in e.value.help


def test_a_prefix_is_the_longest_expression() -> None:
    made, rest = leading("a[0] + 1 ref.npy")
    assert (made.text, rest) == ("a[0] + 1", "ref.npy")
    assert leading("a 'quoted'")[1] == "'quoted'"


def test_a_tile_can_have_the_name_of_an_attribute() -> None:
    names = {"a": Value(A), "a.T": Value(INTS)}

    def known(name: str) -> Value:
        if name not in names:
            raise CommandError(name)
        return names[name]

    np.testing.assert_array_equal(evaluate("a.T", known).data, INTS)
    np.testing.assert_array_equal(evaluate("a.T.T", known).data, INTS)
    del names["a.T"]
    np.testing.assert_array_equal(evaluate("a.T", known).data, A.T)


def test_packed_elements_are_computed_with_as_numbers() -> None:
    from sohu.isa import fp4x2

    t = Value(np.array([[0x21, 0xF0]], np.uint8), fp4x2)
    np.testing.assert_array_equal(evaluate("t * 2", {"t": t}.__getitem__).data, [[1, 2, 0, -12]])
    assert evaluate("min(t)", {"t": t}.__getitem__).data == -6


# -- names ---------------------------------------------------------------------------------------------


def test_names_of_the_kernel_registers_and_symbols(session: Session) -> None:
    session.begin()
    tile = session.evaluate("x")
    assert tile.tile is not None and tile.tile == session.machine.t[0] and tile.dtype is tile.tile.dtype
    np.testing.assert_array_equal(session.evaluate("$t0[1]").data, X[1])
    assert session.evaluate("R").data == 4
    assert session.evaluate("n").data == session.evaluate("x11").data == 5
    assert session.evaluate("f + 0").data == 2.5
    assert session.evaluate("$pc").data == session.evaluate("scale + 0x50").data == session.pc
    assert session.evaluate("gp").data == session.loaded.address
    assert session.evaluate("loaded").data == 0
    session.stepi(2)
    assert session.evaluate("loaded").data == session.evaluate("s0").data == 2


def test_a_tile_register_without_a_tile_says_so(session: Session) -> None:
    session.start()
    with pytest.raises(CommandError, match=r"a \(t2\) holds no tile yet"):
        session.evaluate("a")
    with pytest.raises(CommandError, match="t9 holds no tile yet"):
        session.evaluate("t9")


def test_a_tile_that_lies_nowhere_cannot_be_read() -> None:
    s = make_session(".kernel k\n.tile a, sram, f32, [4], at=0xfffffff0\nnop\nhalt\n")
    s.begin()
    with pytest.raises(CommandError, match=r"a cannot be read: .* sram ends at"):
        s.evaluate("a")


def test_unknown_names_suggest_near_ones(session: Session) -> None:
    session.begin()
    with pytest.raises(CommandError) as e:
        session.evaluate("lodaed")
    assert e.value.help == "did you mean 'loaded'?"


def test_dimensions_from_registers_are_those_of_now() -> None:
    s = make_session(".kernel k\n.param n, i64, reg=x12\n.tile a, sram, f32, [x12<=8, 4]\nli x12, 2\nhalt\n", {"n": 7})
    s.begin()
    assert s.evaluate("a").data.shape == (7, 4)  # type: ignore[union-attr]
    s.stepi()
    assert s.evaluate("a").data.shape == (2, 4)  # type: ignore[union-attr]


def test_outputs_can_be_printed_after_the_end(session: Session) -> None:
    session.run()
    np.testing.assert_array_equal(session.evaluate("y").data, X + 1)
    with pytest.raises(CommandError, match="not being run"):
        session.evaluate("a")


# -- looks ---------------------------------------------------------------------------------------------


def show(text: str, formats: str = "", **names: object) -> str:
    values = {n: v if isinstance(v, Value) else Value(np.asarray(v)) for n, v in names.items()}
    return render(evaluate(text, values.__getitem__), text, formats, 80)


def test_a_tile_comes_with_its_shape_and_statistics() -> None:
    assert show("t", t=np.array([[1, 2], [3, 6]], np.float32)) == (
        "t = float32[2, 2]  min 1  max 6  mean 3\n[[1. 2.]\n [3. 6.]]"
    )


def test_narrow_dtypes_print_as_numbers() -> None:
    from sohu.isa import e8m0, fp4x2, fp8e4m3

    t = Value(np.array([0.1, 448], fp8e4m3.np), fp8e4m3)
    assert show("t", t=t).splitlines() == [
        "t = fp8e4m3[2]  min 0.101562  max 448  mean 224.051",
        "[1.0156e-01 4.4800e+02]",
    ]
    assert show("t + 1", t=t).splitlines()[1] == "[  1.1015625 449.       ]"
    t = Value(np.array([[0x21, 0xF0]], np.uint8), fp4x2)  # pairs, the first in the low half
    assert show("t", t=t).splitlines() == ["t = fp4x2[1, 2]  min -6  max 1  mean -1.125", "[[ 0.5  1.   0.  -6. ]]"]
    t = Value(np.array([2.0**-127, np.nan], e8m0.np), e8m0)
    assert show("t", t=t).splitlines() == [
        "t = e8m0[2]  min 5.87747e-39  max 5.87747e-39  mean 5.87747e-39  1 nan",
        "[5.8775e-39        nan]",
    ]


def test_a_bf16_tile_is_named_so_and_prints_short() -> None:
    from sohu.isa import bf16

    t = Value(np.array([0.1, 2], ml_dtypes.bfloat16), bf16)
    assert show("t", t=t).splitlines() == ["t = bf16[2]  min 0.100098  max 2  mean 1.05005", "[0.1001 2.    ]"]
    assert show("t", "x", t=t).splitlines()[1] == "[0x3dcd 0x4000]"


def test_what_is_no_number_is_counted_apart() -> None:
    t = np.array([np.nan, np.inf, -np.inf, 1, 3], np.float32)
    assert show("t", t=t).splitlines()[0] == "t = float32[5]  min 1  max 3  mean 2  1 nan  2 inf"
    assert show("t", t=np.full(2, np.nan)).splitlines()[0] == "t = float64[2]  2 nan"
    assert show("t", t=np.empty((0, 3))).splitlines()[0] == "t = float64[0, 3]  no elements"
    assert show("t > 1", t=t).splitlines()[0] == "t > 1 = bool[5]  2 of 5 true"


def test_statistics_of_a_large_tile_are_those_of_all_of_it() -> None:
    t = np.zeros((3, 1 << 20), np.float32)
    t[0, 5], t[2, 1 << 19] = -1, 7
    assert show("t", t=t).splitlines()[0] == f"t = float32[3, 1048576]  min -1  max 7  mean {6 / t.size:.6g}"


def test_a_large_tile_shows_its_edges_and_all_when_asked() -> None:
    t = np.arange(1000, dtype=np.float32)
    assert "..." in show("t", t=t) and "500." not in show("t", t=t)
    assert "500." in show("t", "e", t=t)
    with pytest.raises(CommandError, match="too many to print"):
        show("t", "e", t=np.zeros(200_000))


@pytest.mark.parametrize(
    ("text", "formats", "wanted"),
    [
        ("n", "", "n = 2"),
        ("n + 30", "", "n + 30 = 32  (0x20)"),
        ("n - 3", "x", "n - 3 = 0xffffffffffffffff"),
        ("n + 30", "d", "n + 30 = 32"),
        ("f", "", "f = 1.5  (0x3fc00000 as f32)"),
        ("f", "d", "f = 1069547520"),
        ("0x3fc00000", "f", "0x3fc00000 = 1.5  (0x3fc00000 as f32)"),
        ("1 / 4", "", "1 / 4 = 0.25"),
        ("a[0, 1]", "", "a[0, 1] = 1.  (float32)"),
        ("a[0, 1]", "x", "a[0, 1] = 0x3f800000  (float32)"),
    ],
)
def test_scalars(text: str, formats: str, wanted: str) -> None:
    assert show(text, formats, **NAMES) == wanted


def test_an_unknown_format_lists_those_there_are() -> None:
    with pytest.raises(CommandError, match="no format 'z'") as e:
        show("n", "z", n=Value(1))
    assert "x (hexadecimal" in e.value.help
