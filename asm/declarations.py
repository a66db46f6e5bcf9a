"""Directives of kernels: `.kernel`, and what is declared before its first instruction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sohu.asm.addresses import Address
from sohu.asm.diagnostics import Mistake
from sohu.asm.directives import EXPRESSION, Arguments, directive
from sohu.asm.kernels import MAX_SIZE, Declared, DeclaredDim, DeclaredParam, DeclaredTile, KernelScope
from sohu.asm.names import FILES, REGISTERS, RegisterFile, file_of, is_name, nearest
from sohu.asm.syntax import Bounded, Expression, List, Ref, Statement
from sohu.isa import DTYPES, Space
from sohu.isa.machine import MAX_RANK

if TYPE_CHECKING:
    from sohu.asm.assembler import Assembler


@directive(".kernel")
def kernel(asm: Assembler, st: Statement) -> None:
    """.kernel NAME [, noprologue]

    A kernel begins here; up to .endkernel, the next .kernel or the end of the file. Its declarations come
    before its first instruction; there the prologue is put, which loads what was declared into registers.
    """
    args = Arguments(asm, st)
    name = args.shared_name("the kernel's name")
    implicit = not (args.rest and args.choice("noprologue", ("noprologue",), "A041"))
    args.done()
    asm.begin_kernel(name, implicit)


@directive(".endkernel")
def endkernel(asm: Assembler, st: Statement) -> None:
    """.endkernel

    The kernel's code ends here.
    """
    args = Arguments(asm, st)
    args.done()
    asm.kernel_of(args.op)
    asm.end_kernel()


@directive(".prologue")
def prologue(asm: Assembler, st: Statement) -> None:
    """.prologue

    End the declarations and put the prologue here, so that a .loc that follows is not its place.
    """
    args = Arguments(asm, st)
    args.done()
    _declaring(asm, args)
    asm.begin_body()


def _declaring(asm: Assembler, args: Arguments) -> KernelScope:
    scope = asm.kernel_of(args.op)
    if not scope.open:
        why = f"{args.op.name} comes before the kernel's first instruction"
        raise Mistake("A031", why, args.op.span)
    return scope


@directive(".param")
def param(asm: Assembler, st: Statement) -> None:
    """.param NAME, in|out|inout, DTYPE, [DIM, ...] [, reg=tN]   or   .param NAME, i64|f32 [, reg=xN]

    The kernel's next parameter: a tensor in HBM, whose dimensions are names or sizes, or a scalar.
    """
    args = Arguments(asm, st)
    scope = _declaring(asm, args)
    name = args.name("the parameter's name")
    direction: Any = args.choice("a direction or scalar type", ("in", "out", "inout", "i64", "f32"))
    tensor = direction in ("in", "out", "inout")
    file: RegisterFile = "t" if tensor else "x"
    declared = DeclaredParam(name.name, file, asm.line, name.span, None, direction)
    scope.declare(declared)  # even if what follows is wrong, so that its uses are not
    if tensor:
        declared.dtype = DTYPES[args.choice("a dtype", DTYPES)]
        dims = args.list("dimensions")
        if not 1 <= len(dims.items) <= MAX_RANK:
            raise args.bad(f"a tensor has 1..{MAX_RANK} dimensions, not {len(dims.items)}", dims.span, "A033")
        declared.dims = tuple(_dimension(asm, args, d) for d in dims.items)
    reg = args.register(file)
    args.done()
    scope.take(declared, reg)


def _dimension(asm: Assembler, args: Arguments, node: Expression | Bounded) -> str | int:
    if isinstance(node, Ref) and node.name not in asm.constants:
        if is_name(node.name):
            return node.name
        raise Mistake("A022", f"{node.name!r} is a word of the language and can't name a dimension", node.span)
    return args.whole(node, "a dimension", 0, MAX_SIZE)


@directive(".bound")
def bound(asm: Assembler, st: Statement) -> None:
    """.bound DIM, SIZE

    The kernel was built for no larger size of that dimension.
    """
    args = Arguments(asm, st)
    scope = _declaring(asm, args)
    name = args.name("a dimension")
    size = args.integer("the size", 0, MAX_SIZE)
    args.done()
    _check_dimension(scope, name)
    scope.bounds[name.name] = size


@directive(".dim")
def dim(asm: Assembler, st: Statement) -> None:
    """.dim DIM [, reg=xN]

    A scalar register, called like a dimension of the parameters above, that holds its size; loaded after the prologue.
    A tile can have this dimension too; then .bound says how much room it needs.
    """
    args = Arguments(asm, st)
    scope = _declaring(asm, args)
    name = args.name("a dimension")
    reg = args.register("x")
    args.done()
    _check_dimension(scope, name)
    declared = DeclaredDim(name.name, "x", asm.line, name.span, None)
    scope.declare(declared)
    scope.take(declared, reg)


def _check_dimension(scope: KernelScope, name: Ref) -> None:
    if name.name not in scope.dimensions():
        hint = nearest(name.name, scope.dimensions())
        raise Mistake("A020", f"no parameter above has a dimension {name.name!r}", name.span, help=hint)


@directive(".sem")
def sem(asm: Assembler, st: Statement) -> None:
    """.sem NAME [, reg=sN]

    A name for a semaphore of this kernel; the next free one, from s0, unless one is given.
    """
    args = Arguments(asm, st)
    scope = _declaring(asm, args)
    name = args.name("the semaphore's name")
    reg = args.register("s")
    args.done()
    declared = Declared(name.name, "s", asm.line, name.span, None)
    scope.declare(declared)
    scope.take(declared, reg)


@directive(".reg")
def reg(asm: Assembler, st: Statement) -> None:
    """.reg NAME [, REGISTER]   or   .reg NAME, x|t|s

    A name for a register, from here to the end of the kernel, or of the file if it stands outside of one. Without a
    register it gets the next scalar register, tile or semaphore that has no name; in a kernel only.
    """
    args = Arguments(asm, st)
    name = args.name("a name")
    node = args.next("a register") if args.rest else Ref("x", *args.op.span)
    args.done()
    own = REGISTERS.get(node.name) if isinstance(node, Ref) else None
    if own is None and not (isinstance(node, Ref) and node.name in FILES):
        spoken = file_of(node.name) if isinstance(node, Ref) else None
        if spoken is not None:
            raise Mistake("A020", f"there is no {node.name}", node.span)
        raise args.bad("expected a register, or x, t or s", node.span)
    if asm.scope is None:
        if own is None:
            raise Mistake("A030", f"outside a kernel {args.op.name} takes a register", args.op.span)
        asm.check_new(name)
        if name.name in asm.registers:
            raise Mistake("A021", f"{name.name!r} is a register already; .unreg forgets it", name.span)
        asm.registers[name.name] = own
        return
    file: RegisterFile = own[0] if own else next(f for f in FILES if f == node.name)
    declared = Declared(name.name, file, asm.line, name.span, None)
    asm.scope.declare(declared)
    asm.scope.take(declared, own[1] if own else None)
    if own is None and not asm.scope.open:
        declared.reg = asm.scope.free_register(file)
        if declared.reg is None:
            declared.reg = 0
            raise Mistake("A034", f"no {FILES[declared.file]} is left for {name.name!r}", name.span)
    asm.definitions += 1


@directive(".unreg")
def unreg(asm: Assembler, st: Statement) -> None:
    """.unreg NAME

    Forget a name given by .reg; its register can get another.
    """
    args = Arguments(asm, st)
    name = args.name("a name")
    args.done()
    asm.definitions += 1
    if asm.scope is not None and type(asm.scope.declared.get(name.name)) is Declared:
        del asm.scope.declared[name.name]
    elif name.name in asm.registers:
        del asm.registers[name.name]
    else:
        raise Mistake("A020", f"no .reg is called {name.name!r}", name.span, help=nearest(name.name, asm.registers))


@directive(".tile")
def tile(asm: Assembler, st: Statement) -> None:
    """.tile NAME, sram|acc|hbm, DTYPE, [DIM, ...] [, at=ADDRESS|over=TILE|buffers=N] [, reg=tN] [, strides=[S, ...]]

    A tile of this kernel. A dimension is a size, a scalar register with the largest size, as in x7<=4096, or a
    dimension that .dim and .bound have declared. Strides are in elements, row-major if not given. Without at=, it is
    placed after the highest tile of its memory, at a multiple of 64; over=TILE puts it on top of one declared above
    instead. buffers=N makes N of them: NAME, NAME.1, NAME.2, ... A tile in HBM can be at=LABEL: data of the program.
    """
    args = Arguments(asm, st)
    scope = _declaring(asm, args)
    name = args.name("the tile's name")
    declared = DeclaredTile(name.name, "t", asm.line, name.span, None)
    scope.declare(declared)
    declared.space = Space[args.choice("a memory", (str(space) for space in Space)).upper()]
    dtype = DTYPES[args.choice("a dtype", DTYPES)]
    dims = args.list("dimensions")
    if not 1 <= len(dims.items) <= MAX_RANK:
        raise args.bad(f"a tile has 1..{MAX_RANK} dimensions, not {len(dims.items)}", dims.span, "A033")
    for node in dims.items:
        for part in (node.size, node.bound) if isinstance(node, Bounded) else (node,):
            asm.bind(part)
    declared.dims = dims.items
    strides = args.option("strides")
    if strides is not None:
        if not isinstance(strides, List) or len(strides.items) != len(dims.items):
            raise args.bad(f"strides= takes {len(dims.items)} strides in brackets", strides.span, "A033")
        declared.strides = [args.whole(s, "a stride", -(1 << 63), (1 << 63) - 1) for s in strides.items]
    buffers = _place(asm, args, scope, declared)
    taken = args.register("t")
    args.done()
    declared.dtype = dtype
    scope.take(declared, taken)
    for i in range(1, buffers):
        more = replace(declared, name=f"{declared.name}.{i}", reg=None)
        scope.declare(more)


def _place(asm: Assembler, args: Arguments, scope: KernelScope, declared: DeclaredTile) -> int:
    """Read at=, over= and buffers=; the number of buffers. Raises Mistake."""
    at, over, buffers = (args.option(option) for option in ("at", "over", "buffers"))
    if (at is not None) + (over is not None) + (buffers is not None) > 1:
        raise args.bad("at=, over= and buffers= are three ways to place a tile", args.op.span)
    if over is not None:
        other = scope.declared.get(over.name) if isinstance(over, Ref) else None
        if not isinstance(over, Ref) or not isinstance(other, DeclaredTile) or other is declared:
            tiles = [d.name for d in scope.declared.values() if isinstance(d, DeclaredTile) and d is not declared]
            hint = nearest(over.name, tiles) if isinstance(over, Ref) else ""
            raise Mistake("A020", "over= takes a tile declared above", over.span, help=hint)
        if other.space is not declared.space:
            raise Mistake("A035", f"{other.name!r} is in {other.space}, not in {declared.space}", over.span)
        declared.over = over.name
    elif at is not None and declared.space is Space.HBM and _is_label(asm, at):
        declared.label = at
    elif at is not None:
        declared.at = args.whole(at, "the address", 0, (1 << 64) - 1)
    elif declared.space is Space.HBM:
        why = f"tile {declared.name!r}: a kernel owns no HBM, so at= is needed"
        raise Mistake("A035", why, args.op.span)
    return args.whole(buffers, "the number of buffers", 1, 64) if buffers is not None else 1


def _is_label(asm: Assembler, node: Any) -> bool:
    """True for an address in the program's image, or a name that may become one."""
    if not isinstance(node, EXPRESSION):
        return False
    asm.bind(node)
    try:
        return isinstance(asm.evaluate(node, asm.here(), final=False), Address)
    except Mistake as e:
        return e.code == "A024"
