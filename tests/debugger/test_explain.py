"""`explain`: who does what, waits for what, and who would have to signal it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sohu.asm import assemble
from sohu.debugger import Session
from sohu.debugger.errors import CommandError
from sohu.debugger.explain import explain
from sohu.emulator import Device, MachineError, SnapshotFile
from sohu.emulator.schedules import Spec

from tests.debugger.support import ARGS, SCALE, talk

BUGS = Path(__file__).parent.parent / "emulator" / "bugs" / "deadlock"
FILES = sorted(BUGS.glob("*.s"))

PIPE = """\
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .sem    full
        .sem    made
        vexp       a, a         wait full>=1  signal made
        dma.load   a, x                       signal full
        dma.store  y, a         wait made>=1
        halt
"""


def of_file(path: Path, schedule: Spec = None) -> Session:
    """A program of the corpus, run to where it stops."""
    text = path.read_text()
    args = {}
    header = re.search(r"^# args: (.*)$", text, re.MULTILINE)
    for given in header[1].split(";") if header else []:
        name, kind, *sizes = given.split()
        args[name] = np.zeros([int(n) for n in sizes], np.float32) if sizes else int(kind)
    session = Session(assemble(text, "k.s"), args=args, device=Device("small", schedule=schedule))
    session.run()
    return session


@pytest.mark.parametrize("schedule", [None, 1, "timed"])
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_planted_deadlock_is_explained(path: Path, schedule: Spec) -> None:
    said = explain(of_file(path, schedule))
    assert "\n" not in said.text and said.verdict.startswith("Nothing can move: ")
    guilty = [
        i for i, line in enumerate(path.read_text().splitlines(), 1) if line.rstrip().endswith(("#!", "#-", "#?"))
    ]
    assert any(f"k.s:{i})" in said.text for i in guilty) or not guilty
    known = {"nobody_signals": "nobody in this program signals `full`", "circle_of_two": "VPU waits for DMA0"}
    assert known.get(path.stem, "") in said.text


def test_the_missing_signal_and_who_might_have_sent_it() -> None:
    said = explain(of_file(BUGS / "nobody_signals.s"))
    assert said.missing == ("nobody in this program signals `full`",)
    assert said.verdict == "Nothing can move: the signal is missing: `dma.load a, x` (k.s:9) was perhaps to send it."
    parts = {part["who"]: part for part in said.record()["parts"]}
    vpu = parts["VPU"]
    assert (vpu["state"], vpu["semaphore"], vpu["wants"], vpu["has"], vpu["hopeless"]) == ("waits", "full", 1, 0, True)
    assert parts["DMA0"]["state"] == "idle"


def test_an_error_names_it_too() -> None:
    text = (BUGS / "nobody_signals.s").read_text()
    with pytest.raises(MachineError) as e:
        Device("small").launch(assemble(text, "k.s"), "k", [np.zeros((4, 4), np.float32)])
    notes = {n.text: n.pc for n in e.value.notes}
    assert "nobody in this program signals `full`" in notes
    assert notes["signals nothing"] == 0x20 and notes["waits"] == 0x30 and notes["stands at"] == e.value.pc


def pipe(**device: object) -> Session:
    args = {"x": np.ones((4, 4), np.float32)}
    session = Session(assemble(PIPE, "k.s"), args=args, device=Device("small", **device))  # type: ignore[arg-type]
    session.begin()
    return session


def test_a_program_on_its_way() -> None:
    session = pipe()
    assert explain(session).text.startswith("The sequencer is about to issue `vexp a, a` (k.s:7) to VPU.")
    session.stepi()
    said = explain(session)
    assert "about to issue `dma.load a, x` (k.s:8) to DMA0." in said.text
    assert (
        "VPU waits at `vexp a, a` (k.s:7) for full >= 1, which is 0: `dma.load a, x` (k.s:8) signals it, "
        "and the sequencer has not issued that yet." in said.text
    )
    assert not said.missing and not said.verdict
    session.stepi()
    assert "are idle" in explain(session).text and "waits" not in explain(session).text
    session.cont()
    assert explain(session).text == "`k` has ended: the sequencer has halted, and every queue is empty."


def test_in_timed_order_what_is_in_flight_has_an_end() -> None:
    session = pipe(schedule="timed")
    session.stepi(2)
    assert re.search(r"DMA0 executes `dma.load a, x` \(k.s:8\) until cycle [\d,]+\.", explain(session).text)


def test_in_random_order_what_can_run_has_not_had_its_turn() -> None:
    texts = []
    for seed in range(20):
        session = pipe(schedule=seed)
        session.stepi(2)
        texts.append(explain(session).text)
    assert any("DMA0 can execute `dma.load a, x` (k.s:8), and has not had its turn." in t for t in texts)


def test_a_full_queue() -> None:
    said = explain(of_file(BUGS / "more_than_a_queue_holds.s"))
    assert "for room in the queue of VPU: 8 of 8 are in it." in said.text and "7 more are behind it" in said.text


def test_another_error() -> None:
    bad = Session(assemble(" .kernel k\n.tile a, sram, f32, [4]\n trap 7\n halt\n", "k.s"), device=Device("small"))
    bad.run()
    assert explain(bad).text.startswith("An error (trap) has stopped `trap 7` (k.s:3): ")


def test_a_core_file_is_explained(tmp_path: Path) -> None:
    text = (BUGS / "nobody_signals.s").read_text()
    core = tmp_path / "k.core"
    with pytest.raises(MachineError):
        Device("small", core=core).launch(assemble(text, "k.s"), "k", [np.zeros((4, 4), np.float32)])
    session = Session.of_file(SnapshotFile(core))
    assert explain(session).text == explain(of_file(BUGS / "nobody_signals.s")).text


def test_the_command(session: Session) -> None:
    said = talk(session, "start", "explain")
    assert "The sequencer is about to issue" in said and "DMA, MXU, VPU and CCE are idle." in said
    assert "explain takes no arguments" in talk(session, "explain x")


def test_without_a_program_it_says_so() -> None:
    with pytest.raises(CommandError, match="not being run"):
        explain(Session(assemble(SCALE, "scale.s"), args=ARGS, device=Device("small")))
