"""Addresses of tiles in SRAM and ACC."""

from __future__ import annotations

from sohu.dsl.errors import CompileError
from sohu.dsl.mir import Buffer, Liveness, MInst, MKernel, MLoop, MNode, Operand, Place, Span, VReg
from sohu.isa import NUM_TILES, Chip, Space

# Tile registers that views find free, before tiles begin to share theirs.
VIEW_REGISTERS = 16


def place_buffers(kernel: MKernel, chip: Chip) -> None:
    """Give every buffer its address: apart where there is room (nothing then waits for memory), else by live spans.

    Raises CompileError (K060) when the tiles that are live at once do not fit.
    """
    _share(kernel)
    spans = _spans(kernel)
    kernel.buffers = [b for b in kernel.buffers if b in spans]
    for space in (Space.SRAM, Space.ACC):
        capacity = chip.capacity(space)
        mine = [b for b in kernel.buffers if b.space is space]
        if sum(_aligned(b) for b in mine) <= capacity:
            at = 0
            for b in mine:
                b.address = at
                at += _aligned(b)
        else:
            _pack(kernel.name, mine, spans, space, capacity, chip.name)


def _spans(kernel: MKernel) -> dict[Buffer, Span]:
    return {b: s for b, s in Liveness(kernel.nodes).spans(Buffer).items() if isinstance(b, Buffer)}


def _pack(name: str, buffers: list[Buffer], spans: dict[Buffer, Span], space: Space, capacity: int, chip: str) -> None:
    """Largest first, each at the lowest address that no buffer alive at the same time covers."""
    placed: list[Buffer] = []
    largest_first = sorted(buffers, key=_aligned, reverse=True)
    for b in largest_first:
        b.address = 0
        for p in sorted((p for p in placed if _meet(spans[p], spans[b])), key=lambda p: p.address):
            if p.address < b.address + _aligned(b):
                b.address = max(b.address, p.address + _aligned(p))
        placed.append(b)
        if b.address + _aligned(b) > capacity:
            sizes = ", ".join(f"{x.name} {x.dtype}{list(x.caps)} {x.nbytes:,} B" for x in largest_first[:4])
            raise CompileError(
                "K060",
                f"the tiles of {name} do not fit the {space} of chip {chip}: {capacity:,} bytes; largest: {sizes}",
                b.loc,
                help="make the blocks smaller (compile-time parameters), or compile for a chip with more",
            )


def _meet(a: Span, b: Span) -> bool:
    return a.start <= b.end and b.start <= a.end


def _aligned(b: Buffer) -> int:
    return -(-b.nbytes // 64) * 64


def _share(kernel: MKernel) -> None:
    """When tiles would take too many tile registers, those of one shape that are never alive together become one."""
    tensors = sum(r.bank == "t" for r in kernel.params.values())
    if tensors + sum(1 + len(b.aliases) for b in kernel.buffers) <= NUM_TILES - VIEW_REGISTERS:
        return
    spans = _spans(kernel)
    heads: dict[Buffer, list[Span]] = {}
    instead: dict[Buffer, Buffer] = {}
    shapes: dict[VReg, VReg] = {}
    for b in sorted((b for b in kernel.buffers if b in spans), key=lambda b: spans[b].start):
        kind = (b.space, b.dtype, b.caps, b.sizes)
        for head, taken in heads.items():
            alike = (head.space, head.dtype, head.caps, head.sizes) == kind
            if alike and not any(_meet(spans[b], s) for s in taken):
                instead[b] = head
                for a in b.aliases:
                    same = next((x for x in head.aliases if (x.caps, x.sizes) == (a.caps, a.sizes)), None)
                    if same is None:
                        head.aliases.append(a)
                    else:
                        shapes[a.reg] = same.reg
                taken.append(spans[b])
                break
        else:
            heads[b] = [spans[b]]
    regs = {b.reg: head.reg for b, head in instead.items()} | shapes
    kernel.buffers = [b for b in kernel.buffers if b not in instead]
    kernel.homes = {
        v: instead.get(h, h) if isinstance(h, Buffer) else shapes.get(h, h) for v, h in kernel.homes.items()
    }

    def place(p: Place) -> Place:
        return instead.get(p, p) if isinstance(p, Buffer) else p

    def operand(v: Operand) -> Operand:
        return regs.get(v, v) if isinstance(v, VReg) else v

    def rewrite(nodes: list[MNode]) -> None:
        for n in nodes:
            if isinstance(n, MLoop):
                rewrite(n.body)
            elif isinstance(n, MInst):
                n.operands = [operand(v) for v in n.operands]
                n.reads, n.writes = [place(p) for p in n.reads], [place(p) for p in n.writes]

    rewrite(kernel.nodes)
