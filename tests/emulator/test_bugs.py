"""The corpus of planted bugs: every program in bugs/ stops as its header says, and its twin without the bug runs.

A file is an assembly program. Its header says what is wrong (`bug:`), the category of the error (`expect:`), the
operand (`operand:`, "-" for none), pieces of the message (`says:`, apart by `;`) and the arguments (`args:`, apart by
`;`: a name, a dtype and sizes or a number, and what fills it). The line that ends in `#!` is at fault, and those that
end in `#?` are the other sides. Lines that end in `#-` are the bug: the twin has, in their place, those that begin with
`#+`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sohu.asm import assemble
from sohu.emulator import Device, MachineError, blocks
from sohu.emulator.checks import CHECKS
from sohu.emulator.schedules import Spec
from sohu.isa.dtypes import DTYPES

BUGS = Path(__file__).parent / "bugs"
FILES = sorted(f for f in BUGS.glob("*/*.s") if f.parent.name != "divergence")  # those want several chips
MINIMUM = 100
_HEADER = re.compile(r"^# (bug|expect|operand|says|args|twin): *(.*)$", re.MULTILINE)


@dataclass
class Bug:
    """One file of the corpus."""

    path: Path
    text: str
    header: dict[str, str]

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}/{self.path.stem}"

    def args(self) -> dict[str, Any]:
        out = {}
        for text in filter(None, (t.strip() for t in self.header.get("args", "").split(";"))):
            name, kind, *rest = text.split()
            if kind not in DTYPES:
                out[name] = float(kind) if "." in kind else int(kind)
                continue
            sizes = [int(r) for r in rest if r.lstrip("-").isdigit()]
            fill = [r for r in rest if not r.lstrip("-").isdigit()]
            out[name] = _filled(kind, sizes, fill[0] if fill else "normal")
        return out

    def lines(self, mark: str) -> list[int]:
        """Numbers of the lines that carry a mark."""
        return [i for i, line in enumerate(self.text.splitlines(), 1) if line.rstrip().endswith(mark)]

    def twin(self) -> str:
        """The program without the bug."""
        kept = (line for line in self.text.splitlines() if not line.rstrip().endswith("#-"))
        return "\n".join(line.removeprefix("#+") for line in kept) + "\n"


def _filled(kind: str, sizes: list[int], fill: str) -> Any:
    dtype = DTYPES[kind].np
    if fill == "normal":
        return np.random.default_rng(sum(sizes)).standard_normal(sizes).astype(np.float32).astype(dtype)
    if fill == "count":
        return np.arange(np.prod(sizes)).reshape(sizes).astype(dtype)
    return np.full(sizes, float(fill.removeprefix("=")), np.float32).astype(dtype)


def _read(path: Path) -> Bug:
    text = path.read_text()
    return Bug(path, text, dict(_HEADER.findall(text)))


def _stopped(bug: Bug, checks: str = "all", schedule: Spec = None) -> MachineError | None:
    device = Device("small", checks=checks, schedule=schedule, max_instructions=100_000, output=lambda _: None)
    program = assemble(bug.text, bug.path.name)
    try:
        device.launch(program, next(iter(program.kernels)), bug.args())
    except MachineError as e:
        return e
    return None


def _wrong(bug: Bug, e: MachineError | None) -> str:
    """What is not as the header says; empty when all is."""
    if e is None:
        return "not found"
    if e.category != bug.header["expect"]:
        return f"category {e.category}: {e}"
    at = bug.lines("#!")
    if at and (e.line is None or e.line.line not in at):
        return f"expected at line {at}: {e}"
    if "operand" in bug.header and e.operand != bug.header["operand"].replace("-", ""):
        return f"operand {e.operand!r}: {e}"
    sides = {n.line.line for n in e.notes if n.line is not None}
    if not set(bug.lines("#?")) <= sides:
        return f"other sides {bug.lines('#?')}, named are {sorted(sides)}: {e}"
    for words in filter(None, (w.strip() for w in bug.header.get("says", "").split(";"))):
        if words not in str(e):
            return f"does not say {words!r}: {e}"
    return ""


@pytest.mark.parametrize("hot", [blocks.HOT, 0], ids=["single instructions", "compiled blocks"])
@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_planted_bug_is_found(path: Path, hot: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "HOT", hot)
    bug = _read(path)
    assert {"bug", "expect"} <= bug.header.keys()
    assert not (wrong := _wrong(bug, _stopped(bug))), wrong


WITH_TWINS = [p for p in FILES if "\n#+" in p.read_text()]


@pytest.mark.parametrize("path", WITH_TWINS, ids=lambda p: f"{p.parent.name}/{p.stem}")
@pytest.mark.parametrize("schedule", [None, 0, 1, "timed"])
def test_the_twin_without_the_bug_runs(path: Path, schedule: Spec) -> None:
    bug = _read(path)
    e = _stopped(Bug(path, bug.twin(), bug.header), schedule=schedule)
    assert e is None, str(e)


def test_the_score(capsys: pytest.CaptureFixture[str]) -> None:
    found: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for path in FILES:
        bug = _read(path)
        total[path.parent.name] += 1
        found[path.parent.name] += not _wrong(bug, _stopped(bug))
    with capsys.disabled():
        print()
        for name in sorted(total):
            print(f"    {name:15} {found[name]:3} of {total[name]:3}")
        print(f"    {'in all':15} {found.total():3} of {total.total():3}")
    assert total.total() >= MINIMUM and found == total


def test_every_checker_can_be_switched_off() -> None:
    """Without its checker, a bug of its category is not found, or later and as something else."""
    for declaration in CHECKS.values():
        if not declaration.in_all:  # the debugger's, and test_tolerance.py
            continue
        bugs = [_read(p) for p in FILES if p.parent.name == declaration.name]
        assert bugs, declaration.name
        for bug in bugs:
            e = _stopped(bug, checks=f"all,-{declaration.name}")
            assert e is None or e.category != declaration.category, f"{bug.name}: {e}"
            only = _stopped(bug, checks=declaration.name)
            assert only is not None and only.category == declaration.category, bug.name
