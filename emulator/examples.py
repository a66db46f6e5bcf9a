"""The examples of the manual, run: an instruction's documentation shows what happens, or is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.asm import assemble
from sohu.emulator.device import Device
from sohu.emulator.errors import MachineError
from sohu.isa import Row, SohuError, Space
from sohu.isa.manual.examples import KERNEL, Example, ScalarValue, TileValue, assembly, parse
from sohu.isa.operands import f32_bits

TOLERANCE = 1e-5  # relative, of floats
_BEFORE = 0xA5  # byte that fills tiles which only the result names
_LIMIT = 100_000  # instructions


class ExampleError(SohuError):
    """An example whose result is not what the machine gives."""


def run_example(row: Row) -> Example:
    """Run the example in a row's documentation on the small chip and compare what it says comes out.

    Floats are compared after rounding to their dtype, to a relative TOLERANCE; all else must be equal.
    Raises ExampleError that shows both sides, DefinitionError for text that is no example, and SohuError for
    assembly that is none.
    """
    example = parse(row)
    printed: list[str] = []
    device = Device("small", output=printed.append, max_instructions=_LIMIT)
    machine = device.machine
    program = assemble(assembly(example), f"example of {row.mnemonic}")
    kernel = program.kernels[KERNEL]
    before = {t.name: t for t in (*example.tiles_after, *example.tiles)}
    given = {t.name for t in example.tiles}
    registers = {p.name: p.reg for p in kernel.params} | {t.name: t.reg for t in kernel.tiles}

    arguments = {t.name: np.empty_like(t.values) for t in before.values() if t.space is Space.HBM}
    device.start(program, KERNEL, arguments)
    stop = ""
    try:
        for _ in registers:  # the prologue, one instruction each; then the tiles are there to be filled
            machine.step()
        for name, t in before.items():
            view = machine.view(_held(machine.t[registers[name]]))
            view[...] = t.values if name in given else _other(t.values)
        machine.run()
    except MachineError as e:
        stop = e.category
        if stop != example.fault:
            raise ExampleError(f"the example of {row.mnemonic} is stopped: {e.message}", where=row.where) from None
    if stop != example.fault:
        raise ExampleError(f"the example of {row.mnemonic} runs to its end, wants {example.fault}", where=row.where)
    for want in example.tiles_after:
        tile = _held(machine.t[registers[want.name]])
        got = TileValue(want.name, tile.space, tile.dtype, machine.view(tile).copy())
        if got.dtype != want.dtype or not _same(got.values, want.values):
            raise _different(row, str(got), str(want))
    for s in example.scalars_after:
        wants = f32_bits(s.value) if isinstance(s.value, float) else s.value
        if machine.x[s.reg] != wants:
            raise _different(row, str(ScalarValue(s.reg, machine.x[s.reg])), f"x{s.reg} = {wants}")
    if printed != example.prints:
        raise _different(row, f"prints {printed}", f"prints {example.prints}")
    return example


def _different(row: Row, got: str, want: str) -> ExampleError:
    return ExampleError(f"the example of {row.mnemonic} says\n  {want}\nand the machine\n  {got}", where=row.where)


def _held(tile: Any) -> Any:
    assert tile is not None, "the prologue has loaded it"
    return tile


def _other(values: NDArray[Any]) -> NDArray[Any]:
    """Something else than `values` in their shape and dtype."""
    raw = np.full(values.nbytes, _BEFORE, np.uint8)
    return raw.view(values.dtype).reshape(values.shape)


def _same(got: NDArray[Any], want: NDArray[Any]) -> bool:
    if got.shape != want.shape:
        return False
    if got.dtype.kind in "iu":
        return bool(np.array_equal(got, want))
    with np.errstate(all="ignore"):
        return bool(np.allclose(got.astype(np.float64), want.astype(np.float64), TOLERANCE, 0, equal_nan=True))
