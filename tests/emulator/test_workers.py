"""Panels of large products: the same bits, whoever computes them."""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from sohu.emulator.workers import Workers, at_work
from sohu.isa import products

from tests.emulator.support import random_floats

SHAPES = [
    ((1, 576), (576, 1536)),
    ((256, 576), (576, 960)),
    ((700, 64), (64, 20)),
    ((8, 128, 64), (8, 64, 128)),
    ((9, 3, 40, 64), (9, 1, 64, 130)),
    ((2, 200, 64), (64, 200)),
    ((3, 700), (700, 700)),
]


def product(a: NDArray[Any], b: NDArray[Any], workers: int, add: bool) -> NDArray[Any]:
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    out = np.ones(shape, np.float32)
    with at_work(workers):
        (products.accumulate if add else products.multiply)(a, b, out)
    return out


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
@pytest.mark.parametrize(("left", "right"), SHAPES, ids=str)
def test_the_number_of_workers_does_not_show(
    left: tuple[int, ...], right: tuple[int, ...], dtype: Any, add: bool
) -> None:
    a, b = random_floats(left).astype(dtype), random_floats(right, seed=1).astype(dtype)
    one = product(a, b, 1, add)
    assert all(np.array_equal(one, product(a, b, workers, add)) for workers in (2, 3, 5))
    wide = np.matmul(a.astype(np.float64), b.astype(np.float64)) + add
    bound = left[-1] * 2.0**-24 * np.matmul(np.abs(a.astype(np.float64)), np.abs(b.astype(np.float64)))
    assert (np.abs(one - wide) <= bound + 2.0**-23 * np.abs(wide)).all()


@pytest.mark.parametrize(("left", "right"), SHAPES, ids=str)
def test_panels_cover_a_product_once(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    a, b = np.zeros(left, np.float32), np.zeros(right, np.float32)
    shape = (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])
    out = np.zeros(shape, np.int8)
    pieces = list(products.panels(a, b, out))
    assert len(pieces) > 1
    for x, y, part in pieces:
        assert np.matmul(x, y).shape == part.shape
        part += 1
    assert (out == 1).all()


def test_the_first_failure_comes_back_when_all_have_ended() -> None:
    workers = Workers(3)
    ended: list[int] = []

    def task(i: int) -> None:
        ended.append(i)
        if i % 3 == 1:
            raise ValueError(f"task {i}")

    def tasks() -> list[Any]:
        return [partial(task, i) for i in range(9)]

    for _ in range(20):
        ended.clear()
        with pytest.raises(ValueError, match="task"):
            workers.run(tasks())
        assert sorted(ended) == list(range(9))


def test_two_callers_share_the_threads() -> None:
    workers = Workers(2)
    sums = [0, 0]

    def caller(n: int) -> None:
        for _ in range(200):
            got: list[int] = []
            workers.run([partial(got.append, i) for i in range(5)])
            sums[n] += sum(got)

    threads = [threading.Thread(target=caller, args=(n,)) for n in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sums == [2000, 2000]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    a, b = random_floats((256, 576)), random_floats((576, 960))
    here = product(a, b, 2, False)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(here, product(a, b, 2, False)) else 1)
    assert os.waitpid(child, 0)[1] == 0
