"""The host's side of one emulated chip: tensors in its HBM, programs loaded, kernels launched."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from sohu.asm import Kernel, Program
from sohu.emulator import native as native_library
from sohu.emulator.arguments import Argument, Arguments, Packed, Plan, check_size, unpack
from sohu.emulator.core import run as run_for_core
from sohu.emulator.errors import ArgumentError
from sohu.emulator.machine import Machine
from sohu.emulator.memory import PAGE, Allocation, Memories
from sohu.emulator.schedules import Spec
from sohu.emulator.snapshot import Snapshot, put_back, take
from sohu.emulator.snapshot_file import MAGIC, save
from sohu.emulator.tensor import Tensor
from sohu.emulator.translate import Code
from sohu.isa import INSTRUCTION_BYTES, Chip, DType, SohuError, dtype_of, load_chip
from sohu.isa.dtypes import DTYPES
from sohu.isa.products import Native

STACK_BYTES = 64 << 10
PARAMETER_BYTES = 8 << 10

__all__ = ["Argument", "Arguments", "Device", "Loaded", "Result"]


class Loaded:
    """A program in a device's HBM, translated for its machine."""

    __slots__ = ("address", "code", "image", "plans", "program", "text")

    def __init__(self, program: Program, image: Allocation, code: Code) -> None:
        self.program = program
        self.text = program.text
        self.image = image
        self.address = image.start
        self.code = code
        self.plans = {name: Plan(k) for name, k in program.kernels.items()}

    def kernel(self, name: str) -> Kernel:
        """A kernel by name; raises SohuError that lists what there is."""
        return self.plan(name).kernel

    def plan(self, name: str) -> Plan:
        """How a kernel's arguments are checked and packed; raises SohuError that lists what there is."""
        try:
            return self.plans[name]
        except KeyError:
            have = ", ".join(self.plans) or "none"
            raise SohuError(f"{self.program.name} has no kernel {name!r}", help=f"there are: {have}") from None


def _core_file(path: Path) -> Path:
    """Raises SohuError for a file that is there and is no core: it would be lost."""
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except OSError:
        return path  # not there, or not readable: writing it will tell
    if head and head != MAGIC:
        raise SohuError(f"{path} is there, and is no core file: it would be lost", help="--core takes a file to write")
    return path


def _native() -> Native:
    library = native_library.load()
    if library is None:
        raise SohuError(f"there is no native library: {native_library.why()}", help="leave native=True out")
    return library.product


@dataclass
class Result:
    """What a launch gives back.

    outputs: the tensors of the `out` parameters; instructions: how many the sequencer executed or issued;
    cycles: of the timer, None without timing; stats: `seconds` on the host, and with timing per queue
    `busy.<queue>` and `stall.<queue>` in cycles.
    """

    outputs: dict[str, Tensor]
    instructions: int
    cycles: int | None
    stats: dict[str, float] = field(default_factory=dict)


def _check(program: Program) -> None:
    if len(program.text) % INSTRUCTION_BYTES:
        raise SohuError(f"the code of {program.name} ends within an instruction")
    for kernel in program.kernels.values():
        check_size(kernel, PARAMETER_BYTES)
        if kernel.entry % INSTRUCTION_BYTES or not 0 <= kernel.entry < len(program.text):
            raise SohuError(f"kernel {kernel.name} of {program.name} starts outside .text")


class Device:
    """One emulated chip.

    chip: a configuration or its name; schedule: None for program order, an int for a random legal order
    with that seed, "timed" for effects when the timer says that they are there; timing: count cycles, as timed
    order always does; max_instructions, max_seconds, max_memory: stop a launch (category limit)
    that executes more, runs longer, or with which this process has taken more bytes of the host's memory since the
    device was made; core: a file for the whole state of a launch that is stopped; workers: threads that share large
    products (all usable cores; results do not depend on it); low_memory: keep no float32 copies of weights in
    narrower formats, at the cost of speed; native: products of bf16 by a C function (sohu.emulator.native), whose sums
    may differ from BLAS's within the manual's bound; output: where the program's own prints go;
    checks: the checkers that are on, "all", "none" or names (docs/checkers.md; machine.check switches them later).

    Raises SohuError for an unknown chip or checker, when the host refuses the address space, and where `native` cannot
    be had.
    """

    def __init__(
        self,
        chip: Chip | str = "sohu",
        *,
        schedule: Spec = None,
        timing: bool = False,
        max_instructions: int | None = None,
        max_seconds: float | None = None,
        max_memory: int | None = None,
        core: Path | str | None = None,
        workers: int | None = None,
        low_memory: bool = False,
        native: bool = False,
        output: Callable[[str], None] = print,
        checks: str | Collection[str] | None = None,
    ) -> None:
        self.core = None if core is None else _core_file(Path(core))
        self.low_memory = low_memory
        self.chip = load_chip(chip) if isinstance(chip, str) else chip
        self.memories = Memories(self.chip, keep=0 if low_memory else None)
        self.hbm = self.memories.hbm
        self.machine = Machine(
            self.chip,
            self.memories,
            schedule=schedule,
            timing=timing,
            max_instructions=max_instructions,
            max_seconds=max_seconds,
            max_memory=max_memory,
            workers=workers,
            native=_native() if native else None,
            output=output,
            checks=checks,
        )
        self._parameters = self.hbm.allocate(PARAMETER_BYTES, name="the parameter block", writable=False, align=PAGE)
        self._parameters.rewritten = True
        self._stack = self.hbm.allocate(STACK_BYTES, name="the stack", align=PAGE, guard=PAGE)
        self._stack.fresh = self._stack.scratch = True
        self._loaded: dict[int, Loaded] = {}
        self.hbm.rights_changed = self._forget_bindings
        self._running: tuple[Packed, float] | None = None
        self.kernel: str | None = None  # that was launched and has not ended

    # -- tensors -----------------------------------------------------------------------------------

    def tensor(
        self, array: NDArray[Any], name: str = "", dtype: DType | None = None, *, writable: bool = True
    ) -> Tensor:
        """A copy of an array in HBM; not `writable`: nobody changes it any more (Tensor.freeze).

        dtype: the chip's, where the array does not say it: fp4x2 of uint8. Raises SohuError when the chip has no dtype
        for the array, and when `dtype` is held in another one by NumPy.
        """
        source = np.asarray(array)
        if dtype is not None and dtype.np != source.dtype:
            raise SohuError(f"{dtype} is held in {dtype.np}, not in {source.dtype}", help="view or convert the array")
        dtype = dtype or dtype_of(source.dtype)
        if dtype is None:
            raise SohuError(
                f"the chip has no dtype {source.dtype}",
                help=f"convert it: it has {', '.join(sorted(DTYPES))}",
            )
        made = self.empty(source.shape, dtype, name)
        np.copyto(made.view(), source)
        if not writable:
            made.freeze()
        return made

    def empty(self, shape: Sequence[int], dtype: DType, name: str = "") -> Tensor:
        """A tensor whose elements are whatever the memory held; raises SohuError when HBM is full."""
        return Tensor.allocate(self, self.hbm, tuple(shape), dtype, name, zero=False)

    def zeros(self, shape: Sequence[int], dtype: DType, name: str = "") -> Tensor:
        """A tensor of zeros; raises SohuError when HBM is full."""
        return Tensor.allocate(self, self.hbm, tuple(shape), dtype, name, zero=True)

    def map(self, file: BinaryIO, offset: int, shape: Sequence[int], dtype: DType, name: str = "") -> Tensor:
        """A read-only tensor whose elements lie in a file, from byte `offset` on: little-endian, row-major.

        Where the host can (and `offset` is at a multiple of 64 KiB, say), the file's pages become those of HBM: nothing
        is read before it is touched. The file may be closed, but not shortened, while the tensor is in use. Raises
        SohuError when the file is too short, cannot be read, and when HBM is full.
        """
        return Tensor.mapped(self, self.hbm, file, offset, tuple(shape), dtype, name)

    # -- programs ----------------------------------------------------------------------------------

    def load(self, program: Program) -> Loaded:
        """Place a program's image in HBM, read-only, and prepare its translation; once per Program."""
        known = self.loaded(program)
        if known is not None:
            return known
        _check(program)
        image = self.hbm.allocate(
            max(program.image_bytes, 1), name=f"the program {program.name}", writable=False, align=PAGE
        )
        at = image.start
        self.hbm.map[at : at + len(program.text)] = program.text
        rodata = at + program.rodata_address
        self.hbm.map[rodata : rodata + len(program.rodata)] = program.rodata
        loaded = Loaded(program, image, Code(program.text, self.machine))
        self._loaded[id(program)] = loaded  # keeps the program alive, so its id stays its own
        return loaded

    def loaded(self, program: Program) -> Loaded | None:
        """What `load` gave for a program; None when it has not been loaded."""
        known = self._loaded.get(id(program))
        return known if known is not None and known.text is program.text else None

    def unload(self, loaded: Loaded) -> None:
        """Give a program's memory back; it can be loaded again.

        A kernel of it that has not ended cannot go on: its instructions stay, its image is gone.
        """
        if self._loaded.get(id(loaded.program)) is loaded:
            del self._loaded[id(loaded.program)]
        self.hbm.free(loaded.image)

    def _forget_bindings(self) -> None:
        """Memory has become read-only, or writable again: instructions look at it anew."""
        self.memories.settle()
        for loaded in self._loaded.values():
            loaded.code.forget()
        self.machine.hooks.forget()

    # -- launches ----------------------------------------------------------------------------------

    def launch(self, program: Loaded | Program, kernel: str, args: Arguments = ()) -> Result:
        """Run a kernel to its end.

        `args` by name or in order: tensors of this device are used in place; NumPy arrays (C-contiguous,
        exact dtype) are copied in, and back for inout and out parameters; i64 and f32 parameters take
        numbers. `out` parameters that are left out are allocated, if the other arguments say how large.

        Raises ArgumentError, or MachineError when the program is stopped by the machine. Ctrl-C raises
        KeyboardInterrupt between two instructions: the machine can be looked at and stepped, `machine.run` goes on,
        and another launch starts anew.
        """
        self.start(program, kernel, args)
        if self.core is None:
            self.machine.run()
        else:
            run_for_core(self, self.core)
        return self.finish()

    def start(self, program: Loaded | Program, kernel: str, args: Arguments = ()) -> None:
        """Like launch, but stopped before the first instruction: go on with machine.step and machine.run."""
        loaded = program if isinstance(program, Loaded) else self.load(program)
        if loaded.code.machine is not self.machine:
            raise ArgumentError("the program was loaded on another device", help="load it on this one")
        plan = loaded.plan(kernel)
        packed = plan.pack(args, self)
        block = self._parameters.start
        self.hbm.map[block : block + len(packed.block)] = packed.block
        given = args.values() if isinstance(args, Mapping) else args
        own = {n: t for n, t in packed.outputs.items() if not any(a is t for a in given)}
        self.machine.outputs = [(n, t.tile) for n, t in own.items()]
        self.machine.reset(
            loaded.program,
            loaded.code,
            plan.kernel.entry,
            sp=self._stack.end,
            gp=loaded.address,
            args=block,
        )
        self._running = packed, time.perf_counter()
        self.kernel = kernel

    def snapshot(self, previous: Snapshot | None = None) -> Snapshot:
        """The whole chip between two instructions, in this process's memory; `restore` puts it back.

        With an older snapshot, only what has changed since is copied. Tensors that programs may only read are not
        copied at all: they must live as long as the snapshot is of use.
        """
        return take(self, previous)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of this device: what runs from there is the same, bit for bit.

        Tensors freed since then hold again what they held; those made since then are left alone. Checkers that were on
        know again what they knew; where one was not, or cannot (Check.save), all rest until the next launch. Raises
        SohuError for a snapshot of another device, and when memory that it needs has been given away.
        """
        put_back(self, snapshot)

    def save(self, path: Path | str) -> None:
        """Write the whole chip between two instructions, with its program, to a file: SnapshotFile opens it.

        Raises SohuError when the file cannot be written.
        """
        save(self, Path(path))

    def adopt(self, program: Program, image: int | None, kernel: str | None) -> None:
        """Be the device of a snapshot whose blocks of HBM are there already: its program lies at `image`.

        Raises SohuError when the blocks are not those that a device with that program has.
        """
        blocks = {b.start: b for b in self.hbm.allocations}

        def find(start: int | None, size: int, what: str) -> Allocation:
            block = None if start is None else blocks.get(start)
            if block is None or block.end - block.start < size:
                raise SohuError(f"{what} is not in HBM")
            return block

        self._parameters = find(self._parameters.start, PARAMETER_BYTES, "the parameter block")
        self._parameters.rewritten = True
        self._stack = find(self._stack.start, STACK_BYTES, "the stack")
        _check(program)
        if image is not None or len(program):
            loaded = Loaded(program, find(image, program.image_bytes, "the program"), Code(program.text, self.machine))
            self._loaded[id(program)] = loaded
            self.machine.load(program, loaded.code)
        self.kernel = kernel

    def resume(self) -> None:
        """After `adopt`, and with all state and memory in place: have the launch that was under way, for `finish`."""
        if self.kernel is not None:
            packed = Packed()
            kernel = self.machine.program.kernels[self.kernel]
            given = self.arguments()
            packed.outputs = {p.name: given[p.name] for p in kernel.params if p.direction in ("out", "inout")}  # type: ignore[misc]  # these are tensors
            self._running = packed, time.perf_counter()

    def arguments(self) -> dict[str, Tensor | int | float]:
        """The arguments of the launch under way, read from its parameter block; raises SohuError when it holds none."""
        if self.kernel is None:
            raise SohuError("no kernel has been launched")
        start = self._parameters.start
        raw = self.hbm.map[start : start + PARAMETER_BYTES]
        return unpack(self.machine.program.kernels[self.kernel], raw, self)

    def finish(self) -> Result:
        """The result of what `start` began; raises SohuError before its end."""
        if self._running is None or not self.machine.halted:
            raise SohuError("no kernel has run to its end")
        packed, began = self._running
        self._running = self.kernel = None
        for tensor, array in packed.back:
            np.copyto(array, tensor.view())
        stats = {"seconds": time.perf_counter() - began}
        if self.machine.timer is not None:
            stats |= self.machine.timer.stats()
        return Result(packed.outputs, self.machine.instructions, self.machine.cycles, stats)
