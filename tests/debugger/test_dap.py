"""The debug adapter, talked to by a client: over stdio and TCP, each message held to the published schema."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.debugger.dap_client import Client, Process
from tests.debugger.support import ADD, CALL, LOAD, Folder

ARGUMENTS = {"x": "x.npy", "n": 5, "f": 2.5}


def launch(client: Client, folder: Folder, name: str = "scale.elf", **more: object) -> None:
    client.initialize()
    client.launch(**({"program": name, "cwd": str(folder.path), "args": ARGUMENTS} | more))


@pytest.fixture(params=["stdio", "tcp"])
def client(request: pytest.FixtureRequest, folder: Folder) -> Iterator[Client]:
    """A client of a process that stands at the first line of SCALE."""
    with Process(folder, tcp=request.param == "tcp") as made:
        launch(made, folder, stopOnEntry=True)
        made.ask("configurationDone")
        assert made.stopped()["reason"] == "step"
        yield made
        made.disconnect()


def test_a_conversation(client: Client, folder: Folder) -> None:
    assert client.line() == LOAD
    source = {"path": str(folder.path / "scale.s")}
    made = client.ask("setBreakpoints", source=source, breakpoints=[{"line": ADD}, {"line": 1000}])["breakpoints"]
    assert [b["verified"] for b in made] == [True, False]
    assert made[0]["line"] == ADD and "no code at line 1000" in made[1]["message"]
    client.ask("continue", threadId=1)
    stop = client.stopped()
    assert (stop["reason"], stop["hitBreakpointIds"], client.line()) == ("breakpoint", [made[0]["id"]], ADD)
    client.ask("next", threadId=1)
    assert client.stopped()["reason"] == "step" and client.line() == CALL
    client.ask("stepIn", threadId=1)
    client.stopped()
    frames = client.frames()
    assert [f["name"] for f in frames] == ["twice", "scale"] and frames[1]["line"] == CALL
    assert frames[0]["source"] == {"name": "scale.s", "path": str(folder.path / "scale.s")}
    client.ask("stepOut", threadId=1)
    client.stopped()
    assert client.frames()[0]["name"] == "scale"
    client.ask("setBreakpoints", source=source, breakpoints=[])
    client.ask("continue", threadId=1)
    assert client.event("exited") == {"exitCode": 0}
    client.event("terminated")
    assert any("scale has ended: " in text and "y  f32[4, 8]  min 1" in text for text in client.printed)
