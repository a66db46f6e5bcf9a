"""Lines read by hand are what the grammar reads."""

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sohu.asm import grammar
from sohu.asm.diagnostics import Mistake
from sohu.asm.statements import read_statement

from tests.asm.test_fast import DEFINED, FILES, LABELS, NUMBERS, OTHERS, REGISTERS, SYNCS, mutated, pieces, random_line

EXPRESSIONS = """
a&&b||c; a==1; a!=b; a<b; a<=b; a>b; a>=b+1; !a; !-~+5; a<b<c; (a<b)+1; a&b==c; 1+2<3; 1<2==1; a|b||c&&d; min(a, b)
f(1); max(1+2, min(3, a)) * 2; f ( a ); f(); f(a,); bytes(bf16); "text"; "a\\n\\x41"; "\\q"; "open; [1, 2, n<=3]; []
[a+1<=b*2, 3]; [1,; [a<b]; [a<=b<=c]; [[1]]; [min(1,2)]; q=1; q==1; q=a==b; q=[1]; q="x"; q=; q= =1; a=b=c; 1f
1b; 01f; 0b; 0b1; 1.f
.; .5; .+.; . - 1; wait; signal; .loc; .file; .macro; .text; inf; -inf; nan; inf+1; 0x1p3; 0x1.8p-3; 0xp; 5.
5.e3; 1e+; 1.5.5
((a)); (((((((((((a))))))))))); (a; a); a b; a 1; 1 a; a,; ,a; a+; +; *a; a**b; a>>b>>1; a<<b; a>>=b; a+=b; -5*2; - 5
1<<127; 1<<200; 5/0; 99999999999999999999999999999999999999999; 340282366920938463463374607431768211455+1; 1.5+2
1.5<<1; ~1.5
"""
LINES = """
.loc 1 2 3; .loc 1 2; .loc 1; .loc 1 2 3 4; .loc 1, 2; .loc 1 2 x; .file 1 "a.py"; .file "a.py"; .file 1; .loc 1 -2
.macro a b, c=1; .ifc a, b; .irp x, 1, 2; a: .loc 1 2; wait: halt; wait s1>=2; a wait: b; x wait s0>=1
x wait s0>=1, 2
x signal s0 signal s1 wait s2>=3; x 1 wait s2>=a<b; x 1 wait s2>=3 4; x signal s0+=; x signal s0+=-1
x signal s0 += (1)
1: 2: a: halt; 0x1: halt; 1.5: halt; 1b: halt; a : b : halt; a:b:halt; :; a::; .L: halt; é: ü 1; x\ty; x\fy; x\vy
x #; x//y; x / y
x 1//2; x "#"; x "//" # "; "; x; # a "b; \\a; x @; x ;
"""


def by_grammar(line: str) -> str | None:
    """What the grammar reads, as text; None for an error."""
    try:
        return repr(grammar.parse(line, "start"))
    except Mistake:
        return None


def check(line: str) -> None:
    """A line reads the same both ways, and is left to the grammar only for a reason."""
    wanted = by_grammar(line)
    found = read_statement(line)
    if found is not None:
        assert repr(found) == wanted, line
    elif wanted is not None:
        words = ("wait", "signal", ".loc", ".file", ".macro", ".if", ".irp")
        deep = line.count("(") > 40 or "-" * 40 in line
        assert deep or any(word in line for word in words), line


def test_all_that_an_operand_can_be() -> None:
    for text in pieces(EXPRESSIONS + LABELS + NUMBERS + REGISTERS):
        for line in (
            f"x {text}",
            f"a: x y, {text}, z",
            f"x a={text} # {text}",
            f"x [{text}, 1]",
            f"x y wait s1>={text}",
        ):
            check(line)
    for text in pieces(SYNCS):
        check(f"x {text}")
        check(f"x 1, y {text} // c")
    for line in pieces(LINES + DEFINED + OTHERS):
        check(line)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_source_of_the_repository(path) -> None:  # type: ignore[no-untyped-def]
    for line in path.read_text(encoding="utf-8").split("\n"):
        check(line)


@given(seed=st.integers(0, 2**64))
def test_random_lines(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(30):
        line = random_line(rng)
        if rng.random() < 0.3:
            line = line.replace(rng.choice(("x5", "t0", "1", "0")), rng.choice(pieces(EXPRESSIONS)))
        check(line)
        check(mutated(line, rng))


@pytest.mark.parametrize(
    "line", ["x " + "(" * 200 + "1" + ")" * 200, "x " + "-" * 5000 + "1", "x " + "1," * 5000 + "1"]
)
def test_deep_lines(line: str) -> None:
    check(line)


def test_a_plain_file_needs_no_parser() -> None:
    """The parser takes longer to make than such a file to assemble."""
    source = ".kernel k\n.param x, in, f32, [R, 8]\n.tile t, sram, f32, [8, 8]\n.sem s\ndma.load t, x signal s\nhalt\n"
    code = f"import sys; from sohu.asm import assemble; assemble({source!r}); sys.exit('lark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
