"""@sohu.kernel: the object a kernel function becomes; compiling, caching, calling."""

from __future__ import annotations

import functools
import inspect
import time
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sohu.asm import Program, assemble, write_elf
from sohu.dsl.emit import emit
from sohu.dsl.errors import CompileError
from sohu.dsl.frontend import trace
from sohu.dsl.ir import Function
from sohu.dsl.language import DTypeVar, ScalarSpec, TensorSpec
from sohu.dsl.lower import lower, place_buffers
from sohu.dsl.passes import run_passes
from sohu.dsl.regalloc import allocate
from sohu.dsl.sync import Synchronizer
from sohu.emulator import ArgumentError, Device, Tensor
from sohu.isa import Chip, DType, dtype_of, load_chip

Spec = TensorSpec | ScalarSpec


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
    asm: str
    program: Program
    chip: Chip
    seconds: float  # to compile

    @property
    def ir(self) -> str:
        """The SSA IR after all passes, as text."""
        return str(self.function)

    @functools.cached_property
    def elf(self) -> bytes:
        """The binary: an ELF64 file that `sohu run` and `sohu-dbg` take."""
        return write_elf(self.program)

    @property
    def bounds(self) -> dict[str, int]:
        """Largest sizes of the named dimensions that it serves; others may have any size."""
        return self.function.bounds


@dataclass
class Kernel:
    """A kernel function. Call it with NumPy arrays (or device tensors); it compiles as needed and runs on a chip."""

    fn: types.FunctionType
    specs: dict[str, Spec]
    constants: dict[str, Any]
    compiled: list[tuple[Any, CompiledKernel]] = field(default_factory=list)

    def __post_init__(self) -> None:
        functools.update_wrapper(self, self.fn)
        self.__sohu_function__ = self.fn  # calls from other kernels are inlined

    @property
    def name(self) -> str:
        """Its name."""
        return self.fn.__name__

    def __repr__(self) -> str:
        return f"<kernel {self.name}({', '.join(self.specs)})>"

    # -- compiling ------------------------------------------------------------------------------

    def compile(
        self, *args: Any, chip: Chip | str = "sohu", bounds: Mapping[str, int] | None = None, **kw: Any
    ) -> CompiledKernel:
        """Compile for arguments like these (arrays, tensors, scalars, or dtypes in place of arrays).

        bounds: largest sizes of named dimensions; without it, those of the arguments, rounded up a little.
        kw: compile-time parameters. Raises CompileError, ArgumentError.
        """
        given, constants = self._bind(args, kw)
        dtypes, dims = self._shapes(given)
        limits = {n: round_up(d) for n, d in dims.items()} | dict(bounds or {})
        return self._compile(
            dtypes, dims | dict(bounds or {}), limits, constants, load_chip(chip) if isinstance(chip, str) else chip
        )

    def _compile(
        self,
        dtypes: dict[str, DType],
        dims: dict[str, int],
        limits: dict[str, int],
        constants: dict[str, Any],
        chip: Chip,
    ) -> CompiledKernel:
        key = (
            tuple(sorted((n, d.name) for n, d in dtypes.items())),
            tuple(sorted(constants.items())),
            chip.name,
        )
        for k, c in self.compiled:
            if k == key and all(dims.get(n, 1) <= b for n, b in c.bounds.items()):
                return c
        start = time.perf_counter()
        consulted: dict[str, int] = {}

        def bound(name: str) -> int:
            if name not in limits:
                raise CompileError(
                    "K012",
                    f"nothing says how large dimension {name} can be",
                    None,
                    help=f"compile with arrays, or with bounds={{'{name}': 4096}}",
                )
            consulted[name] = limits[name]
            return limits[name]

        for spec in self.specs.values():
            if isinstance(spec, TensorSpec) and isinstance(spec.dtype, DTypeVar) and spec.dtype.name not in dtypes:
                raise ArgumentError(f"kernel {self.name}: no argument says what dtype {spec.dtype.name} is")
        function = trace(self.name, self.fn, self.specs, dtypes, constants, bound)
        function.bounds = consulted
        run_passes(function)
        machine = lower(function)
        place_buffers(machine, chip.sram_bytes, chip.acc_bytes)
        Synchronizer(machine).run()
        registers = allocate(machine)
        text = emit(function, machine, registers)
        program = assemble(text, f"{self.name}.s")
        compiled = CompiledKernel(self.name, function, text, program, chip, time.perf_counter() - start)
        self.compiled.append((key, compiled))
        return compiled

    def _bind(self, args: tuple[Any, ...], kw: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        names = list(self.specs)
        if len(args) > len(names):
            raise ArgumentError(
                f"kernel {self.name} takes {len(names)} arguments ({', '.join(names)}), not {len(args)}"
            )
        given = dict(zip(names, args, strict=False))
        constants = dict(self.constants)
        for k, v in kw.items():
            if k in constants:
                constants[k] = v
            elif k in self.specs and k not in given:
                given[k] = v
            elif k in given:
                raise ArgumentError(f"kernel {self.name}: argument {k} is given twice")
            else:
                import difflib

                near = difflib.get_close_matches(k, [*names, *constants], 1)
                raise ArgumentError(
                    f"kernel {self.name} has no parameter {k!r}",
                    help=f"did you mean {near[0]!r}?" if near else "",
                )
        return given, constants

    def _shapes(self, given: dict[str, Any]) -> tuple[dict[str, DType], dict[str, int]]:
        """Dtypes of the dtype variables and sizes of the named dimensions, from the arguments."""
        dtypes: dict[str, DType] = {}
        dims: dict[str, int] = {}
        for name, v in given.items():
            spec = self.specs[name]
            if isinstance(spec, ScalarSpec):
                continue
            dtype = v if isinstance(v, DType) else self._dtype(name, v)
            if isinstance(spec.dtype, DTypeVar):
                var = spec.dtype
                if var.choices and dtype not in var.choices:
                    raise ArgumentError(
                        f"argument {name} of kernel {self.name}: dtype {dtype}, wants one of {', '.join(map(str, var.choices))}"
                    )
                if dtypes.setdefault(var.name, dtype) != dtype:
                    raise ArgumentError(
                        f"argument {name} of kernel {self.name}: dtype {dtype}, but {var.name} is {dtypes[var.name]}"
                    )
            if not isinstance(v, DType):
                for d, size in zip(spec.dims, v.shape, strict=False):
                    if isinstance(d, str):
                        dims.setdefault(d, int(size))
        return dtypes, dims

    def _dtype(self, name: str, v: Any) -> DType:
        if isinstance(v, Tensor):
            return v.dtype
        if not isinstance(v, np.ndarray):
            raise ArgumentError(
                f"argument {name} of kernel {self.name}: a {type(v).__name__}, wants an array",
                help="np.asarray(...) makes one",
            )
        dtype = dtype_of(v.dtype)
        if dtype is None:
            raise ArgumentError(
                f"argument {name} of kernel {self.name}: the chip has no dtype {v.dtype}",
                help=f"convert it, for example {name}.astype(np.float32)",
            )
        return dtype

    # -- calling --------------------------------------------------------------------------------

    def __call__(self, *args: Any, device: Device | None = None, **kw: Any) -> Any:
        """Run on a chip (by default one emulated chip that lives as long as the process).

        NumPy arrays are copied in; inout arrays are updated in place; out parameters that are not given
        are returned, as arrays when every tensor argument is an array, else as device tensors.
        """
        given, constants = self._bind(args, kw)
        device = device or default_device()
        dtypes, dims = self._shapes(given)
        compiled = self._find(dtypes, dims, constants, device.chip)
        result = device.launch(compiled.program, self.name, given)
        arrays = not any(isinstance(v, Tensor) for v in given.values())
        outputs = [t.numpy() if arrays else t for n, t in result.outputs.items() if n not in given]
        if arrays:
            for n, t in result.outputs.items():
                if n not in given:
                    t.free()
        return None if not outputs else outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _find(
        self, dtypes: dict[str, DType], dims: dict[str, int], constants: dict[str, Any], chip: Chip
    ) -> CompiledKernel:
        return self._compile(dtypes, dims, {n: round_up(d) for n, d in dims.items()}, constants, chip)


_DEVICE: list[Device] = []


def default_device() -> Device:
    """The emulated chip that kernels run on when none is given."""
    if not _DEVICE:
        _DEVICE.append(Device())
    return _DEVICE[0]


def kernel(fn: Any) -> Kernel:
    """Make a kernel of a function: tensors and scalars by annotation, compile-time parameters after `*`.

    Raises CompileError (K002) for a signature that is no kernel's.
    """
    try:
        annotations = inspect.get_annotations(fn, eval_str=True)
    except NameError as e:
        raise CompileError("K002", f"kernel {fn.__name__}: annotation: {e}", None) from None
    specs: dict[str, Spec] = {}
    constants: dict[str, Any] = {}
    for p in inspect.signature(fn).parameters.values():
        a = annotations.get(p.name)
        if p.kind is p.KEYWORD_ONLY:
            if p.default is p.empty:
                raise CompileError(
                    "K002", f"kernel {fn.__name__}: compile-time parameter {p.name} needs a default", None
                )
            constants[p.name] = p.default
        elif isinstance(a, (TensorSpec, ScalarSpec)):
            specs[p.name] = a
        else:
            raise CompileError(
                "K002",
                f"kernel {fn.__name__}: parameter {p.name} says not what it is",
                None,
                help=f'{p.name}: In[f32, "R C"] for tensors, {p.name}: Index or Scalar for numbers, after * for compile time',
            )
    return Kernel(fn, specs, constants)
