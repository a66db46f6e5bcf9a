"""@sohu.kernel: the object a kernel function becomes; compiling, caching, calling."""

from __future__ import annotations

import difflib
import functools
import sys
import time
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

import numpy as np
from sohu.asm import Program, assemble, write_elf
from sohu.asm.debuginfo import DebugInfo
from sohu.dsl.debug import describe
from sohu.dsl.emit import emit, with_debug
from sohu.dsl.expressions import plain
from sohu.dsl.frontend import trace
from sohu.dsl.ir import Function
from sohu.dsl.language import DTypeVar, ScalarSpec, TensorSpec
from sohu.dsl.lower import lower
from sohu.dsl.memory import place_buffers
from sohu.dsl.passes import run_passes
from sohu.dsl.regalloc import allocate
from sohu.dsl.signature import Signature, signature
from sohu.dsl.sync import Synchronizer
from sohu.emulator import ArgumentError, Device, Tensor
from sohu.isa import Chip, DType, dtype_of, load_chip

Key = tuple[Any, ...]
TOOLS = "sohu.kernel"  # entry points of this group become methods of kernels


def round_up(n: int) -> int:
    """The capacity for a dimension of size n: n with at most three significant bits (25 % slack at most).

    Slack so that a kernel compiled for one length serves the next longer ones too.
    """
    shift = max(0, n.bit_length() - 3)
    return -(-n >> shift) << shift if n > 0 else 1


@dataclass
class CompiledKernel:
    """A kernel for given dtypes, compile-time parameters and bounds of dimensions, at every stage of its making."""

    name: str
    function: Function
    code: str  # the assembly, without debug information
    program: Program
    chip: Chip
    seconds: float  # to compile

    @property
    def ir(self) -> str:
        """The SSA IR after all passes, as text."""
        return str(self.function)

    @functools.cached_property
    def asm(self) -> str:
        """The assembly, with debug information behind the code: the assembler makes the same binary of it."""
        return with_debug(self.code, self.program.debug.kernels[0])

    @functools.cached_property
    def elf(self) -> bytes:
        """The binary: an ELF64 file that `sohu run` and `sohu-dbg` take."""
        return write_elf(self.program)

    @property
    def bounds(self) -> dict[str, int]:
        """Largest sizes of the named dimensions that it serves; others may have any size."""
        return self.function.bounds


def build(function: Function, chip: Chip) -> CompiledKernel:
    """The way down from a traced kernel: passes, lowering, memory, synchronization, registers, text, binary.

    Raises CompileError: K060 to K063 for what the chip has no room for.
    """
    start = time.perf_counter()
    run_passes(function)
    machine = lower(function)
    place_buffers(machine, chip)
    Synchronizer(machine).run()
    registers = allocate(machine)
    text = emit(function, machine, registers)
    program = assemble(text, f"{function.name}.s")
    entry = program.kernels[function.name].entry
    program.debug = DebugInfo(lambda: [describe(function, machine, registers, entry)], program.lines)
    return CompiledKernel(function.name, function, text, program, chip, time.perf_counter() - start)


class Kernel:
    """A kernel function. Call it with NumPy arrays (or device tensors); it compiles as needed and runs on a chip.

    specs: its tensors and scalars; constants: its compile-time parameters and their defaults. Names of modules and
    enclosing functions that its body mentions are read when it is compiled, and not again.
    """

    __sohu_function__: Any  # the function: calls from other kernels are inlined
    __name__: str

    def __init__(self, fn: types.FunctionType, signature: Signature) -> None:
        functools.update_wrapper(self, fn)
        self.__sohu_function__ = fn
        self.specs = signature.specs
        self.defaults = signature.defaults
        self.constants = signature.constants
        self.compiled: dict[Key, list[CompiledKernel]] = {}
        self._in_order = [n for n, s in self.specs.items() if not (isinstance(s, TensorSpec) and s.direction == "out")]
        self._own_key: Key = ()

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.__sohu_function__.__name__)

    def __repr__(self) -> str:
        return f"<kernel {self.name}({', '.join(self.specs)})>"

    # -- compiling ------------------------------------------------------------------------------

    def compile(
        self,
        *args: Any,
        chip: Chip | str = "sohu",
        bounds: Mapping[str, int] | None = None,
        sizes: Mapping[str, int] | None = None,
        **kw: Any,
    ) -> CompiledKernel:
        """Compile for arguments like these (arrays, tensors, scalars, or dtypes in place of arrays).

        bounds: largest sizes of named dimensions; without it, those of the arguments, rounded up a little.
        sizes: exact sizes of named dimensions, which the kernel then knows at compile time; the binary takes no others.
        kw: arguments by name, and compile-time parameters. Raises CompileError, ArgumentError.
        """
        given, constants = self._bind(args, kw)
        dtypes, dims = self._shapes(given)
        known = {d for s in self.specs.values() if isinstance(s, TensorSpec) for d in s.dims if isinstance(d, str)}
        for what, given_sizes in (("bounds", bounds or {}), ("sizes", sizes or {})):
            for name, size in given_sizes.items():
                if name not in known:
                    raise self._no_such("dimension", name, known)
                if not isinstance(size, (int, np.integer)) or size < 0:
                    raise self._error(f"{what}: {name} = {size!r}, wants a size")
                if what == "sizes" and dims.get(name, size) != size:
                    raise self._error(f"sizes: {name} = {size}, but it is {dims[name]} elsewhere")
                dims[name] = int(size)
        limits = {n: round_up(d) for n, d in dims.items()} | {n: int(d) for n, d in (bounds or {}).items()}
        exact = {n: int(d) for n, d in (sizes or {}).items()}
        return self._compile(
            dtypes, dims, lambda: limits, constants, load_chip(chip) if isinstance(chip, str) else chip, exact
        )

    def _compile(
        self,
        dtypes: dict[str, DType],
        dims: dict[str, int],
        limits: Callable[[], dict[str, int]],
        constants: dict[str, Any],
        chip: Chip,
        sizes: Mapping[str, int] = MappingProxyType({}),
    ) -> CompiledKernel:
        key = (*dtypes.items(), *self._key(constants), *sorted(sizes.items()))
        for c in self.compiled.get(key, ()):
            if (c.chip is chip or c.chip == chip) and all(dims.get(n, 0) <= b for n, b in c.bounds.items()):
                return c
        for spec in self.specs.values():
            if isinstance(spec, TensorSpec) and isinstance(spec.dtype, DTypeVar) and spec.dtype.name not in dtypes:
                raise self._error(f"no argument says what dtype {spec.dtype.name} is")
        largest = limits()
        consulted: dict[str, int] = {}

        def bound(name: str) -> int | None:
            if name in largest:
                consulted[name] = largest[name]
            return largest.get(name)

        start = time.perf_counter()
        function = trace(self.name, self.__sohu_function__, self.specs, dtypes, constants, bound, sizes)
        function.bounds = consulted
        compiled = build(function, chip)
        compiled.seconds = time.perf_counter() - start
        self.compiled.setdefault(key, []).append(compiled)
        return compiled

    def _key(self, constants: dict[str, Any]) -> Key:
        if constants is self.constants and self._own_key:
            return self._own_key
        key = tuple(_frozen(v) for v in constants.values())
        for n, v in constants.items():
            try:
                hash(v)
            except TypeError:
                raise self._error(
                    f"compile-time parameter {n} is a {type(v).__name__}, wants a value that cannot change",
                    "give a tuple in place of a list" if isinstance(v, list) else "",
                ) from None
        if constants is self.constants:
            self._own_key = key
        return key

    def _bind(self, args: tuple[Any, ...], kw: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arguments by name, and all compile-time parameters.

        Positional arguments are those of all parameters, in order, or when they are fewer: without the Out tensors.
        """
        needed = sum(n not in kw and n not in self.defaults for n in self.specs)
        names = list(self.specs) if len(args) >= needed else self._in_order
        if len(args) > len(names):
            raise self._error(f"takes {len(names)} arguments ({', '.join(names)}), not {len(args)}")
        given = dict(zip(names, args, strict=False))
        constants = self.constants
        for k, v in kw.items():
            if k in given:
                raise self._error(f"argument {k} is given twice")
            if k in self.specs:
                given[k] = v
            elif k in self.constants:
                constants = dict(constants) if constants is self.constants else constants
                constants[k] = plain(v)
            else:
                raise self._no_such("parameter", k, {*self.specs, *self.constants})
        for n, v in self.defaults.items():
            given.setdefault(n, v)
        return given, constants

    def _shapes(self, given: dict[str, Any]) -> tuple[dict[str, DType], dict[str, int]]:
        """Dtypes of the dtype variables and sizes of the named dimensions, from the arguments, checked."""
        dtypes: dict[str, DType] = {}
        dims: dict[str, int] = {}
        for name, spec in self.specs.items():
            v = given.get(name)
            if v is None or isinstance(spec, ScalarSpec):
                continue
            if isinstance(v, np.ndarray) and isinstance(spec.dtype, DType) and v.dtype == spec.dtype.np:
                dtype = spec.dtype  # an array does not say whether its bytes are fp4x2
            else:
                dtype = v.dtype if isinstance(v, Tensor) else v if isinstance(v, DType) else self._dtype(name, v)
            if isinstance(spec.dtype, DTypeVar):
                var = spec.dtype
                if var.choices and dtype not in var.choices:
                    choices = ", ".join(map(str, var.choices))
                    raise self._error(f"dtype {dtype}, wants one of {choices}", argument=name)
                if dtypes.setdefault(var.name, dtype) != dtype:
                    raise self._error(f"dtype {dtype}, but {var.name} is {dtypes[var.name]}", argument=name)
            elif dtype is not spec.dtype:
                raise self._error(f"dtype {dtype}, wants dtype {spec.dtype}", argument=name)
            if isinstance(v, DType):
                continue
            shape = v.shape
            wants = f"[{', '.join(map(str, spec.dims))}]"
            if len(shape) != len(spec.dims):
                raise self._error(
                    f"shape {list(shape)} of rank {len(shape)}, wants rank {len(spec.dims)}: {wants}", argument=name
                )
            for d, size in zip(spec.dims, shape, strict=True):
                known = d if isinstance(d, int) else dims.setdefault(d, size)
                if known != size:
                    what = f": {d} = {size}" if isinstance(d, str) else ""
                    wants += f": {d} = {known}" if what else ""
                    raise self._error(f"shape {list(shape)}{what}, wants {wants}", argument=name)
        return dtypes, dims

    def _check_apart(self, given: dict[str, Any]) -> None:
        """Tensors of a call share no memory where one of them is written: the compiler takes that for granted."""
        extents = [(name, *v.tile.extent()) for name, v in given.items() if isinstance(v, Tensor)]
        for name, low, high in extents:
            spec = self.specs[name]
            if isinstance(spec, TensorSpec) and spec.direction != "in":
                for other, start, end in extents:
                    if other != name and low < end and start < high:
                        raise self._error(f"shares memory with {other}", "give a copy of one of them", argument=name)

    def _dtype(self, name: str, v: Any) -> DType:
        if not isinstance(v, np.ndarray):
            raise self._error(f"a {type(v).__name__}, wants an array", "np.asarray(...) makes one", argument=name)
        dtype = dtype_of(v.dtype)
        if dtype is None:
            raise self._error(
                f"the chip has no dtype {v.dtype}", f"convert it, for example {name}.astype(np.float32)", argument=name
            )
        return dtype

    def _no_such(self, what: str, name: str, among: set[str]) -> ArgumentError:
        near = difflib.get_close_matches(name, among, 1)
        return self._error(
            f"has no {what} {name!r}", f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(among))}"
        )

    def _error(self, message: str, help: str = "", argument: str = "") -> ArgumentError:
        if argument:
            return ArgumentError(f"argument {argument} of kernel {self.name}: {message}", help=help)
        return ArgumentError(f"kernel {self.name}: {message}", help=help)

    # -- calling --------------------------------------------------------------------------------

    def __call__(self, *args: Any, device: Device | None = None, **kw: Any) -> Any:
        """Run on a chip (by default one emulated chip that lives as long as the process).

        NumPy arrays are copied in; inout arrays are updated in place; out parameters that are not given
        are returned, as arrays when every tensor argument is an array, else as device tensors.
        """
        device = device or default_device()
        compiled, given = self._for_call(args, kw, device)
        result = device.launch(compiled.program, self.name, given)
        arrays = not any(isinstance(v, Tensor) for v in given.values())
        outputs = [t.numpy() if arrays else t for n, t in result.outputs.items() if n not in given]
        if arrays:
            for n, t in result.outputs.items():
                if n not in given:
                    t.free()
        return None if not outputs else outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _for_call(
        self, args: tuple[Any, ...], kw: dict[str, Any], device: Device
    ) -> tuple[CompiledKernel, dict[str, Any]]:
        given, constants = self._bind(args, kw)
        dtypes, dims = self._shapes(given)
        self._check_apart(given)
        limits = lambda: {n: round_up(d) for n, d in dims.items()}  # noqa: E731
        return self._compile(dtypes, dims, limits, constants, device.chip), given

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """`kernel.debug(...)` and whatever else is installed under the entry-point group `sohu.kernel`.

        A tool there is called as tool(program, kernel's name, arguments by name, device=device).
        """
        found = entry_points(group=TOOLS, name=name) if not name.startswith("_") else ()
        for point in found:
            return functools.partial(self._with_tool, point.load())
        raise AttributeError(f"a kernel has no {name!r}")

    def _with_tool(self, tool: Callable[..., Any], *args: Any, device: Device | None = None, **kw: Any) -> Any:
        device = device or default_device()
        compiled, given = self._for_call(args, kw, device)
        return tool(compiled.program, self.name, given, device=device)


def _frozen(v: Any) -> Any:
    """A value as part of a key: 1, 1.0 and True are different there, and NaN is equal to itself."""
    if isinstance(v, tuple):
        return tuple(_frozen(x) for x in v)
    return (type(v), repr(v)) if isinstance(v, float) else (type(v), v)


_DEVICE: list[Device] = []


def default_device() -> Device:
    """The emulated chip that kernels run on when none is given."""
    if not _DEVICE:
        _DEVICE.append(Device())
    return _DEVICE[0]


def kernel(fn: Any) -> Kernel:
    """Make a kernel of a function: tensors and scalars by annotation, compile-time parameters after `*`.

    Raises CompileError (K001, K002) for what is no function, and for a signature that is no kernel's.
    """
    return Kernel(fn, signature(fn, sys._getframe(1).f_locals))
