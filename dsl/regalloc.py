"""Registers: linear scan over live spans. Scalars that find none live on the stack; tiles must fit."""

from __future__ import annotations

from dataclasses import replace

from sohu.asm.program import PARAM_BYTES
from sohu.dsl.errors import CompileError
from sohu.dsl.mir import Liveness, MInst, MKernel, MLoop, MNode, MWait, Operand, Span, VReg
from sohu.isa import NUM_TILES, ROWS
from sohu.isa.machine import ARGS, GP, RA, SP

SPILL_TEMPS = (28, 29, 30)  # an instruction reads at most three scalars (vosm)
SCALARS = tuple(r for r in range(1, 32) if r not in (RA, SP, GP, ARGS, *SPILL_TEMPS))


def allocate(kernel: MKernel) -> dict[VReg, int]:
    """Registers of all virtual registers; rewrites the kernel where scalars are spilled.

    Raises CompileError (K061) when tiles, (K062) when parameters and counters, which must have one, are too many.
    """
    scalars = [name for name, r in kernel.params.items() if r.bank == "x"]
    if len(scalars) > len(SCALARS):
        raise CompileError(
            "K062",
            f"{kernel.name} has {len(scalars)} scalar parameters, the chip {len(SCALARS)} registers for them",
            kernel.nodes[0].loc,
            help="give them in a tensor of i32, and read them with .item()",
        )
    loaded = [*kernel.params.values(), *_descriptors(kernel)]  # by the prologue
    spans = {v: s for v, s in Liveness(kernel.nodes, loaded).spans(VReg).items() if isinstance(v, VReg)}
    registers: dict[VReg, int] = {v: v.fixed for v in spans if v.fixed is not None}
    _tiles(kernel, spans, registers)
    spilled = _scalars({v: s for v, s in spans.items() if v.bank == "x" and v.fixed is None}, registers)
    if spilled:
        params = {reg: PARAM_BYTES * i for i, reg in enumerate(kernel.params.values())}
        kernel.spilled = {v: (ARGS, params[v]) if v in params else (SP, -8 * slot) for v, slot in spilled.items()}
        kernel.nodes = _Spiller(spilled, params, registers).rewrite(kernel.nodes)
    return registers


def _descriptors(kernel: MKernel) -> list[VReg]:
    return [r for b in kernel.buffers for r in (b.reg, *(a.reg for a in b.aliases))]


def _tiles(kernel: MKernel, spans: dict[VReg, Span], registers: dict[VReg, int]) -> None:
    pinned = [r for r in kernel.params.values() if r.bank == "t"] + _descriptors(kernel)
    if len(pinned) > NUM_TILES:
        raise CompileError(
            "K061",
            f"{kernel.name} has {len(pinned)} tensors and tiles, the chip {NUM_TILES} tile registers",
            kernel.buffers[-1].loc if kernel.buffers else None,
            help="split the kernel",
        )
    for i, v in enumerate(pinned):
        registers[v] = i
    free = list(range(len(pinned), NUM_TILES))
    rest = sorted((v for v in spans if v.bank == "t" and v not in registers), key=lambda v: spans[v].start)
    active: list[VReg] = []
    for v in rest:
        for old in [a for a in active if spans[a].end <= spans[v].start]:
            active.remove(old)
            free.append(registers[old])
        if not free:
            raise CompileError(
                "K061",
                f"{kernel.name} needs more than {NUM_TILES} tile registers",
                kernel.buffers[-1].loc if kernel.buffers else None,
                help="split the kernel",
            )
        free.sort()
        registers[v] = free.pop(0)
        active.append(v)


def _scalars(spans: dict[VReg, Span], registers: dict[VReg, int]) -> dict[VReg, int]:
    """Assign scalar registers; returns the stack slots of those that found none."""
    free = list(SCALARS)
    active: list[VReg] = []
    spilled: dict[VReg, int] = {}
    for v in sorted(spans, key=lambda v: (spans[v].start, not v.pinned)):
        start = spans[v].start  # -1: the prologue loads all parameters, and one that nobody reads needs a register too
        for old in [a for a in active if start >= 0 and spans[a].end <= start]:
            active.remove(old)
            free.append(registers[old])
        if not free:
            victims = [a for a in (*active, v) if not a.pinned]
            if not victims:
                raise CompileError("K062", "more loop counters than scalar registers", None)
            victim = max(victims, key=lambda a: spans[a].end)
            spilled[victim] = len(spilled) + 1
            if victim is v:
                continue
            active.remove(victim)
            free.append(registers.pop(victim))
        free.sort()
        registers[v] = free.pop(0)
        active.append(v)
    return spilled


class _Spiller:
    """Reloads what found no register before each use: from the stack, or parameters from their block."""

    def __init__(self, slots: dict[VReg, int], params: dict[VReg, int], registers: dict[VReg, int]) -> None:
        self.slots = slots
        self.params = params
        self.registers = registers
        self.sp, self.args = VReg("x", "sp", fixed=SP), VReg("x", "args", fixed=ARGS)
        registers |= {self.sp: SP, self.args: ARGS}

    def rewrite(self, nodes: list[MNode]) -> list[MNode]:
        out: list[MNode] = []
        for n in nodes:
            if isinstance(n, MLoop):
                count = self.reload(n.count, out, n, {})
                out.append(MLoop(count, self.rewrite(n.body), n.loc, n.op))
            else:
                out += self.instruction(n)
        return out

    def temp(self, number: int) -> VReg:
        v = VReg("x", "spill")
        self.registers[v] = SPILL_TEMPS[number]
        return v

    def reload(self, v: Operand, out: list[MNode], n: MInst | MLoop, temps: dict[VReg, VReg]) -> Operand:
        if not isinstance(v, VReg) or v not in self.slots:
            return v
        if v not in temps:
            if len(temps) == len(SPILL_TEMPS):
                raise CompileError("K062", f"an instruction reads more than {len(SPILL_TEMPS)} spilled scalars", n.loc)
            temps[v] = self.temp(len(temps))
            base, offset = (self.args, self.params[v]) if v in self.params else (self.sp, -8 * self.slots[v])
            out.append(MInst(ROWS["ld"], [temps[v], base, offset], n.loc, op=n.op))
        return temps[v]

    def instruction(self, n: MInst) -> list[MNode]:
        out: list[MNode] = []
        temps: dict[VReg, VReg] = {}
        operands: list[Operand] = []
        for o, v in zip(n.row.operands, n.operands, strict=True):
            operands.append(v if o.kind.writes else self.reload(v, out, n, temps))
        wait = n.wait
        if wait is not None and wait.reg is not None and wait.reg in self.slots:
            reg = self.reload(wait.reg, out, n, temps)
            assert isinstance(reg, VReg)
            wait = MWait(wait.sem, reg, wait.imm)
        target = n.defines
        if target is not None and target in self.slots:
            temp = self.temp(0)
            operands = [temp if o.kind.writes else v for o, v in zip(n.row.operands, operands, strict=True)]
        if target is None or target not in self.slots:
            out.append(replace(n, operands=operands, wait=wait))
        else:  # what it makes is not there before it is stored
            out.append(replace(n, operands=operands, wait=wait, makes=()))
            out.append(MInst(ROWS["sd"], [temp, self.sp, -8 * self.slots[target]], n.loc, op=n.op, makes=n.makes))
        return out
