"""The debugger from Python: scripted sessions of compiled kernels, and what a kernel offers by itself."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from sohu.debugger import CommandError, Session
from sohu.debugger.dap import serve
from sohu.debugger.stops import Beginning, BreakpointHit, Caught, Exited, Watched
from sohu.emulator import Device
from sohu.isa import SohuError

from tests.debugger.dap_client import PATIENCE, Failed, connected
from tests.debugger.softmax_kernel import softmax

FILE = Path(__file__).parent / "softmax_kernel.py"
LINES = FILE.read_text().splitlines()
X = np.arange(8 * 6, dtype=np.float32).reshape(8, 6) % 7


def line_of(text: str) -> int:
    """The line of the kernel's source that holds a text."""
    return next(n for n, line in enumerate(LINES, 1) if text in line)


EXP, TOP, STORE = line_of("sohu.exp"), line_of("top ="), line_of("y[r")


@pytest.fixture
def session() -> Session:
    device = Device("small")
    y = np.zeros_like(X)
    compiled, given = softmax._for_call((X, y), {}, device)
    return Session(compiled.program, "softmax", given, device=device)


def expected() -> np.ndarray:
    e = np.exp(X - X.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_a_script_runs_to_the_end_and_back(session: Session) -> None:
    point = session.add_breakpoint(f"softmax_kernel.py:{STORE}")
    stops = [session.run()]
    while not isinstance(stops[-1], Exited):
        stops.append(session.cont())
    assert [type(s) for s in stops[:2]] == [BreakpointHit, BreakpointHit] and point.hits == len(stops) - 1
    end = stops[-1]
    assert isinstance(end, Exited)
    np.testing.assert_allclose(end.outputs["y"], expected(), rtol=1e-6)
    back = session.cont(reverse=True)
    assert back == stops[-2]
    np.testing.assert_allclose(session.evaluate("e").data, np.exp(X[4:] - X[4:].max(axis=1, keepdims=True)), rtol=1e-6)
    session.delete_breakpoint(point.number)
    assert isinstance(session.cont(reverse=True), Beginning)
    again = session.cont()
    assert isinstance(again, Exited) and np.array_equal(again.outputs["y"], end.outputs["y"])


def test_a_watch_says_who_writes(session: Session) -> None:
    session.begin()
    place = session.add_breakpoint(f"softmax_kernel.py:{STORE}")
    session.cont()
    watch = session.add_watch("e[1, 2]")
    session.delete_breakpoint(place.number)
    stop = session.cont(reverse=True)
    assert isinstance(stop, Watched) and [c.point for c in stop.changes] == [watch]
    (change,) = stop.changes
    line = session.symbols.line_at(change.pc)
    assert line is not None and line.line == EXP


def test_a_catch_and_what_it_caught(session: Session) -> None:
    bad = X.copy()
    bad[5, 3] = np.inf
    session.args["x"] = bad
    point = session.add_catch("nan")
    stop = session.run()
    assert isinstance(stop, Caught) and stop.point is point
    assert stop.error.line is not None and stop.error.line.line == line_of("return t - top")
    assert session.position > 0 and session.alive
    session.step(reverse=True)
    assert session.position < stop.instructions
    with pytest.raises(CommandError, match="nothing called 'nams'"):
        session.add_catch("nams")


def test_positions(session: Session) -> None:
    stop = session.run()
    last = stop.instructions
    for position in (last // 2, 3, last - 1, 0):
        session.goto(position)
        assert session.position == position
    with pytest.raises(SohuError):
        session.goto(-1)


def test_inlined_calls_and_variables(session: Session) -> None:
    session.add_breakpoint(f"softmax_kernel.py:{TOP}")
    session.run()
    assert [f.function for f in session.backtrace()][:2] == ["shifted", "softmax"]
    with pytest.raises(CommandError, match="top has no value yet here"):
        session.evaluate("top")
    session.step(2)
    assert {"t", "r"} <= set(session.names.all())


def test_an_editor_sees_the_kernel(session: Session) -> None:
    ports: queue.Queue[int] = queue.Queue()
    server = threading.Thread(target=serve, args=(session, 0), kwargs={"ready": ports.put}, daemon=True)
    server.start()
    with connected(ports.get(timeout=PATIENCE)) as client:
        client.initialize()
        client.ask("attach", stopOnExit=True)
        client.event("initialized")
        (made,) = client.breaks(FILE, TOP)
        assert made["verified"] and made["source"]["path"] == str(FILE)
        client.ask("configurationDone")
        assert client.stopped()["reason"] == "entry"
        client.ask("continue", threadId=1)
        assert client.stopped()["hitBreakpointIds"] == [made["id"]]
        inner, outer = client.frames()[:2]
        assert (inner["name"], inner["line"], outer["name"], outer["line"]) == ("shifted", TOP, "softmax", EXP)
        start, end = inner["column"] - 1, inner["endColumn"] - 1
        assert LINES[TOP - 1][start:end] == "t.max(axis=1, keepdims=True)"
        for frame, names in ((inner, {"t", "top"}), (outer, {"x", "y", "r", "t", "e"})):
            scopes = client.ask("scopes", frameId=frame["id"])["scopes"]
            mine = client.children(scopes[0]["variablesReference"])
            assert scopes[0]["name"] == "Locals" and names <= set(mine), frame["name"]
        assert mine["t"]["value"].startswith("f32[4, 6]  min 0  max 6")
        assert mine["e"]["value"] == "<e has no value yet here>" and "evaluateName" in mine["e"]
        assert client.ask("evaluate", expression="r", frameId=outer["id"])["result"] == "0"
        client.ask("next", threadId=1)
        client.stopped()
        inner, outer = client.frames()[:2]
        assert client.ask("evaluate", expression="top[0, 0]", frameId=inner["id"])["result"] == "5.0"
        with pytest.raises(Failed, match="top is no variable of this code"):
            client.ask("evaluate", expression="top", frameId=outer["id"])
        client.disconnect()
    server.join(PATIENCE)
    assert not server.is_alive()


SCRIPT = """\
import numpy as np
from tests.debugger.softmax_kernel import softmax
session = softmax.{tool}(np.ones((4, 6), np.float32))
print(type(session.stop).__name__, float(session.stop.outputs["y"].sum()))
"""


def script(tool: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT.format(tool=tool)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"} | more,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_kernel_opens_the_prompt() -> None:
    with script("debug") as made:
        out, err = made.communicate(f"break softmax_kernel.py:{STORE}\ncontinue\nprint e[0, 0]\ndelete\ncontinue\n", 60)
    assert (made.returncode, err) == (0, "")
    assert "$1 = e[0, 0] = 1" in out and out.endswith("Exited 4.0\n")


def test_a_kernel_waits_for_an_editor() -> None:
    with script("attach", SOHU_DAP_PORT="0") as made:
        assert made.stderr is not None
        said = made.stderr.readline()
        assert said.startswith("waiting for an editor to attach at 127.0.0.1:")
        with connected(int(said.rpartition(":")[2])) as client:
            client.initialize()
            client.ask("attach", stopOnExit=True)
            client.event("initialized")
            client.ask("configurationDone")
            client.stopped()
            client.ask("continue", threadId=1)
            assert client.stopped()["description"] == "The kernel has ended"
            client.disconnect()
        out, err = made.communicate(timeout=60)
    assert (made.returncode, out, err) == (0, "Exited 4.0\n", "")


def test_a_port_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("nix", "99999", "-1"):
        monkeypatch.setenv("SOHU_DAP_PORT", text)
        with pytest.raises(SohuError, match="port"):
            softmax.attach(X)
