"""Declarations of a kernel: parameters, tiles, semaphores; registers and places for them; the prologue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from sohu.asm.diagnostics import Mistake
from sohu.asm.names import FILES, SIZES, RegisterFile
from sohu.asm.program import PARAM_BYTES, Direction, Param
from sohu.asm.syntax import Bounded, Expression, Ref
from sohu.isa import ROWS, DType, Reg, Row, Space, Tile
from sohu.isa.machine import ARGS, GP

if TYPE_CHECKING:
    from sohu.asm.debug_directives import Described

FIRST_SCALAR = ARGS + 1  # scalar parameters are given registers from here on

# The prologue is the one place where the assembler writes instructions of its own.
_TLD, _LD = ROWS["tld"], ROWS["ld"]
_TGET, _LI, _ADD, _TBASE = ROWS["tget"], ROWS["li"], ROWS["add"], ROWS["tbase"]
_SCRATCH = range(5, 32)  # of these the first that has no name holds addresses in the prologue

MAX_SIZE = (1 << 32) - 1  # of a tile's dimension
TILE_ALIGN = 64  # bytes, of tiles that the assembler places

Instructions: TypeAlias = "list[tuple[Row, tuple[Any, ...]]]"
# Reads one dimension: (the scalar register that holds it, 0) or (0, the size); raises Mistake.
SizeReader: TypeAlias = "Callable[[Expression], tuple[int, int]]"


def prologue(params: list[Param] | tuple[Param, ...], tiles: list[tuple[int, int]]) -> Instructions:
    """Load what was declared into its registers. `tiles`: (register, address of the descriptor)."""
    out: Instructions = []
    for i, p in enumerate(params):
        out.append((_TLD if p.is_tensor else _LD, (p.reg, ARGS, PARAM_BYTES * i)))
    return out + [(_TLD, (reg, GP, address)) for reg, address in tiles]


def bad_tile(tile: Tile) -> str:
    """Why this descriptor can't be a declared tile, or ""."""
    if tile.base % tile.dtype.itemsize:
        return f"address {tile.base:#x} is no multiple of {tile.dtype.itemsize}, the size of {tile.dtype}"
    low, high = tile.extent()
    if low < 0 or high > 1 << 64:
        return "it reaches outside the 64-bit address space"
    if any(not -(1 << 63) <= s < 1 << 63 for s in tile.strides):
        return "its strides do not fit 64 bits"
    return ""


@dataclass
class Declared:
    """A name of the kernel that stands for a register."""

    name: str
    file: RegisterFile
    line: int
    span: tuple[int, int]
    reg: int | None  # None: the next free one


@dataclass
class DeclaredParam(Declared):
    """`.param`."""

    direction: Direction = "in"
    dtype: DType | None = None
    dims: tuple[str | int, ...] = ()


@dataclass
class DeclaredTile(Declared):
    """`.tile`; dimensions are still source, since they can name scalar parameters."""

    space: Space = Space.SRAM
    dtype: DType | None = None  # None while it is not known to be right
    dims: list[Expression | Bounded] = field(default_factory=list)
    at: int | None = None
    label: Expression | None = None  # an address in the program's image, which is known when it runs
    over: str = ""  # the tile on top of which it lies
    strides: list[int] | None = None


@dataclass
class DeclaredDim(Declared):
    """`.dim`: a register with the size of a dimension."""


class KernelScope:
    """One kernel while it is assembled."""

    def __init__(self, name: str, line: int, entry: int, implicit_prologue: bool) -> None:
        self.name = name
        self.line = line
        self.entry = entry
        self.implicit_prologue = implicit_prologue
        self.declared: dict[str, Declared] = {}
        self.bounds: dict[str, int] = {}
        self.open = True  # declarations can follow
        self.tiles: list[tuple[str, int, Tile]] = []
        self.params: list[Param] = []
        self.described: Described | None = None  # what a compiler says of it

    def declare(self, d: Declared) -> None:
        """Take a name; raises Mistake."""
        if (other := self.declared.get(d.name)) is not None:
            note = (f"{d.name!r} was declared", other.line)
            raise Mistake("A021", f"{d.name!r} is declared twice in kernel {self.name}", d.span, notes=(note,))
        self.declared[d.name] = d

    def take(self, d: Declared, reg: int | None) -> None:
        """Take the register that was asked for, if one was; raises Mistake."""
        for other in self.declared.values():
            if reg is not None and (other.file, other.reg) == (d.file, reg):
                note = (f"{other.name!r} was declared", other.line)
                raise Mistake("A034", f"{d.file}{reg} is taken by {other.name!r}", d.span, notes=(note,))
        d.reg = reg

    def dimensions(self) -> set[str]:
        """Names of the parameters' dimensions."""
        params = (d for d in self.declared.values() if isinstance(d, DeclaredParam))
        return {dim for p in params for dim in p.dims if isinstance(dim, str)}

    def setup(self) -> Iterator[tuple[Row, tuple[Any, ...], DeclaredTile | None]]:
        """The code after the prologue: sizes of dimensions to registers, and tiles to their places in the image.

        The last value of an instruction with a tile is the tile's `label`.
        """
        for d in self.declared.values():
            if isinstance(d, DeclaredDim):
                param = next(p for p in self.params if d.name in p.dims)
                yield _TGET, (d.reg, param.reg, param.dims.index(d.name)), None
        named = {d.reg for d in self.declared.values() if d.file == "x"}
        scratch = next((i for i in _SCRATCH if i not in named | {ARGS}), 0)
        for d in self.declared.values():
            if isinstance(d, DeclaredTile) and d.label is not None:
                yield _LI, (scratch, 0), d
                yield _ADD, (scratch, scratch, Reg(GP)), None
                yield _TBASE, (d.reg, d.reg, scratch), None

    def free_register(self, file: RegisterFile) -> int | None:
        """The next register that has no name."""
        taken = {d.reg for d in self.declared.values() if d.file == file}
        first = FIRST_SCALAR if file == "x" else 0
        return next((i for i in range(first, SIZES[file]) if i not in taken), None)

    def close(self) -> Iterator[Mistake]:
        """End the declarations: give registers and places to all that have none. Yields what is wrong."""
        self.open = False
        yield from self._registers()
        for d in self.declared.values():
            if isinstance(d, DeclaredParam):
                self.params.append(Param(d.name, d.direction, d.dtype, d.dims, d.reg or 0))

    def _registers(self) -> Iterator[Mistake]:
        for file, size in SIZES.items():
            taken = {d.reg for d in self.declared.values() if d.file == file}
            free = (i for i in range(FIRST_SCALAR if file == "x" else 0, size) if i not in taken)
            for d in self.declared.values():
                if d.file == file and d.reg is None:
                    d.reg = next(free, None)
                    if d.reg is None:
                        d.reg = 0
                        why = f"no {FILES[file]} is left for {d.name!r}"
                        yield Mistake("A034", why, d.span, line=d.line)

    def place(self, size: SizeReader) -> Iterator[Mistake]:
        """Make the descriptors: tiles with an address first, the others after the highest of their memory.

        `size` reads one dimension. Yields what is wrong.
        """
        shaped: list[tuple[DeclaredTile, Tile]] = []
        for d in self.declared.values():
            if isinstance(d, DeclaredTile) and d.dtype is not None:
                try:
                    shaped.append((d, self.shape(d, d.dtype, size)))
                except Mistake as e:
                    e.line = d.line
                    yield e
        top = dict.fromkeys(Space, 0)
        endless: dict[Space, str] = {}  # a tile of which nobody knows where it ends
        lowest: dict[str, str] = {}  # of a tile on top of others, the one below them all
        overlaid: dict[str, list[Tile]] = {}  # what lies on top of a tile, directly or not
        for d, tile in shaped:
            if d.over:
                lowest[d.name] = lowest.get(d.over, d.over)
                overlaid.setdefault(lowest[d.name], []).append(tile)
            elif d.at is not None:
                top[tile.space] = max(top[tile.space], tile.extent()[1])
                if any(reg and not dim for dim, reg in zip(tile.dims, tile.dimregs or (), strict=False)):
                    endless[tile.space] = d.name
        places: dict[str, int] = {}
        for d, tile in shaped:
            base = tile.base
            if d.over:
                base = places.get(d.over, 0)
            elif d.at is None and d.label is None:
                if (other := endless.get(tile.space)) is not None:
                    why = f"tile {d.name!r} can't be placed after {other!r}, whose size is not known"
                    help = f"give {d.name!r} an address with at=, or {other!r} a largest size"
                    yield Mistake("A035", why, d.span, line=d.line, help=help)
                low, high = tile.extent()  # below 0 with a negative stride
                high = max([high, *(t.extent()[1] for t in overlaid.get(d.name, ()))])
                base = -(-top[tile.space] // TILE_ALIGN) * TILE_ALIGN - low
                top[tile.space] = max(top[tile.space], base + high)
            places[d.name] = base
            tile = Tile(tile.space, tile.dtype, base, tile.dims, tile.strides, tile.dimregs)
            if why := bad_tile(tile):
                yield Mistake("A035", f"tile {d.name!r}: {why}", d.span, line=d.line)
            else:
                self.tiles.append((d.name, d.reg or 0, tile))

    def shape(self, d: DeclaredTile, dtype: DType, size: SizeReader) -> Tile:
        """The tile of a declaration, at its address or at 0; raises Mistake."""
        dims, regs = [], []
        for i, node in enumerate(d.dims):
            reg, value = size(node.size if isinstance(node, Bounded) else node)
            name = node.name if isinstance(node, Ref) else ""
            is_dim = isinstance(self.declared.get(name), DeclaredDim)
            if isinstance(node, Bounded):
                none, value = size(node.bound)
                if none or not reg:
                    why = "`<=` stands between a scalar register and the largest size it can hold"
                    raise Mistake("A033", why, node.span)
            elif is_dim and name in self.bounds:
                value = self.bounds[name]
            elif reg and (d.at is None or (i and d.strides is None)):
                why = f"the size of dimension {i} comes from x{reg}: how much room does it need?"
                help = f"say .bound {name}, 4096" if is_dim else f"give the largest size, as in x{reg}<=4096"
                raise Mistake("A035", why, node.span, help=help)
            dims.append(value)
            regs.append(reg)
        return Tile(d.space, dtype, d.at or 0, dims, d.strides, regs)
