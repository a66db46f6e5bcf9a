"""`make bench`: quick runs of every benchmark, as text and as JSON."""

import importlib
import json
import pkgutil
import subprocess
import sys
import time

import pytest
from sohu.dsl import Kernel, kernels

from benchmarks.compiling import KERNELS
from benchmarks.instructions import CASES, arrays, program
from benchmarks.measure import Table, interleaved
from tests.front.conftest import environment
from tools.tree import ROOT


def bench(*words: str) -> str:
    command = [sys.executable, "-m", "benchmarks", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_figures_are_there() -> None:
    record = json.loads(bench("--quick", "--json", "--threads", "1"))
    assert record["quick"] is True
    assert "threads of BLAS: 1" in record["machine"]["numpy"]
    rows = {row["name"]: row for table in record["tables"] for row in table["rows"]}
    assert {"prefill f32", "prefill bf16", "decode f32", "decode bf16", "add (scalar)", "matmul"} <= rows.keys()
    assert rows["1,000 lines"]["distinct %"] > 90
    assert rows["1,000 lines"]["sohu (s)"] > 0 and rows["1,000 lines"]["bytes/line"] < 1024
    assert rows["a program, to arrays"]["sohu (s)"] < rows["a program, to text"]["sohu (s)"]
    for name in ("prefill f32", "decode bf16"):
        row = rows[name]
        # of one round, so that the median of ratios is the ratio of medians
        assert row["x NumPy"] == pytest.approx(row["emulator"] / row["NumPy f32"])
        assert row["PyTorch"] is None
    for name in ("softmax 1024x1024 f32", "matmul 512^3 bf16", "attention 8 heads x 512 x 64 f32"):
        row = rows[name]
        assert row["emulator x"] == pytest.approx(row["emulator ms"] / row["NumPy ms"])
    assert rows["f32"]["launches"] == 1 and rows["bf16 in low memory"]["instructions"] < 1000
    assert rows["add (scalar)"]["NumPy"] is None
    assert all(
        row["ms"] > 0 and row["instructions"] > 10 for row in rows.values() if {"ms", "instructions"} <= row.keys()
    )


def test_one_benchmark_as_text() -> None:
    text = bench("--quick", "--only", "instructions")
    assert "processor" in text and "add (scalar)" in text and "tokens/s" not in text


def test_every_kernel_of_the_library_is_compiled() -> None:
    library = set()
    for module in pkgutil.iter_modules(kernels.__path__, "sohu.dsl.kernels."):
        library |= {k.name for k in vars(importlib.import_module(module.name)).values() if isinstance(k, Kernel)}
    assert library <= {kernel.name for kernel, _, _ in KERNELS}


def test_medians_are_of_turns() -> None:
    calls: list[str] = []

    def slow() -> None:
        calls.append("slow")
        time.sleep(0.01)

    seconds = interleaved({"slow": slow, "fast": lambda: calls.append("fast")}, 3)
    assert calls == ["slow", "fast"] * 3
    assert seconds["slow"] >= 0.01 > seconds["fast"]


def test_a_case_executes_what_it_counts() -> None:
    for case in CASES:
        text = program(case, 2)
        assert len(text) == len(program(case, 1))
    first, second, _ = arrays(3, 5)
    assert first.ctypes.data % 64 == second.ctypes.data % 64 == 0
    assert first.shape == (3, 5) and second.ctypes.data - first.ctypes.data == 64


def test_a_table_reads_well() -> None:
    table = Table("speed", ["a", "b"])
    table.add("x", 1234.5, None)
    table.add("long name", 0.01234, 7)
    assert str(table).splitlines() == [
        "speed",
        "                      a           b",
        "  x               1,234           -",
        "  long name      0.0123           7",
    ]
