"""Pictures of tiles, comparisons, memory, changing what is there, and files."""

import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from sohu.asm import assemble
from sohu.debugger import CommandError, Faulted, Session, Value
from sohu.debugger.charts import heat, histogram, plain, range_of, render_heat, render_histogram, sparkline
from sohu.debugger.compare import compare
from sohu.debugger.shell import Shell
from sohu.debugger.style import visible
from sohu.emulator import Device
from sohu.isa import bf16, e8m0, f32, fp4x2, fp8e4m3, i32

from tests.debugger.support import ARGS, SCALE, X, make_session, talk

TILES = """
        .kernel k
        .param  x, in, f32, [4, 8]
        .param  y, out, f32, [4, 8]
        .tile   a, sram, f32, [4, 8]
        .tile   b, sram, bf16, [4, 8]
        .tile   i, sram, i32, [4]
        .sem    go
        .sem    done
        dma.load   a, x                signal done
        sync       wait done>=1
        vadds      a, a, 1.0   wait go>=1  signal done
        dma.store  y, a        wait done>=2
        halt
        .endkernel
"""


@pytest.fixture
def tiles() -> Session:
    """TILES with its arguments, after the load."""
    s = Session(assemble(TILES, "tiles.s"), args={"x": X}, device=Device("small"))
    s.begin()
    s.stepi()
    return s


# -- histograms ----------------------------------------------------------------------------------------


def test_a_histogram_counts_what_numpy_counts() -> None:
    rng = np.random.default_rng(1)
    data = rng.standard_normal((300, 70)).astype(np.float32)
    data[0, :5] = [np.nan, np.inf, -np.inf, 0.0, 1e-40]
    h = histogram(Value(data, f32), 20)
    finite = data[np.isfinite(data)].astype(np.float64)
    counts, edges = np.histogram(finite, 20)
    np.testing.assert_array_equal(h.counts, counts)
    np.testing.assert_allclose(h.edges, edges, rtol=1e-12)
    assert (h.size, h.nans, h.infs, h.zeros, h.subnormal) == (21_000, 1, 2, 1, 1)


def test_a_histogram_in_pieces_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from sohu.debugger import views

    data = np.random.default_rng(2).standard_normal((64, 64)).astype(np.float32)
    whole = histogram(Value(data, f32), 9, log=True)
    monkeypatch.setattr(views, "_CHUNK", 100)
    parts = histogram(Value(data, f32), 9, log=True)
    np.testing.assert_array_equal(whole.counts, parts.counts)
    assert whole.counts.sum() == np.count_nonzero(data)


def test_magnitudes_are_counted_by_powers_of_two_with_the_formats_limits() -> None:
    data = np.float32([1e-5, 2.0**-10, 2.0**-9 * 0.75, 2.0**-8, 2.0**-6, 1, -1, 448, 449, 480, 1e4])
    h = histogram(Value(data, f32), 40, log=True, dtype=fp8e4m3)
    assert h.beyond == 3 and h.largest == 1 and h.subnormal == 2 and h.lost == 2
    lines = render_histogram(h, 100, ascii=True)
    at = {line.split("|")[0].strip(): line for line in lines}
    assert "smallest fp8e4m3" in at["2^-9 .. 2^-8"]
    assert "normal from here fp8e4m3" in at["2^-6 .. 2^-5"]
    assert "largest fp8e4m3" in at["2^8 .. 2^9"] and re.search(r"\b2\b", at["2^8 .. 2^9"])
    assert at["2^0 .. 2^1"].endswith(" 2")
    assert "fp8e4m3 holds up to 448, normal from 0.01562; at the limit 1; beyond it 3; too small for it 2" in lines[-1]


@pytest.mark.parametrize(
    ("data", "bars"),
    [
        (np.full(7, 2.5, np.float32), [7]),
        (np.float32([np.nan, np.inf]), []),
        (np.float64([-1.7e308, 1.7e308]), [1, 1]),
        (np.array([True, False, True]), [1, 2]),
    ],
)
def test_histograms_of_odd_data(data: np.ndarray, bars: list[int]) -> None:
    h = histogram(Value(data), 2)
    assert h.counts.tolist() == bars
    assert len(render_histogram(h, 80, False)) >= 1 and sparkline(h, True)


def test_log_bins_reach_the_ends_of_float64() -> None:
    h = histogram(Value(np.float64([5e-324, 1.7e308])), 16, log=True)
    assert h.counts.sum() == 2 and np.all(np.isfinite(h.edges)) and np.all(np.diff(h.edges) > 0)


def test_a_bar_is_as_long_as_its_count_and_plain_text_has_no_blocks() -> None:
    h = histogram(Value(np.float32([0] * 100 + [1] * 50 + [2])), 3)
    lines = render_histogram(h, 80, ascii=True)
    bars = [line.count("#") for line in lines[:3]]
    assert bars[0] == 2 * bars[1] and bars[2] == 1
    assert all(line.isascii() for line in lines)
    assert "█" in render_histogram(h, 80, ascii=False)[0]


def test_ranges_are_those_of_the_formats() -> None:
    got = {d.name: range_of(d, d.np) for d in (f32, bf16, fp8e4m3, fp4x2, i32, e8m0)}
    assert {n: r.largest for n, r in got.items() if r is not None} == {
        "f32": float(np.finfo(np.float32).max), "bf16": 3.3895313892515355e38, "fp8e4m3": 448, "fp4x2": 6,
        "i32": 2**31 - 1, "e8m0": 2.0**127,
    }  # fmt: skip
    assert got["fp8e4m3"] is not None and got["fp8e4m3"].smallest == 2.0**-9
    assert range_of(None, np.dtype(bool)) is None


def test_hist_and_the_line_in_print(tiles: Session) -> None:
    text = talk(
        tiles, "hist/4 a", "hist/l4 a, fp8e4m3", "print/h a", "hist/4 a[0] * 0", "hist x5", "hist a, f99", "hist/x a"
    )
    assert "  0 .. 7.75 |" in text and "32 elements   zero 1   subnormal 0   nan 0   inf 0" in text
    assert "2^0 .. 2^2" in text and "fp8e4m3 holds up to 448" in text
    assert re.search(r"^0 \|.*\| 31$", text, re.MULTILINE)
    assert "a histogram is one of the elements of a tile" in text
    assert "there is no dtype 'f99'" in text and "no format 'x'" in text


# -- heat maps -----------------------------------------------------------------------------------------


def test_cells_are_means_or_largest_magnitudes() -> None:
    data = np.arange(7 * 10, dtype=np.float32).reshape(7, 10) - 35
    h = heat(Value(data, f32), 3, 4)
    for i, (a, b) in enumerate([(0, 2), (2, 4), (4, 7)]):
        for j, (c, d) in enumerate([(0, 2), (2, 5), (5, 7), (7, 10)]):
            assert h.cells[i, j] == pytest.approx(data[a:b, c:d].mean())
    m = heat(Value(data, f32), 3, 4, magnitude=True)
    assert m.cells[0, 0] == 35 and m.cells[2, 3] == 34


def test_one_nan_among_many_marks_its_cell() -> None:
    data = np.zeros((64, 64), np.float32)
    data[40, 3], data[5, 60] = np.nan, -np.inf
    lines = render_heat(heat(Value(data), 8, 8), colour=False)
    assert lines[5] == "40..47 |N       |" and lines[0] == "  0..7 |       I|"
    assert "N nan in 1 cell" in lines[-1] and "I inf in 1 cell" in lines[-1]
    assert "columns 0..63, 8 a cell; mean of a cell" in lines[-2]


def test_shades_go_from_low_to_high_in_text_and_colour() -> None:
    data = np.linspace(-1, 1, 10, dtype=np.float32).reshape(1, 10)
    lines = render_heat(heat(Value(data), 1, 10), colour=False)
    assert lines[0] == "0 | .:-=+*#%@|" and "-1  .:-=+*#%@ 1" in lines[-1]
    coloured = render_heat(heat(Value(data), 1, 10), colour=True)
    assert "\x1b[48;5;17m" in coloured[0] and "\x1b[48;5;230m" in coloured[0]
    assert [visible(line) for line in coloured[:1]] == [len(lines[0])]


def test_heat_of_what_has_no_two_dimensions() -> None:
    assert heat(Value(np.arange(5.0)), 3, 8).cells.tolist() == [[0, 1, 2, 3, 4]]
    assert heat(Value(np.ones((1, 2, 2))), 3, 8).cells.shape == (2, 2)
    with pytest.raises(CommandError, match="two dimensions, this has 3") as e:
        heat(Value(np.ones((2, 2, 2))), 3, 8)
    assert "slice it: [0]" in e.value.help
    packed = Value(np.array([[0x21, 0x43]], np.uint8), fp4x2)
    assert heat(packed, 4, 4).cells.tolist() == [[0.5, 1, 1.5, 2]]


def test_heat_at_the_prompt(tiles: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    text = talk(tiles, "heat a", "heat/2m a", "heat a > 100", "heat x5", "heat a b")
    assert "0 | .::--==|" not in text  # a row of eight cells of this tile is nearly flat
    assert re.search(r"^0 \|.{8}\|$", text, re.MULTILINE) and re.search(r"^0\.\.1 \|.{8}\|$", text, re.MULTILINE)
    assert "a heat map is one of the elements" in text and "'b' is not expected here" in text


def test_where_block_characters_can_be_relied_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    with (tmp_path / "a").open("w", encoding="utf-8") as utf8, (tmp_path / "b").open("w", encoding="latin-1") as other:
        assert not plain(utf8) and plain(other)
        monkeypatch.setenv("LANG", "C")
        assert plain(utf8)
        monkeypatch.setenv("LC_ALL", "C.UTF-8")
        assert not plain(utf8)


# -- comparisons ---------------------------------------------------------------------------------------


def test_errors_are_those_of_numpy() -> None:
    rng = np.random.default_rng(3)
    b = rng.standard_normal((50, 40)).astype(np.float32)
    a = b + rng.standard_normal(b.shape).astype(np.float32) * 1e-3
    d = compare(Value(a, f32), Value(b, f32), tolerance=2e-3, worst=4)
    error = np.abs(a.astype(np.float64) - b)
    assert d.max_absolute == error.max() and d.mean_absolute == pytest.approx(error.mean())
    assert d.max_relative == pytest.approx((error / np.abs(b)).max())
    assert d.beyond == np.count_nonzero(error > 2e-3 * np.maximum(1, np.abs(b)))
    order = np.argsort(-error.reshape(-1))[:4]
    assert [w.index for w in d.worst] == [tuple(np.unravel_index(k, b.shape)) for k in order]
    assert d.worst[0].a == a[d.worst[0].index] and d.worst[0].b == b[d.worst[0].index]


@pytest.mark.parametrize("dtype", [f32, bf16, fp8e4m3])
def test_neighbours_in_a_format_are_one_ulp_apart(dtype: object) -> None:
    np_dtype = dtype.np  # type: ignore[attr-defined]
    size = np_dtype.itemsize
    codes = np.arange(1 << 7 if size == 1 else 1 << 15, dtype=f"u{max(size, 2)}")[: 1000 if size > 1 else 126]
    codes = codes.astype(f"u{size}")
    a, b = codes.view(np_dtype), (codes + codes.dtype.type(1)).view(np_dtype)
    d = compare(Value(a, dtype), Value(b, dtype))  # type: ignore[arg-type]
    assert d.max_ulps == 1 and d.unit == str(dtype)
    least = codes[1:2].view(np_dtype)
    assert compare(Value(-least, dtype), Value(least, dtype)).max_ulps == 2  # type: ignore[arg-type]
    minus = np.array([-0.0], np_dtype), np.array([0.0], np_dtype)
    assert compare(*(Value(m, dtype) for m in minus)).different == 0  # type: ignore[arg-type]


def test_ulps_are_of_the_coarser_format() -> None:
    a = np.float32([1 + 2**-7])
    d = compare(Value(a, f32), Value(np.array([1], ml_dtypes.bfloat16), bf16))
    assert (d.max_ulps, d.unit) == (1, "bf16")
    assert compare(Value(a, f32), Value(np.int32([1]), i32)).max_ulps is None


def test_what_is_no_number_is_beyond_every_tolerance() -> None:
    a = np.float32([np.nan, np.nan, np.inf, -np.inf, 1, 2])
    b = np.float32([np.nan, 1, np.inf, np.inf, np.nan, 2])
    d = compare(Value(a), Value(b), tolerance=1e9, worst=9)
    assert (d.different, d.strange, d.beyond) == (3, 3, 3)
    assert sorted(w.index for w in d.worst) == [(1,), (3,), (4,)]
    assert d.max_absolute == 0


def test_large_arrays_are_compared_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    from sohu.debugger import compare as module

    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((2, 6, 5, 11))
    whole = module.compare(Value(a), Value(b), worst=7)
    monkeypatch.setattr(module, "_AT_ONCE", 8)
    parts = module.compare(Value(a), Value(b), worst=7)
    assert whole.worst == parts.worst and whole.beyond == parts.beyond
    assert whole.mean_absolute == pytest.approx(parts.mean_absolute)


def test_diff_at_the_prompt(tiles: Session, tmp_path: Path) -> None:
    ref = X.copy()
    ref[2, 3] += 0.5
    np.save(tmp_path / "ref.npy", ref)
    np.save(tmp_path / "b.npy", ref.astype(ml_dtypes.bfloat16))
    np.save(tmp_path / "turned.npy", ref.T)
    text = talk(tiles, f"diff a, {tmp_path}/ref.npy, worst=1, tol=1e-4")
    assert "differ in 1 of 32 elements [4, 8]" in text and "beyond tol=0.0001: 1" in text
    assert "max 0.5 " in text and re.search(r"\[2, 3\] +19 +19\.5 +0\.5", text)
    assert "are equal: 8 elements [8]" in talk(tiles, f"diff a[1] {tmp_path}/ref.npy[1]")
    assert "differ in 1" in talk(tiles, f"diff a, {tmp_path}/b.npy")
    assert "are equal" in talk(tiles, "diff a, $arg.x") and "are equal" in talk(tiles, "set $s = a", "diff a, $s")
    for line, answer in [
        ("diff", "diff what?"),
        ("diff a", "compare a with what?"),
        ("diff a, a[0]", "shapes differ: [4, 8] and [8]"),
        (f"diff a, {tmp_path}/turned.npy", "write .T after it"),
        ("diff a, a, wrost=3", "'wrost=3' is not expected here"),
        ("diff a, a, worst=x", "'x' is no number"),
        ("diff a, nope.npy", "cannot read nope.npy"),
        ("diff a, $arg.z", "no argument is given for 'z'"),
    ]:
        assert answer in talk(tiles, line), line


# -- display, values -----------------------------------------------------------------------------------


def test_displays_are_shown_at_each_stop(session: Session) -> None:
    text = talk(session, "display x20", "display/s a", "break twice", "run", "continue", "undisplay 1", "continue")
    stops = text.split("in twice")
    assert "1: x20 = 1\n" in stops[1] and "1: x20 = 2" in stops[2] and "1: x20" not in stops[3]
    assert all("2: a = f32[4, 8]  min 1  max 32" in s for s in stops[1:])
    shell = talk(
        session, "display x21", "info display", "undisplay 7", "undisplay x", "undisplay", "info display", "display 1 +"
    )
    assert (
        "1: x21" in shell
        and "no display 7" in shell
        and "'x' is no number" in shell
        and "nothing is displayed" in shell
    )
    assert "expected a number or a name" in shell


def test_a_display_that_has_no_value_here_says_so_in_a_line(session: Session) -> None:
    text = talk(session, "display a[0, 0]", "display nosuch", "starti")
    assert "1: a[0, 0]: a (t2) holds no tile yet\n" in text and "2: nosuch: nothing is called 'nosuch'\n" in text


def test_printed_values_are_kept_as_they_were(tiles: Session) -> None:
    tiles.values.record(tiles.evaluate("a[0, 0]"))
    text = talk(
        tiles,
        "print a[1]",
        "set a[1] = 0",
        "print $ - $1",
        "print $$2 + 1",
        "print $2 + $$",
        "print",
        "print $9",
        "info values",
    )
    assert "$2 = a[1] = f32[8]  min 8  max 15" in text
    assert "$3 = $ - $1 = float32[8]  min 8  max 15" in text and "$4 = $$2 + 1 = 1.  (float32)" in text
    assert "printed values are $1 to $" in text
    assert "nothing has been printed yet" in talk(make_session(SCALE, ARGS), "print $")


def test_the_history_is_bounded(tiles: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    from sohu.debugger import values

    monkeypatch.setattr(values, "MAX_KEPT", 100)
    monkeypatch.setattr(values, "MAX_HISTORY", 64)
    assert "$1 was too large to be kept" in talk(tiles, "print a", "print $1")
    text = talk(tiles, "print a[0]", "print a[1]", "print a[2]", "print $2", "print $4[0]")
    assert "$2 was too large" in text and "= 16." in text
    monkeypatch.setattr(values, "MAX_VARIABLES", 40)
    assert "would need 128 bytes" in talk(tiles, "set $big = a") and "$some" in talk(tiles, "set $some = a[0]")


def test_names_of_values_are_suggested_and_registers_are_none(tiles: Session) -> None:
    text = talk(tiles, "save-value before a", "print $befor", "save-value x5 3", "set $arg = 3", "save-value q")
    assert "$before = f32[4, 8]" in text and "did you mean '$before'?" in text
    assert "$x5 is a register" in text and "$arg is no name" in text and "save-value NAME EXPRESSION" in text


# -- changing the machine ------------------------------------------------------------------------------


def test_what_is_set_is_what_the_program_finds(tiles: Session) -> None:
    talk(tiles, "set a = -a", "set a[2, :] = 100", "set a[3, 1] = 0.5", "set go = 1")
    stop = tiles.cont()
    want = -X + 1
    want[2] = 101
    want[3, 1] = 1.5
    np.testing.assert_array_equal(stop.outputs["y"], want)  # type: ignore[attr-defined]


def test_registers_and_semaphores(session: Session) -> None:
    session.begin()
    text = talk(
        session, "set x20 = 7", "set $x21 = -1", "set f = 1.5", "set loaded = 3", "set var n = 0xffffffffffffffff"
    )
    assert text.splitlines() == ["x20 = 7", "$x21 = -1", "f = 1.5  (0x3fc00000 as f32)", "loaded = 3", "n = -1"]
    m = session.machine
    assert (m.x[20], m.x[21], m.x[11], m.sems[0]) == (7, -1, -1, 3)
    for line, answer in [
        ("set x0 = 1", "x0 is always 0"),
        ("set x5 = 1.5", "x5 holds integers"),
        ("set x5 = 1 << 64", "does not fit 64 bits"),
        ("set loaded = -1", "a semaphore holds"),
        ("set pc = 0", "the pc cannot be set"),
        ("set x5 = x", "a register is given one integer"),
        ("set nosuch = 1", "nothing is called 'nosuch'"),
        ("set R = 1", "R cannot be set"),
        ("set x + 1 = 2", "computed and lies nowhere"),
        ("set x[9] = 2", "out of bounds"),
        ("set x = 1 2", "'2' is not expected here"),
    ]:
        assert answer in talk(session, line), line
    assert "not being run" in talk(make_session(SCALE, ARGS), "set x5 = 1")


def test_numbers_are_rounded_to_the_tiles_dtype_and_integers_must_fit(tiles: Session) -> None:
    talk(tiles, "set b = 1.00390625", "set b[0, 0] = 1e39", "set b[0, 1] = a[0, 3]", "set i = x5 - 3")
    b = tiles.evaluate("b").data
    assert b[1, 1] == 1 and np.isinf(float(b[0, 0])) and b[0, 1] == 3  # type: ignore[index]  # ties to even
    np.testing.assert_array_equal(tiles.evaluate("i").data, [-3] * 4)
    assert "holds integers (i32)" in talk(tiles, "set i = 1.5")
    assert "i32 holds -2147483648 to 2147483647" in talk(tiles, "set i = 1 << 40")
    assert "a[0] is [8], not [4]" in talk(tiles, "set a[0] = i")


@pytest.mark.parametrize(
    "line", ["set a = dtype(a)", "hist dtype(a)", "heat dtype(a)", "diff dtype(a), dtype(b)", "dump t.npy dtype(a)"]
)
def test_a_text_is_no_number(tiles: Session, line: str) -> None:
    assert re.search("text|cannot be compared|no numbers", talk(tiles, line))
    np.testing.assert_array_equal(tiles.evaluate("a").data, X)


def test_what_programs_may_only_read_is_not_changed() -> None:
    device = Device("small")
    x = device.tensor(X, "x", writable=False)
    s = Session(assemble(TILES, "tiles.s"), args={"x": x}, device=device)
    s.begin()
    assert "x[0, 0] is in x at" in talk(s, "set x[0, 0] = 1") and "only read" in talk(s, "set x[0, 0] = 1")
    np.testing.assert_array_equal(x.numpy(), X)


def test_what_is_set_belongs_to_the_run_from_there_on(tiles: Session) -> None:
    at = tiles.position
    talk(tiles, "set a[0, 0] = 50", "set go = 1")
    tiles.cont()
    tiles.goto(at)
    assert tiles.evaluate("a[0, 0]").data == 50
    np.testing.assert_array_equal(tiles.cont().outputs["y"][0, 0], 51)  # type: ignore[attr-defined]
    tiles.goto(at - 1)
    tiles.goto(at)
    assert tiles.evaluate("a[0, 0]").data == 50


@pytest.mark.parametrize("schedule", [None, 3, "timed"])
def test_a_semaphore_that_is_set_lets_go_what_waits_for_it(schedule: object) -> None:
    s = Session(assemble(TILES, "t.s"), args={"x": X}, device=Device("small", schedule=schedule))  # type: ignore[arg-type]
    s.begin()
    s.stepi(3)
    s.assign("go", "1")
    if schedule is None:  # in program order, what can execute has executed
        np.testing.assert_array_equal(s.evaluate("a").data, X + 1)
    stop = s.cont()
    np.testing.assert_array_equal(stop.outputs["y"], X + 1)  # type: ignore[attr-defined]


def test_what_a_set_semaphore_lets_go_can_fail() -> None:
    source = ".kernel k\n.tile a, sram, f32, [4]\n.sem go\nvadds a, a, 1.0 wait go>=1\nnop\nhalt\n"
    s = Session(assemble(source, "t.s"), args={}, device=Device("small", checks="uninitialized"))
    s.begin()
    s.stepi()
    text = talk(s, "set go = 1", "set x5 = 1", "info registers pc", "print go")
    assert "error[uninitialized]" in text and "stopped by an error" in text
    assert isinstance(s.stop, Faulted) and s.stop.pc == 16
    s.goto(1)
    assert s.alive and s.evaluate("go").data == 0


def test_checkers_know_what_is_set() -> None:
    source = """
        .kernel k
        .param  y, out, f32, [4, 8]
        .tile   a, sram, f32, [4, 8]
        .sem    done
        nop
        vadds      a, a, 1.0   signal done
        dma.store  y, a        wait done>=1
        halt
    """

    def run(*lines: str) -> object:
        y = np.zeros((4, 8), np.float32)
        s = Session(assemble(source, "t.s"), args={"y": y}, device=Device("small", checks="uninitialized"))
        s.begin()
        talk(s, *lines)
        return s.cont()

    assert run("set a[0:3] = 0").error.category == "uninitialized"  # type: ignore[attr-defined]
    np.testing.assert_array_equal(run("set a[0:3] = 0", "set a[3, ::-1] = 2").outputs["y"][:, 0], [1, 1, 1, 3])  # type: ignore[attr-defined]


# -- memory --------------------------------------------------------------------------------------------


def test_memory_of_each_kind_by_address_and_dtype(tiles: Session) -> None:
    talk(tiles, "set b = 1.5", "set i = -2")
    at = tiles.evaluate("b").tile
    assert at is not None
    text = talk(
        tiles,
        f"x/2bf16 sram:{at.base:#x}",
        "x/2i32 i",
        "x/2uh b",
        "x/2th b",
        "x/2ow a",
        "x",
        f"x/2f32 {tiles.machine.t[0].base}",
    )  # type: ignore[union-attr]
    words = [line.partition(":  ")[2].split() for line in text.splitlines()]
    assert words[:4] == [["1.5", "1.5"], ["-2", "-2"], ["16320", "16320"], ["0b0011111111000000"] * 2]
    assert words[4] == [oct(0), oct(0x3F800000)] and words[5] == [oct(0x40000000), oct(0x40400000)]
    assert words[6] == ["0", "1"]
    assert text.splitlines()[5].startswith("sram 0x00000008")
    for line, answer in [
        ("x/2z9 a", "no format '2z9'"),
        ("x/4b rom:0", "there is no memory 'rom'"),
        ("x/4b acc:0xffffffff", "acc ends at"),
        ("x/4b sram:-4", "sram ends at"),
        ("x/99999999999f32 a", "cannot be shown"),
    ]:
        assert answer in talk(tiles, line), line


def test_the_memory_map(tiles: Session) -> None:
    text = talk(tiles, "info memory")
    assert re.search(r"^sram  .*reached by sequencer, DMA, MXU, VPU, CCE$", text, re.MULTILINE)
    assert re.search(r"^acc  .*reached by sequencer, MXU, VPU$", text, re.MULTILINE)
    assert re.search(r"0x00000000\.\.0x00000080 +128  a  f32\[4, 8\]$", text, re.MULTILINE)
    assert re.search(r"read and write  x\b", text) and re.search(r"read only       the parameter block", text)
    assert "free of tiles" in text
    assert "is byte 16 of a f32[4, 8], 0x0..0x80" in talk(tiles, "info memory sram:0x10")
    assert "belongs to nothing" in talk(tiles, "info memory acc:0x10")
    assert talk(tiles, "info memory acc").count("\n") == 2


def test_tiles_that_share_bytes_say_so() -> None:
    source = ".kernel k\n.tile a, sram, f32, [4, 8]\n.tile b, sram, f32, [4]\ntslice t9, a, 0, 2, 1\nnop\nhalt\n"
    s = make_session(source)
    s.begin()
    s.stepi()
    text = talk(s, "info memory sram")
    assert re.search(r" 128  a   f32\[4, 8\]   overlaps t9$", text, re.MULTILINE)
    assert re.search(r" 32  t9  f32\[1, 8\]   overlaps a$", text, re.MULTILINE)
    assert re.search(r" 16  b   f32\[4\]$", text, re.MULTILINE)


def test_chips_and_who_waits(tiles: Session) -> None:
    assert re.match(r"\* chip 0: at 0x00.0 \(k\+0x.*\), \d+ instructions", talk(tiles, "info chips"))
    tiles.stepi(2)
    text = talk(tiles, "info chips", "info semaphores")
    assert "1 in queues" in text and re.search(
        r"^s0 +0  go +VPU waits for >= 1 at 0x.* \(tiles.s:12\)$", text, re.MULTILINE
    )


# -- files ---------------------------------------------------------------------------------------------


def test_dump_and_restore(tiles: Session, tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    text = talk(
        tiles, f"dump {file} a * 2", f"dump {file} a", f"dump -f {file} a[1:3]", "set a = 0", f"restore {file} a[0:2]"
    )
    assert f"{file}: float32[4, 8], 128 bytes" in text and "is there already" in text
    np.testing.assert_array_equal(np.load(file), X[1:3])
    np.testing.assert_array_equal(tiles.evaluate("a").data, np.vstack([X[1:3], np.zeros((2, 8))]))
    talk(tiles, f"restore {file} b[0:2]", f"dump {tmp_path}/b.npy b", "set b = 0", f"restore {tmp_path}/b.npy b")
    np.testing.assert_array_equal(np.asarray(tiles.evaluate("b").data, np.float32)[:2], X[1:3])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npy", "b.npy"]


def test_bad_files_are_refused(tiles: Session, tmp_path: Path) -> None:
    file = tmp_path / "f.npy"
    before = np.copy(tiles.evaluate("a").data)

    def refuse(answer: str) -> None:
        assert answer in talk(tiles, f"restore {file} a")
        np.testing.assert_array_equal(tiles.evaluate("a").data, before)

    refuse("cannot read")
    np.save(file, np.array([object()]), allow_pickle=True)
    refuse("holds Python objects")
    file.write_bytes(
        b"\x93NUMPY\1\0\x76\0{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }".ljust(128)
    )
    refuse("wants 399999999996 bytes")
    file.write_bytes(b"nonsense")
    refuse("is no .npy file")
    np.save(file, np.zeros(3, np.float32))
    refuse("holds [3], a is [4, 8]")
    np.save(file, np.zeros((4, 8), ml_dtypes.float8_e4m3fn))
    refuse("holds bytes without a dtype")
    for line, answer in [
        ("dump", "something is missing"),
        ("dump f.txt a", "arrays are written to .npy files"),
        ("dump f.npy", "dump what?"),
        (f"dump {tmp_path}/no/f.npy a", "cannot write"),
        ("restore f.npy", "into which tile?"),
    ]:
        assert answer in talk(tiles, line), line


def test_breakpoints_are_kept_and_made_again(session: Session, tmp_path: Path) -> None:
    file = tmp_path / "points"
    session.begin()
    talk(
        session,
        "break 12 if x20 == 2",
        "tbreak twice",
        "watch a[0:2]",
        "awatch x20",
        "catch nan",
        "disable 2",
        "ignore 1 3",
    )
    session.points[1].commands = ["print x20", "continue"]
    assert "5 breakpoints" in talk(session, f"save {file}") and "is there already" in talk(session, f"save {file}")
    assert "5 breakpoints" in talk(session, f"save breakpoints -f {file}")
    other = Session(assemble(SCALE, "scale.s"), args=ARGS, device=Device("small"))
    session.points[1].where = "scale.s:12"
    text = talk(other, f"load {file}")
    assert text.count("\n") == 5 and "pending" in text  # a has no place before the run
    for a, b in zip(session.points.values(), other.points.values(), strict=True):
        assert (a.kind, a.where, a.temporary, a.condition, a.enabled, a.ignore, a.commands, a.pcs) == (
            b.kind, b.where, b.temporary, b.condition, b.enabled, b.ignore, b.commands, b.pcs,
        )  # fmt: skip
    another = make_session(TILES, {"x": X})
    assert "Breakpoint 1 at scale.s:12 if x20 == 2 (pending: no code comes from a file" in talk(another, f"load {file}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is no JSON, at line 1"),
        ("[" * 100_000, "it is no JSON"),
        ("[]", "it holds no breakpoints"),
        ('{"sohu-breakpoints": 2, "points": []}', "it has version 2; this debugger reads version 1"),
        ('{"sohu-breakpoints": true, "points": []}', "it has version True"),
        ('{"sohu-breakpoints": 1, "points": 3}', "its points are no list"),
        ('{"sohu-breakpoints": 1, "points": [3]}', "point 1 is no record"),
        ('{"sohu-breakpoints": 1, "points": [{"kind": "bang", "where": "x"}]}', "its kind is 'bang'"),
        ('{"sohu-breakpoints": 1, "points": [{"kind": "watch"}]}', "point 1 has no kind, or no place"),
        ('{"sohu-breakpoints": 1, "points": [{"kind": "watch", "instruction": 3}]}', "a watchpoint without a place"),
        ('{"sohu-breakpoints": 1, "points": [{"kind": "watch", "where": 3}]}', "its where is 3"),
        ('{"sohu-breakpoints": 1, "points": [{"kind": "catch", "what": "nan", "limit": -1}]}', "its limit is -1"),
        ('{"sohu-breakpoints": 1, "points": [{"kind": "watch", "where": "x", "run": "!"}]}', "has 'run'"),
        (
            '{"sohu-breakpoints": 1, "points": [{"kind": "watch", "where": "x", "condition": "1 +"}]}',
            "the condition of point 1 cannot be read",
        ),
    ],
)
def test_damaged_and_foreign_files_of_breakpoints_are_refused(
    session: Session, tmp_path: Path, text: str, reason: str
) -> None:
    file = tmp_path / "points"
    file.write_text(text)
    answer = talk(session, f"load {file}")
    assert f"{file} is refused: " in answer and reason in answer and not session.points


def test_a_condition_that_cannot_be_read_is_refused_at_once(session: Session) -> None:
    assert "expected a number or a name" in talk(session, "break 12 if 1 +") and not session.points
    talk(session, "break 12")
    assert "nothing here" in talk(session, "condition 1 x20 ? 3") and session.points[1].condition == ""


# -- finding commands ----------------------------------------------------------------------------------


def test_apropos_finds_commands_by_what_their_help_says(session: Session) -> None:
    text = talk(session, "apropos histogram")
    assert text.startswith("hist ") or "\nhist " in text
    assert "\nload" not in text
    assert "info semaphores" in talk(session, "apropos semaphores waited")
    assert "no command's help speaks of 'xyzzy'" in talk(session, "apropos xyzzy") and "of what?" in talk(
        session, "apropos"
    )


def test_functions_are_listed(session: Session) -> None:
    text = talk(session, "info functions")
    assert "max(t, axis)" in text and "near(a, b, tol)" in text and "bf16" in text and "fp4x2" not in text


def test_when_says_where_in_the_run(tiles: Session) -> None:
    assert (
        talk(tiles, "when") == f"instruction {tiles.position} of {tiles.timeline.last}\n"
        or talk(tiles, "when") == f"instruction {tiles.position}\n"
    )
    at = tiles.position
    tiles.goto(at - 2)
    assert talk(tiles, "when") == f"instruction {at - 2} of {at}\n"


def test_completion_of_files_values_and_memories(
    tiles: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("ref.npy", X)
    Path("notes.txt").touch()
    shell = Shell(tiles)
    assert "ref.npy" in shell.complete("diff a, re") and "notes.txt" not in list(shell.complete("diff a, no"))
    assert "sram:" in shell.complete("x/4b sr") and "notes.txt" in shell.complete("load no")
    tiles.assign("$kept", "a")
    assert "$kept" in shell.complete("print $ke") and "max(" in shell.complete("print ma")
