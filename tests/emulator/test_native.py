"""The native products of bf16 against sums in float32 in their documented order, and against exact ones."""

import itertools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from sohu.emulator import native
from sohu.emulator.native import LEVELS, Library

from tools.tree import ROOT

Array = NDArray[Any]
bf16 = np.dtype(ml_dtypes.bfloat16)
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
pytestmark = pytest.mark.skipif(COMPILER is None or os.name != "posix", reason="no C compiler")

SIZES_M = (1, 2, 3, 4, 5, 7, 8, 9, 19)
SIZES_N = (1, 2, 3, 15, 16, 17, 48, 49, 97)
SIZES_K = (1, 2, 3, 8, 9, 31, 33, 64)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Compiled here, without a warning."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOHU_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("CC", f"{COMPILER} -Wall -Wextra -Werror")
        patch.delenv("SOHU_NATIVE", raising=False)
        patch.setattr(native, "_state", None)
        library = native.load()
        assert library is not None, native.why()
        return library


@pytest.fixture(params=LEVELS)
def library(request: pytest.FixtureRequest, built: Library) -> Library:
    """At each level that this machine has."""
    found = Library(built.path, request.param)
    if found.level != request.param:
        pytest.skip(f"this machine has no {request.param}")
    return found


def numbers(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(bf16)


def in_order(a: Array, b: Array) -> Array:
    """a @ b in float32, k = 1, 0, 3, 2, ...: products are exact, each sum is rounded."""
    x, y = a.astype(np.float32), b.astype(np.float32)
    out = np.zeros((a.shape[0], b.shape[1]), np.float32)
    k = a.shape[1]
    for i in (i ^ 1 for i in range(k + k % 2)):
        if i < k:
            out += x[:, i : i + 1] * y[i : i + 1]
    return out


def check_bound(out: Array, a: Array, b: Array) -> None:
    """The manual's: K * 2^-24 * sum |a * b|; and where a product is too small for float32, half its smallest number."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    k = a.shape[1]
    allowed = k * (2.0**-24 * (np.abs(x) @ np.abs(y)) + 2.0**-149)
    assert (np.abs(out - x @ y) <= allowed).all()


def along_columns(a: Array, b: Array) -> bool:
    """Whether sums run in several lanes, whose order `in_order` has not."""
    return a.shape[0] <= 4 and b.strides[1] != 2 and b.shape[1] > 1


def test_every_layout_and_tail(library: Library) -> None:
    rng = np.random.default_rng(4)
    for m, n, k in itertools.product(SIZES_M, SIZES_N, SIZES_K):
        x, y = numbers(rng, m, k), numbers(rng, k, n)
        before, want = rng.standard_normal((m, n), np.float32), in_order(x, y)
        for a, b in itertools.product((x, np.asfortranarray(x)), (y, np.asfortranarray(y))):
            out, more = np.full((m, n), np.nan, np.float32), before.copy()
            assert library.product(a, b, out)
            assert library.product(a, b, more, accumulate=True)
            if along_columns(a, b):
                check_bound(out, a, b)
            else:
                np.testing.assert_array_equal(out, want, err_msg=f"{m} {n} {k}")
            np.testing.assert_array_equal(more, before + out, err_msg=f"{m} {n} {k}")


def test_sizes_beyond_a_strip_and_a_panel(library: Library) -> None:
    rng = np.random.default_rng(5)
    for m, n, k in ((1, 8209, 21), (4, 4099, 17), (6, 530, 700), (9, 50, 2050), (33, 100, 1024)):
        a, b = numbers(rng, m, k), numbers(rng, k, n)
        for right in (b, np.asfortranarray(b)):
            out = np.empty((m, n), np.float32)
            assert library.product(a, right, out)
            check_bound(out, a, b)
            if not along_columns(a, right):
                np.testing.assert_array_equal(out, in_order(a, b))


def test_nothing_to_do(library: Library) -> None:
    for m, n, k in ((0, 3, 5), (3, 0, 5), (0, 0, 0)):
        assert library.product(np.ones((m, k), bf16), np.ones((k, n), bf16), np.ones((m, n), np.float32))
    out = np.full((7, 3), 2, np.float32)
    assert library.product(np.ones((7, 0), bf16), np.ones((0, 3), bf16), out, accumulate=True)
    assert (out == 2).all()
    assert library.product(np.ones((7, 0), bf16), np.ones((0, 3), bf16), out)
    assert (out == 0).all()


def scaled(rng: np.random.Generator, shape: tuple[int, int], low: int, high: int) -> Array:
    """Numbers of all magnitudes from 2^low to 2^high, and some zeros."""
    sizes = np.exp2(rng.uniform(low, high, shape)) * rng.choice([-1, 1, 0], shape, p=[0.47, 0.47, 0.06])
    return sizes.astype(np.float32).astype(bf16)


@pytest.mark.parametrize("m", [1, 3, 5, 8, 13])
@pytest.mark.parametrize(
    ("a_range", "b_range"),
    [
        ((-20, 20), (-20, 20)),
        ((-133, -126), (90, 120)),  # subnormal factors of large ones
        ((90, 120), (-133, -126)),
        ((-133, 1), (-133, 1)),
        ((-75, -60), (-75, -60)),  # products about the smallest number
        ((-62, -50), (-75, -60)),
        ((-126, -110), (-12, -5)),
        ((-133, -120), (-133, -120)),  # nothing but zeros, or a few of the smallest numbers
    ],
)
def test_the_manual_s_bound_at_all_magnitudes(
    library: Library, m: int, a_range: tuple[int, int], b_range: tuple[int, int]
) -> None:
    rng = np.random.default_rng(m)
    for k in (1, 2, 33, 64):
        a, b = scaled(rng, (m, k), *a_range), scaled(rng, (k, 70), *b_range)
        a[m // 2] *= bf16.type(2.0**7)
        for right in (b, np.asfortranarray(b)):
            out = np.empty((m, 70), np.float32)
            assert library.product(a, right, out)
            check_bound(out, a, b)


def test_what_cancels_is_not_lost(library: Library) -> None:
    """Sums of large numbers that leave a subnormal one."""
    a, b = np.zeros((6, 4), bf16), np.zeros((4, 5), bf16)
    a[:, 0], a[:, 1], a[:, 2] = 2.0**-60, -(2.0**-60), 2.0**-70
    b[0], b[1], b[2] = 1, 1, 2.0**-65
    out = np.empty((6, 5), np.float32)
    assert library.product(a, b, out)
    assert (out == np.float32(2.0**-135)).all()


@pytest.mark.parametrize("m", [2, 11])
def test_nan_and_infinity(library: Library, m: int) -> None:
    rng = np.random.default_rng(6)
    for k in (3, 32, 41):
        a, b = numbers(rng, m, k), numbers(rng, k, 53)
        a[1, 1], a[0, 0], b[0, 1], b[k - 1, 2], b[k - 1, 3], b[1, 40] = np.inf, 0, -np.inf, np.nan, np.inf, np.inf
        with np.errstate(invalid="ignore"):
            want = in_order(a, b)
        assert np.isnan(want).any() and np.isposinf(want).any() and np.isneginf(want).any()
        for right in (b, np.asfortranarray(b)):
            out = np.empty((m, 53), np.float32)
            assert library.product(a, right, out)
            np.testing.assert_array_equal(np.isnan(out), np.isnan(want))
            np.testing.assert_array_equal(out[np.isinf(want)], want[np.isinf(want)])
            assert np.isfinite(out[np.isfinite(want)]).all()


def test_too_large_is_infinite(library: Library) -> None:
    big = np.full((6, 1), 2.0**120, np.float32).astype(bf16)
    out = np.empty((6, 6), np.float32)
    assert library.product(big, -big.T, out)
    assert np.isneginf(out).all()


@pytest.mark.parametrize("m", [3, 14])
def test_views(library: Library, m: int) -> None:
    """Parts of larger arrays, lines in reverse or all the same; what is beside the result is left alone."""
    rng = np.random.default_rng(7)
    x, y = numbers(rng, 40, 90), numbers(rng, 90, 130)
    same = np.broadcast_to(x[0, :33], (m, 33))
    for a in (x[2 : 2 + m, 5:38], x[2 : 2 + 2 * m : 2, 5:38][::-1], same, x[:33, 7 : 7 + m].T):
        for b in (y[3:36, 1:61], y[3:69:2, 1:61][::-1], y[3:63, 1:34].T):
            whole = np.full((m + 2, 70), 7, np.float32)
            out = whole[1:-1, 4:64]
            assert library.product(a, b, out)
            check_bound(out, a, b)
            copy = np.empty((m, 60), np.float32)
            assert library.product(np.array(a, order="C"), b, copy)
            np.testing.assert_array_equal(out, copy)
            out[:] = 7
            assert (whole == 7).all()


def test_leading_dimensions(library: Library) -> None:
    rng = np.random.default_rng(8)
    a, b = numbers(rng, 3, 1, 6, 10), numbers(rng, 4, 10, 20)
    out = np.empty((3, 4, 6, 20), np.float32)
    assert library.product(a, b, out)
    for i in range(3):
        for j in range(4):
            np.testing.assert_array_equal(out[i, j], in_order(a[i, 0], b[j]))
    again = np.ones_like(out)
    call = library.bound(a, b, again, accumulate=True)
    assert call is not None
    call()
    call()
    np.testing.assert_array_equal(again, (1 + out) + out)


def odd(array: Array) -> Array:
    """The same at an odd address."""
    space = np.zeros(array.nbytes + 1, np.uint8)
    return np.frombuffer(space[1:].data, array.dtype).reshape(array.shape)


def read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "change",
    [
        lambda a, b, out: (a.astype(np.float16), b, out),
        lambda a, b, out: (a, b.astype(np.float32), out),
        lambda a, b, out: (a, b, out.astype(np.float64)),
        lambda a, b, out: (a, b, out.astype(bf16)),
        lambda a, b, out: (a[:, :-1], b, out),
        lambda a, b, out: (a, b, out[:-1]),
        lambda a, b, out: (a, b, out[:, :-1]),
        lambda a, b, out: (a[0], b, out),
        lambda a, b, out: (a, b[:, 0], out),
        lambda a, b, out: (a[None], b, out),
        lambda a, b, out: (np.repeat(a, 2, 1).repeat(2, 0)[::2, ::2], b, out),
        lambda a, b, out: (a, np.repeat(b, 2, 1).repeat(2, 0)[::2, ::2], out),
        lambda a, b, out: (a, b, np.asfortranarray(out)),
        lambda a, b, out: (odd(a), b, out),
        lambda a, b, out: (a, odd(b), out),
        lambda a, b, out: (a, b, odd(out)),
        lambda a, b, out: (a, b, read_only(out)),
        lambda a, b, out: (np.stack([a, a]), np.stack([b, b]), np.stack([out, out, out])),
    ],
)
def test_what_is_not_of_its_kind_is_left_to_others(
    built: Library, change: Callable[[Array, Array, Array], tuple[Array, Array, Array]]
) -> None:
    arrays = np.ones((6, 8), bf16), np.ones((8, 5), bf16), np.full((6, 5), 3, np.float32)
    a, b, out = change(*arrays)
    assert not built.product(a, b, out)
    assert built.bound(a, b, out) is None
    assert np.all(out == out.flat[0])
    assert built.product(*arrays) or not arrays[2].flags.writeable


def test_the_function_refuses_strides_and_levels_it_has_not(built: Library) -> None:
    a, out = np.ones((9, 9), bf16), np.zeros((3, 3), np.float32)
    at, to = a.ctypes.data, out.ctypes.data
    best = LEVELS.index(built.level)
    assert built._function(best, 3, 3, 3, at, 9, 1, at, 9, 1, to, 3, 0) == 0
    for wrong in (
        (best, 3, 3, 3, at, 9, 2, at, 9, 1, to, 3, 0),
        (best, 3, 3, 3, at, 9, 1, at, 9, 2, to, 3, 0),
        (best, -1, 3, 3, at, 9, 1, at, 9, 1, to, 3, 0),
        (best + 1, 3, 3, 3, at, 9, 1, at, 9, 1, to, 3, 0),
        (-1, 3, 3, 3, at, 9, 1, at, 9, 1, to, 3, 0),
    ):
        assert built._function(*wrong) == -1


def moved(array: Array, by: int) -> Array:
    """A copy whose address is `by` bytes behind a cache line."""
    space = np.zeros(array.nbytes + 128, np.uint8)
    start = -space.ctypes.data % 64 + by
    copy = space[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize("m", [1, 4, 23])
def test_bits_depend_on_no_address_and_on_no_panel(library: Library, m: int) -> None:
    rng = np.random.default_rng(9)
    a, b, turned = numbers(rng, m, 101), numbers(rng, 101, 90), numbers(rng, 90, 101)
    for right in (b, turned.T):
        first = np.empty((m, 90), np.float32)
        assert library.product(a, right, first)
        for by in (2, 4, 30, 62):
            line = moved(right.T, by).T if right is not b else moved(right, by)
            out = moved(np.empty((m, 90), np.float32), by // 4 * 4)
            assert library.product(moved(a, 64 - by), line, out)
            np.testing.assert_array_equal(out, first)
        for start, end in ((0, 16), (16, 90), (33, 34)):
            part = np.empty((m, end - start), np.float32)
            assert library.product(a, right[:, start:end], part)
            if not (m <= 4 and right is not b and end - start == 1):  # one column has no layout
                np.testing.assert_array_equal(part, first[:, start:end])


def test_two_threads_at_once(library: Library) -> None:
    rng = np.random.default_rng(10)
    work = [(numbers(rng, m, k), numbers(rng, k, n)) for m, n, k in ((1, 400, 300), (20, 130, 260), (20_000, 5, 40))]
    want = []
    for a, b in work:
        want.append(np.empty((a.shape[0], b.shape[1]), np.float32))
        assert library.product(a, b, want[-1])
    wrong: list[int] = []

    def repeat() -> None:
        for turn in range(60):
            for (a, b), right in zip(work, want, strict=True):
                out = np.empty_like(right)
                if not library.product(a, b, out) or not np.array_equal(out, right):
                    wrong.append(turn)

    threads = [threading.Thread(target=repeat) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_no_access_beside_the_arrays(tmp_path: Path) -> None:
    """The function in a program of its own, whose memory accesses and arithmetic the compiler's sanitizers watch."""
    program = tmp_path / "bounds"
    flags = ["-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-ffp-contract=off"]
    source = ROOT / "tests" / "emulator" / "native" / "bounds.c"
    empty = tmp_path / "empty.c"
    empty.write_text("int main(void) { return 0; }\n", encoding="utf-8")
    compiler = str(COMPILER)
    if subprocess.run([compiler, *flags, str(empty), "-o", str(program)], capture_output=True, check=False).returncode:
        pytest.skip("the compiler has no sanitizers")
    include = f"-I{ROOT / 'emulator' / 'native'}"
    subprocess.run(
        [compiler, *flags, "-Wall", "-Wextra", "-Werror", include, str(source), "-o", str(program)], check=True
    )
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) >= 10_000


# From here on: how it comes to be there.


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, built: Library) -> Path:
    """A process that has loaded nothing yet, an empty cache folder, and a compiler that always makes the same file."""
    compiler = tmp_path / "compiler"
    compiler.write_text(f'#!/bin/sh\nfor last; do :; done\necho run >> "$0.log"\ncp "{built.path}" "$last"\n')
    compiler.chmod(0o700)
    monkeypatch.setenv("SOHU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.delenv("SOHU_NATIVE", raising=False)
    monkeypatch.setattr(native, "_state", None)
    return tmp_path


def reload(monkeypatch: pytest.MonkeyPatch) -> Library | None:
    monkeypatch.setattr(native, "_state", None)
    return native.load()


def runs(folder: Path) -> int:
    log = folder / "compiler.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_it_is_compiled_once(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = native.load()
    assert library is not None and native.why() == ""
    assert native.load() is library
    assert reload(monkeypatch) is not None and runs(fresh) == 1
    folder = fresh / "cache" / "native"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]
    compiler = fresh / "compiler"
    compiler.write_text(compiler.read_text() + "# newer\n")
    assert reload(monkeypatch) is not None and runs(fresh) == 2


@pytest.mark.parametrize("damage", [lambda data: data[:1000], lambda data: b"", lambda data: data[:-1] + b"x"])
def test_a_damaged_file_is_made_anew(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
) -> None:
    (path,) = [library.path for library in [native.load()] if library]
    whole = path.read_bytes()
    path.unlink()  # the file in use stays as it is
    path.write_bytes(damage(whole))
    assert reload(monkeypatch) is not None and runs(fresh) == 2
    assert path.read_bytes() == whole


def test_what_others_can_write_to_is_not_loaded(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = native.load()
    assert library is not None
    library.path.chmod(0o622)
    assert reload(monkeypatch) is not None and runs(fresh) == 2
    assert library.path.stat().st_mode & 0o777 == 0o600
    library.path.parent.chmod(0o777)
    assert reload(monkeypatch) is None
    assert "others can write to it" in native.why() and str(library.path.parent) in native.why()


def test_a_folder_that_is_a_link_is_not_used(fresh: Path) -> None:
    (fresh / "cache").mkdir()
    (fresh / "elsewhere").mkdir(mode=0o777)
    (fresh / "cache" / "native").symlink_to(fresh / "elsewhere")
    assert native.load() is None
    assert "others can write to it" in native.why()


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"SOHU_NATIVE": "0"}, "turned off by SOHU_NATIVE=0"),
        ({"SOHU_NATIVE": "fast"}, "SOHU_NATIVE=fast is none of 0, 1, portable"),
        ({"CC": "no-such-compiler -m64"}, "the C compiler that CC names is not there: no-such-compiler -m64"),
        ({"CC": "'"}, "CC=': No closing quotation"),
        ({"CC": "", "PATH": "."}, "no C compiler (cc, gcc or clang); CC names another one"),
        ({"CC": "false"}, "failed: exit 1"),
        ({"CC": f"{COMPILER} -no-such-option"}, "-no-such-option"),
        ({"CC": "true"}, "what the compiler made cannot be loaded here"),
        ({"SOHU_CACHE": "/dev/null/x"}, "Not a directory"),
    ],
)
def test_why_there_is_none(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], reason: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert native.load() is None
    assert reason in native.why()
    folder = fresh / "cache" / "native"
    assert not folder.exists() or not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_compiler_that_makes_wrong_code_is_noticed(fresh: Path) -> None:
    compiler = fresh / "compiler"
    source = ROOT / "emulator" / "native"
    compiler.write_text(
        f'#!/bin/sh\nfor last; do :; done\nmkdir "$0.d"; cp "{source}/kernels.h" "$0.d"\n'
        f'sed \'s/<< 16/<< 15/\' "{source}/product.c" > "$0.d/product.c"\n'
        f'exec "{COMPILER}" -shared -fPIC "$0.d/product.c" -o "$last"\n'
    )
    assert native.load() is None
    assert "gives wrong results here" in native.why()


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_can_be_chosen(fresh: Path, monkeypatch: pytest.MonkeyPatch, built: Library, level: str) -> None:
    monkeypatch.setenv("SOHU_NATIVE", level)
    library = native.load()
    assert library is not None
    assert library.level == min(level, built.level, key=LEVELS.index)


def test_importing_it_compiles_nothing(fresh: Path) -> None:
    subprocess.run([sys.executable, "-c", "import sohu.emulator.native"], check=True)
    assert runs(fresh) == 0
