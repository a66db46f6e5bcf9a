"""A kernel as plain Python over NumPy arrays, and what its variables hold at each line: what debuggers must show."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from typing import Any

import numpy as np
from sohu.dsl import Kernel


class Array(np.ndarray):
    """An array with the methods that tiles and tensors have."""

    names: tuple[Any, ...] = ()  # of its dimensions

    def to(self, dtype: Any) -> Array:
        return self.copy()

    @property
    def T(self) -> Any:  # type: ignore[override]
        return self.swapaxes(-1, -2) if self.ndim > 1 else self

    def __getattr__(self, name: str) -> Any:
        names = self.__dict__.get("names", ())
        if name in names:
            return self.shape[names.index(name)]
        raise AttributeError(name)


def array(data: Any) -> Array:
    return np.asarray(data, np.float32).view(Array)


def online_softmax(s: Any, m: Any, total: Any, o: Any, **how: Any) -> Any:
    scale, causal, qpos, kpos = (how[name] for name in ("scale", "causal", "qpos", "kpos"))
    s = s * np.float32(scale)
    if causal:
        q, k = qpos + np.arange(s.shape[-2]), kpos + np.arange(s.shape[-1])
        s = np.where(k[None, :] > q[:, None], np.float32(-np.inf), s)
    new = np.maximum(m, s.max(axis=-1, keepdims=True))
    p, fade = np.exp(s - new), np.exp(m - new)
    return array(p), array(new), array(total * fade + p.sum(axis=-1, keepdims=True)), array(o * fade)


def rms_norm(x: Any, w: Any, eps: float) -> Any:
    return array(x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps) * w)


LANGUAGE: dict[str, Any] = {
    "range_": range,
    "minimum": min,
    "maximum": max,
    "exp": lambda x: array(np.exp(x)),
    "full": lambda shape, value: array(np.full(shape, value)),
    "zeros": lambda shape: array(np.zeros(shape)),
    "online_softmax": online_softmax,
    "rms_norm": rms_norm,
}


@dataclass(frozen=True)
class Moment:
    """Before a line is run: the function it stands in, and its local names."""

    function: str
    line: int
    names: dict[str, Any]


def moments(kernel: Kernel, args: dict[str, Any]) -> list[Moment]:
    """Run a kernel's function as plain Python; arrays of `args` that are outputs are written."""
    fn: types.FunctionType = kernel.__sohu_function__
    mine = dict(fn.__globals__)
    functions = {n: v for n, v in mine.items() if isinstance(v, types.FunctionType) and v.__module__ == fn.__module__}
    mine |= {n: v for n, v in LANGUAGE.items() if n in mine}
    for n, f in functions.items():
        mine[n] = types.FunctionType(f.__code__, mine, n, f.__defaults__, f.__closure__)
    given: dict[str, Any] = {}
    for name, value in args.items():
        given[name] = value
        if isinstance(value, np.ndarray):
            given[name] = value.view(Array)
            given[name].names = kernel.specs[name].dims  # type: ignore[union-attr]
    found: list[Moment] = []
    codes = {fn.__code__, *(f.__code__ for f in functions.values())}

    def keep(v: Any) -> Any:
        return v.copy() if isinstance(v, np.ndarray) else v

    def trace(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code not in codes:
            return None
        if event == "line":
            names = {n: keep(v) for n, v in frame.f_locals.items()}
            found.append(Moment(frame.f_code.co_name, frame.f_lineno, names))
        return trace

    plain = types.FunctionType(fn.__code__, mine, fn.__name__, fn.__defaults__, fn.__closure__)
    plain.__kwdefaults__ = fn.__kwdefaults__
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        plain(**given)
    finally:
        sys.settrace(before)
    return found
