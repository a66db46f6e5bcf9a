"""Does an instruction do what it says? One call runs everything that a definition promises.

    from sohu.emulator.conformance import check, check_package

    print(check(ROWS["vcube"], lambda src: src**3))
    print(check_package("my_package"))

Instructions are run through assembler and emulator, and compared with a plain reference in double precision.
"""

from __future__ import annotations

import inspect
import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.asm import assemble, format_inst
from sohu.emulator.device import Device
from sohu.emulator.errors import MachineError
from sohu.emulator.examples import run_example
from sohu.isa import ROWS, CostArgs, Data, DType, Row, SohuError, Space, decode, encode, load_chip
from sohu.isa.dtypes import Fp8, e8m0
from sohu.isa.numerics import Rounding, convert
from sohu.isa.operands import XF, XFI, Imm, Label, Str, X, f32_bits
from sohu.isa.sample import random_inst
from sohu.isa.shapes import Pattern

Array = NDArray[Any]
Reference = Callable[..., Any]
Shapes = dict[str, tuple[int, ...]]

WORDS = 500  # random instructions of a round trip
_SHOWN = 64  # elements of an input that a message shows
_LAST = ""  # name of the size of tiles whose pattern has none, only `...`
_ALL_BITS = (1 << 32) - 1  # of the widest integer dtype
_ROOM = 3  # columns beyond the last one, in tiles with a tail


class ConformanceError(AssertionError):
    """An instruction that does not do what it says; the message shows the smallest case that was found."""


@dataclass
class Report:
    """What was checked of one instruction; as text, one line."""

    mnemonic: str
    words: int = 0  # encoded, decoded, printed, assembled
    runs: int = 0  # compared with the reference
    dtypes: set[str] = field(default_factory=set)
    shapes: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        runs = f"; {self.runs} runs agree with the reference ({len(self.dtypes)} dtypes, {len(self.shapes)} shapes)"
        return f"{self.mnemonic}: {self.words} words round trip, the example runs{runs if self.runs else ''}"


@dataclass(frozen=True)
class Case:
    """One run: shapes and dtypes of the tiles, numbers of the other operands, and how the tiles lie."""

    shapes: Shapes
    dtypes: dict[str, DType]
    scalars: dict[str, int | float]
    tail: bool = False  # tiles have room for more columns, and their width comes from a register
    alike: tuple[str, str] | None = None  # (input, output) that are the very same tile

    def __str__(self) -> str:
        tiles = [f"{n} {self.dtypes[n]}{list(s)}" for n, s in self.shapes.items()]
        tiles += [f"{n}={v}" for n, v in self.scalars.items()]
        tiles += ["tiles with room for more columns"] if self.tail else []
        tiles += [f"{self.alike[0]} the same tile as {self.alike[1]}"] if self.alike else []
        return ", ".join(tiles)


def check_package(name: str, references: Mapping[str, Reference] | None = None) -> list[Report]:
    """Check every instruction that a package (by the name that is imported) defines.

    `references`, by mnemonic, are for `check`; instructions without one are not compared with anything. Raises
    ConformanceError for the first that fails, and when the package defines none.
    """
    rows = [r for r in ROWS if r.package == name]
    if not rows:
        raise ConformanceError(f"package {name} has defined no instruction: has it been imported?")
    given = dict(references or {})
    reports = [check(row, given.pop(row.mnemonic, None)) for row in rows]
    if given:
        raise ConformanceError(f"package {name} defines no {', '.join(given)}")
    return reports


def check(
    row: Row,
    reference: Reference | None = None,
    shapes: Sequence[Mapping[str, int]] = (),
    *,
    scalars: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] | None = None,
    ulps: float = 4,
    slack: float = 0.0,
    seed: int = 0,
) -> Report:
    """Check an instruction: documentation and example, cost, encoding, text, and its results.

    reference: gets, by the names of its parameters, tiles as float64 or int64 arrays and scalar operands as numbers;
        gives the exact result of the one output as an array, or a dict of them by name.
    shapes: sizes of the dimensions that the shape patterns name, and of `...`, if there is to be a leading dimension.
        Without, small ones are made. Each is also run with tails, broadcast where the patterns allow it, and in place.
    scalars: number, or list of numbers to try, per scalar operand. Left out: defaults, both values of flags, 0.5, 1.
    inputs: makes the elements of an input; without, they are normally distributed (integers: -50 to 49).
    ulps, slack: error that is allowed before the result is rounded to its dtype, in units of float32 and absolute.

    Raises ConformanceError that shows what was run, what came out, and what should have.
    """
    report = Report(row.mnemonic)
    _check_documentation(row)
    _check_cost(row)
    report.words = _check_round_trips(row, random.Random(seed))
    if reference is None:
        return report
    device = Device("small")
    for case in _cases(row, [dict(s) for s in shapes] or _sizes(row), dict(scalars or {})):
        rng = np.random.default_rng(seed)
        values = _elements(row, case, inputs or {}, rng)
        before = {n: v.copy() for n, v in values.items()}
        try:
            results = execute(device, row, case, values)
        except (MachineError, SohuError) as e:
            raise ConformanceError(f"{row.mnemonic} is stopped: {e}\n  with {case}") from None
        compare(row, case, before, results, _exact(row, case, reference, before), ulps, slack)
        report.runs += 1
        report.dtypes |= {d.name for d in case.dtypes.values()}
        report.shapes.add(str(case.shapes))
    return report


# -- without running it ---------------------------------------------------------------------------------


def _check_documentation(row: Row) -> None:
    if len(row.summary.split()) < 3 or not row.summary.endswith((".", ":")):
        raise ConformanceError(f"{row.mnemonic}: the first line of its documentation is no sentence: {row.summary!r}")
    try:
        run_example(row)
    except SohuError as e:
        raise ConformanceError(f"{row.mnemonic}: {e}") from None


def _check_cost(row: Row) -> None:
    """The cost is a number for any shape, an empty one too."""
    for sizes in (dict.fromkeys(_sizes(row)[0], 0), *_sizes(row)):
        shapes = tuple(_shape(k.pattern, sizes) for _, _, k in row.data)
        dtypes = tuple(min(k.dtypes, key=lambda d: d.code) for _, _, k in row.data)
        spaces = tuple(min(row.spaces(k)) for _, _, k in row.data)
        for chip in ("small", "sohu"):
            cost = row.cost(CostArgs(load_chip(chip), shapes, dtypes, spaces, dict(sizes) | {"1": 1}))
            if not 0 <= cost < math.inf:
                raise ConformanceError(f"{row.mnemonic}: its cost on {chip} is {cost} for shapes {shapes}")


def _check_round_trips(row: Row, rng: random.Random) -> int:
    """Encode, decode, print and assemble random instructions; gives how many."""
    insts = [random_inst(row, rng) for _ in range(WORDS)]
    for inst in insts:
        word = encode(inst)
        again = decode(word)
        # values may be NaN, so the words are compared
        if again.row is not row or encode(again) != word:
            raise ConformanceError(f"{inst!r}\n  is encoded as {word:#034x}, and decoded as\n  {again!r}")
    if any(isinstance(o.kind, (Label, Str)) for o in row.operands):
        return len(insts)  # their text needs a program around it
    lines = [format_inst(inst) for inst in insts]
    text = assemble("\n".join(lines)).text
    for inst, line, at in zip(insts, lines, range(0, len(text), 16), strict=True):
        word = int.from_bytes(text[at : at + 16], "little")
        if word != encode(inst):
            raise ConformanceError(f"{line}\n  is assembled as {word:#034x}, not {encode(inst):#034x}")
    return len(insts)


# -- cases ----------------------------------------------------------------------------------------------


def _sizes(row: Row) -> list[dict[str, int]]:
    """Sizes for the dimensions that a row's patterns name: 1, small odd ones, and more of different sizes."""
    step = {_LAST: 1}
    for _, _, k in row.data:
        for d in k.pattern.dims:
            step[d.name] = math.lcm(step.get(d.name, 1), d.divisor)
    step.pop("1", None)
    odd = {n: s * (3 + 2 * i) for i, (n, s) in enumerate(step.items())}
    large = {n: s * (17 + 2 * i) for i, (n, s) in enumerate(step.items())}
    return [dict(step), odd | {"...": 2}, large]


def _shape(pattern: Pattern, sizes: Mapping[str, int], *, small: bool = False) -> tuple[int, ...]:
    """A tile's shape; with `small`, all that may be broadcast is 1."""
    lead = sizes.get("...", 0) if pattern.leading else 0
    dims = [1 if d.name == "1" or (small and d.broadcast) else sizes[d.name] // d.divisor for d in pattern.dims]
    if not dims:  # only leading dimensions, which are broadcast all together
        dims = [sizes.get(_LAST, 5)]
        if small and pattern.leading == "...?":
            return (1,)
    return (lead, *dims) if lead and not (small and pattern.leading == "...?") else tuple(dims)


def _cases(row: Row, sizes: Sequence[Mapping[str, int]], scalars: dict[str, Any]) -> Iterator[Case]:
    """Everything to run, the smallest first: all numbers, all dtypes, then tails, broadcasts and tiles in place."""
    plain, small = (
        [{o.name: _shape(k.pattern, s, small=few) for _, o, k in row.data} for s in sizes] for few in (False, True)
    )
    numbers = list(_numbers(row, scalars))
    dtypes = list(dtype_choices(row))
    for shapes, values, types in itertools.product(plain, numbers, dtypes):
        yield Case(shapes, types, values)
    for shapes, broadcast in zip(plain, small, strict=True):
        yield Case(shapes, dtypes[0], numbers[0], tail=True)
        if broadcast != shapes:
            yield Case(broadcast, dtypes[0], numbers[0])
        for source, target in _same(row, shapes, dtypes[0]):
            yield Case(shapes, dtypes[0], numbers[0], alike=(source, target))


def _numbers(row: Row, given: Mapping[str, Any]) -> Iterator[dict[str, int | float]]:
    """Every combination of the numbers to try for scalar operands."""
    choices: dict[str, list[Any]] = {}
    for o in row.operands:
        if isinstance(o.kind, Data):
            continue
        if o.name in given:
            value = given[o.name]
            choices[o.name] = list(value) if isinstance(value, (list, tuple)) else [value]
        elif isinstance(o.kind, Imm) and o.kind.bits == 1:
            choices[o.name] = [0, 1]
        elif o.keyword:
            choices[o.name] = [o.default]
        else:
            choices[o.name] = [0.5 if isinstance(o.kind, (XF, XFI)) else 1]
    unknown = given.keys() - choices.keys()
    if unknown:
        raise ConformanceError(f"{row.mnemonic} has no scalar operand {', '.join(sorted(unknown))}")
    yield from (dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values()))


def dtype_choices(row: Row) -> Iterator[dict[str, DType]]:
    """Each operand once in each of its dtypes beside the others' first; all of them in one where that can be."""
    options = {o.name: sorted(k.dtypes, key=lambda d: d.code) for _, o, k in row.data}
    first = {n: mine[0] for n, mine in options.items()}
    seen: list[dict[str, DType]] = []
    together = [
        {n: d if d in mine else mine[0] for n, mine in options.items()}
        for d in sorted(set().union(*options.values()), key=lambda d: d.code)
    ]
    alone = [first | {n: d} for n, mine in options.items() for d in mine]
    numeric = [o.name for _, o, k in row.data if k.view == "num"]
    for choice in [first, *together, *alone]:
        # packed elements are moved, and not converted; integers and floats do not mix
        packed = {choice[n].numbers for n, mine in options.items() if len({d.numbers for d in mine}) > 1}
        if choice not in seen and len(packed) <= 1 and len({choice[n].is_float for n in numeric}) <= 1:
            seen.append(choice)
    yield from seen


def _same(row: Row, shapes: Shapes, dtypes: Mapping[str, DType]) -> Iterator[tuple[str, str]]:
    """Pairs of an input and an output that may be the very same tile."""
    for _, i, ki in row.data:
        for _, o, ko in row.data:
            alike = shapes[i.name] == shapes[o.name] and dtypes[i.name] == dtypes[o.name]
            if not ki.writes_data and ko.writes_data and alike and row.spaces(ki) == row.spaces(ko):
                yield i.name, o.name


# -- running --------------------------------------------------------------------------------------------


def _elements(
    row: Row, case: Case, inputs: Mapping[str, Callable[..., Array]], rng: np.random.Generator
) -> dict[str, Array]:
    """Elements for every tile; an output starts as something else than the result, as far as chance can say."""
    values = {}
    for _, o, _ in row.data:
        shape, dtype = case.shapes[o.name], case.dtypes[o.name]
        if o.name in inputs:
            made = np.asarray(inputs[o.name](rng, shape))
        elif dtype.is_float:
            made = rng.standard_normal(shape) * 2
        else:
            made = rng.integers(max(-50, np.iinfo(dtype.np).min), 50, shape)
        values[o.name] = made.astype(dtype.np)
    if case.alike:
        values[case.alike[1]] = values[case.alike[0]]
    return values


def execute(device: Device, row: Row, case: Case, values: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of one instruction as the machine computes them, by name; numbers come in registers where they can.

    Raises MachineError when it is stopped.
    """
    params: list[str] = []
    tiles: list[str] = []
    setup: list[str] = []
    written: list[str] = []
    arguments: dict[str, Array] = {}
    names = {case.alike[0]: case.alike[1]} if case.alike else {}
    for o in row.operands:
        if isinstance(o.kind, Data):
            name = names.get(o.name, o.name)
            written.append(f"{name}_")
            if name != o.name:
                continue
            shape = case.shapes[o.name]
            space = next(s for s in (Space.ACC, Space.SRAM, Space.HBM) if s in row.spaces(o.kind))
            if space is Space.HBM:
                params.append(f".param {name}_, inout, {case.dtypes[o.name]}, [{', '.join(map(str, shape))}]")
                arguments[f"{name}_"] = values[o.name].copy()
            else:
                dims = list(map(str, shape))
                if case.tail:
                    reg = 16 + len(setup)
                    setup.append(f"li x{reg}, {shape[-1]}")
                    dims[-1] = f"x{reg}<={shape[-1] + _ROOM}"
                tiles.append(f".tile {name}_, {space}, {case.dtypes[o.name]}, [{', '.join(dims)}]")
            continue
        text = _number_text(o.kind, case.scalars[o.name], setup)
        written.append(f"{o.name}={text}" if o.keyword else text)
    lines = [".kernel check", *params, *tiles, *setup, f"{row.mnemonic} {', '.join(written)}", "halt"]
    program = assemble("\n".join(lines), f"check of {row.mnemonic}")
    kernel = program.kernels["check"]
    registers = {p.name: p.reg for p in kernel.params} | {t.name: t.reg for t in kernel.tiles}
    machine = device.machine
    device.start(program, "check", arguments)
    for _ in range(len(registers) + len(setup)):
        machine.step()

    def view(name: str) -> Array:
        tile = machine.t[registers[f"{names.get(name, name)}_"]]
        assert tile is not None
        return machine.view(tile)

    for name, value in values.items():
        if name not in names:
            view(name)[...] = value
    machine.run()
    return {o.name: view(o.name).copy() for _, o, k in row.data if k.writes_data}


def _number_text(kind: Any, value: int | float, setup: list[str]) -> str:
    """A scalar operand in assembly; `setup` gets what puts it into a register where it must be in one."""
    if isinstance(kind, X):
        reg = 16 + len(setup)
        held = f32_bits(value) if isinstance(kind, XF) else value
        setup.append(f"li x{reg}, {held}")
        return f"x{reg}"
    return str(float(value)) if isinstance(kind, XFI) else kind.format(value)


# -- comparing ------------------------------------------------------------------------------------------


def _exact(row: Row, case: Case, reference: Reference, values: Mapping[str, Array]) -> dict[str, Array]:
    """What the reference makes of the inputs."""
    known: dict[str, Any] = dict(case.scalars)
    for _, o, _ in row.data:
        wide = np.float64 if case.dtypes[o.name].is_float else np.int64
        known[o.name] = values[o.name].astype(wide)
    wanted = inspect.signature(reference).parameters
    if unknown := [n for n in wanted if n not in known]:
        raise ConformanceError(f"{row.mnemonic} has no operand {', '.join(unknown)}, which the reference asks for")
    with np.errstate(all="ignore"):
        made = reference(**{n: known[n] for n in wanted})
    written = [o.name for _, o, k in row.data if k.writes_data]
    results = made if isinstance(made, dict) else {written[0]: made}
    if set(results) != set(written):
        raise ConformanceError(f"the reference gives {', '.join(results)}; {row.mnemonic} writes {', '.join(written)}")
    return {n: np.broadcast_to(np.asarray(v), case.shapes[n]) for n, v in results.items()}


def _rounded(exact: Any, dtype: DType) -> Array:
    """Rounded to float32 and then to the dtype, both to nearest even; fp8 saturates. Floats become integers toward
    zero and saturate, integers wrap."""
    with np.errstate(all="ignore"):
        given = np.asarray(exact)
        if dtype.is_float:
            narrow = given.astype(np.float32)
            stored = convert(narrow, dtype.np) if dtype in Fp8 or dtype is e8m0 else narrow.astype(dtype.np)
            return stored.astype(np.float64)
        if given.dtype == object:  # Python's numbers
            floats = any(isinstance(n, float) for n in given.flat)
            # what wraps may be larger than any dtype of NumPy
            given = given.astype(np.float64) if floats else (given & _ALL_BITS).astype(np.int64)
        whole = convert(given, dtype.np, Rounding.ZERO) if given.dtype.kind == "f" else given.astype(np.int64)
        return whole.astype(dtype.np).astype(np.int64)


def compare(
    row: Row,
    case: Case,
    inputs: Mapping[str, Array],
    results: Mapping[str, Array],
    exact: Mapping[str, Array],
    ulps: float,
    slack: float,
) -> None:
    """Every element lies between what the least and the largest exact result that is allowed are rounded to.

    inputs: elements before the run, for the message; exact: arrays of floats or integers, or of Python's numbers.
    Raises ConformanceError for the first output that is wrong.
    """
    read = {o.name for _, o, k in row.data if k.reads_data}
    for name, got in results.items():
        dtype = case.dtypes[name]
        want = np.asarray(exact[name], np.float64 if dtype.is_float else None)
        if dtype.is_float:
            with np.errstate(all="ignore"):
                step = np.spacing(np.abs(want).astype(np.float32)).astype(np.float64)
                error = np.where(np.isfinite(want) & np.isfinite(step), ulps * step + slack, 0.0)
                low, high, have = _rounded(want - error, dtype), _rounded(want + error, dtype), got.astype(np.float64)
            good = ((low <= have) & (have <= high)) | (np.isnan(have) & (np.isnan(low) | np.isnan(high)))
        else:
            have = got.astype(np.int64)
            good = have == _rounded(want, dtype)
        if good.all():
            continue
        at = tuple(int(i) for i in np.argwhere(~good)[0])
        many = f", and {int((~good).sum()) - 1} more of {good.size}" if (~good).sum() > 1 else ""
        told = "\n".join(
            f"  {n} =\n{np.array2string(v.astype(np.float64) if v.dtype.kind not in 'iu' else v, threshold=_SHOWN)}"
            for n, v in inputs.items()
            if n in read
        )
        found = f"{name}{list(at)} is {have[at]}, wants {_rounded(want[at], dtype)}{many}"
        raise ConformanceError(f"{row.mnemonic}: {found}\n  with {case}\n{told}")
