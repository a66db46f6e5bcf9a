"""What names mean to the user of the debugger: registers, the kernel's tiles and parameters, symbols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sohu.asm import Kernel
from sohu.asm.debuginfo import Location
from sohu.asm.names import REGISTERS, nearest
from sohu.debugger.errors import CommandError
from sohu.debugger.stops import Exited
from sohu.debugger.values import Value
from sohu.debugger.variables import Variables
from sohu.isa import DTYPES, NUM_TILES, Fault, Space, Tile, dtype_of
from sohu.isa.machine import SCALAR_ALIASES

if TYPE_CHECKING:
    from sohu.debugger.session import Session


@dataclass(frozen=True)
class NamedTile:
    """A tile register: its name in the kernel ("" for none) and what it holds now (None: nothing)."""

    name: str
    reg: int
    tile: Tile | None


class Names:
    """The names of a session's kernel, and their values now."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.variables = Variables(session)

    @property
    def kernel(self) -> Kernel:
        """Whose names these are: the kernel that was launched, also in functions that it calls."""
        return self.session.kernel

    # -- which there are ---------------------------------------------------------------------------

    def tile_registers(self) -> dict[str, int]:
        """Tile registers by name, tensor parameters first."""
        out = {p.name: p.reg for p in self.kernel.params if p.is_tensor}
        return out | {t.name: t.reg for t in self.kernel.tiles}

    def scalars(self) -> dict[str, int]:
        """Scalar registers by the name of the parameter that the prologue loads there."""
        return {p.name: p.reg for p in self.kernel.params if not p.is_tensor}

    def dims(self) -> dict[str, int]:
        """The named dimensions of the arguments."""
        out: dict[str, int] = {}
        for p in self.kernel.params:
            shape = getattr(self.session.args.get(p.name), "shape", None)
            if p.is_tensor and shape is not None:
                out |= {d: int(n) for d, n in zip(p.dims, shape, strict=False) if isinstance(d, str)}
        return out

    def all(self) -> list[str]:
        """Everything that an expression can name, what the program names first."""
        own = [*self.variables.names(), *self.tile_registers(), *self.scalars(), *self.kernel.semaphores, *self.dims()]
        return list(dict.fromkeys([*own, *self.session.program.symbols, "pc", *REGISTERS]))

    def scalar_names(self, reg: int) -> list[str]:
        """What a scalar register is also called."""
        aliases = [a for a, r in SCALAR_ALIASES.items() if r == reg]
        own = [n for n, _ in self.variables.registers().get(("x", reg), ())]
        others = [n for n, r in self.scalars().items() if r == reg and not self.variables.knows(n)]
        return aliases + own + others

    def is_float(self, reg: int) -> bool:
        """Whether a scalar register is known to hold a float32 now."""
        own = self.variables.registers().get(("x", reg))
        if own is not None:
            return any(at.type == "f32" for _, at in own)
        return any(p.reg == reg and p.direction == "f32" for p in self.kernel.params)

    def semaphore_names(self) -> dict[int, str]:
        """Names by number."""
        return {number: name for name, number in self.kernel.semaphores.items()}

    def tiles(self) -> list[NamedTile]:
        """All tile registers that have a name or hold something, named ones first."""
        t = self.session.machine.t if self.session.running else [None] * NUM_TILES
        named = [NamedTile(name, reg, t[reg]) for name, reg in self.tile_registers().items()]
        seen = {n.reg for n in named}
        return named + [NamedTile("", i, t[i]) for i in range(NUM_TILES) if i not in seen and t[i] is not None]

    def knows(self, name: str) -> bool:
        """True for a name of the program, whether or not it has a value now."""
        return name in self.all()

    def register_of(self, name: str) -> tuple[str, int] | None:
        """The register that a name stands for now: its file (x, t, s) and number."""
        if self.variables.knows(name):
            at = self.variables.locate(name)
            if at is None or at.kind not in ("tile", "register"):
                return None
            return ("t" if at.kind == "tile" else "x"), at.reg
        if (reg := self.tile_registers().get(name)) is not None:
            return "t", reg
        if (reg := self.scalars().get(name)) is not None:
            return "x", reg
        if (sem := self.kernel.semaphores.get(name)) is not None:
            return "s", sem
        return REGISTERS.get(name)

    # -- what they hold ----------------------------------------------------------------------------

    def lookup(self, name: str) -> Value:
        """The value of a name, as expressions see it; raises CommandError that suggests a near one."""
        if name.startswith("$"):
            return self._register(name[1:], name)
        if isinstance(stop := self.session.stop, Exited) and (output := stop.outputs.get(name)) is not None:
            return Value(output, dtype_of(output.dtype))
        if self.variables.knows(name):
            return self.variable(name)
        if self.session.running and (other := self.variables.elsewhere(name)):
            raise CommandError(f"{name} is no variable of this code", help=other)
        if (reg := self.tile_registers().get(name)) is not None:
            return self._tile(reg, name)
        if (reg := self.scalars().get(name)) is not None:
            return self._scalar(reg)
        if (sem := self.kernel.semaphores.get(name)) is not None:
            self.session.need_run()
            return Value(self.session.machine.sems[sem])
        if (size := self.dims().get(name)) is not None:
            return Value(size)
        symbol = self.session.program.symbols.get(name)
        if symbol is not None:
            base = self.session.loaded.address if symbol.section == "rodata" else 0
            return Value(base + symbol.address)
        return self._register(name, name)

    def variable(self, name: str) -> Value:
        """The value of a variable of the selected frame; raises CommandError where it has none."""
        at = self.variables.locate(name)
        if at is None:
            message, help = self.variables.why_nowhere(name)
            raise CommandError(message, help=help)
        return self.at(at, name)

    def at(self, place: Location, name: str) -> Value:
        """What is at a variable's place now; raises CommandError for what cannot be read."""
        self.session.need_run()
        machine = self.session.machine
        match place.kind:
            case "tile":
                return self._tile(place.reg, name)
            case "constant":
                return Value(place.value)
            case "register":
                return Value(machine.x[place.reg], is_float_bits=place.type == "f32")
        base = machine.x[place.reg] + int(place.value)
        try:
            raw = machine.view(Tile(Space.HBM, DTYPES["i32"], base, (2,)))
        except Fault as e:
            raise CommandError(f"{name} cannot be read: {e.message}") from None
        return Value(int.from_bytes(raw.tobytes(), "little", signed=True), is_float_bits=place.type == "f32")

    def _register(self, register: str, name: str) -> Value:
        session = self.session
        if register == "pc":
            return Value(session.pc)
        if register not in REGISTERS:
            hint = nearest(name, self.all()) or "info tiles and info registers list what there is"
            raise CommandError(f"nothing is called {name!r}", help=hint)
        file, number = REGISTERS[register]
        if file == "t":
            return self._tile(number, name)
        session.need_run()
        return self._scalar(number) if file == "x" else Value(session.machine.sems[number])

    def _scalar(self, reg: int) -> Value:
        self.session.need_run()
        return Value(self.session.machine.x[reg], is_float_bits=self.is_float(reg))

    def _tile(self, reg: int, name: str) -> Value:
        self.session.need_run()
        machine = self.session.machine
        tile = machine.t[reg]
        if tile is None:
            own = f" (t{reg})" if name != f"t{reg}" else ""
            raise CommandError(
                f"{name}{own} holds no tile yet", help="a kernel's prologue loads what it declares: step over it"
            )
        try:
            array = machine.view(tile).view()
        except Fault as e:
            raise CommandError(f"{name} cannot be read: {e.message}") from None
        array.flags.writeable = False
        return Value(array, tile.dtype, tile)
