"""Changing the machine: registers, semaphores, elements of tiles. What has been changed, time travel goes on from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sohu.asm.names import REGISTERS, nearest
from sohu.debugger.arguments import of_file
from sohu.debugger.errors import CommandError
from sohu.debugger.expressions import compile_expression, leading
from sohu.debugger.functions import operand
from sohu.debugger.values import Value
from sohu.isa import DType, Fault, Space, Tile
from sohu.isa.numerics import convert

if TYPE_CHECKING:
    from sohu.debugger.session import Session

_WORD = 1 << 64
_HIGHEST = (1 << 32) - 1  # of a semaphore


def assign(session: Session, target: str, expression: str) -> bool:
    """Give a register, a semaphore, elements of a tile or a `$name` a value; True when the machine has changed.

    target: `x5`, `$x5`, a scalar parameter, `s2`, a semaphore's name, `t[0:2, :]`, `t`, `$saved`. Raises
    CommandError for what cannot be changed: memory that programs may only read, descriptors, values that do not fit.
    """
    target = target.strip()
    value = compile_expression(expression).evaluate(session.lookup)
    if _is_variable(target):
        session.values.assign(target, value)
        return False
    session.need_run()
    if not session.alive:
        raise CommandError("the program was stopped by an error: what it has left can only be looked at")
    place = _register(session, target)
    if place is None:
        elements(session, target, value)
    else:
        _set_register(session, *place, value)
    return True


def _is_variable(target: str) -> bool:
    return (
        target.startswith("$") and target[1:] not in (*REGISTERS, "pc") and re.fullmatch(r"\$\w+", target) is not None
    )


def _register(session: Session, target: str) -> tuple[str, int] | None:
    """The register file ("x" or "s") and number that a target names; None for anything else."""
    names = session.names
    word = target.removeprefix("$")
    if word == "pc":
        raise CommandError("the pc cannot be set", help="goto goes to where the program has been")
    if not target.startswith("$") and names.knows(target):
        found = names.register_of(target)
        return found if found is not None and found[0] in ("x", "s") else None
    file, number = REGISTERS.get(word, ("", 0))
    return (file, number) if file in ("x", "s") else None


def _set_register(session: Session, file: str, number: int, value: Value) -> None:
    machine = session.machine
    data = value.data.item() if isinstance(value.data, np.ndarray) and value.data.ndim == 0 else value.data
    if isinstance(data, float) and file == "x":
        if not session.names.is_float(number):
            raise CommandError(
                f"x{number} holds integers; {data!r} is none", help="the bits of a float32 can be set as an integer"
            )
        data = int(np.float32(data).view(np.uint32))
    if not isinstance(data, int):
        raise CommandError("a register is given one integer")
    if file == "x":
        if number == 0:
            raise CommandError("x0 is always 0")
        if not -(_WORD >> 1) <= data < _WORD:
            raise CommandError(f"{data} does not fit 64 bits")
        machine.x[number] = data - _WORD if data >= _WORD >> 1 else data
    elif file == "s":
        if not 0 <= data <= _HIGHEST:
            raise CommandError(f"a semaphore holds 0 to {_HIGHEST}, not {data}")
        machine.sems[number] = data
        if machine.timer is not None:
            machine.timer.put(number, data)
        if machine.schedule is None:  # in program order nothing waits that can execute
            machine.pump()


def elements(session: Session, target: str, value: Value) -> None:
    """Write elements of a tile in memory, rounded to its dtype; raises CommandError."""
    array, base, dtype = writable(session, target)
    given = np.asarray(operand(value))
    try:
        np.broadcast_shapes(given.shape, array.shape)
        source = np.broadcast_to(given, array.shape)
    except ValueError:
        raise CommandError(f"{target} is {list(array.shape)}, not {list(given.shape)}") from None
    store(session, array, base, fitted(source, dtype, target))


def fitted(source: NDArray[Any], dtype: DType, target: str) -> NDArray[Any]:
    """Numbers as a dtype stores them, rounded to nearest; raises CommandError for integers that do not fit."""
    if source.dtype.kind in "US":
        raise CommandError(f"{target} holds numbers ({dtype}), a text is none")
    if dtype.is_float:
        with np.errstate(all="ignore"):
            wide = np.ascontiguousarray(source, np.float64 if source.dtype.kind in "iub" else None)
            flat = convert(np.atleast_1d(wide), dtype.np, saturate=False)
        return np.asarray(flat).reshape(source.shape)
    if source.dtype.kind not in "iub":
        raise CommandError(f"{target} holds integers ({dtype})", help="round(x) and i32(x) make some")
    info = np.iinfo(dtype.np)
    if source.size and not info.min <= source.min() <= source.max() <= info.max:
        raise CommandError(f"{dtype} holds {info.min} to {info.max}, not {source.min()} to {source.max()}")
    return source.astype(dtype.np)


def writable(session: Session, target: str) -> tuple[NDArray[Any], Tile, DType]:
    """The elements that a target names, in memory and to be written, and their tile; raises CommandError."""
    made, rest = leading(target)
    if rest:
        raise CommandError(f"{target}: {rest!r} is not expected here")
    name = re.match(r"\$?[^\W\d][\w.]*", made.text)
    if name is None:
        raise CommandError(f"{target} cannot be set", help="registers, semaphores, tiles and slices of tiles can")
    base = session.lookup(name[0])
    if base.tile is None or not isinstance(base.data, np.ndarray):
        hint = nearest(name[0], session.names.all())
        raise CommandError(f"{target} cannot be set", help=hint or "registers, semaphores and tiles can")
    machine = session.machine
    try:
        whole = machine.view(base.tile)  # nothing is deferred any more
    except Fault as e:
        raise CommandError(f"{target} cannot be written: {e.message}") from None
    _check_rights(session, base.tile, target)
    inside = compile_expression(made.text).evaluate(
        lambda n: Value(whole, base.dtype, base.tile) if n == name[0] else session.lookup(n)
    )
    array = inside.data
    if not isinstance(array, np.ndarray) or (not np.shares_memory(array, whole) and array.size):
        raise CommandError(f"{target} is computed and lies nowhere", help="a tile or a slice of one can be set")
    assert base.dtype is not None
    return array, base.tile, base.dtype


def _check_rights(session: Session, tile: Tile, target: str) -> None:
    if tile.space is not Space.HBM:
        return
    block = session.machine.memories.hbm.find(tile.base)
    if block is not None and not block.writable:
        raise CommandError(f"{target} is in {block}, which programs may only read", help="change it in the host's code")


def assign_file(session: Session, target: str, path: Path) -> None:
    """Give elements of a tile the numbers of a .npy file of the same shape; raises CommandError, SohuError."""
    session.need_run()
    if not session.alive:
        raise CommandError("the program was stopped by an error: what it has left can only be looked at")
    array, base, dtype = writable(session, target)
    value = of_file(path, dtype)
    given = np.asarray(value.data)
    if given.shape != array.shape:
        raise CommandError(f"{path} holds {list(given.shape)}, {target} is {list(array.shape)}")
    store(
        session,
        array,
        base,
        given if given.dtype == array.dtype else fitted(np.asarray(operand(value)), dtype, target),
    )


def store(session: Session, array: NDArray[Any], tile: Tile, source: NDArray[Any]) -> None:
    """Write elements in place, which are some of a tile's, and let the checkers know of it."""
    array[...] = source
    if not array.size:
        return
    flat = array.reshape(1) if array.ndim == 0 else array
    flat = flat[tuple(slice(None, None, -1 if s < 0 else 1) for s in flat.strides)]
    memory = session.machine.memories.map(tile.space)
    start = np.frombuffer(memory, np.uint8).__array_interface__["data"][0]
    n = tile.dtype.itemsize
    low = int(flat.__array_interface__["data"][0]) - int(start)
    written = Tile(tile.space, tile.dtype, low, flat.shape, [s // n for s in flat.strides])
    session.wrote.append(written)
    for check in session.machine.hooks.whole.checks:
        check.host_wrote(written)
