"""The assembler: lines in, an Object out. One pass reads and encodes; a second fills in what came later."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sohu.asm import declarations  # noqa: F401  # whose directives this makes known
from sohu.asm.addresses import Address, Place, Value, operate
from sohu.asm.conditions import CONDITIONS
from sohu.asm.debug_directives import describe
from sohu.asm.debuginfo import KernelDebug
from sohu.asm.diagnostics import Diagnostic, Diagnostics, Mistake
from sohu.asm.directives import DIRECTIVES, MAX_RODATA
from sohu.asm.fast import FastPath
from sohu.asm.files import real_path
from sohu.asm.finish import finish
from sohu.asm.functions import call_function
from sohu.asm.kernels import KernelScope, prologue
from sohu.asm.link import link
from sohu.asm.macros import BODIES, Macro, call
from sohu.asm.names import REGISTERS, RegisterFile, is_local, is_name, reserved
from sohu.asm.numbers import Number, binary, unary
from sohu.asm.objects import (
    R_OPERAND,
    Object,
    Relocation,
    Section,
)
from sohu.asm.operands import Deferred, Pooled, Reader, operand_span, read_sync, reader, usage
from sohu.asm.options import DEFAULT, Options
from sohu.asm.preprocess import Condition, LineReader, first_word
from sohu.asm.program import Program
from sohu.asm.source import Sources, split_lines
from sohu.asm.syntax import (
    MAX_DEPTH,
    Argument,
    Call,
    Const,
    Expression,
    LocalRef,
    Operation,
    Pair,
    Ref,
    Statement,
    leading_labels,
    parse_line,
)
from sohu.isa import INSTRUCTION_BYTES, ROWS, TILE_BYTES, EncodingError, Inst, Operand, Row, encode, extensions


def assemble(
    text: str, filename: str = "<asm>", options: Options = DEFAULT, warnings: list[Diagnostic] | None = None
) -> Program:
    """Assemble a source file to a program of its own; warnings are appended to `warnings`.

    Without such a list, static checks (checks/) are not made.

    Raises AsmError, which holds all that is wrong with the source, warnings too.
    """
    return link([assemble_object(text, filename, options, warnings)])


def assemble_object(
    text: str, filename: str = "<asm>", options: Options = DEFAULT, warnings: list[Diagnostic] | None = None
) -> Object:
    """Assemble a source file that is to be linked with others; else as `assemble`."""
    extensions.check()
    assembler = Assembler(text, filename, options)
    found = assembler.run()
    if warnings is not None:
        from sohu.asm.checks.report import report  # for those who want to know

        report(assembler, found)
        assembler.errors.check()
        warnings += assembler.errors.sorted()
    return found


_NO_WORD = bytes(INSTRUCTION_BYTES)


@dataclass(slots=True, eq=False)
class Constant:
    """A named expression, the place that `.` means in it, and its value once it is known."""

    node: Expression
    here: Place
    value: Value | None = None


@dataclass(slots=True)
class Pending:
    """An instruction with operands that wait for names."""

    here: Place
    row: Row
    values: list[Any]
    sync: tuple[Any, Any]
    statement: Statement


@dataclass(slots=True)
class Fixup:
    """A number in .rodata that waits for names."""

    here: Place
    node: Expression
    pack: Callable[[Number], bytes]
    size: int
    whole: bool  # an integer, so that it can be an address


@dataclass(slots=True)
class Plan:
    """How the operands of a row are read: (position, operand, reader, what messages call it)."""

    positional: list[tuple[int, Operand, Reader, str]]
    keywords: dict[str, tuple[int, Operand, Reader, str]]
    defaults: list[Any]


_PLANS: dict[Row, Plan] = {}


def _plan(row: Row) -> Plan:
    if row not in _PLANS:
        slots = [(i, o, reader(o.kind), f"{row.mnemonic}: operand {o.name}") for i, o in enumerate(row.operands)]
        _PLANS[row] = Plan(
            [s for s in slots if not s[1].keyword],
            {s[1].name: s for s in slots if s[1].keyword},
            [o.default if o.keyword else None for o in row.operands],
        )
    return _PLANS[row]


class Assembler:
    """The state of assembling one file. Directives (directives.py) and operands (operands.py) work on it.

    Plain lines are taken by its FastPath (fast.py), all others are read by the grammar.
    """

    def __init__(self, text: str, filename: str, options: Options = DEFAULT) -> None:
        lines = split_lines(text)
        self.filename = filename
        self.options = options
        self.sources = Sources(filename, lines)
        self.fast = FastPath(self)
        self.errors = Diagnostics(self.sources, options.warnings)
        self.reader = LineReader(
            self.sources, lines, self.errors, options.max_expansion, real_path(filename), self.fast.take
        )
        self.macros: dict[str, Macro] = {}
        self.line = 0  # of the statement at hand: its number in `sources`
        self.section: Literal["text", "rodata"] = "text"
        self.text = bytearray()
        self.pending: list[Pending] = []
        self.tiles = bytearray()
        self.rodata = bytearray()
        self.fixups: list[Fixup] = []
        self.strings: dict[bytes, int] = {}  # and where they are in their section
        self.strings_size = 0
        self.relocations: dict[Section, list[Relocation]] = {"text": [], "rodata": []}
        self.labels: dict[str, Place] = {}
        self.constants: dict[str, Constant] = {}
        self.definitions = 0  # of names so far that can change what a line means: constants, and names of registers
        self.numeric: dict[int, list[Place]] = {}
        self.globals: dict[str, tuple[Ref, int]] = {}
        self.weak: set[str] = set()
        self.extern: set[str] = set()  # names that another file defines
        self.scopes: list[tuple[KernelScope, int]] = []  # of finished kernels, with their ends
        self.scope: KernelScope | None = None
        self.described: list[KernelDebug] = []  # what compilers say of finished kernels
        self.registers: dict[str, tuple[RegisterFile, int]] = {}  # named by .reg outside of kernels
        self.files: dict[int, str] = {}
        self.word_lines = array("i")  # where each word comes from in this file
        self.word_columns = array("i")
        self.data_starts = array("q")  # if a listing is wanted: where in .rodata something begins
        self.data_lines = array("i")  # that comes from there
        self.locations: list[tuple[int, tuple[str, int, int]]] = []  # and by .loc: from which word on, what
        self.resolving: list[Constant] = []  # whose value is being computed
        for name, value in options.defines.items():
            self.constants[name] = Constant(Const(value, 0, 0), self.here(), value)

    def run(self) -> Object:
        """Assemble; raises AsmError."""
        for number, text in self.reader:
            self.read(number, text)
        self.end_kernel()
        found = finish(self)
        self.errors.check()
        return found

    def read(self, number: int, text: str) -> None:
        """Read a line by the grammar; what is wrong goes to `errors`."""
        if not text or text.isspace():
            return
        self.line = number
        try:
            is_call = self.macros and first_word(text) in self.macros
            statement = parse_line(text, "call" if is_call else "start")
        except Mistake as e:
            self.errors.add(e, number)
            statement = self.recover(text)
        try:
            self.statement(statement)
        except Mistake as e:
            self.errors.add(e, number)

    def recover(self, text: str) -> Statement:
        """What is left of a line that can't be read, so that lines that lean on it are no mistakes."""
        word = first_word(text)
        if word in BODIES:
            try:
                self.reader.take(self.line, *BODIES[word], (0, 1))
            except Mistake as e:
                self.errors.add(e, self.line)
        elif word in CONDITIONS:
            self.reader.conditions.append(Condition(self.line, taken=True))
        return Statement(labels=leading_labels(text))

    def warn(
        self, code: str, message: str, span: tuple[int, int], *, help: str = "", notes: tuple[tuple[str, int], ...] = ()
    ) -> None:
        """Say that the statement at hand looks wrong, if -W flags want it said. `code` is a W code."""
        self.errors.add(Mistake(code, message, span, help=help, notes=notes), self.line)

    # -- reading ---------------------------------------------------------------------------------

    def statement(self, st: Statement) -> None:
        """One line; raises Mistake."""
        for label in st.labels:
            try:
                self.define_label(label)
            except Mistake as e:
                self.errors.add(e, self.line)
        if st.op is None:
            return
        name = st.op.name
        row = ROWS.by_mnemonic.get(name)
        if row is not None:
            self.instruction(row, st)
        elif name in DIRECTIVES:
            if st.sync:
                raise Mistake("A016", f"{name} is no instruction and can't {st.sync[0].kind}", st.sync[0].span)
            DIRECTIVES[name](self, st)
        elif name.startswith(".") and name not in self.macros:
            raise Mistake("A011", f"unknown directive {name}", st.op.span, help=self.errors.nearest(name, DIRECTIVES))
        else:
            if (macro := self.macros.get(name)) is not None:
                call(self, macro, st)
                return
            hint = self.errors.nearest(name, [*ROWS.by_mnemonic, *self.macros])
            raise Mistake("A010", f"unknown instruction {name!r}", st.op.span, help=hint)

    def instruction(self, row: Row, st: Statement) -> None:
        """Read the operands of one instruction, and encode it if they are known; raises Mistake."""
        assert st.op is not None
        if self.section != "text":
            raise Mistake("A040", "an instruction in .rodata", st.op.span, help="go back with .text")
        self.begin_body()
        plan = _plan(row)
        self.mark(st.op.start + 1)
        here = self.here()
        self.text += _NO_WORD
        values = self.operands(row, plan, st)
        sync = read_sync(self, st.sync) if st.sync else (None, None)
        for i, v in enumerate(values):
            if isinstance(v, Pooled):
                self.relocate_operand(here.offset, i, Address("strings", "", v.offset))
                values[i] = 0
        if any(isinstance(v, Deferred) for v in values):
            self.pending.append(Pending(here, row, values, sync, st))
        else:
            self.put(here.offset, self.encode(row, values, sync, st))

    def reread(self, pc: int, ordinal: int) -> None:
        """Read a jump that the fast path took by the grammar; its label is not plain. `ordinal`: of a numeric one."""
        self.put(pc, 0)
        self.line = self.word_lines[pc // INSTRUCTION_BYTES]
        st = parse_line(self.sources.text(self.line))
        assert st.op is not None
        row = ROWS[st.op.name]
        values = self.operands(row, _plan(row), st)
        for arg in st.args:
            if isinstance(arg, LocalRef):
                arg.at = ordinal
        self.pending.append(Pending(Place("text", pc, self.line), row, values, read_sync(self, st.sync), st))

    def operands(self, row: Row, plan: Plan, st: Statement) -> list[Any]:
        """The values of an instruction's operands, in the row's order; raises Mistake."""
        args = st.args
        given = [a for a in args if not isinstance(a, Pair)]
        if len(given) != len(plan.positional):
            self.wrong_count(row, plan, st, given)
        values = list(plan.defaults)
        for (i, operand, read, called), node in zip(plan.positional, given, strict=True):
            if self.constants or isinstance(node, (LocalRef, Operation, Call)):
                self.bind(node)
            values[i] = read(self, node, operand.kind, called)
        seen: set[str] = set()
        for pair in args:
            if isinstance(pair, Pair):
                name = pair.name.name
                if name not in plan.keywords or name in seen:
                    how = "is given twice" if name in seen else f"is no operand of {row.mnemonic}"
                    raise Mistake("A015", f"{name!r} {how}", pair.name.span, help=f"write: {usage(row)}")
                seen.add(name)
                i, operand, read, called = plan.keywords[name]
                values[i] = read(self, pair.value, operand.kind, called)
        return values

    def wrong_count(self, row: Row, plan: Plan, st: Statement, given: Sequence[Argument]) -> None:
        """Raises the Mistake for missing or surplus operands."""
        wanted = [o.name for _, o, _, _ in plan.positional]
        if len(given) > len(wanted):
            span = (given[len(wanted)].span[0], given[-1].span[1])
            takes = ", ".join(wanted) or "no operands"
            raise Mistake("A012", f"{row.mnemonic} takes {takes}", span, help=f"write: {usage(row)}")
        *others, last = [repr(n) for n in wanted[len(given) :]]
        missing = f"{', '.join(others)} and {last}" if others else last
        raise Mistake("A012", f"{row.mnemonic}: {missing} missing", (st.end, st.end + 1), help=f"write: {usage(row)}")

    def encode(self, row: Row, values: list[Any], sync: tuple[Any, Any], st: Statement) -> int:
        """The word of an instruction; raises Mistake at the operand that does not fit."""
        try:
            return encode(Inst(row, tuple(values), *sync))
        except EncodingError as e:
            clause = next((c for c in st.sync if c.kind == e.operand), None)
            span = clause.span if clause else operand_span(row, st.args, e.operand)
            code = "A016" if clause and not row.sync else "A014"
            raise Mistake(code, e.message, span or (st.op.span if st.op else (0, 1)), help=e.help) from None

    def raw(self, word: int, st: Statement) -> None:
        """A word that is given as a number; raises Mistake."""
        assert st.op is not None
        if self.section != "text":
            raise Mistake("A040", "an instruction in .rodata", st.op.span, help="go back with .text")
        self.begin_body()
        self.mark(st.op.start + 1)
        self.text += word.to_bytes(INSTRUCTION_BYTES, "little")

    def put(self, pc: int, word: int) -> None:
        """Write a word over the one at `pc`."""
        self.text[pc : pc + INSTRUCTION_BYTES] = word.to_bytes(INSTRUCTION_BYTES, "little")

    def relocate_operand(self, pc: int, position: int, address: Address) -> None:
        """Operand `position` of the instruction at `pc` is this address."""
        self.relocate("text", pc, R_OPERAND + position, address)

    def relocate(self, section: Section, offset: int, kind: int, a: Address) -> None:
        """What is at this place of a section is for the linker to fill in."""
        self.relocations[section].append(Relocation(offset, kind, a.section, a.symbol, a.offset))

    def mark(self, column: int) -> None:
        """The next word comes from the statement at hand."""
        self.word_lines.append(self.line)
        self.word_columns.append(column)

    # -- data ------------------------------------------------------------------------------------

    def data(self, data: bytes, span: tuple[int, int]) -> None:
        """Append to .rodata; raises Mistake."""
        if self.section != "rodata":
            raise Mistake("A040", "data in .text", span, help="put it after .rodata")
        if len(self.rodata) + len(data) > MAX_RODATA:
            raise Mistake("A042", f".rodata is larger than {MAX_RODATA} bytes", span)
        if self.options.listing and (not self.data_lines or self.data_lines[-1] != self.line):
            self.data_starts.append(len(self.rodata))
            self.data_lines.append(self.line)
        self.rodata += data

    def zeros(self, count: int, span: tuple[int, int]) -> None:
        """Append zeros to .rodata; raises Mistake before it takes memory."""
        if count > MAX_RODATA:
            raise Mistake("A042", f".rodata is larger than {MAX_RODATA} bytes", span)
        self.data(bytes(count), span)

    def number(self, node: Expression, pack: Callable[[Number], bytes], size: int, whole: bool) -> None:
        """Append a number to .rodata, now or when names are known; raises Mistake. `whole`: an integer."""
        here = self.here()
        if isinstance(node, Const):
            self.data(self.packed(pack, node, node.value), node.span)
        else:
            self.bind(node)
            self.data(bytes(size), node.span)
            self.fixups.append(Fixup(here, node, pack, size, whole))

    def packed(self, pack: Callable[[Number], bytes], node: Expression, value: Number) -> bytes:
        """`pack(value)`; raises Mistake."""
        try:
            return pack(value)
        except ValueError as e:
            raise Mistake("A014", str(e), node.span) from None

    def string(self, data: bytes) -> int:
        """Offset of a string in its section."""
        offset = self.strings.setdefault(data, self.strings_size)
        if offset == self.strings_size:
            self.strings_size += len(data) + 1
        return offset

    # -- names -----------------------------------------------------------------------------------

    def here(self) -> Place:
        """What `.` means now."""
        if self.section == "text":
            return Place("text", len(self.text), self.line)
        return Place("rodata", len(self.rodata), self.line)

    def define_label(self, label: Ref | Const) -> None:
        """A label stands here; raises Mistake."""
        if self.section == "text":
            self.begin_body()
        if isinstance(label, Const):
            assert isinstance(label.value, int)
            self.numeric.setdefault(label.value, []).append(self.here())
            return
        self.check_new(label)
        self.labels[label.name] = self.here()

    def define_constant(self, name: Ref, value: Expression, *, again: bool) -> None:
        """A named expression; raises Mistake. `again`: it can take the place of an earlier one from here on."""
        if not (again and name.name in self.constants):
            self.check_new(name)
        self.bind(value)
        constant = self.constants[name.name] = Constant(value, self.here())
        self.definitions += 1
        try:
            constant.value = self.evaluate(value, constant.here, final=False)
        except Mistake as e:
            if e.code not in ("A023", "A024"):  # those say that it is not known yet
                constant.value = 0
                raise

    def make_global(self, name: Ref) -> None:
        """A label is to be visible outside."""
        self.globals.setdefault(name.name, (name, self.line))

    def make_local(self, name: Ref) -> None:
        """A label is not to be visible outside after all."""
        self.globals.pop(name.name, None)

    def make_weak(self, name: Ref) -> None:
        """A label is to be visible outside, and may be defined there as well; or is to be 0 if nobody defines it."""
        self.weak.add(name.name)

    def make_extern(self, name: Ref) -> None:
        """Another file defines this name."""
        self.extern.add(name.name)

    def check_new(self, ref: Ref) -> None:
        """Raises Mistake when the name can't be defined, or is already."""
        name = ref.name
        if not is_name(name):
            raise Mistake("A022", f"{name!r} is a word of the language and can't be a label", ref.span)
        line = self.defined_at(name)
        if line:
            raise Mistake("A021", f"{name!r} is defined twice", ref.span, notes=(("it was defined", line),))

    def defined_at(self, name: str) -> int:
        """Line of a label or constant, or 0."""
        if name in self.labels:
            return self.labels[name].line
        return self.constants[name].here.line if name in self.constants else 0

    def is_defined(self, name: str) -> bool:
        """True for labels and constants defined so far."""
        return name in self.labels or name in self.constants

    def register(self, name: str) -> tuple[RegisterFile, int] | None:
        """A register by its own name or by one that the kernel gave it."""
        if (own := REGISTERS.get(name)) is not None:
            return own
        d = self.scope.declared.get(name) if self.scope else None
        return (d.file, d.reg or 0) if d is not None else self.registers.get(name)

    def suggest(self, name: str, file: RegisterFile | None = None) -> str:
        """Help for a name that means nothing."""
        if file is None:
            return self.errors.nearest(name, [*self.labels, *self.constants])
        declared = self.scope.declared.values() if self.scope else ()
        hint = self.errors.nearest(name, [d.name for d in declared if d.file == file])
        if not hint and file == "t" and self.scope is None:
            return "tiles have names inside a .kernel only"
        return hint

    def bind(self, node: Argument) -> None:
        """Settle which definition is meant where there can be several.

        Of a numeric label it is the nearest one before or after this place, of a constant the last one before it.
        """
        todo = [node]
        while todo:
            n = todo.pop()
            if isinstance(n, Ref):
                n.meaning = self.constants.get(n.name)
            elif isinstance(n, LocalRef):
                n.at = len(self.numeric.get(n.number, ())) - (not n.forward)
            elif isinstance(n, (Operation, Call)):
                todo += n.operands

    # -- expressions -----------------------------------------------------------------------------

    def constant(self, node: Expression) -> Number:
        """The value of an expression that must be known now; raises Mistake."""
        if isinstance(node, Const):
            return node.value
        self.bind(node)
        value = self.evaluate(node, self.here(), final=False)
        if isinstance(value, Address):
            raise Mistake("A024", "this is an address, which only the linker knows", node.span)
        return value

    def evaluate(self, node: Expression, here: Place, *, final: bool = True) -> Value:
        """The value of an expression at a place of the source, which is what `.` means; raises Mistake.

        `final`: all is read, so that what has no value now will never have one.
        """
        if isinstance(node, Const):
            return node.value
        if isinstance(node, Ref):
            return self.named(node, here, final)
        if isinstance(node, LocalRef):
            places = self.numeric.get(node.number, [])
            if not 0 <= node.at < len(places):
                where = "after" if node.forward else "before"
                raise Mistake("A023", f"there is no label {node.number}: {where} this line", node.span)
            return Address(places[node.at].section, "", places[node.at].offset)
        if isinstance(node, Call):
            return call_function(self, node, here, final)
        first, *rest = [self.evaluate(o, here, final=final) for o in node.operands]
        second = rest[0] if rest else None
        if isinstance(first, Address) or isinstance(second, Address):
            return operate(node.op, first, second, node.span)
        return unary(node.op, first, node.span) if second is None else binary(node.op, first, second, node.span)

    def named(self, ref: Ref, here: Place, final: bool) -> Value:
        """The value of a name; raises Mistake."""
        name = ref.name
        if name == ".":
            return Address(here.section, "", here.offset)
        constant = ref.meaning or self.constants.get(name)
        if constant is not None:
            return self.value_of(constant, ref, final)
        if name in self.labels:
            place = self.labels[name]
            other = name in self.weak  # another file may define it as well
            return Address(None, name, 0) if other else Address(place.section, "", place.offset)
        if self.register(name) is not None or reserved(name):
            raise Mistake("A024", f"{name!r} is a register, and has no value before the program runs", ref.span)
        if not final:
            why = f"{name!r} has no value yet here"
            raise Mistake("A024", why, ref.span, help=self.suggest(name) or "define it above, with .equ")
        if self.options.externals and not is_local(name):
            self.extern.add(name)
        if name in self.extern or name in self.weak:
            return Address(None, name, 0)
        help = self.suggest(name) or ("" if is_local(name) else "define it, or say .extern if another file does")
        raise Mistake("A020", f"{name!r} is not defined", ref.span, help=help)

    def value_of(self, constant: Constant, ref: Ref, final: bool) -> Value:
        """The value of a named expression, computed once; raises Mistake."""
        if constant.value is not None:
            return constant.value
        if constant in self.resolving:
            raise Mistake("A024", f"{ref.name!r} is defined by itself", ref.span)
        if sum(c.node.depth + 1 for c in self.resolving) > MAX_DEPTH:
            raise Mistake("A025", f"definitions more than {MAX_DEPTH} deep", ref.span)
        self.resolving.append(constant)
        try:
            constant.value = self.evaluate(constant.node, constant.here, final=final)
        except Mistake as e:
            e.line = e.line or constant.here.line
            raise
        finally:
            self.resolving.pop()
        return constant.value

    # -- kernels ---------------------------------------------------------------------------------

    def begin_kernel(self, name: Ref, implicit_prologue: bool) -> None:
        """`.kernel`; raises Mistake."""
        if self.section != "text":
            raise Mistake("A040", "a kernel in .rodata", name.span, help="go back with .text")
        self.end_kernel()
        pc = len(self.text)
        self.scope = KernelScope(name.name, self.line, pc, implicit_prologue)
        self.check_new(name)
        self.labels[name.name] = self.here()

    def kernel_of(self, op: Ref) -> KernelScope:
        """The kernel at hand; outside of one, that is reported and a nameless one begins."""
        if self.scope is None:
            mistake = Mistake("A030", f"{op.name} outside a kernel", op.span, help="begin one with .kernel NAME")
            self.errors.add(mistake, self.line)
            self.scope = KernelScope("", self.line, self.here().offset, implicit_prologue=False)
        return self.scope

    def begin_body(self) -> None:
        """End the declarations of the kernel at hand and put its prologue here."""
        scope = self.scope
        if scope is None or not scope.open:
            return
        for mistake in [*scope.close(), *scope.place(self.dimension)]:
            self.errors.add(mistake, self.line)
        first = len(self.tiles)
        for _, _, shape in scope.tiles:
            self.tiles += shape.pack()
        if scope.implicit_prologue:
            line, self.line = self.line, scope.line
            code = prologue(scope.params, [(reg, 0) for _, reg, _ in scope.tiles])
            for i, (row, values) in enumerate(code, -len(scope.params)):
                self.mark(0)
                if i >= 0:  # the last operand is where the tile's descriptor is
                    address = Address("tiles", "", first + TILE_BYTES * i)
                    self.relocate_operand(len(self.text), len(values) - 1, address)
                self.text += encode(Inst(row, values)).to_bytes(INSTRUCTION_BYTES, "little")
            for row, values, tile in scope.setup():
                self.mark(0)
                if tile is not None and tile.label is not None:
                    here = Place("text", len(self.text), tile.line)
                    given = [*values[:-1], Deferred(tile.label, "int", ".tile: at")]
                    self.pending.append(Pending(here, row, given, (None, None), Statement()))
                self.text += encode(Inst(row, values)).to_bytes(INSTRUCTION_BYTES, "little")
            self.line = line

    def dimension(self, node: Expression) -> tuple[int, int]:
        """One dimension of a tile: (register, 0) or (0, size); raises Mistake."""
        if isinstance(node, Ref) and (found := self.register(node.name)) is not None:
            if found[0] == "x" and found[1]:
                return found[1], 0
            raise Mistake("A033", f"a dimension is a size or a scalar register, not {node.name!r}", node.span)
        value = self.constant(node)
        if not isinstance(value, int) or not 0 <= value < 1 << 32:
            raise Mistake("A033", f"{value} is no dimension: 0..{(1 << 32) - 1}", node.span)
        return 0, value

    def end_kernel(self) -> None:
        """The code of the kernel at hand ends here, if there is one."""
        self.begin_body()
        if self.scope is not None:
            describe(self, self.scope.entry, len(self.text))
            self.scopes.append((self.scope, len(self.text)))
        self.scope = None
