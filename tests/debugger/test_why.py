"""`why`: where an element comes from, step by step back to what the kernel was given."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sohu.asm import assemble
from sohu.debugger import Caught, Exited, Faulted, Session
from sohu.debugger.errors import CommandError
from sohu.debugger.events import JsonShell
from sohu.debugger.why import Step, element_of, provenance
from sohu.dsl.kernels import softmax
from sohu.emulator import Device, MachineError, SnapshotFile
from sohu.emulator.schedules import Spec

from tests.debugger.support import talk

SOURCE = """\
        .kernel k
        .param  x, in, f32, [R, 8]
        .param  y, out, f32, [R, 8]
        .tile   raw, sram, f32, [4, 8]
        .tile   t,   sram, f32, [4, 8]
        .tile   s,   sram, f32, [4, 1]
        .sem    loaded
        .sem    made
        dma.load   raw, x                    signal loaded
        vmov       t, raw   wait loaded>=1
        vmax.row   s, t
        vsub       t, t, s
        vexp       t, t
        vsum.row   s, t
        vdiv       t, t, s                   signal made
        dma.store  y, t     wait made>=1
        halt
        .endkernel
"""
LOAD, VMOV, VMAX, VSUB, VEXP, VSUM, VDIV, STORE = range(9, 17)  # lines
X = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
BAD = X.copy()
BAD[2, 5] = np.inf


def made(x: Any = X, **device: Any) -> Session:
    """A session of SOURCE, not running yet."""
    return Session(assemble(SOURCE, "k.s"), args={"x": x}, device=Device("small", **device))


def chain(session: Session, text: str, **more: Any) -> list[Step]:
    """What `why` finds, and that it leaves the machine as it is."""
    before, stop = session.device.snapshot(), session.stop
    position, fault = session.position, session.machine.fault
    found = provenance(session, *element_of(session, text), **more)
    after = session.device.snapshot()
    assert after.differs(before) in ("", "fault") and session.stop is stop
    assert session.position == position and str(session.machine.fault) == str(fault)
    return found


def lines(steps: list[Step]) -> list[tuple[str, int]]:
    """Names of the elements, and the line that wrote each."""
    return [(s.element.name, s.line.line if s.line else 0) for s in steps]


TO_THE_INPUT = [
    ("y[2, 4]", STORE),
    ("t[2, 4]", VDIV),
    ("s[2, 0]", VSUM),
    ("t[2, 5]", VEXP),
    ("t[2, 5]", VSUB),
    ("t[2, 5]", VMOV),
    ("raw[2, 5]", LOAD),
    ("x[2, 5]", 0),
]


@pytest.mark.parametrize("schedule", [None, 1, 7, "timed"])
def test_an_infinity_is_followed_to_the_input(schedule: Spec) -> None:
    session = made(BAD, schedule=schedule)
    assert isinstance(session.run(), Exited)
    found = chain(session, "y[2, 4]")
    assert lines(found) == TO_THE_INPUT
    assert found[-1].kind == "input" and found[-1].element.value == np.inf
    assert [s.kind for s in found[:3]] == ["moved", "computed", "computed"]
    assert {s.element.name: s.element.value for s in found[4].sources} == {"t[2, 5]": np.inf, "s[2, 0]": np.inf}


def test_it_is_asked_where_the_program_stands() -> None:
    session = made()
    session.begin()
    session.stepi(4)  # load, vmov, vmax, vsub
    found = chain(session, "t[1, 3]")
    assert lines(found)[0] == ("t[1, 3]", VSUB)
    assert found[0].element.value == pytest.approx(X[1, 3] - X[1].max())
    session.stepi(1)
    assert lines(chain(session, "t[1, 3]"))[0] == ("t[1, 3]", VEXP)
    assert isinstance(session.cont(), Exited)


def test_a_maximum_comes_from_the_largest() -> None:
    session = made()
    session.begin()
    session.stepi(3)
    step = chain(session, "s[1, 0]")[0]
    assert step.about == "one of 8" and step.sources[0].element.name == f"t[1, {X[1].argmax()}]"


def test_where_a_catch_stopped() -> None:
    session = made(BAD)
    session.add_catch("nan")
    assert isinstance(session.run(), Caught)
    assert lines(chain(session, "t[2]"))[0] == ("t[2, 5]", VSUB)
    assert isinstance(session.cont(), Caught | Exited)


def test_after_an_error() -> None:
    session = made(BAD, checks="nan")
    assert isinstance(session.run(), Faulted)
    assert lines(chain(session, "t[2]")) == TO_THE_INPUT[4:]
    assert "cannot go on" in talk(session, "stepi") or isinstance(session.stop, Faulted)


def test_of_many_the_striking_one() -> None:
    session = made(BAD)
    session.run()
    assert element_of(session, "y")[1] == (2, 0)
    assert element_of(session, "x[2]")[1] == (2, 5)
    assert element_of(session, "x[0:2, 3]")[1] == (int(np.abs(X[:2, 3]).argmax()), 3)
    assert element_of(session, "x[-1, -2]")[1] == (3, 6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("t[4, 0]", "4 is outside 0..3"),
        ("t[0, 0, 0]", "2 dimensions, and 3 indices"),
        ("t + 1", "no element of a tile"),
        ("u[0]", "nothing is called 'u'"),
        ("t[0, ]", "an index is missing"),
        ("t[2:2]", "no element"),
        ("loaded", "no tile"),
        ("t[s]", "no index"),
    ],
)
def test_what_is_no_element(text: str, says: str) -> None:
    session = made()
    session.begin()
    session.stepi(2)
    with pytest.raises(CommandError) as e:
        element_of(session, text)
    assert says in str(e.value)


def test_what_nobody_has_written() -> None:
    session = made()
    session.begin()
    (step,) = chain(session, "s[0, 0]")
    assert step.kind == "unwritten"
    (step,) = chain(session, "x[1, 2]")
    assert step.kind == "input" and step.element.value == X[1, 2]


def test_what_the_sequencer_stores() -> None:
    text = " .kernel k\n .param y, inout, i32, [4]\n li x6, 7\n sd x6, x5, 8\n halt\n"
    device = Device("small")
    y = device.tensor(np.zeros(4, np.int32))
    program = assemble(text.replace(" li x6", f" li x5, {y.address}\n li x6"), "k.s")
    session = Session(program, args={"y": y}, device=device)
    session.run()
    (step,) = chain(session, "y[2]")
    assert step.kind == "stored" and step.element.value == 7 and step.instruction.startswith("sd")
    assert chain(session, "y[1]")[0].kind == "input"


def test_rows_that_a_scatter_leaves_come_from_before_it() -> None:
    text = """
        .kernel k
        .param  p, in, i32, [1]
        .param  y, inout, f32, [4, 8]
        .tile   a, sram, f32, [4, 8]
        .tile   b, sram, f32, [1, 8]
        .tile   n, sram, i32, [1]
        vfill      a, 1.0
        dma.store  y, a
        dma.load   n, p
        vfill      b, 2.0
        dma.scatter y, b, n
        halt
    """
    device = Device("small")
    args = {"p": np.array([2], np.int32), "y": np.zeros((4, 8), np.float32)}
    session = Session(assemble(text, "k.s"), args=args, device=device)
    session.run()
    assert [s.instruction.split()[0] for s in chain(session, "y[1, 3]")] == ["dma.store", "vfill"]
    assert [s.instruction.split()[0] for s in chain(session, "y[2, 3]")] == ["dma.scatter", "vfill"]


def test_across_checkpoints() -> None:
    """The element was written long ago, in a piece of the launch before the last checkpoint."""
    text = SOURCE.replace(
        "        dma.store",
        "        li x30, 60000\n        loop x30, 1f\n        vadds s, s, 1.0\n1:\n        dma.store",
    )
    session = Session(assemble(text, "k.s"), args={"x": BAD}, device=Device("small"))
    session.timeline.interval = 0.005
    session.run()
    assert len(session.timeline.checkpoints) > 2
    assert [name for name, _ in lines(chain(session, "t[2, 4]"))] == [name for name, _ in TO_THE_INPUT[1:]]
    found = chain(session, "s[1, 0]", steps=5)
    assert [s.element.name for s in found] == ["s[1, 0]"] * 5 and found[1].element.value == found[0].element.value - 1


def test_too_much_to_keep_is_run_again() -> None:
    session = made(BAD)
    session.run()
    chain(session, "y[2, 4]")
    assert session.recorder is not None
    session.recorder.memory = 0
    assert lines(chain(session, "y[2, 4]")) == TO_THE_INPUT


def test_compiled_kernels_are_named_by_their_lines() -> None:
    x = np.random.default_rng(1).normal(size=(40, 24)).astype(np.float32)
    x[37, 11] = np.inf
    compiled = softmax.softmax.compile(x, chip="small", rows=8)
    session = Session(compiled.program, args={"x": x}, device=Device("small"))
    session.run()
    found = chain(session, "y[37]")
    assert found[-1].element.name == "x[37, 11]" and found[-1].kind == "input"
    sub = next(s for s in found if s.instruction.startswith("vsub"))
    assert sub.line is not None and sub.line.file.endswith("softmax.py")


def test_a_core_file_has_no_past(tmp_path: Path) -> None:
    device = Device("small", core=tmp_path / "k.core", checks="nan")
    with pytest.raises(MachineError):
        device.launch(assemble(SOURCE, "k.s"), "k", {"x": BAD})
    session = Session.of_file(SnapshotFile(tmp_path / "k.core"))
    assert "a core file has no past" in talk(session, "why t[2, 5]")


def test_the_command() -> None:
    said = talk(made(BAD), "run", "why y[2, 4]").splitlines()[-8:]
    said = [" ".join(line.split()) for line in said]
    assert said[0] == "y[2, 4] = nan dma.store from t[2, 4] k.s:16"
    assert said[4] == "t[2, 5] = nan vsub t[2, 5] = inf, s[2, 0] = inf k.s:12"
    assert said[-1] == "x[2, 5] = inf input given by the host"
    assert "of which element" in talk(made(), "why")
    assert "not being run" in talk(made(), "why t[0, 0]")


@pytest.mark.parametrize(
    ("what", "code", "says"),
    [
        ("nan", "dma.load a, x\n vsub b, a, a", "b[1, 2] = nan  vsub a[1, 2] = inf, a[1, 2] = inf"),
        ("overflow", "dma.load a, x\n vcast h, a", "vcast from a[1, 1] "),
        ("error>1e-2", "dma.load a, x\n vcast h, a\n vcast b, h", "h[1, 3] = "),
        ("uninit", "vfill c, 5.0\n vadds b, a, 1.0", "a[1, 0] = 0  nothing has written it in this launch"),
    ],
)
def test_without_an_element_it_asks_about_the_one_that_was_caught(what: str, code: str, says: str) -> None:
    text = f"""
        .kernel k
        .param  x, in, f32, [2, 4]
        .tile   a, sram, f32, [2, 4], at=0
        .tile   c, sram, f32, [1, 4], at=0
        .tile   b, sram, f32, [2, 4]
        .tile   h, sram, f16, [2, 4]
        {code}
        halt
    """
    x = np.ones((2, 4), np.float32)
    if what == "nan":
        x[1, 2] = np.inf
    elif what != "uninit":
        x[1, 1 if what == "overflow" else 3] = 1e5
    session = Session(assemble(text, "k.s"), args={"x": x}, device=Device("small"))
    assert says in " ".join(talk(session, f"catch {what}", "run", "why").split("\n")).replace("    ", " "), what


def test_steps_as_json() -> None:
    session = made(BAD)
    session.run()
    records = json.loads(json.dumps([s.record() for s in chain(session, "y[2, 4]")], allow_nan=False))
    assert records[0] | {"address": 0} == {
        "element": "y[2, 4]", "space": "hbm", "address": 0, "value": "nan", "kind": "moved", "pc": 0xC0,
        "instruction": "dma.store y, t", "source": {"file": "k.s", "line": STORE}, "about": "", "of": 1,
        "from": [records[0]["from"][0]],
    }  # fmt: skip
    assert records[-1]["value"] == "inf" and records[-1]["source"] is None


def test_programs_read_along() -> None:
    """With --json, both commands give what they have found and not how it is written."""
    session = made(BAD)
    out = StringIO()
    shell = JsonShell(session, out)
    for line in ("run", "why y[2, 4]", "explain"):
        assert shell.execute(line)
    said = [json.loads(text) for text in out.getvalue().splitlines()]
    why, explained = said[-2:]
    assert (why["event"], explained["event"]) == ("why", "explain") and why["version"] == explained["version"] == 1
    assert [s["element"] for s in why["steps"]] == [name for name, _ in TO_THE_INPUT]
    assert explained["text"].startswith("`k` has ended") and explained["missing"] == []
