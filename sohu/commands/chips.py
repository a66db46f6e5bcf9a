"""List the chip configurations, or show one.

Each is a TOML file; a file of your own is taken wherever a chip is named. docs/machine.md says which
figures of the chip are published and which are assumed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from sohu.arguments import Parser, chip
from sohu.isa.chip import Chip, chips, load_chip

_UNITS = {"_hz": "Hz", "_bytes": "bytes", "_per_cycle": "bytes per cycle", "_latency": "cycles"}


def main(argv: Sequence[str]) -> int:
    """Run `sohu chips` and give its exit status."""
    parser = Parser("chips", __doc__)
    parser.add_argument("chip", nargs="?", type=chip, help="a configuration's name, or a .toml file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse(argv)
    shown = [load_chip(name) for name in chips()] if args.chip is None else [args.chip]
    if args.json:
        print(json.dumps([asdict(c) for c in shown], indent=2))
    elif args.chip is None:
        _list(shown)
    else:
        _show(args.chip)
    return 0


def _list(found: list[Chip]) -> None:
    print(f"{'chip':8} {'clock':>8} {'HBM':>8} {'SRAM':>8} {'ACC':>8}  {'MXU':14} {'bf16 peak':>14}")
    for c in found:
        cells = c.mxu_arrays * c.mxu_rows * c.mxu_cols
        peak = 2 * cells * c.mxu_rate["bf16"] * c.clock_hz if "bf16" in c.mxu_rate else 0
        arrays = f"{c.mxu_arrays} x {c.mxu_rows}x{c.mxu_cols}"
        sizes = " ".join(f"{_size(n):>8}" for n in (c.hbm_bytes, c.sram_bytes, c.acc_bytes))
        print(f"{c.name:8} {c.clock_hz / 1e9:>4.1f} GHz {sizes}  {arrays:14} {peak / 1e12:>8,.1f} TFLOPS")


def _size(n: int) -> str:
    if n >= 1 << 30:
        return f"{n / 1e9:.0f} GB" if n % (1 << 30) else f"{n >> 30} GiB"
    return f"{n >> 20} MiB" if n >= 1 << 20 else f"{n >> 10} KiB"


def _show(c: Chip) -> None:
    for key, value in asdict(c).items():
        unit = next((u for end, u in _UNITS.items() if key.endswith(end)), "")
        if isinstance(value, dict):
            value = ", ".join(f"{dtype} {rate:g}" for dtype, rate in value.items())
        elif not isinstance(value, str):
            value = f"{value:,.10g}" if isinstance(value, float) else f"{value:,}"
        print(f"{key:26} {value} {unit}".rstrip())
