"""Arguments of a kernel: checked against its declaration, packed into the parameter block (docs/abi.md)."""

from __future__ import annotations

import difflib
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sohu.asm import Kernel, Param
from sohu.asm.program import PARAM_BYTES
from sohu.emulator.errors import ArgumentError
from sohu.emulator.tensor import Tensor
from sohu.isa import DType, SohuError, Space, Tile
from sohu.isa.operands import bits_f32, f32_bits

if TYPE_CHECKING:
    from sohu.emulator.device import Device

Argument = Tensor | NDArray[Any] | int | float
Arguments = Mapping[str, Argument] | Sequence[Argument]

_SLOT = PARAM_BYTES
_SCALAR = struct.Struct("<q")
_PADDING = bytes(_SLOT - 8)
_KEPT_SHAPES = 4096  # per kernel


class Packed:
    """Arguments as a kernel gets them."""

    __slots__ = ("back", "block", "outputs", "tensors")

    def __init__(self) -> None:
        self.block = b""  # contents of the parameter block
        self.outputs: dict[str, Tensor] = {}  # the out parameters
        self.back: list[tuple[Tensor, NDArray[Any]]] = []  # to copy when the kernel has ended
        self.tensors: list[Tensor] = []  # kept alive while it runs


class Plan:
    """A kernel's parameters, as its launches need them."""

    __slots__ = ("_tensors", "_well_shaped", "bounds", "kernel", "names", "params")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.params = kernel.params
        self.names = frozenset(p.name for p in kernel.params)
        self.bounds = kernel.bounds
        self._tensors = [p for p in kernel.params if p.is_tensor]
        self._well_shaped: set[tuple[tuple[int, ...], ...]] = set()  # shapes of all tensors that were right once

    def pack(self, args: Arguments, device: Device) -> Packed:
        """Check all arguments, copy arrays in, allocate what is not given, make the parameter block.

        Raises ArgumentError that says what was given and what is wanted.
        """
        given = self._named(args)
        packed = Packed()
        if self._all_resident(given, device):
            self._pack_resident(given, packed)
            return packed
        dims: dict[str, int] = {}
        who: dict[str, str] = {}
        slots: dict[str, bytes] = {}
        late: list[Param] = []
        for p in self.params:
            value = given.get(p.name)
            if not p.is_tensor:
                slots[p.name] = self._scalar(p, value)
            elif value is None:
                late.append(p)  # its size follows from the others
            elif type(value) is Tensor:
                self._check_tensor(p, value, device, dims, who)
                self._keep(p, value, packed, slots)
            else:
                array = self._check_array(p, value, dims, who)
                tensor = device.empty(array.shape, p.dtype, p.name)  # type: ignore[arg-type]  # is_tensor
                if p.direction != "out":
                    np.copyto(tensor.view(), array)
                if p.direction != "in":
                    packed.back.append((tensor, array))
                self._keep(p, tensor, packed, slots)
        for p in late:
            tensor = device.empty(self._shape(p, dims), p.dtype, p.name)  # type: ignore[arg-type]  # is_tensor
            self._keep(p, tensor, packed, slots)
        packed.block = b"".join([slots[p.name] for p in self.params])
        if not packed.back and not late and len(self._well_shaped) < _KEPT_SHAPES:
            self._well_shaped.add(tuple([t.shape for t in packed.tensors]))
        return packed

    def _all_resident(self, given: Mapping[str, Any], device: Device) -> bool:
        """True when every tensor parameter is given as a good tensor, in shapes that have passed before."""
        shapes = []
        for p in self._tensors:
            tensor = given.get(p.name)
            if type(tensor) is not Tensor or tensor.dtype is not p.dtype or tensor.device is not device:
                return False
            if not tensor.live:
                return False
            shapes.append(tensor.shape)
        return tuple(shapes) in self._well_shaped

    def _pack_resident(self, given: Mapping[str, Any], packed: Packed) -> None:
        blocks = []
        for p in self.params:
            value = given.get(p.name)
            if type(value) is Tensor:
                blocks.append(value.descriptor)
                packed.tensors.append(value)
                if p.direction == "out":
                    packed.outputs[p.name] = value
            else:
                blocks.append(self._scalar(p, value))
        packed.block = b"".join(blocks)

    # -- which argument is whose -------------------------------------------------------------------

    def _named(self, args: Arguments) -> Mapping[str, Argument]:
        params = self.params
        if isinstance(args, Mapping):
            if not args.keys() <= self.names:
                name = next(n for n in args if n not in self.names)
                near = difflib.get_close_matches(str(name), self.names, 1)
                hint = f"did you mean {near[0]!r}?" if near else self._signature()
                raise self._error(f"kernel {self.kernel.name} has no parameter {name!r}", hint)
            missing = [p.name for p in params if args.get(p.name) is None and p.direction != "out"]
            if missing:
                raise self._error(f"kernel {self.kernel.name}: argument {missing[0]} is missing", self._signature())
            return args
        if isinstance(args, (str, bytes)) or not isinstance(args, Sequence):
            raise self._error(
                f"arguments of kernel {self.kernel.name} are a {type(args).__name__}",
                "give a dict by name, or a list in order",
            )
        if len(args) == len(params):
            return {p.name: a for p, a in zip(params, args, strict=True)}
        required = [p for p in params if p.direction != "out"]
        if len(args) == len(required):
            return {p.name: a for p, a in zip(required, args, strict=True)}
        raise self._error(
            f"kernel {self.kernel.name} takes {len(required)} arguments"
            + (f" (or {len(params)}, with its outputs)" if len(params) > len(required) else "")
            + f", {len(args)} given",
            self._signature(),
        )

    def _signature(self) -> str:
        each = [f"{p.name}: {_wants(p)}" for p in self.params]
        return f"{self.kernel.name}({', '.join(each)})"

    # -- one argument ------------------------------------------------------------------------------

    def _scalar(self, p: Param, value: Any) -> bytes:
        integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if p.direction == "i64":
            if not integer:
                raise self._mismatch(p, _describe(value))
            if not -(1 << 63) <= value < 1 << 63:
                raise self._mismatch(p, f"{value}, which does not fit 64 bits")
            return _SCALAR.pack(value) + _PADDING
        if not integer and not isinstance(value, (float, np.floating)):
            raise self._mismatch(p, _describe(value))
        return _SCALAR.pack(f32_bits(float(value))) + _PADDING

    def _check_tensor(
        self, p: Param, tensor: Tensor, device: Device, dims: dict[str, int], who: dict[str, str]
    ) -> None:
        if tensor.dtype is not p.dtype and tensor.dtype != p.dtype:
            raise self._mismatch(p, f"dtype {tensor.dtype}", f"dtype {p.dtype}", "convert it before the launch")
        if tensor.device is not device:
            raise self._mismatch(p, "a tensor of another device", "", "copy it with device.tensor(x.numpy())")
        if not tensor.live:
            raise self._mismatch(p, "a tensor that has been freed")
        self._bind(p, tensor.shape, dims, who)

    def _check_array(self, p: Param, value: Any, dims: dict[str, int], who: dict[str, str]) -> NDArray[Any]:
        if not isinstance(value, np.ndarray):
            raise self._mismatch(p, _describe(value), help="give a NumPy array, or a tensor of the device")
        array: NDArray[Any] = value
        assert p.dtype is not None
        if array.dtype != p.dtype.np:
            raise self._mismatch(p, f"dtype {array.dtype}", f"dtype {p.dtype}", _convert_hint(p.dtype))
        self._bind(p, array.shape, dims, who)
        if not array.flags.c_contiguous:
            raise self._mismatch(
                p, "an array that is not C-contiguous", "one that is", f"np.ascontiguousarray({p.name})"
            )
        if p.direction != "in" and not array.flags.writeable:
            raise self._mismatch(p, "a read-only array", "one it can write to", f"{p.name}.copy()")
        return array

    def _bind(self, p: Param, shape: tuple[int, ...], dims: dict[str, int], who: dict[str, str]) -> None:
        if len(shape) != len(p.dims):
            raise self._mismatch(p, f"shape {list(shape)} of rank {len(shape)}", f"rank {len(p.dims)}: {_dims(p)}")
        for d, size in zip(p.dims, shape, strict=True):
            if isinstance(d, int):
                if size != d:
                    raise self._mismatch(p, f"shape {list(shape)}", _dims(p))
                continue
            known = dims.get(d)
            if known is None:
                bound = self.bounds.get(d)
                if bound is not None and size > bound:
                    raise self._mismatch(
                        p,
                        f"shape {list(shape)}: {d} = {size}",
                        f"{d} <= {bound}",
                        "the kernel was compiled for sizes up to that; compile it again for larger ones",
                    )
                dims[d] = size
                who[d] = p.name
            elif known != size:
                raise self._mismatch(
                    p, f"shape {list(shape)}: {d} = {size}", f"{_dims(p)}: {d} = {known} as in {who[d]}"
                )

    def _shape(self, p: Param, dims: dict[str, int]) -> tuple[int, ...]:
        unknown = [d for d in p.dims if isinstance(d, str) and d not in dims]
        if unknown:
            raise self._error(
                f"argument {p.name} of kernel {self.kernel.name} is not given, "
                f"and no other argument says how large {unknown[0]} is",
                f"pass an array for {p.name} {_dims(p)}",
            )
        return tuple(dims[d] if isinstance(d, str) else d for d in p.dims)

    def _keep(self, p: Param, tensor: Tensor, packed: Packed, slots: dict[str, bytes]) -> None:
        packed.tensors.append(tensor)
        slots[p.name] = tensor.descriptor
        if p.direction == "out":
            packed.outputs[p.name] = tensor

    # -- messages ----------------------------------------------------------------------------------

    def _mismatch(self, p: Param, given: str, wants: str = "", help: str = "") -> ArgumentError:
        return self._error(f"argument {p.name} of kernel {self.kernel.name}: {given}, wants {wants or _wants(p)}", help)

    @staticmethod
    def _error(message: str, help: str = "") -> ArgumentError:
        return ArgumentError(message, help=help)


def _dims(p: Param) -> str:
    return f"[{', '.join(str(d) for d in p.dims)}]"


def _wants(p: Param) -> str:
    if p.is_tensor:
        return f"{p.direction} {p.dtype}{_dims(p)}"
    return "an integer (i64)" if p.direction == "i64" else "a number (f32)"


def _describe(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (Tensor, np.ndarray)):
        return f"an array of shape {list(value.shape)}"
    return f"{value!r:.40} ({type(value).__name__})"


def _convert_hint(dtype: DType) -> str:
    if dtype.numbers > 1:
        return f"an array of {dtype.np.name}, {dtype.numbers} numbers packed in each element"
    return f"x.astype({'np' if dtype.np.isbuiltin == 1 else 'ml_dtypes'}.{dtype.np.name})"


def check_size(kernel: Kernel, limit: int) -> None:
    """Raise SohuError when a kernel has more parameters than the parameter block."""
    if len(kernel.params) * _SLOT > limit:
        raise SohuError(f"kernel {kernel.name} has {len(kernel.params)} parameters; {limit // _SLOT} are possible")


def unpack(kernel: Kernel, block: bytes, device: Device) -> dict[str, Tensor | int | float]:
    """A parameter block as arguments by name; raises SohuError when a tensor is not one of the device's."""
    out: dict[str, Tensor | int | float] = {}
    for i, p in enumerate(kernel.params):
        raw = block[i * _SLOT : (i + 1) * _SLOT]
        if not p.is_tensor:
            value: int = _SCALAR.unpack_from(raw)[0]
            out[p.name] = value if p.direction == "i64" else bits_f32(value)
            continue
        tile = Tile.unpack(raw)
        if tile.space is not Space.HBM or tile.dtype != p.dtype or len(tile.dims) != len(p.dims):
            raise SohuError(f"argument {p.name} of kernel {kernel.name} is no tensor of its kind")
        out[p.name] = Tensor.at(device, device.hbm, tile, p.name)
    return out
