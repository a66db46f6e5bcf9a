"""The debug adapter on what only this debugger has: going back, watched data, what checkers find, changed values."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sohu.asm import assemble, write_elf

from tests.debugger.dap_client import Client, Failed, Inside
from tests.debugger.support import ADD, CALL, LI, LOAD, LOOP, SCALE, SPIN, SYNC, VADDS, Folder

ARGUMENTS = {"x": "x.npy", "n": 5, "f": 2.5}


@pytest.fixture
def client() -> Iterator[Client]:
    with Inside() as made:
        yield made


def launch(client: Client, folder: Folder, source: str = SCALE, **more: Any) -> None:
    """Launch a program; breakpoints can be set."""
    folder.add("test", source)
    client.initialize(supportsInvalidatedEvent=True)
    given = {"program": "test.elf", "cwd": str(folder.path), "args": ARGUMENTS, "chip": "small"}
    client.launch(**(given | more))


@pytest.fixture
def at_start(client: Client, folder: Folder) -> Client:
    launch(client, folder, stopOnEntry=True)
    client.ask("configurationDone")
    client.stopped()
    return client


def go(client: Client, command: str, **more: Any) -> dict[str, Any]:
    """A movement, and where it stops."""
    client.ask(command, threadId=1, **more)
    return client.stopped()


def value(client: Client, expression: str) -> str:
    return str(client.ask("evaluate", expression=expression, context="watch")["result"])


# -- going back ------------------------------------------------------------------------------------


def test_steps_back(at_start: Client) -> None:
    lines = [at_start.line()]
    for _ in range(6):
        go(at_start, "next")
        lines.append(at_start.line())
    assert lines == [LOAD, VADDS, LI, LOOP, ADD, CALL, ADD]
    for line in (CALL, ADD, LOOP, LI):
        assert go(at_start, "stepBack")["reason"] == "step"
        assert at_start.line() == line
    assert value(at_start, "$x20") == "0"
    go(at_start, "stepBack", granularity="instruction")
    assert at_start.line() == VADDS
    go(at_start, "stepBack"), go(at_start, "stepBack"), go(at_start, "stepBack")
    assert go(at_start, "stepBack")["description"] == "The beginning of the launch"


def test_from_the_end_back_to_a_breakpoint(client: Client, folder: Folder) -> None:
    launch(client, folder, stopOnExit=True)
    client.ask("configurationDone")
    assert client.stopped()["description"] == "The kernel has ended"
    source = folder.path / "test.s"
    said = {"line": CALL, "logMessage": "not when going back"}
    (made, _) = client.breaks(source, {"line": ADD, "condition": "$x20 == 1"}, said)
    stop = go(client, "reverseContinue")
    assert (stop["reason"], stop["hitBreakpointIds"], client.line()) == ("breakpoint", [made["id"]], ADD)
    assert value(client, "$x20") == "1"
    assert go(client, "reverseContinue")["description"] == "The beginning of the launch"
    assert not any("not when" in text for text in client.printed)
    go(client, "continue")
    assert value(client, "$x20") == "1" and any("not when" in text for text in client.printed)


def test_go_to_where_a_line_runs(at_start: Client, folder: Folder) -> None:
    source = {"path": str(folder.path / "test.s")}
    at_start.ask("setFunctionBreakpoints", breakpoints=[{"name": "done"}])
    go(at_start, "continue")
    at_start.ask("setFunctionBreakpoints", breakpoints=[])
    back, on = at_start.ask("gotoTargets", source=source, line=ADD)["targets"]
    assert back["label"] == f"back to the last time that test.s:{ADD} runs"
    assert go(at_start, "goto", targetId=back["id"])["reason"] == "goto"
    assert at_start.line() == ADD and value(at_start, "$x20") == "2"
    with pytest.raises(Failed, match=r"target \d+ is not there"):
        at_start.ask("goto", threadId=1, targetId=on["id"])
    _, on = at_start.ask("gotoTargets", source=source, line=SYNC)["targets"]
    go(at_start, "goto", targetId=on["id"])
    assert at_start.line() == SYNC
    assert at_start.ask("gotoTargets", source={"path": "/other.s"}, line=1)["targets"] == []


def test_pause_while_it_goes_back(client: Client, folder: Folder) -> None:
    launch(client, folder, SPIN, args={})
    client.ask("configurationDone")
    client.ask("pause", threadId=1)
    client.stopped()
    before = int(value(client, "$x20").split()[0])
    client.ask("reverseContinue", threadId=1)
    client.ask("pause", threadId=1)
    client.stopped()
    assert int(value(client, "$x20").split()[0]) <= before
    go(client, "reverseContinue")
    assert value(client, "$x20") == "0"


# -- data ------------------------------------------------------------------------------------------


def test_watched_elements(at_start: Client) -> None:
    scope = at_start.frames()[0]["id"]
    scopes = {s["name"]: s["variablesReference"] for s in at_start.ask("scopes", frameId=scope)["scopes"]}
    info = at_start.ask("dataBreakpointInfo", variablesReference=scopes["Locals"], name="a")
    assert info["dataId"] == "a" and info["accessTypes"] == ["write", "read", "readWrite"]
    assert "(sram 0x" in info["description"]
    row = at_start.children(scopes["Locals"])["a"]["variablesReference"]
    assert at_start.ask("dataBreakpointInfo", variablesReference=row, name="2")["dataId"] == "a[2]"
    point = {"dataId": "a[2, 3]", "condition": "a[2, 3] > 19"}
    (made,) = at_start.ask("setDataBreakpoints", breakpoints=[point])["breakpoints"]
    assert made["verified"]
    stop = go(at_start, "continue")
    assert (stop["reason"], stop["hitBreakpointIds"]) == ("data breakpoint", [made["id"]])
    assert stop["description"] == "a[2, 3]: 19.0 -> 20.0" and f"(test.s:{VADDS})" in stop["text"]
    at_start.ask("setDataBreakpoints", breakpoints=[{"dataId": "a", "accessType": "read"}])
    stop = go(at_start, "continue")
    assert stop["description"] == "a was accessed" and "dma.store" in stop["text"]
    at_start.ask("setDataBreakpoints", breakpoints=[{"dataId": "a[2, 3]"}])
    stop = go(at_start, "reverseContinue")
    assert stop["reason"] == "data breakpoint" and value(at_start, "a[2, 3]") == "19.0"


def test_watched_registers_and_addresses(at_start: Client) -> None:
    def info(name: str, **more: Any) -> dict[str, Any]:
        return at_start.ask("dataBreakpointInfo", name=name, **more)

    assert info("$x20")["accessTypes"] == ["write"]
    assert info("a + 1")["dataId"] is None and "computed" in info("a + 1")["description"]
    assert info("nix")["dataId"] is None
    assert info("sram:0x20", asAddress=True, bytes=16)["dataId"] == "sram:0x20:16"
    with pytest.raises(Failed, match="no place"):
        info("sram", asAddress=True)
    points = [{"dataId": "$x20", "hitCondition": "2"}, {"dataId": "a + 1"}, {"dataId": "a", "accessType": "write"}]
    made = at_start.ask("setDataBreakpoints", breakpoints=points)["breakpoints"]
    assert [b["verified"] for b in made] == [True, False, True]
    at_start.ask("setDataBreakpoints", breakpoints=points[:1])
    assert go(at_start, "continue")["description"] == "$x20: 1 -> 2"


def test_a_watch_is_placed_when_its_tile_is_there(client: Client, folder: Folder) -> None:
    launch(client, folder)
    (made,) = client.ask("setDataBreakpoints", breakpoints=[{"dataId": "a[0, 0]"}])["breakpoints"]
    assert not made["verified"] and made["reason"] == "pending"
    client.ask("configurationDone")
    placed = client.event("breakpoint")["breakpoint"]
    assert placed["id"] == made["id"] and placed["verified"]
    assert client.stopped()["reason"] == "data breakpoint"


# -- what checkers find ----------------------------------------------------------------------------

NAN = """\
        .kernel making
        .param  x, in, f32, [R, 8]
        .tile   a, sram, f32, [4, 8]
        .sem    loaded
        dma.load  a, x                       signal loaded
        vsub      a, a, a  wait loaded>=1    signal loaded
        sync      wait loaded>=2
        halt
        .endkernel
"""
RACE = NAN.replace("  wait loaded>=1", "")


def test_catch(client: Client, folder: Folder) -> None:
    np.save(folder.path / "x.npy", np.full((4, 8), np.inf, np.float32))
    launch(client, folder, NAN, args={"x": "x.npy"})
    filters = ["nan", "race", "nix"]
    made = client.ask("setExceptionBreakpoints", filters=filters)["breakpoints"]
    assert [b["verified"] for b in made] == [True, True, False] and "nothing called 'nix'" in made[2]["message"]
    client.ask("configurationDone")
    stop = client.stopped()
    assert (stop["reason"], stop["hitBreakpointIds"]) == ("exception", [made[0]["id"]])
    assert stop["description"] == "Caught: nan"
    info = client.ask("exceptionInfo", threadId=1)
    assert info["exceptionId"] == "nan" and "vsub a, a, a (test.s:6)" in info["description"]
    client.ask("continue", threadId=1)
    client.event("terminated")


STRAYS = NAN.replace("vsub      a, a, a", "vadds  a, a, 1.0").replace("sync ", "vadds a, a, -1.0e8\n sync ")


def test_catch_with_a_limit_in_a_program_that_runs(client: Client, folder: Folder) -> None:
    np.save(folder.path / "x.npy", np.full((4, 8), 1e8, np.float32))
    launch(client, folder, STRAYS, args={"x": "x.npy"}, stopOnEntry=True)
    client.ask("configurationDone")
    client.stopped()
    options = [{"filterId": "error", "condition": "x"}, {"filterId": "overflow", "condition": "0"}]
    made = client.ask("setExceptionBreakpoints", filters=[], filterOptions=options)["breakpoints"]
    assert [b["verified"] for b in made] == [False, True] and "no number" in made[0]["message"]
    (made,) = client.ask("setExceptionBreakpoints", filters=["error"])["breakpoints"]
    assert made["verified"]
    with pytest.raises(Failed, match="no error has stopped"):
        client.ask("exceptionInfo", threadId=1)
    stop = go(client, "continue")
    assert (stop["description"], stop["hitBreakpointIds"]) == ("Caught: tolerance", [made["id"]])
    assert client.ask("exceptionInfo", threadId=1)["exceptionId"] == "tolerance"
    assert value(client, "a[0, 0]") == "0.0"  # 1e8 + 1 - 1e8: 1 in float64


def test_checks_stop_for_good(client: Client, folder: Folder) -> None:
    launch(client, folder, RACE, args={"x": "x.npy"}, checks="race")
    client.ask("configurationDone")
    stop = client.stopped()
    assert stop["description"] == "Stopped: race" and "(test.s:5)" in stop["text"] and "(test.s:6)" in stop["text"]
    with pytest.raises(Failed, match="cannot go on"):
        client.ask("continue", threadId=1)
    go(client, "stepBack")
    assert client.line() <= 6


# -- changes ---------------------------------------------------------------------------------------


def test_set_values(at_start: Client) -> None:
    go(at_start, "next"), go(at_start, "next")
    frame = at_start.frames()[0]["id"]
    scopes = {s["name"]: s["variablesReference"] for s in at_start.ask("scopes", frameId=frame)["scopes"]}

    def set_(scope: str, name: str, text: str) -> dict[str, Any]:
        return at_start.ask("setVariable", variablesReference=scopes[scope], name=name, value=text)

    assert set_("Registers", "x21", "40 + 2")["value"] == "42  (0x2a)"
    assert at_start.event("invalidated") == {"areas": ["variables"]}
    assert set_("Locals", "a", "a * 2")["value"].startswith("f32[4, 8]  min 2  max 64")
    rows = at_start.children(scopes["Locals"])["a"]["variablesReference"]
    assert at_start.ask("setVariable", variablesReference=rows, name="3", value="0")["value"].startswith(
        "f32[8]  0.0, "
    )
    assert set_("Semaphores", "s0 (loaded)", "2")["value"] == "2"
    assert at_start.ask("setExpression", expression="a[0, 0:2]", value="-1")["value"] == "f32[2]  -1.0, -1.0"
    for scope, name, text, why in [
        ("Registers", "pc", "0", "cannot be set"),
        ("Registers", "x0 (zero)", "1", "x0 is always 0|no 'x0"),
        ("Registers", "x21", "nix", "nothing is called"),
        ("Registers", "x99", "1", "there is no 'x99'"),
        ("Locals", "R", "7", "cannot be set"),
    ]:
        with pytest.raises(Failed, match=why):
            set_(scope, name, text)
    at_start.ask("setFunctionBreakpoints", breakpoints=[{"name": "twice"}])
    go(at_start, "continue")
    go(at_start, "stepBack", granularity="instruction")
    assert value(at_start, "a[0, 0]") == "-1.0"  # what was changed belongs to the past


def test_write_memory(at_start: Client) -> None:
    go(at_start, "next"), go(at_start, "next")
    a = at_start.scope("Locals")["a"]["memoryReference"]
    data = base64.b64encode(np.array([7, 8], np.float32).tobytes()).decode()
    assert at_start.ask("writeMemory", memoryReference=a, offset=4, data=data) == {"bytesWritten": 8}
    assert value(at_start, "a[0, 0:4]") == "f32[4]  1.0, 7.0, 8.0, 4.0"
    for where, given, why in [
        (a, "x", "no base64"),
        (a, "*AAA", "no base64"),
        ("acc:0xffffffff", data, "there are 0 bytes"),
        ("0x10", data, "there are 0 bytes"),
        (f"{int(at_start.scope('Registers')['x3 (gp)']['value'].split()[0])}", data, "programs may only read"),
    ]:
        with pytest.raises(Failed, match=why):
            at_start.ask("writeMemory", memoryReference=where, data=given)
    with pytest.raises(Failed, match="there are 0 bytes"):
        at_start.ask("writeMemory", memoryReference="sram:0xffffffffff", data=data, allowPartial=True)


def test_commands_of_breakpoints_are_done(at_start: Client) -> None:
    at_start.repl("break twice")
    for line in ("commands", "silent", "print $x20", "continue", "end"):
        assert at_start.repl(line) == ""
    at_start.ask("setFunctionBreakpoints", breakpoints=[{"name": "done"}])
    assert go(at_start, "continue")["reason"] in ("breakpoint", "function breakpoint")
    assert at_start.line() == SYNC
    assert sum("$x20 = " in text for text in at_start.printed) >= 1


def test_the_program_prints_to_the_console(client: Client, folder: Folder) -> None:
    launch(client, folder, SCALE.replace("halt\n", 'dbg.print "x20 = ", x20\n        halt\n', 1))
    client.ask("configurationDone")
    said = client.event("output", lambda body: body["category"] == "stdout")["output"]
    assert said == "x20 = 3\n"


def test_a_large_program_is_paged(client: Client, folder: Folder) -> None:
    x = np.arange(20_000 * 8, dtype=np.float32).reshape(-1, 8)
    np.save(folder.path / "x.npy", x)
    (folder.path / "test.elf").write_bytes(write_elf(assemble(SCALE, "test.s")))
    launch(client, folder, stopOnEntry=True)
    client.ask("configurationDone")
    client.stopped()
    mine = client.scope("Locals")["x"]
    assert mine["indexedVariables"] == 20_000
    part = client.children(mine["variablesReference"], filter="indexed", start=19_998, count=100)
    assert list(part) == ["19998", "19999"] and part["19999"]["value"].startswith("f32[8]  159992.0")


def test_commands_that_change_something_say_so(at_start: Client) -> None:
    at_start.repl("set $x21 = 5")
    assert at_start.event("invalidated") == {"areas": ["variables"]}
    assert at_start.repl("kill") == "killed"
    at_start.event("terminated")
    with pytest.raises(Failed, match="not being run"):
        at_start.frames()
