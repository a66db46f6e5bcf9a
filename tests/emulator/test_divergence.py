"""Chips that come to different collectives: planted bugs, each found in every order, with the chip that is at fault."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sohu.asm import assemble
from sohu.emulator import Group, MachineError

BUGS = sorted((Path(__file__).parent / "bugs" / "divergence").glob("*.s"))


def head(text: str, key: str) -> list[str]:
    """Lines `# key: value` of a program."""
    return re.findall(rf"^# {key}: (.*)$", text, re.MULTILINE)


def group(text: str, schedule: Any) -> Group:
    groups = {}
    for word in " ".join(head(text, "groups")).split():
        number, members = word.split("=")
        groups[int(number)] = [int(m) for m in members.split(",")]
    return Group(int(head(text, "chips")[0]), "small", groups=groups, schedule=schedule, max_instructions=10_000)


@pytest.mark.parametrize("schedule", [None, "timed", *range(3)])
@pytest.mark.parametrize("path", BUGS, ids=lambda p: p.stem)
def test_planted_bugs_are_found(path: Path, schedule: Any) -> None:
    text = path.read_text(encoding="utf-8")
    with pytest.raises(MachineError) as e:
        group(text, schedule).launch(assemble(text, path.name), "k")
    (category,) = head(text, "finds")
    assert e.value.category == category, e.value
    for says in head(text, "says"):
        assert says in e.value.message
    here = next(i for i, line in enumerate(text.splitlines(), 1) if line.endswith("# here"))
    assert e.value.line is not None and e.value.line.line == here, e.value


def test_there_are_enough() -> None:
    assert len(BUGS) >= 12
    assert sum(head(p.read_text(encoding="utf-8"), "finds") == ["collective"] for p in BUGS) >= 8


def test_an_error_as_it_looks() -> None:
    path = next(p for p in BUGS if p.stem == "skipped_by_a_branch")
    text = path.read_text(encoding="utf-8")
    with pytest.raises(MachineError) as e:
        group(text, None).launch(assemble(text, path.name), "k")
    assert str(e.value).splitlines() == [
        "skipped_by_a_branch.s:10: error[collective]: "
        "chip 1 skipped this collective of group 0, to which chips 0, 2 came:",
        "    chip 0 at pc 0x0040 (skipped_by_a_branch.s:10) `cce.allreduce b, a`",
        "    chip 1 at pc 0x0050 (skipped_by_a_branch.s:11) `cce.allreduce.max b, b`",
        "    chip 2 at pc 0x0040 (skipped_by_a_branch.s:10) `cce.allreduce b, a`",
        "  chip 0, pc 0x0040: cce.allreduce b, a",
        "  help: all chips of a group execute the same collectives in the same order, with the same shapes",
    ]
