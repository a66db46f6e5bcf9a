"""The host's side of one emulated chip: tensors in its HBM, programs loaded, kernels launched."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.asm import Kernel, Program
from sohu.emulator.arguments import Argument, Arguments, Packed, Plan, check_size
from sohu.emulator.errors import ArgumentError
from sohu.emulator.machine import Machine
from sohu.emulator.memory import PAGE, Memories
from sohu.emulator.tensor import Tensor
from sohu.emulator.translate import Code
from sohu.isa import INSTRUCTION_BYTES, Chip, DType, SohuError, dtype_of, load_chip
from sohu.isa.dtypes import DTYPES

STACK_BYTES = 64 << 10
PARAMETER_BYTES = 8 << 10

__all__ = ["Argument", "Arguments", "Device", "Loaded", "Result"]


class Loaded:
    """A program in a device's HBM, translated for its machine."""

    __slots__ = ("address", "code", "plans", "program", "text")

    def __init__(self, program: Program, address: int, code: Code) -> None:
        self.program = program
        self.text = program.text
        self.address = address  # of its image
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


class Device:
    """One emulated chip.

    chip: a configuration or its name; schedule: None for program order, an int for a random legal order
    with that seed; timing: count cycles; max_instructions: stop a launch that executes more (category
    limit); output: where the program's own prints go; checks: the checkers that are on, "all", "none" or names
    (docs/checkers.md; machine.check switches them later).

    Raises SohuError for an unknown chip or checker and when the host refuses the address space.
    """

    def __init__(
        self,
        chip: Chip | str = "sohu",
        *,
        schedule: int | None = None,
        timing: bool = False,
        max_instructions: int | None = None,
        output: Callable[[str], None] = print,
        checks: str | Collection[str] | None = None,
    ) -> None:
        self.chip = load_chip(chip) if isinstance(chip, str) else chip
        self.memories = Memories(self.chip)
        self.hbm = self.memories.hbm
        self.machine = Machine(
            self.chip,
            self.memories,
            schedule=schedule,
            timing=timing,
            max_instructions=max_instructions,
            output=output,
            checks=checks,
        )
        self._parameters = self.hbm.allocate(PARAMETER_BYTES, name="the parameter block", writable=False, align=PAGE)
        self._stack = self.hbm.allocate(STACK_BYTES, name="the stack", align=PAGE, guard=PAGE)
        self._stack.fresh = self._stack.scratch = True
        self._loaded: dict[int, Loaded] = {}
        self._running: tuple[Packed, float] | None = None

    # -- tensors -----------------------------------------------------------------------------------

    def tensor(self, array: NDArray[Any], name: str = "", dtype: DType | None = None) -> Tensor:
        """A copy of an array in HBM.

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
        return made

    def empty(self, shape: Sequence[int], dtype: DType, name: str = "") -> Tensor:
        """A tensor whose elements are whatever the memory held; raises SohuError when HBM is full."""
        return Tensor.allocate(self, self.hbm, tuple(shape), dtype, name, zero=False)

    def zeros(self, shape: Sequence[int], dtype: DType, name: str = "") -> Tensor:
        """A tensor of zeros; raises SohuError when HBM is full."""
        return Tensor.allocate(self, self.hbm, tuple(shape), dtype, name, zero=True)

    # -- programs ----------------------------------------------------------------------------------

    def load(self, program: Program) -> Loaded:
        """Place a program's image in HBM, read-only, and prepare its translation; once per Program."""
        known = self._loaded.get(id(program))
        if known is not None and known.text is program.text:
            return known
        if len(program.text) % INSTRUCTION_BYTES:
            raise SohuError(f"the code of {program.name} ends within an instruction")
        for kernel in program.kernels.values():
            check_size(kernel, PARAMETER_BYTES)
            if kernel.entry % INSTRUCTION_BYTES or not 0 <= kernel.entry < len(program.text):
                raise SohuError(f"kernel {kernel.name} of {program.name} starts outside .text")
        image = self.hbm.allocate(
            max(program.image_bytes, 1), name=f"the program {program.name}", writable=False, align=PAGE
        )
        at = image.start
        self.hbm.map[at : at + len(program.text)] = program.text
        rodata = at + program.rodata_address
        self.hbm.map[rodata : rodata + len(program.rodata)] = program.rodata
        loaded = Loaded(program, at, Code(program.text, self.machine))
        self._loaded[id(program)] = loaded  # keeps the program alive, so its id stays its own
        return loaded

    # -- launches ----------------------------------------------------------------------------------

    def launch(self, program: Loaded | Program, kernel: str, args: Arguments = ()) -> Result:
        """Run a kernel to its end.

        `args` by name or in order: tensors of this device are used in place; NumPy arrays (C-contiguous,
        exact dtype) are copied in, and back for inout and out parameters; i64 and f32 parameters take
        numbers. `out` parameters that are left out are allocated, if the other arguments say how large.

        Raises ArgumentError, or MachineError when the program is stopped by the machine.
        """
        self.start(program, kernel, args)
        self.machine.run()
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
        if self.machine.hooks:
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

    def finish(self) -> Result:
        """The result of what `start` began; raises SohuError before its end."""
        if self._running is None or not self.machine.halted:
            raise SohuError("no kernel has run to its end")
        packed, began = self._running
        self._running = None
        for tensor, array in packed.back:
            np.copyto(array, tensor.view())
        stats = {"seconds": time.perf_counter() - began}
        if self.machine.timer is not None:
            stats |= self.machine.timer.stats()
        return Result(packed.outputs, self.machine.instructions, self.machine.cycles, stats)
