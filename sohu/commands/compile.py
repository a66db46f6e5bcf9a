"""Compile a kernel of a Python file to a binary, or to its IR or assembly.

The kernel is FILE.py:NAME, or MODULE:NAME for one that can be imported (sohu.dsl.kernels.softmax:softmax);
NAME may be left out when there is only one. The file is executed, as `python FILE.py` would.

Say with --bind what the kernel is for, once for each parameter whose dtype or size it needs to know:

  --bind x=f32            a tensor of this dtype
  --bind x=f32[300,70]    and of about this size: what is compiled serves all sizes up to a little more
  --bind x=x.npy          a tensor like the one in this file
  --bind rows=64          a compile-time parameter

--bound C=4096 sets the largest size of a dimension by its name.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sohu.arguments import Parser, chip, positive, suggestion
from sohu.dsl import CompileError, Kernel
from sohu.emulator.run_cli import read_array
from sohu.files import write
from sohu.isa import DTYPES, SohuError


def main(argv: Sequence[str]) -> int:
    """Run `sohu compile` and give its exit status. Raises SohuError for what cannot be compiled."""
    parser = Parser("compile", __doc__)
    parser.add_argument("kernel", metavar="FILE.py:NAME", help="the kernel; or MODULE:NAME")
    parser.add_argument("--bind", action="append", default=[], type=_pair, metavar="NAME=WHAT", help="see above")
    parser.add_argument("--bound", action="append", default=[], type=_pair, metavar="DIM=N", help="see above")
    parser.add_argument("--chip", type=chip, default="sohu", help="configuration to compile for (sohu)")
    parser.add_argument("--emit", choices=("elf", "asm", "ir"), help="what to write (by -o's ending; else elf)")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (NAME.elf; IR and assembly: stdout)")
    args = parser.parse(argv)
    kernel = _find(args.kernel)
    given = {name: _bound_value(name, text) for name, text in args.bind}
    bounds = {name: _size(name, text) for name, text in args.bound}
    try:
        compiled = kernel.compile(chip=args.chip, bounds=bounds, **given)
    except CompileError as error:
        if error.code == "K012":  # its own help speaks Python
            error.help = "say --bind NAME=f32[300,70] or --bound DIM=4096"
        raise
    emit = args.emit or {".s": "asm", ".ir": "ir"}.get(Path(args.output or "").suffix, "elf")
    content: bytes | str = getattr(compiled, emit)
    output = args.output or (f"{kernel.name}.elf" if emit == "elf" else "-")
    if output != "-":
        write(Path(output), content)
    elif isinstance(content, bytes):
        sys.stdout.buffer.write(content)
    else:
        print(content.rstrip("\n"))
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _size(name: str, text: str) -> int:
    try:
        return positive(text)
    except argparse.ArgumentTypeError as error:
        raise SohuError(f"--bound {name}: {error}") from None


def _bound_value(name: str, text: str) -> Any:
    """What --bind says: a dtype, an array of the right dtype and shape, or a constant."""
    if text.endswith(".npy"):
        array = read_array(Path(text))
        if array.dtype == np.dtype("V1"):  # how .npy files spell what NumPy does not know
            shape = ",".join(map(str, array.shape))
            raise SohuError(
                f"--bind {name}: {text} does not say which dtype of one byte it has",
                help=f"say it: --bind {name}=fp8e4m3[{shape}]",
            )
        return _like(DTYPES["bf16"].np if array.dtype == np.dtype("V2") else array.dtype, array.shape)
    dtype, bracket, dims = text.partition("[")
    if dtype in DTYPES:
        if not bracket:
            return DTYPES[dtype]
        sizes = dims.removesuffix("]").split(",")
        if not dims.endswith("]") or not all(size.strip().isdecimal() for size in sizes):
            raise SohuError(f"--bind {name}: {text!r} is no tensor", help="write it like f32[300,70]")
        return _like(DTYPES[dtype].np, tuple(int(size) for size in sizes))
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        near = suggestion(dtype, DTYPES)
        raise SohuError(
            f"--bind {name}: {text!r} is neither a dtype nor a file nor a constant{near}",
            help=f"dtypes are {', '.join(sorted(DTYPES))}",
        ) from None


def _like(dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """An array of any size that takes no memory: only dtype and shape are looked at."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def _find(text: str) -> Kernel:
    """The kernel named on the command line."""
    origin, _, name = text.partition(":")
    module = _execute(Path(origin)) if origin.endswith(".py") else _import(origin)
    kernels = {n: k for n, k in vars(module).items() if isinstance(k, Kernel)}
    if name in kernels:
        return kernels[name]
    if not kernels:
        raise SohuError(f"{origin} has no kernel", help="a kernel is a function under @sohu.kernel")
    if name:
        help = f"it has: {', '.join(kernels)}"
        raise SohuError(f"{origin} has no kernel {name!r}{suggestion(name, kernels)}", help=help)
    if len(kernels) > 1:
        raise SohuError(f"{origin} has several kernels", help=f"choose one: {origin}:{min(kernels)}")
    return next(iter(kernels.values()))


def _execute(path: Path) -> ModuleType:
    if not path.is_file():
        raise SohuError(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    assert spec is not None and spec.loader is not None  # both are there for a path that ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # as an import does; some decorators look there
    sys.path.insert(0, str(path.parent.resolve()))  # so that it finds what lies beside it
    try:
        spec.loader.exec_module(module)
    except SohuError:
        raise
    except Exception as error:  # noqa: BLE001 (their program may raise anything)
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path.resolve()]
        line = f":{frames[-1].lineno}" if frames else ""
        if isinstance(error, SyntaxError):
            line = f":{error.lineno}"
        raise SohuError(f"{path}{line}: {type(error).__name__}: {error}") from None
    return module


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (ImportError, ValueError) as error:
        raise SohuError(f"cannot import {name!r}: {error}", help="a file's name ends in .py") from None
