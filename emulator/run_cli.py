"""`sohu run`: a kernel of an ELF file, on arrays in .npy files.

Exit codes: 0 the kernel ran to its end; 1 a file or an argument is wrong; 2 the command line is wrong;
3 the machine stopped the program; 130 interrupted by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from math import inf, prod
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from sohu.asm import Kernel, Param, Program, read_elf
from sohu.asm.diagnostics import printable
from sohu.asm.npy import read_header
from sohu.emulator.checks import CHECKS
from sohu.emulator.device import Device, Result
from sohu.emulator.errors import MachineError
from sohu.emulator.schedules import Spec
from sohu.isa import SohuError
from sohu.isa.numerics import widen

INTERRUPTED = 130
_EPILOG = """\
examples:
  sohu run softmax.elf --arg x=x.npy --out y.npy
  sohu run decode.elf --kernel attention --arg q=q.npy --arg kv=kv.npy --arg n=17 --out kv=kv2.npy --timing
  sohu run softmax.elf --arg x=x.npy --core --max-seconds 60 --max-memory 2G

Arrays are .npy files in C order with exactly the dtype of the parameter. A bf16 array is one saved from
ml_dtypes.bfloat16 (NumPy writes its dtype as V2), fp8 and e8m0 ones from ml_dtypes too (V1), fp4x2 ones are
uint8 with two numbers a byte. exit codes: 0 the kernel ran to its end, 1 a file or an
argument is wrong, 2 the command line is wrong, 3 the machine stopped the program.
"""


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="sohu run",
        description="Run a kernel of an ELF file on the emulator.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument("elf", type=Path, help="the program, as sohu-asm or the compiler writes it")
    p.add_argument("--kernel", help="which kernel; needed when the program has several")
    p.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter: a .npy file for a tensor, a number for a scalar",
    )
    p.add_argument(
        "--out",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="write an out or inout parameter to a .npy file; the name may be left out when there is one `out`",
    )
    p.add_argument("--chip", default="sohu", help="configuration by name, or a .toml file (default: sohu)")
    p.add_argument("--timing", action="store_true", help="count cycles")
    p.add_argument(
        "--schedule",
        type=read_schedule,
        metavar="SEED|timed",
        help="instead of program order: a random legal order, or `timed`, when the timer says that effects are there",
    )
    p.add_argument("--max-instructions", type=int, metavar="N", help="stop when more than N have executed")
    p.add_argument(
        "--check",
        default="none",
        metavar="NAMES",
        help="checkers that watch for bugs: all, none, or some of " + ", ".join(CHECKS) + "; all,-race: all but that",
    )
    p.add_argument("--max-seconds", type=_seconds, metavar="S", help="stop when it has run longer than S seconds")
    p.add_argument(
        "--max-memory",
        type=_bytes,
        metavar="N",
        help="stop when the chip has taken more than N bytes of the host's memory (K, M, G: 2G)",
    )
    p.add_argument(
        "--core",
        nargs="?",
        const="",
        metavar="FILE",
        help="when the machine stops it, leave its whole state in a file, KERNEL.core by default, for sohu-dbg --core",
    )
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    return p


def read_schedule(text: str) -> Spec:
    """A schedule as the command line says it: a seed, or `timed`; raises ArgumentTypeError."""
    try:
        return "timed" if text == "timed" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"wants a seed or `timed`, not {text!r}") from None


def _seconds(text: str) -> float:
    """Of the command line."""
    value = float(text)
    if not 0 < value < inf:
        raise ValueError
    return value


def _bytes(text: str) -> int:
    """Of the command line: 1000, 64K, 2G."""
    scale = {"K": 10, "M": 20, "G": 30, "T": 40}.get(text[-1:].upper(), 0)
    value = float(text[:-1] if scale else text) * (1 << scale)
    if not 1 <= value < inf:
        raise ValueError
    return int(value)


_seconds.__name__, _bytes.__name__ = "number of seconds", "number of bytes"  # as argparse says what is wrong


def run(argv: Sequence[str]) -> int:
    """The command; returns its exit code and prints every mistake as one message."""
    options = parser().parse_args(argv)
    try:
        return _run(options)
    except SohuError as e:
        print(_harmless(str(e) if isinstance(e, MachineError) else f"error: {e}"), file=sys.stderr)
        return e.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _harmless(text: str) -> str:
    """Text out of a binary without control characters: an escape sequence could steer the terminal."""
    return "\n".join(printable(line) for line in text.expandtabs().split("\n"))


def _printer(stream: TextIO) -> Callable[[str], None]:
    return lambda text: print(_harmless(text) if stream.isatty() else text, file=stream)


def _run(options: argparse.Namespace) -> int:
    program = read_program(options.elf)
    kernel = pick_kernel(program, options.kernel)
    args = read_arguments(kernel, options.arg)
    files = _outputs(kernel, options.out)
    device = Device(
        options.chip,
        schedule=options.schedule,
        timing=options.timing,
        max_instructions=options.max_instructions,
        checks=options.check,
        max_seconds=options.max_seconds,
        max_memory=options.max_memory,
        core=None if options.core is None else options.core or f"{kernel.name}.core",
        # the program's own prints must not mix with the JSON
        output=_printer(sys.stderr if options.json else sys.stdout),
    )
    try:
        result = device.launch(program, kernel.name, args)
    except KeyboardInterrupt:
        print(_harmless(_interrupted(program, device)), file=sys.stderr)
        return INTERRUPTED
    arrays = {p.name: _array(p, args, result) for p in kernel.params if p.direction in ("out", "inout")}
    write_arrays({path: arrays[name] for name, path in files.items()})
    if options.json:
        print(json.dumps(_json(kernel, result, arrays, files)))
    else:
        _print(kernel, result, arrays, files)
    return 0


def _interrupted(program: Program, device: Device) -> str:
    """Where a run was when Ctrl-C stopped it."""
    machine = device.machine
    if device.kernel is None:
        return "interrupted"
    line = program.line_at(machine.pc)
    where = f"{line.file}:{line.line}, pc {machine.pc:#06x}" if line else f"pc {machine.pc:#06x}"
    return f"interrupted at {where}, after {machine.instructions:,} instructions"


# -- the program ---------------------------------------------------------------------------------------


def read_program(path: Path) -> Program:
    """The program of an ELF file; raises SohuError."""
    try:
        data = path.read_bytes()
    except OSError as e:
        raise SohuError(f"cannot read {path}: {e.strerror}") from None
    return read_elf(data, str(path))


def pick_kernel(program: Program, name: str | None) -> Kernel:
    """A kernel by name, or the only one there is; raises SohuError that lists them."""
    kernels = program.kernels
    if name is None and len(kernels) == 1:
        return next(iter(kernels.values()))
    if name is None or name not in kernels:
        what = f"no kernel {name!r}" if name is not None else f"{len(kernels)} kernels"
        have = ", ".join(kernels)
        raise SohuError(f"{program.name} has {what}", help=f"--kernel one of: {have}" if have else "")
    return kernels[name]


# -- arguments -----------------------------------------------------------------------------------------


def read_arguments(kernel: Kernel, given: Sequence[str]) -> dict[str, Any]:
    """Arguments of a launch from `NAME=VALUE` texts: .npy files for tensors, numbers for scalars; raises SohuError."""
    params = {p.name: p for p in kernel.params}
    args: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise SohuError(f"--arg {text}: wants NAME=VALUE")
        if name in args:
            raise SohuError(f"--arg {name} is given twice")
        p = params.get(name)
        if p is None:
            raise SohuError(f"kernel {kernel.name} has no parameter {name!r}", help=_signature(kernel))
        args[name] = _tensor(p, Path(value)) if p.is_tensor else _scalar(p, value)
    return args


def _signature(kernel: Kernel) -> str:
    each = []
    for p in kernel.params:
        shape = f" {p.dtype}[{', '.join(map(str, p.dims))}]" if p.is_tensor else ""
        each.append(f"{p.name}: {p.direction}{shape}")
    return f"{kernel.name}({', '.join(each)})"


def _scalar(p: Param, value: str) -> int | float:
    try:
        return int(value, 0) if p.direction == "i64" else float(value)
    except ValueError:
        kind = "an integer" if p.direction == "i64" else "a number"
        raise SohuError(f"--arg {p.name}={value}: wants {kind}") from None


def _tensor(p: Param, path: Path) -> NDArray[Any]:
    array = read_array(path)
    assert p.dtype is not None
    return array.view(p.dtype.np) if array.dtype == opaque(p.dtype.np) else array


def opaque(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """How .npy files spell a dtype: those that are not NumPy's own as bytes without meaning."""
    return dtype if dtype.isbuiltin == 1 else np.dtype(f"V{dtype.itemsize}")


def read_array(path: Path) -> NDArray[Any]:
    """The array of a .npy file; its size is compared with the file's before anything is allocated.

    Raises SohuError for what cannot be read, is no .npy file, is cut short, or holds Python objects.
    """
    try:
        with path.open("rb") as file:
            shape, fortran, dtype = read_header(file)
            count = prod(shape)
            left = os.fstat(file.fileno()).st_size - file.tell()
            if count * dtype.itemsize != left:
                raise ValueError(f"shape {list(shape)} of {dtype} wants {count * dtype.itemsize} bytes, it has {left}")
            array = np.fromfile(file, dtype, count)
    except OSError as e:
        raise SohuError(f"cannot read {path}: {e.strerror or e}") from None
    except ValueError as e:
        raise SohuError(f"{path} is no .npy file: {e}", help="write it with numpy.save") from None
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


# -- results -------------------------------------------------------------------------------------------


def _outputs(kernel: Kernel, given: Sequence[str]) -> dict[str, Path]:
    """Parameter -> file of each --out."""
    written = [p.name for p in kernel.params if p.direction in ("out", "inout")]
    only = [p.name for p in kernel.params if p.direction == "out"] or written
    files: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals:
            if len(only) != 1:
                have = ", ".join(written) or "none"
                raise SohuError(f"--out {text}: which parameter?", help=f"--out NAME={text}; there are: {have}")
            name, path = only[0], text
        if name not in written:
            have = ", ".join(written) or "none"
            raise SohuError(f"--out {text}: kernel {kernel.name} writes no {name!r}", help=f"it writes: {have}")
        if name in files:
            raise SohuError(f"--out {name} is given twice")
        files[name] = Path(path)
    if len({p.resolve() for p in files.values()}) < len(files):
        raise SohuError("two --out write the same file")
    return files


def _array(p: Param, args: dict[str, Any], result: Result) -> NDArray[Any]:
    """What the kernel left in an out or inout parameter."""
    array: NDArray[Any] = result.outputs[p.name].view() if p.name in result.outputs else args[p.name]
    return array


def write_arrays(arrays: dict[Path, NDArray[Any]]) -> None:
    """Write .npy files: all of them or, when one cannot be written, none. Raises SohuError.

    They replace what was there one after another. Should the system refuse that halfway, those before
    stay replaced, which the message says; no file is ever half written.
    """
    ready: list[tuple[Path, Path]] = []
    replaced: list[str] = []
    try:
        for path, array in arrays.items():
            if path.is_dir():
                raise SohuError(f"cannot write {path}: it is a folder")
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            with temporary.open("xb") as file:
                ready.append((temporary, path))
                stored = np.ascontiguousarray(array).view(opaque(array.dtype))
                npy.write_array(file, stored, allow_pickle=False)
        for temporary, path in ready:
            temporary.replace(path)
            replaced.append(str(path))
    except OSError as e:
        already = f"; written already: {', '.join(replaced)}" if replaced else ""
        raise SohuError(f"cannot write {path}: {e.strerror}{already}") from None
    finally:
        for temporary, _ in ready:
            temporary.unlink(missing_ok=True)


def _json(kernel: Kernel, result: Result, arrays: dict[str, NDArray[Any]], files: dict[str, Path]) -> dict[str, Any]:
    return {
        "kernel": kernel.name,
        "instructions": result.instructions,
        "cycles": result.cycles,
        "stats": result.stats,
        "outputs": {
            name: {
                "dtype": str(next(p.dtype for p in kernel.params if p.name == name)),
                "shape": list(a.shape),
                "file": str(files[name]) if name in files else None,
            }
            for name, a in arrays.items()
        },
    }


def _print(kernel: Kernel, result: Result, arrays: dict[str, NDArray[Any]], files: dict[str, Path]) -> None:
    cycles = "" if result.cycles is None else f", {result.cycles:,} cycles"
    seconds = result.stats["seconds"]
    print(f"{kernel.name}: {result.instructions:,} instructions{cycles}, {seconds:.3f} s")
    for name, array in arrays.items():
        if name in files:
            print(f"{name} {list(array.shape)} -> {files[name]}")
        else:
            print(f"{name} {list(array.shape)} =")
            print(np.array2string(array if array.dtype.isbuiltin == 1 else widen(array), threshold=64))
