"""Functions that NumPy lacks, vectorized: the error functions, and the activations of transformers."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]

_END = 12.0  # beyond it the function is less than the smallest float32
_DEGREE = 14
_CHUNK = 1 << 13  # elements at a time, so that what is between the steps stays in a cache
_LOW = 2 / (2 + _END)


@cache
def _coefficients() -> list[float]:
    """Coefficients, highest first, of log(erfc(x) e^(x^2) / t) over t = 2 / (2 + x), with [_LOW, 1] as [-1, 1].

    The form is that of Press et al., Numerical Recipes, 6.2.2; the fit is made here, from math.erfc.
    """

    def exact(ts: Doubles) -> Doubles:
        xs = 2 / ts - 2
        return np.array([math.log(math.erfc(x) / t) + x * x for x, t in zip(xs, ts, strict=True)])

    series = np.polynomial.Chebyshev.interpolate(exact, _DEGREE, domain=[_LOW, 1.0])
    return [float(c) for c in np.polynomial.chebyshev.cheb2poly(series.coef)[::-1]]


def erfc(x: NDArray[Any]) -> Doubles:
    """erfc(x) = 2 / sqrt(pi) * the integral of e ** -t^2 from x to infinity, in float64.

    Relative error below 1e-10 where the result is a float32 above 0; NaN gives NaN.
    """
    flat = x.reshape(-1)
    out = np.empty(flat.shape)
    for at in range(0, flat.size, _CHUNK):
        _erfc(flat[at : at + _CHUNK], out[at : at + _CHUNK])
    return out.reshape(x.shape)


def _erfc(x: NDArray[Any], out: Doubles) -> None:
    wide = np.abs(x, dtype=np.float64)
    t = 2 / (2 + wide)
    u = (t - _LOW) * (2 / (1 - _LOW)) - 1
    first, *others = _coefficients()
    out.fill(first)
    for c in others:
        out *= u
        out += c
    wide *= wide
    out -= wide
    np.exp(out, out=out)
    out *= t
    np.subtract(2, out, out=out, where=np.signbit(x))


def erf(x: NDArray[Any]) -> Doubles:
    """The error function, 1 - erfc(x), in float64; relative error below 1e-8. NaN gives NaN."""
    result = 1 - erfc(x)
    near = np.abs(x) < 1 / 64
    if near.any():
        small = x[near].astype(np.float64)
        square = small * small
        result[near] = small * (2 / math.sqrt(math.pi)) * (1 - square / 3 + square * square / 10)
    return result


def silu(x: Singles) -> Singles:
    """x / (1 + e ** -x), in float32."""
    e = np.exp(-x)
    e += np.float32(1)
    np.divide(x, e, out=e)
    return e


def gelu_tanh(x: Singles) -> Singles:
    """x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), in float32.

    (1 + tanh u) / 2 is the logistic function of 2u, which loses nothing where it is small.
    """
    u = x * x
    u *= np.float32(-2 * 0.044715 * (2 / np.pi) ** 0.5)
    u += np.float32(-2 * (2 / np.pi) ** 0.5)
    u *= x
    np.exp(u, out=u)
    u += np.float32(1)
    np.divide(x, u, out=u)
    return u


def gelu_erf(x: Singles) -> Doubles:
    """x (1 + erf a) / 2 with a = x / sqrt(2), in float64: (1 + erf a) / 2 is erfc(-a) / 2, exact where it is small."""
    result = erfc(np.multiply(x, -(0.5**0.5), dtype=np.float64))
    result *= 0.5
    result *= x
    return result
