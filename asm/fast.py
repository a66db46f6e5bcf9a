"""The assembler's fast path: plain lines straight from text to words, by tables made from the instruction rows.

A plain line is `[label:] mnemonic operand, ... [wait sem>=value] [signal sem[+=n]]` with operands that are
registers, numbers, labels, or arithmetic of numbers and constants that are known; nearly all lines are. The grammar
(grammar.lark) remains the truth: this module knows less than it, reports nothing, and *declines* every line about
which it has the least doubt; the assembler then reads that line in the ordinary way. What it takes has the same
effects as if it had been read so.

The text of an operand is looked up in a dictionary per operand of a row, which gives the operand's bits, in place in
the word. The dictionaries fill as texts are first seen.
"""

from __future__ import annotations

import operator
import re
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from sohu.asm.addresses import Place
from sohu.asm.diagnostics import Mistake
from sohu.asm.names import REGISTERS, RegisterFile, is_local, reserved
from sohu.asm.numbers import Number, binary, float_literal, integer_literal, unary
from sohu.asm.syntax import MAX_LINE, PRECEDENCE, Ref
from sohu.isa import INSTRUCTION_BYTES, ROWS, EncodingError, Label, Operand, Reg, Row
from sohu.isa.instruction import SYNC_START, encode_signal, encode_wait
from sohu.isa.operands import XFI, XI, FImm, Imm, Kind, Sem, T, X

if TYPE_CHECKING:
    from sohu.asm.assembler import Assembler

_NOWHERE = (0, 1)  # the span of what is never reported
_UNARY = frozenset("+-~")
_SIMPLE = {"+": operator.add, "-": operator.sub, "*": operator.mul}  # which can only fail by growing too large
_SMALL = 1 << 64

_REMEMBERED = 1024  # texts per operand; bounds memory
_LONGEST = 100  # characters of an operand that is read here

_BLANK = " \t"
_DECIMAL = re.compile(r"-?[0-9]{1,18}")
_NAME = re.compile(r"\.?[^\W\d][\w.]*")
_LABEL = re.compile(r"(?:(\.?[^\W\d][\w.]*)|([0-9]{1,18})) *:")
_LOCAL = re.compile(r"([0-9]{1,18})([bf])")
_NEAR = re.compile(r"\.[ \t]*([+-])[ \t]*([0-9]{1,18})")
_LOC = re.compile(r"\.loc[ \t]+([0-9]{1,9})[ \t]+([0-9]{1,9})(?:[ \t]+([0-9]{1,9}))?")
_INST = re.compile(r"\.inst[ \t]+(0[xX][0-9a-fA-F]{1,32})")
_SYNC = re.compile(r"(?:^|[ \t]++)(wait|signal)[ \t]++")
_OFFSET = re.compile(r"([\w.]+)[ \t]*([+-])[ \t]*([0-9]{1,18})")
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]{1,32}")
_FLOAT = re.compile(r"-?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?|[0-9]+[eE][+-]?[0-9]{1,4})")
_INTEGER = re.compile(r"0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+")
_OPERATOR = re.compile(r"[ \t]*(<<|>>|[-+*/%&|^~()])[ \t]*")

Parse: TypeAlias = Callable[[str], "tuple[int, bool]"]


class Declined(Exception):
    """This is not plain; nothing has happened."""


class Texts(dict[str, int]):
    """Texts of an operand -> its bits in the word. One that is missing is read, and remembered if it may be."""

    def __init__(self, parse: Parse, passing: list[tuple[Texts, str]]) -> None:
        self.parse = parse
        self.passing = passing

    def __missing__(self, text: str) -> int:
        if len(text) > _LONGEST:
            raise Declined
        bits, lasts = self.parse(text.strip(_BLANK))
        if len(self) < _REMEMBERED:
            self[text] = bits
            if not lasts:
                self.passing.append((self, text))
        return bits


class _Labels(Texts):
    """Texts of a label operand; what they mean depends on the place, so none is remembered."""

    def __missing__(self, text: str) -> int:
        return self.parse(text.strip(_BLANK))[0]


class _Plan:
    """How the lines of one mnemonic are read."""

    def __init__(self, fast: FastPath, row: Row) -> None:
        self.row = row
        self.sync = row.sync
        self.base = row.opcode  # with the operands that have defaults at these
        self.operands: list[Texts] = []
        self.keywords: dict[str, tuple[Texts, int]] = {}  # with the bits of the default
        for o in row.operands:
            texts = fast.texts(o)
            if o.keyword:
                default = o.kind.encode(o.default) << o.low
                self.base |= default
                self.keywords[o.name] = texts, default
            else:
                self.operands.append(texts)

    def rest(self, args: list[str]) -> int:
        """What `name=value` operands add to the word."""
        bits = 0
        seen = set()
        for arg in args:
            name, equals, value = arg.partition("=")
            name = name.strip(_BLANK)
            if not equals or name not in self.keywords or name in seen:
                raise Declined
            seen.add(name)
            texts, default = self.keywords[name]
            bits += texts[value] - default
        return bits


class FastPath:
    """The fast path of one Assembler, on whose state it works."""

    def __init__(self, asm: Assembler) -> None:
        self.asm = asm
        self.plans: dict[str, _Plan] = {}
        self.passing: list[tuple[Texts, str]] = []  # what was remembered and depends on names
        self.names: object = None  # the state of names on which it depends
        self.clauses = {"wait": Texts(self.wait, self.passing), "signal": Texts(self.signal, self.passing)}
        self.semaphores = Texts(lambda text: self.register(text, "s"), self.passing)
        self.scalars = Texts(lambda text: self.register(text, "x"), self.passing)
        self.values: dict[str, Number] = {}  # of names
        # Jumps to labels: pc, lowest bit of the label operand, and the label: a name, or a number for which
        # `ordinals` says how many labels of that number came before
        self.jumps = array("q")
        self.lows = array("b")
        self.targets: list[str] = []
        self.ordinals: dict[int, int] = {}

    def take(self, lines: Sequence[str], at: int, first: int) -> int:
        """Assemble lines[at:] up to one that is declined; its index. `first` is the number of lines[0]."""
        asm = self.asm
        scope = asm.scope
        if asm.section != "text" or (scope is not None and scope.open):
            return at
        names = (scope, asm.definitions)
        if names != self.names:
            self.forget()
            self.names = names
        plans, clauses = self.plans, self.clauses
        emitted, word_lines, word_columns = asm.text, asm.word_lines, asm.word_columns
        defined: str | int | None = None
        try:
            for at in range(at, len(lines)):  # noqa: B020
                text = lines[at]
                if len(text) > MAX_LINE:
                    raise Declined
                code = text.strip(_BLANK)
                if "#" in code or "//" in code:
                    code = _uncommented(code)
                if not code:
                    continue
                head, _, rest = code.partition(" ")
                plan = plans.get(head)
                column = 0
                if plan is None:
                    if head == ".loc":
                        self.location(code)
                        continue
                    if head == ".inst" and (raw := _INST.fullmatch(code)) is not None:
                        emitted += int(raw[1], 16).to_bytes(INSTRUCTION_BYTES, "little")
                        word_lines.append(first + at)
                        word_columns.append(text.find(head) + 1)
                        continue
                    code = code.replace("\t", " ")
                    if (found := _LABEL.match(code)) is not None:
                        column = len(text) - len(text.lstrip(_BLANK)) + found.end()
                        code = code[found.end() :].lstrip(" ")
                        defined = self.label(found, first + at)
                    if code:
                        head, _, rest = code.partition(" ")
                        plan = self.plan(head)
                    else:
                        defined = None
                        continue
                word = plan.base
                if plan.sync and ("wait" in rest or "signal" in rest):
                    rest, *sync = _SYNC.split(rest)
                    if sync:
                        word |= clauses[sync[0]][sync[1]]
                        if len(sync) == 4 and sync[0] != sync[2]:
                            word |= clauses[sync[2]][sync[3]]
                        elif len(sync) > 2:
                            raise Declined
                operands = plan.operands
                args = rest.split(",")
                if len(args) != len(operands):
                    if not operands and not rest:
                        args = []
                    elif len(args) > len(operands) and plan.keywords:
                        word += plan.rest(args[len(operands) :])
                    else:
                        raise Declined
                for texts, arg in zip(operands, args):  # noqa: B905  # keyword operands follow
                    word |= texts[arg]
                emitted += word.to_bytes(INSTRUCTION_BYTES, "little")
                word_lines.append(first + at)
                word_columns.append(text.find(head, column) + 1)
                defined = None
            return len(lines)
        except Declined:
            self.undo(defined)
            return at

    def undo(self, label: str | int | None) -> None:
        """Take back what a line has done that is declined after all."""
        if isinstance(label, int):
            places = self.asm.numeric[label]
            places.pop()
            if not places:
                del self.asm.numeric[label]
        elif label is not None:
            del self.asm.labels[label]
        while self.jumps and self.jumps[-1] == len(self.asm.text):
            self.jumps.pop()
            self.lows.pop()
            self.targets.pop()
            self.ordinals.pop(len(self.jumps), None)

    def forget(self) -> None:
        """Drop what was remembered and depends on names."""
        for texts, text in self.passing:
            del texts[text]
        self.passing.clear()
        self.values.clear()

    def plan(self, mnemonic: str) -> _Plan:
        """The plan of a mnemonic."""
        found = self.plans.get(mnemonic)
        if found is None:
            row = ROWS.by_mnemonic.get(mnemonic)
            if row is None:
                raise Declined
            found = self.plans[mnemonic] = _Plan(self, row)
        return found

    # -- parts of lines ---------------------------------------------------------------------------

    def label(self, found: re.Match[str], number: int) -> str | int:
        """Define the label of a line."""
        asm = self.asm
        name, digits = found.groups()
        here = Place("text", len(asm.text), number)
        if digits is not None:
            asm.numeric.setdefault(int(digits), []).append(here)
            return int(digits)
        if _is_odd(name) or name in asm.labels or name in asm.constants:
            raise Declined
        asm.labels[name] = here
        return str(name)

    def location(self, code: str) -> None:
        """`.loc`."""
        found = _LOC.fullmatch(code)
        if found is None:
            raise Declined
        file, line, column = found.groups()
        path = self.asm.files.get(int(file))
        if path is None or not int(line):
            raise Declined
        self.asm.locations.append((len(self.asm.text) // INSTRUCTION_BYTES, (path, int(line), int(column or 0))))

    def wait(self, text: str) -> tuple[int, bool]:
        """`sem>=value`: its bits in the word."""
        name, comparison, value = text.partition(">=")
        if not comparison:
            raise Declined
        sem = self.semaphores[name]
        value = value.strip(_BLANK)
        reg, imm = 0, 0
        if _DECIMAL.fullmatch(value) is not None:
            imm = int(value)
        elif (found := _OFFSET.fullmatch(value)) is not None and self.asm.register(found[1]) is not None:
            reg = self.scalars[found[1]]
            if not reg:
                raise Declined
            imm = int(found[2] + found[3])
        elif self.asm.register(value) is not None:
            reg = self.scalars[value]
        else:
            imm, _ = self.integer(value)
        try:
            return encode_wait(sem, reg, imm) << SYNC_START, False
        except EncodingError:
            raise Declined from None

    def signal(self, text: str) -> tuple[int, bool]:
        """`sem` or `sem+=value`: its bits in the word."""
        name, plus, value = text.partition("+=")
        inc = self.integer(value.strip(_BLANK))[0] if plus else 1
        try:
            return encode_signal(self.semaphores[name], inc) << SYNC_START, False
        except EncodingError:
            raise Declined from None

    # -- operands --------------------------------------------------------------------------------

    def texts(self, o: Operand) -> Texts:
        """The dictionary of an operand."""
        kind, low = o.kind, o.low
        if isinstance(kind, Label):
            return _Labels(lambda text: (self.target(text, kind, low), False), self.passing)
        if isinstance(kind, (X, T, Sem)):
            file: RegisterFile = "x" if isinstance(kind, X) else "t" if isinstance(kind, T) else "s"

            def register(text: str) -> tuple[int, bool]:
                index, own = self.register(text, file)
                return _encoded(kind, index) << low, own

            return Texts(register, self.passing)
        if isinstance(kind, (XI, Imm, FImm)):
            return Texts(lambda text: self.number(text, kind, low), self.passing)
        return Texts(_decline, self.passing)

    def register(self, name: str, file: RegisterFile) -> tuple[int, bool]:
        """A register's number, and whether that is its own name."""
        found = REGISTERS.get(name)
        own = found is not None
        found = found or self.asm.register(name)
        if found is None or found[0] != file:
            raise Declined
        return found[1], own

    def number(self, text: str, kind: Kind, low: int) -> tuple[int, bool]:
        """The bits of a number, or of a scalar register if the operand can be one."""
        value: Number | Reg
        lasts = True
        if _DECIMAL.fullmatch(text) is not None:
            value = int(text)
        elif isinstance(kind, XI) and _NAME.fullmatch(text) and (found := self.asm.register(text)) is not None:
            if found[0] != "x":
                raise Declined
            value = Reg(found[1])
            lasts = text in REGISTERS
        elif isinstance(kind, (XFI, FImm)):
            value, lasts = self.value(text)
        else:
            value, lasts = self.integer(text)
        return _encoded(kind, value) << low, lasts

    def integer(self, text: str) -> tuple[int, bool]:
        """The value of an integer expression, and whether it has that everywhere."""
        value, lasts = self.value(text)
        if isinstance(value, float):
            raise Declined
        return value, lasts

    def value(self, text: str) -> tuple[Number, bool]:
        """The value of an expression, and whether it has that everywhere."""
        if _DECIMAL.fullmatch(text) is not None:
            return int(text), True
        if _FLOAT.fullmatch(text) is not None:
            value = float(text)
            if value - value != 0:
                raise Declined  # larger than any double
            return value, True
        if _HEXADECIMAL.fullmatch(text) is not None:
            return int(text, 16), True
        expression = _Expression(self, text)
        return expression.value(), expression.lasts

    def name(self, text: str) -> Number:
        """The value of a named constant."""
        value = self.values.get(text)
        if value is None:
            constant = self.asm.constants.get(text)
            if constant is None or self.asm.register(text) is not None:
                raise Declined
            found = self.asm.value_of(constant, Ref(text, *_NOWHERE), final=False)
            if not isinstance(found, (int, float)):
                raise Declined
            value = self.values[text] = found
        return value

    def target(self, text: str, kind: Kind, low: int) -> int:
        """The bits of a jump's distance, or 0 where that is filled in at the end."""
        if (near := _NEAR.fullmatch(text)) is not None:
            return _encoded(kind, int(near[1] + near[2])) << low
        if (local := _LOCAL.fullmatch(text)) is not None:
            places = self.asm.numeric.get(int(local[1]), ())
            self.ordinals[len(self.jumps)] = len(places) - (local[2] == "b")
            self.targets.append(local[1])
        elif _NAME.fullmatch(text) is not None and not _is_odd(text):
            self.targets.append(text)
        else:
            raise Declined
        self.jumps.append(len(self.asm.text))
        self.lows.append(low)
        return 0

    # -- the end ---------------------------------------------------------------------------------

    def resolve(self) -> list[tuple[int, int]]:
        """Fill in the jumps to labels. Those that are anything but plain are given back: pc, ordinal of the label."""
        asm = self.asm
        left = []
        text, labels, numeric = asm.text, asm.labels, asm.numeric
        others = asm.constants.keys() | asm.weak
        for i, (pc, low, target) in enumerate(zip(self.jumps, self.lows, self.targets, strict=True)):
            ordinal = self.ordinals.get(i, -1)
            place: Place | None
            if target[0].isdigit():
                places = numeric.get(int(target), ())
                place = places[ordinal] if 0 <= ordinal < len(places) else None
            else:
                place = labels.get(target) if target not in others else None
            distance = place.offset - pc if place is not None else 0
            if place is None or place.section != "text" or not -(1 << 31) <= distance < 1 << 31:
                left.append((pc, ordinal))
            else:
                word = int.from_bytes(text[pc : pc + INSTRUCTION_BYTES], "little") | (distance & 0xFFFFFFFF) << low
                text[pc : pc + INSTRUCTION_BYTES] = word.to_bytes(INSTRUCTION_BYTES, "little")
        return left


class _Expression:
    """Computes an expression as the grammar reads it; raises Declined."""

    def __init__(self, fast: FastPath, text: str) -> None:
        self.fast = fast
        # backwards: operand, operator, operand, ...; where two operators meet, the operand between is empty
        self.tokens = _OPERATOR.split(text)[::-1]
        self.lasts = True

    def value(self) -> Number:
        try:
            value = self.chain()
        except Mistake:
            raise Declined from None
        if self.tokens:
            raise Declined
        return value

    def chain(self) -> Number:
        tokens = self.tokens
        values = [self.unary()]
        operators: list[str] = []
        while tokens and (level := PRECEDENCE.get(tokens[-1])) is not None:
            op = tokens.pop()
            while operators and PRECEDENCE[operators[-1]] >= level:
                _reduce(values, operators)
            operators.append(op)
            values.append(self.unary())
        while operators:
            _reduce(values, operators)
        return values[0]

    def unary(self) -> Number:
        """One operand, with the operators before it."""
        tokens = self.tokens
        text = tokens.pop()
        if text:
            if _DECIMAL.fullmatch(text) is not None:
                return int(text)
            if text[0] in "0123456789":
                if _INTEGER.fullmatch(text) is None:
                    raise Declined
                return integer_literal(text, _NOWHERE)
            if text in ("inf", "nan"):
                return float_literal(text, _NOWHERE)
            self.lasts = False
            return self.fast.name(text)
        op = tokens.pop() if tokens else ""
        if op in _UNARY:
            return unary(op, self.unary(), _NOWHERE)
        if op != "(":
            raise Declined
        value = self.chain()
        if len(tokens) < 2 or tokens.pop() != ")" or tokens.pop():
            raise Declined
        return value


def _reduce(values: list[Number], operators: list[str]) -> None:
    op, b, a = operators.pop(), values.pop(), values.pop()
    if type(a) is int and type(b) is int and (simple := _SIMPLE.get(op)) is not None:
        value = simple(a, b)
        if -_SMALL < value < _SMALL:
            values.append(value)
            return
    values.append(binary(op, a, b, _NOWHERE))


def _uncommented(code: str) -> str:
    """A line without its comment. What begins in a string is none, but then what is left is declined."""
    return code[: min(end for end in (code.find("#"), code.find("//")) if end >= 0)].rstrip(_BLANK)


def _encoded(kind: Kind, value: Number | Reg) -> int:
    try:
        return kind.encode(value)
    except EncodingError:
        raise Declined from None


def _is_odd(name: str) -> bool:
    """True for names that may be words of the language."""
    return reserved(name) or (name[0] == "." and not is_local(name))


def _decline(text: str) -> tuple[int, bool]:
    raise Declined
