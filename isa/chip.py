"""Chip configurations: one TOML file each (sohu/isa/chips), read into a Chip."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sohu.isa.dtypes import Factor, fp4x2, i8
from sohu.isa.errors import SohuError
from sohu.isa.machine import MIN_QUEUE_DEPTH, Space
from sohu.isa.packages import OWN


@dataclass(frozen=True)
class Chip:
    """One chip: sizes in bytes, rates per cycle, latencies in cycles. docs/machine.md argues each figure."""

    name: str
    clock_hz: float
    hbm_bytes: int
    sram_bytes: int
    acc_bytes: int
    hbm_bytes_per_cycle: float
    hbm_latency: int
    dma_queue_bytes_per_cycle: float
    mxu_arrays: int
    mxu_rows: int
    mxu_cols: int
    mxu_rate: Mapping[str, float]  # products per cell and cycle, by operand dtype; f32's for those of extensions
    vpu_lanes: int  # float32 elements per cycle
    vpu_latency: int
    link_bytes_per_cycle: float
    link_latency: int
    queue_depth: int

    def capacity(self, space: Space) -> int:
        """Bytes of a memory."""
        return {Space.HBM: self.hbm_bytes, Space.SRAM: self.sram_bytes, Space.ACC: self.acc_bytes}[space]


def chips() -> list[str]:
    """Names of the configurations that come with the toolchain."""
    from importlib import resources  # here and below: most who import this read no chip

    files = resources.files("sohu.isa").joinpath("chips").iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def load_chip(name: str = "sohu") -> Chip:
    """A configuration by name, or from a path ending in .toml.

    Raises SohuError for an unknown name (with the nearest one), a missing or unknown key, a bad value.
    """
    import tomllib
    from importlib import resources

    if name.endswith(".toml"):
        try:
            text = Path(name).read_text()
        except (OSError, UnicodeDecodeError) as e:
            raise SohuError(f"cannot read chip configuration {name}: {e}") from None
    else:
        if name not in chips():
            known = f"there are: {', '.join(chips())}; or give a .toml file"
            hint = _nearest(name, chips()) or known
            raise SohuError(f"unknown chip {name!r}", help=hint)
        text = resources.files("sohu.isa").joinpath(f"chips/{name}.toml").read_text()
    try:
        return chip_of(tomllib.loads(text), name)
    except tomllib.TOMLDecodeError as e:
        raise SohuError(f"chip configuration {name}: {e}") from None


def chip_of(data: dict[str, Any], origin: str) -> Chip:
    """A configuration from the values of a file; raises SohuError for an unknown or missing key, a bad value."""
    names = {f.name: f for f in fields(Chip)}
    for key in data:
        if key not in names:
            raise SohuError(f"chip configuration {origin}: unknown key {key!r}", help=_nearest(key, names))
    missing = sorted(set(names) - set(data))
    if missing:
        raise SohuError(f"chip configuration {origin}: missing {', '.join(missing)}")
    for key, value in data.items():
        if key == "name":
            good, wants = isinstance(value, str), "text"
        elif key == "mxu_rate":
            good = isinstance(value, dict) and all(_positive(rate) for rate in value.values())
            wants = "a table of positive numbers"
        elif names[key].type == "int":
            good, wants = type(value) is int and 0 < value < 1 << 63, "a positive whole number"
        else:
            good, wants = _positive(value), "a positive number"
        if not good:
            raise SohuError(f"chip configuration {origin}: {key} = {value!r}, wants {wants}")
    if unrated := sorted(d.name for d in (*Factor, i8, fp4x2) if d.package == OWN and d.name not in data["mxu_rate"]):
        raise SohuError(f"chip configuration {origin}: mxu_rate says nothing of {', '.join(unrated)}")
    if data["queue_depth"] < MIN_QUEUE_DEPTH:
        raise SohuError(f"chip configuration {origin}: queues are at least {MIN_QUEUE_DEPTH} deep")
    return Chip(**data)


def _nearest(name: str, among: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, list(among), 1)
    return f"did you mean {near[0]!r}?" if near else ""


def _positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf
