"""Directives: one function each. Its docstring says first how it is written, then what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from sohu.asm.addresses import Address
from sohu.asm.diagnostics import Mistake
from sohu.asm.names import REGISTERS, RegisterFile, declarable, is_local, is_name, nearest
from sohu.asm.numbers import BITS, pack_integer, pack_number, pack_numbers
from sohu.asm.pieces import Piece
from sohu.asm.syntax import (
    Argument,
    Bounded,
    Call,
    Const,
    Expression,
    List,
    LocalRef,
    Operation,
    Pair,
    Raw,
    Ref,
    Statement,
    Text,
)
from sohu.isa import DTYPES, INSTRUCTION_BYTES, DType

if TYPE_CHECKING:
    from sohu.asm.assembler import Assembler

Directive = Callable[["Assembler", Statement], None]
DIRECTIVES: dict[str, Directive] = {}

MAX_RODATA = 1 << 28  # bytes; offsets of instructions reach 2^31

EXPRESSION = (Const, Ref, LocalRef, Operation, Call)


def directive(*names: str) -> Callable[[Directive], Directive]:
    """Register a directive under its names."""

    def register(function: Directive) -> Directive:
        for name in names:
            DIRECTIVES[name] = function
        return function

    return register


def usage(name: str) -> str:
    """How a directive is written."""
    return (DIRECTIVES[name].__doc__ or "").split("\n")[0].replace("DIRECTIVE", name)


class Arguments:
    """The arguments of one directive, taken one by one; whatever is wrong with them is a Mistake."""

    def __init__(self, asm: Assembler, st: Statement) -> None:
        assert st.op is not None
        self.asm = asm
        self.op = st.op
        self.end = st.end
        self.rest = [a for a in st.args if not isinstance(a, Pair)]
        self.pairs = [a for a in st.args if isinstance(a, Pair)]

    def bad(self, message: str, span: tuple[int, int], code: str = "A041") -> Mistake:
        """A Mistake that shows how the directive is written."""
        return Mistake(code, f"{self.op.name}: {message}", span, help=f"write: {usage(self.op.name)}")

    def next(self, what: str) -> Any:
        """The next argument; `what` it is, for the message when there is none."""
        if not self.rest:
            raise self.bad(f"{what} is missing", (self.end, self.end + 1))
        return self.rest.pop(0)

    def name(self, what: str) -> Ref:
        """A name of the program's own."""
        node = self.next(what)
        if not isinstance(node, Ref):
            raise self.bad(f"expected {what}", node.span)
        if not is_name(node.name):
            raise Mistake("A022", f"{node.name!r} is a word of the language and can't be {what}", node.span)
        return node

    def shared_name(self, what: str) -> Ref:
        """A name that other files see."""
        node = self.name(what)
        if is_local(node.name):
            raise Mistake("A022", f"{node.name!r} stays in this file, as every .L name, and can't be {what}", node.span)
        return node

    def choice(self, what: str, among: Iterable[str], code: str = "A032") -> str:
        """One word out of several."""
        node = self.next(what)
        names = list(among)
        if isinstance(node, Ref) and node.name in names:
            return node.name
        found = node.name if isinstance(node, Ref) else ""
        hint = nearest(found, names) or f"there are: {', '.join(names)}"
        raise Mistake(
            code,
            f"{self.op.name}: expected {what}" + (f", found {found!r}" if found else ""),
            node.span,
            help=hint,
        )

    def integer(self, what: str, low: int, high: int) -> int:
        """A constant within bounds."""
        return self.whole(self.next(what), what, low, high)

    def whole(self, node: Argument | Bounded, what: str, low: int, high: int) -> int:
        """The constant that `node` is, within bounds."""
        if not isinstance(node, EXPRESSION):
            raise self.bad(f"expected {what}", node.span)
        value = self.asm.constant(node)
        if not isinstance(value, int):
            raise self.bad(f"{what} is an integer", node.span)
        if not low <= value <= high:
            raise self.bad(f"{what} must be {low}..{high}, not {value}", node.span, "A014")
        return value

    def expression(self, what: str) -> Expression:
        """An expression."""
        node: Any = self.next(what)
        if not isinstance(node, EXPRESSION):
            raise self.bad(f"expected {what}", node.span)
        return node

    def text(self, what: str) -> Text:
        """A string."""
        node = self.next(what)
        if not isinstance(node, Text):
            raise self.bad(f"expected {what}", node.span)
        return node

    def raw(self) -> Piece:
        """The text of a directive that reads it for itself; empty where there is none."""
        if not self.rest:
            return Piece("", self.end, self.end)
        node = self.next("text")
        assert isinstance(node, Raw)
        return Piece(node.text, node.start, node.end)

    def list(self, what: str) -> List:
        """A list in brackets."""
        node = self.next(what)
        if not isinstance(node, List):
            raise self.bad(f"expected {what} in brackets", node.span)
        return node

    def option(self, name: str) -> Any:
        """The value of `name=...`, or None."""
        found = [p for p in self.pairs if p.name.name == name]
        if len(found) > 1:
            raise Mistake("A015", f"{self.op.name}: {name} is given twice", found[1].name.span)
        self.pairs = [p for p in self.pairs if p not in found]
        return found[0].value if found else None

    def register(self, file: RegisterFile) -> int | None:
        """`reg=`, or None."""
        node = self.option("reg")
        if node is None:
            return None
        found = REGISTERS.get(node.name) if isinstance(node, Ref) else None
        if found is None or found[0] != file:
            raise self.bad(f"reg= takes a register {file}0, {file}1, ...", node.span)
        if found[1] not in declarable(file):
            why = "x0 can hold nothing" if not found[1] else f"the prologue itself needs {file}{found[1]}"
            raise self.bad(why, node.span)
        return found[1]

    def done(self) -> None:
        """No argument is left."""
        if self.pairs:
            pair = self.pairs[0]
            raise Mistake(
                "A015",
                f"{self.op.name} takes no {pair.name.name}=",
                pair.name.span,
                help=f"write: {usage(self.op.name)}",
            )
        if self.rest:
            raise self.bad("this is too much", self.rest[0].span)


# -- sections and symbols ------------------------------------------------------------------------


@directive(".text", ".rodata")
def section(asm: Assembler, st: Statement) -> None:
    """DIRECTIVE

    What follows is code (.text) or constant data (.rodata).
    """
    args = Arguments(asm, st)
    args.done()
    asm.section = "text" if args.op.name == ".text" else "rodata"


@directive(".section")
def named_section(asm: Assembler, st: Statement) -> None:
    """.section .text|.rodata

    The same as .text or .rodata; so is a name that begins with one of them and a dot, such as .rodata.tables.
    """
    args = Arguments(asm, st)
    node = args.rest[0] if args.rest else None
    kind = next((k for k in (".text", ".rodata") if isinstance(node, Ref) and node.name.startswith(f"{k}.")), None)
    if kind is None:
        kind = args.choice("a section", (".text", ".rodata"), "A041")
    else:
        args.rest.pop(0)
    args.done()
    asm.section = "text" if kind == ".text" else "rodata"


@directive(".globl", ".global")
def globl(asm: Assembler, st: Statement) -> None:
    """DIRECTIVE NAME, ...

    Make labels visible to other files. Kernels always are.
    """
    _names(asm, st, asm.make_global)


@directive(".local")
def local(asm: Assembler, st: Statement) -> None:
    """.local NAME, ...

    Labels of this file only, as all are without .globl.
    """
    _names(asm, st, asm.make_local, shared=False)


@directive(".weak")
def weak(asm: Assembler, st: Statement) -> None:
    """.weak NAME, ...

    Labels visible to other files, of which one may define the same name, and wins then. A weak name that no file
    defines is 0.
    """
    _names(asm, st, asm.make_weak)


@directive(".extern")
def extern(asm: Assembler, st: Statement) -> None:
    """.extern NAME, ...

    Names that another file defines.
    """
    _names(asm, st, asm.make_extern)


def _names(asm: Assembler, st: Statement, take: Callable[[Ref], None], shared: bool = True) -> None:
    args = Arguments(asm, st)
    while True:
        take(args.shared_name("a name that other files see") if shared else args.name("a label"))
        if not args.rest:
            break
    args.done()


@directive(".equ", ".set", ".equiv")
def equ(asm: Assembler, st: Statement) -> None:
    """DIRECTIVE NAME, EXPRESSION

    Give an expression a name. It can use labels, also later ones. A second .equ or .set of the same name takes the
    place of the first from there on; .equiv refuses that.
    """
    args = Arguments(asm, st)
    name = args.name("a name")
    value = args.expression("an expression")
    args.done()
    asm.define_constant(name, value, again=args.op.name != ".equiv")


@directive(".align", ".balign", ".p2align")
def align(asm: Assembler, st: Statement) -> None:
    """DIRECTIVE BYTES

    Fill .rodata with zeros up to a multiple of BYTES, a power of two up to 64; .p2align takes the power. Code is
    aligned to 16 by itself.
    """
    args = Arguments(asm, st)
    node = args.rest[0] if args.rest else None
    power = args.op.name == ".p2align"
    value = 1 << args.integer("the power of two", 0, 6) if power else args.integer("the alignment", 1, 64)
    args.done()
    assert node is not None
    if value & (value - 1):
        raise args.bad(f"{value} is no power of two", node.span)
    if asm.section == "rodata":
        asm.data(bytes(-len(asm.rodata) % value), node.span)
    elif value > INSTRUCTION_BYTES:
        raise args.bad(f"code is aligned to {INSTRUCTION_BYTES} bytes, and no further", node.span, "A040")


# -- data ----------------------------------------------------------------------------------------


@directive(*(f".{name}" for name in DTYPES), ".byte", ".i64", ".quad")
def numbers(asm: Assembler, st: Statement) -> None:
    """DIRECTIVE NUMBER, ...

    Data, little-endian. Floats are rounded to nearest even. .byte takes 8 bits, .i64 and .quad 64. Numbers
    can be expressions with labels. .fp4x2 takes an even count of numbers: two to a byte, the first in its low half.
    """
    args = Arguments(asm, st)
    name = args.op.name[1:]
    if name in DTYPES and DTYPES[name].numbers > 1:
        _packed(asm, args, DTYPES[name])
        return
    bits = {"byte": 8, "i64": 64, "quad": 64}.get(name)
    while True:
        node = args.next("a number")
        if not isinstance(node, EXPRESSION):
            raise args.bad("expected a number", node.span)

        def pack(value: int | float) -> bytes:
            return pack_integer(value, bits) if bits else pack_number(value, DTYPES[name])

        whole = bits is not None or not DTYPES[name].is_float
        asm.number(node, pack, (bits or DTYPES[name].itemsize * 8) // 8, whole)
        if not args.rest:
            break
    args.done()


def _packed(asm: Assembler, args: Arguments, dtype: DType) -> None:
    values: list[int | float] = []
    while not values or args.rest:
        node = args.next("a number")
        if not isinstance(node, EXPRESSION):
            raise args.bad("expected a number", node.span)
        values.append(asm.constant(node))
    if len(values) % dtype.numbers:
        raise args.bad(f"{len(values)} numbers do not fill elements of {dtype.numbers}", node.span)
    try:
        asm.data(pack_numbers(values, dtype), args.op.span)
    except ValueError as e:
        raise args.bad(str(e), args.op.span, "A014") from None
    args.done()


@directive(".ascii", ".asciz", ".string")
def text(asm: Assembler, st: Statement) -> None:
    """DIRECTIVE "TEXT", ...

    Bytes of text, UTF-8; .asciz and .string end each with a zero.
    """
    args = Arguments(asm, st)
    while True:
        node = args.next("a string")
        if not isinstance(node, Text):
            raise args.bad("expected a string", node.span)
        asm.data(node.value + bytes(args.op.name != ".ascii"), node.span)
        if not args.rest:
            break
    args.done()


@directive(".zero", ".skip")
def zero(asm: Assembler, st: Statement) -> None:
    """DIRECTIVE BYTES

    Zeros.
    """
    args = Arguments(asm, st)
    count = args.integer("the number of bytes", 0, 1 << 31)
    args.done()
    asm.zeros(count, args.op.span)


@directive(".fill")
def fill(asm: Assembler, st: Statement) -> None:
    """.fill COUNT [, SIZE [, VALUE]]

    COUNT integers of SIZE bytes (1, up to 8) with the same value (0).
    """
    args = Arguments(asm, st)
    count = args.integer("the count", 0, 1 << 31)
    size = args.integer("the size", 1, 8) if args.rest else 1
    node = args.rest[0] if args.rest else None
    value = args.integer("the value", -(1 << 63), (1 << 64) - 1) if args.rest else 0
    args.done()
    asm.zeros(0, args.op.span)
    if count * size > MAX_RODATA:
        raise Mistake("A042", f".rodata is larger than {MAX_RODATA} bytes", args.op.span)
    try:
        asm.data(pack_integer(value, 8 * size) * count, args.op.span)
    except ValueError as e:
        raise Mistake("A014", str(e), node.span if node else args.op.span) from None


@directive(".org")
def org(asm: Assembler, st: Statement) -> None:
    """.org OFFSET

    Zeros up to an offset of this file's part of .rodata.
    """
    args = Arguments(asm, st)
    node = args.expression("the offset")
    args.done()
    asm.bind(node)
    value = asm.evaluate(node, asm.here(), final=False)
    offset = value.offset if isinstance(value, Address) and value.section == "rodata" else value
    if not isinstance(offset, int):
        raise args.bad("the offset is an integer, or a place in .rodata", node.span)
    if offset < len(asm.rodata):
        raise Mistake("A014", f"{offset} lies behind: .rodata is at {len(asm.rodata)} already", node.span)
    asm.zeros(offset - len(asm.rodata), args.op.span)


@directive(".inst")
def inst(asm: Assembler, st: Statement) -> None:
    """.inst WORD

    The 128 bits of an instruction as a number, whatever they mean.
    """
    args = Arguments(asm, st)
    word = args.integer("the instruction word", 0, (1 << BITS) - 1)
    args.done()
    asm.raw(word, st)


# -- messages ------------------------------------------------------------------------------------


@directive(".error")
def error(asm: Assembler, st: Statement) -> None:
    """.error ["TEXT"]

    An error of the source's own.
    """
    message, span = _message(Arguments(asm, st))
    raise Mistake("A055", message, span)


@directive(".print")
def print_(asm: Assembler, st: Statement) -> None:
    """.print "TEXT"

    Say something while the source is assembled.
    """
    args = Arguments(asm, st)
    node = args.text("a string")
    args.done()
    asm.warn("N001", node.value.decode("utf-8", "replace"), node.span)


@directive(".warning")
def warning(asm: Assembler, st: Statement) -> None:
    """.warning ["TEXT"]

    A warning of the source's own.
    """
    asm.warn("W001", *_message(Arguments(asm, st)))


def _message(args: Arguments) -> tuple[str, tuple[int, int]]:
    """The text of .error and .warning, and where it stands."""
    if not args.rest:
        args.done()
        return f"{args.op.name} stands here", args.op.span
    node = args.next("a string")
    args.done()
    if not isinstance(node, Text):
        raise args.bad("expected a string", node.span)
    return node.value.decode("utf-8", "replace"), node.span


# -- source places -------------------------------------------------------------------------------


@directive(".file")
def file(asm: Assembler, st: Statement) -> None:
    """.file NUMBER "PATH"

    Number a source file, for .loc.
    """
    number, path = st.args
    assert isinstance(number, Const) and isinstance(number.value, int) and isinstance(path, Text)
    try:
        name = path.value.decode()
    except UnicodeDecodeError:
        raise Mistake("A041", ".file: the path is no UTF-8", path.span) from None
    if not name or "\0" in name:
        raise Mistake("A041", ".file: this is no path", path.span)
    asm.files[number.value] = name


@directive(".loc")
def loc(asm: Assembler, st: Statement) -> None:
    """.loc FILE LINE [COLUMN]

    The instructions that follow come from there.
    """
    values = [a.value for a in st.args if isinstance(a, Const) and isinstance(a.value, int)]
    number, line, column = (*values, 0)[:3]
    if number not in asm.files:
        raise Mistake("A041", f".loc: no .file has the number {number}", st.args[0].span)
    if not 1 <= line < 1 << 31 or not 0 <= column < 1 << 31:
        raise Mistake("A041", ".loc: lines count from 1, and stay below 2^31", st.args[1].span)
    asm.locations.append((len(asm.text) // INSTRUCTION_BYTES, (asm.files[number], line, column)))
