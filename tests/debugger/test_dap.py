"""The debug adapter, talked to by a client: over stdio and TCP, each message held to the published schema."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import queue
import re
import threading
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sohu.asm import assemble, write_elf
from sohu.debugger import Session
from sohu.debugger.dap import serve
from sohu.debugger.dap.messages import Nothing
from sohu.debugger.dap.registry import load_requests
from sohu.debugger.dap.requests.lifecycle import CAPABILITIES
from sohu.debugger.dap.server import listen
from sohu.debugger.dap.sources import from_utf16, utf16
from sohu.emulator import Device, MachineError
from sohu.isa import SohuError

from tests.debugger.dap_client import Client, Failed, Inside, Process, connected, schema
from tests.debugger.support import ADD, ARGS, CALL, LI, LOAD, SCALE, SPIN, SYNC, VADDS, Folder

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
        assert made.stopped()["reason"] == "entry"
        yield made
        made.disconnect()


def test_a_conversation(client: Client, folder: Folder) -> None:
    assert client.line() == LOAD
    source = folder.path / "scale.s"
    made = client.breaks(source, ADD, 1000)
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
    client.breaks(source)
    client.ask("continue", threadId=1)
    assert client.event("exited") == {"exitCode": 0}
    client.event("terminated")
    assert any("scale has ended: " in text and "y  f32[4, 8]  min 1" in text for text in client.printed)


@pytest.fixture
def inside() -> Iterator[Client]:
    """A client of an adapter in this process, which is as fast as can be."""
    with Inside() as made:
        yield made


@pytest.fixture
def at_start(inside: Client, folder: Folder) -> Client:
    """The same, at the first line of SCALE."""
    begin(inside, folder, stopOnEntry=True)
    inside.stopped()
    return inside


def begin(client: Client, folder: Folder, name: str = "scale.elf", **more: object) -> None:
    launch(client, folder, name, **more)
    client.ask("configurationDone")


def go(client: Client, command: str, **more: object) -> int:
    """A movement; the line where it stops."""
    client.ask(command, threadId=1, **more)
    client.stopped()
    return client.line()


# -- what is answered ------------------------------------------------------------------------------


def test_capabilities_are_what_is_answered() -> None:
    """Each request of the protocol has a flag that says whether it is supported, or needs none."""
    flags = {  # of what can be asked only where the flag is set
        "supportsConfigurationDoneRequest": "configurationDone",
        "supportsFunctionBreakpoints": "setFunctionBreakpoints",
        "supportsStepBack": "stepBack",
        "supportsSetVariable": "setVariable",
        "supportsRestartFrame": "restartFrame",
        "supportsGotoTargetsRequest": "gotoTargets",
        "supportsStepInTargetsRequest": "stepInTargets",
        "supportsCompletionsRequest": "completions",
        "supportsModulesRequest": "modules",
        "supportsRestartRequest": "restart",
        "supportsExceptionInfoRequest": "exceptionInfo",
        "supportsLoadedSourcesRequest": "loadedSources",
        "supportsTerminateThreadsRequest": "terminateThreads",
        "supportsSetExpression": "setExpression",
        "supportsTerminateRequest": "terminate",
        "supportsDataBreakpoints": "setDataBreakpoints",
        "supportsReadMemoryRequest": "readMemory",
        "supportsWriteMemoryRequest": "writeMemory",
        "supportsDisassembleRequest": "disassemble",
        "supportsCancelRequest": "cancel",
        "supportsBreakpointLocationsRequest": "breakpointLocations",
        "supportsInstructionBreakpoints": "setInstructionBreakpoints",
    }
    answered = load_requests()
    assert {f for f, command in flags.items() if command in answered} == {f for f in CAPABILITIES if f in flags}
    both = {"reverseContinue": "stepBack", "goto": "gotoTargets", "dataBreakpointInfo": "setDataBreakpoints"}
    assert all((one in answered) == (other in answered) for one, other in both.items())
    named = {d[: -len("Request")] for d in schema()["definitions"] if d.endswith("Request")}
    assert {c[0].upper() + c[1:] for c in answered} <= named


@pytest.mark.parametrize("command", sorted(load_requests()))
def test_arguments_are_those_of_the_schema(command: str) -> None:
    """Names, types and what must be there, of each dataclass that arguments are read into."""
    made = load_requests()[command]
    definition = f"{command[0].upper()}{command[1:]}Arguments"
    if made.arguments is Nothing or command in ("launch", "attach"):
        return
    definition = {"InitializeArguments": "InitializeRequestArguments"}.get(definition, definition)
    compare(made.arguments, schema()["definitions"][definition])


def compare(kind: type, definition: dict[str, Any]) -> None:
    hints = typing.get_type_hints(kind)
    required = set(definition.get("required", ()))
    for field in dataclasses.fields(kind):
        says = definition["properties"][field.name]
        must = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        assert not must or field.name in required, f"{kind.__name__}.{field.name} may be left out"
        hint = hints[field.name]
        if isinstance(hint, types.UnionType):
            (hint,) = [h for h in typing.get_args(hint) if h is not type(None)]
        if typing.get_origin(hint) is list:
            assert says["type"] == "array"
            hint, says = typing.get_args(hint)[0], says["items"]
        if "$ref" in says:
            says = schema()["definitions"][says["$ref"].rpartition("/")[2]]
        if dataclasses.is_dataclass(hint):
            compare(hint, says)  # type: ignore[arg-type]
        elif hint != dict[str, Any]:
            assert says["type"] == {str: "string", int: "integer", bool: "boolean"}[hint], field.name


# -- looking ---------------------------------------------------------------------------------------


def test_variables(at_start: Client) -> None:
    go(at_start, "next"), go(at_start, "next")
    frame = at_start.frames()[0]["id"]
    names = [s["name"] for s in at_start.ask("scopes", frameId=frame)["scopes"]]
    assert names == ["Locals", "Tiles", "Registers", "Semaphores", "Queues"]
    mine = at_start.scope("Locals")
    assert list(mine) == ["x", "y", "a", "n", "f", "R"]
    assert mine["a"]["value"].startswith("f32[4, 8]  min 1  max 32") and mine["a"]["indexedVariables"] == 4
    assert mine["a"]["memoryReference"].startswith("sram:0x") and mine["a"]["evaluateName"] == "a"
    assert mine["n"]["value"] == "5" and mine["f"]["value"].startswith("2.5")
    rows = at_start.children(mine["a"]["variablesReference"], filter="indexed", start=1, count=2)
    assert list(rows) == ["1", "2"] and rows["1"]["value"].startswith("f32[8]  9.0, 10.0, ")
    row = at_start.children(rows["2"]["variablesReference"])
    assert [v["value"] for v in row.values()] == [str(float(n)) for n in range(17, 25)]
    assert row["3"]["evaluateName"] == "a[2, 3]"
    base = int(mine["a"]["memoryReference"].partition(":")[2], 16)
    assert row["3"]["memoryReference"] == f"sram:{base + 4 * (2 * 8 + 3):#x}"
    about = at_start.children(mine["a"]["variablesReference"], filter="named")
    assert about["shape"]["value"] == "[4, 8]" and about["dtype"]["value"] == "f32"
    assert about["shape"]["presentationHint"]["attributes"] == ["readOnly"]
    assert at_start.scope("Semaphores")["s0 (loaded)"]["value"] == "2"
    assert "x20" in at_start.scope("Registers")
    hexadecimal = at_start.children(rows["2"]["variablesReference"], format={"hex": True})
    assert list(hexadecimal) == list(row)


def test_rows_without_paging(inside: Client, folder: Folder) -> None:
    np.save(folder.path / "x.npy", np.zeros((1000, 8), np.float32))
    inside.initialize(supportsVariablePaging=False)
    inside.launch(program="scale.elf", cwd=str(folder.path), args=ARGUMENTS, stopOnEntry=True)
    inside.ask("configurationDone")
    inside.stopped()
    rows = inside.children(inside.scope("Locals")["x"]["variablesReference"])
    assert "255" in rows and "256" not in rows and rows["..."]["value"].startswith("744 more")


def test_evaluate(at_start: Client) -> None:
    assert at_start.ask("evaluate", expression="n + 1", context="watch")["result"] == "6"
    found = at_start.ask("evaluate", expression="x[0:2, 1:3]", context="hover")
    assert found["type"] == "f32[2, 2]" and found["indexedVariables"] == 2
    rows = at_start.children(found["variablesReference"], filter="indexed")
    assert rows["1"]["value"] == "f32[2]  9.0, 10.0"
    assert rows["1"]["evaluateName"] == "x[0:2, 1:3][1]"
    assert at_start.ask("evaluate", expression=rows["1"]["evaluateName"])["result"] == rows["1"]["value"]
    with pytest.raises(Failed, match="nothing is called 'nn'"):
        at_start.ask("evaluate", expression="nn", context="watch")
    with pytest.raises(Failed):
        at_start.ask("evaluate", expression="__import__('os')", context="watch")


def test_the_console_takes_commands(at_start: Client) -> None:
    assert at_start.repl("print n") == "$1 = n = 5"
    assert at_start.repl("info line twice") == "0x00e0: twice, scale.s:18"
    assert at_start.repl("x[0, 3]") == "3.0"  # an expression, though x is a command
    with pytest.raises(Failed, match="nothing is called 'nonsense'"):
        at_start.repl("nonsense")
    assert "no breakpoint 77" in at_start.repl("delete 77")
    text = at_start.repl("stepi")
    assert "vadds" in text
    at_start.event("continued")
    assert at_start.stopped()["reason"] == "step" and at_start.line() == VADDS
    at_start.repl("break twice")
    at_start.repl("continue")
    stop = at_start.stopped()
    assert stop["reason"] == "breakpoint" and "hitBreakpointIds" not in stop
    at_start.repl("quit")
    at_start.event("terminated")


def test_completions(at_start: Client) -> None:
    def labels(text: str) -> list[str]:
        return [t["label"] for t in at_start.ask("completions", text=text, column=len(text) + 1)["targets"]]

    assert "disassemble" in labels("dis")
    assert "loaded" in labels("print lo")
    assert "tiles" in labels("info ti")
    (target,) = at_start.ask("completions", text="print loa", column=10)["targets"]
    assert (target["start"], target["length"]) == (6, 3)
    assert at_start.ask("completions", text="print loa", column=9)["targets"][0]["length"] == 2


def test_disassemble(at_start: Client) -> None:
    pc = at_start.frames()[0]["instructionPointerReference"]
    shown = at_start.ask("disassemble", memoryReference=pc, instructionOffset=-7, instructionCount=20)["instructions"]
    assert len(shown) == 20
    assert [i.get("presentationHint") for i in shown[:3]] == ["invalid", "invalid", None]
    (load,) = [i for i in shown if i["address"] == pc]
    assert load["instruction"].split()[:3] == ["dma.load", "a,", "x"] and load["line"] == LOAD
    assert load["location"]["name"] == "scale.s" and len(bytes.fromhex(load["instructionBytes"])) == 16
    assert [i["symbol"] for i in shown if "symbol" in i] == ["scale", "done", "twice"][
        : len([1 for i in shown if "symbol" in i])
    ]
    with pytest.raises(Failed, match="at most"):
        at_start.ask("disassemble", memoryReference=pc, instructionCount=10**8)
    with pytest.raises(Failed, match="no pc"):
        at_start.ask("disassemble", memoryReference="sram:0x10", instructionCount=1)


def test_read_memory(at_start: Client) -> None:
    go(at_start, "next"), go(at_start, "next")
    where = at_start.scope("Locals")
    got = at_start.ask("readMemory", memoryReference=where["a"]["memoryReference"], offset=4, count=8)
    assert np.frombuffer(base64.b64decode(got["data"]), np.float32).tolist() == [2, 3]
    x = where["x"]["memoryReference"]
    got = at_start.ask("readMemory", memoryReference=x, count=64)
    assert np.frombuffer(base64.b64decode(got["data"]), np.float32).tolist() == list(range(16))
    assert got["address"] == x.partition(":")[2] and "unreadableBytes" not in got
    assert at_start.ask("readMemory", memoryReference="0x10", count=64)["unreadableBytes"] == 64
    assert at_start.ask("readMemory", memoryReference="acc:0x0", offset=-1, count=4) == {
        "address": "0x0",
        "unreadableBytes": 4,
    }
    for wrong in ("bogus", "sram:", "nowhere:0x10", "0x" + "f" * 17, ""):
        with pytest.raises(Failed, match="no place in memory"):
            at_start.ask("readMemory", memoryReference=wrong, count=4)
    for count in (-1, 1 << 40):
        with pytest.raises(Failed, match="at most"):
            at_start.ask("readMemory", memoryReference=x, count=count)


def test_what_waits_in_queues_is_a_thread(inside: Client, folder: Folder) -> None:
    folder.add("waiting", SCALE.replace("sync       wait loaded>=2", "nop").replace("wait loaded>=1", "wait loaded>=9"))
    begin(inside, folder, "waiting.elf", stopOnEntry=True)
    inside.stopped()
    assert [t["id"] for t in inside.ask("threads")["threads"]] == [1]
    go(inside, "next"), go(inside, "next")
    _, waiting = inside.ask("threads")["threads"]
    assert "1 of 8 waiting" in waiting["name"]
    (frame,) = inside.frames(waiting["id"])
    assert frame["name"].startswith("vadds a, a, 1.0") and frame["line"] == VADDS
    waits = inside.scope("Waiting", waiting["id"])
    assert waits["waits for"]["value"] == "loaded >= 9" and waits["loaded"]["value"] == "1"
    with pytest.raises(Failed, match="no thread 77"):
        inside.frames(77)


# -- breakpoints -----------------------------------------------------------------------------------


def test_breakpoints_keep_their_number_and_hits(at_start: Client, folder: Folder) -> None:
    source = folder.path / "scale.s"
    (first,) = at_start.breaks(source, {"line": ADD, "hitCondition": "2"})
    again = at_start.breaks(source, {"line": LI}, {"line": ADD, "hitCondition": "2"})
    assert again[1]["id"] == first["id"] != again[0]["id"]
    assert go(at_start, "continue") == LI
    assert go(at_start, "continue") == ADD
    assert at_start.ask("evaluate", expression="$x20")["result"] == "1"  # the second time


def test_a_log_message_does_not_stop(at_start: Client, folder: Folder) -> None:
    source = folder.path / "scale.s"
    at_start.breaks(source, {"line": CALL, "logMessage": "x20 is {$x20}, {nix}"})
    at_start.ask("setFunctionBreakpoints", breakpoints=[{"name": "done"}, {"name": "dome"}])
    assert go(at_start, "continue") == SYNC
    said = [t for t in at_start.printed if t.startswith("x20")]
    assert said == [f"x20 is {n}, <nothing is called 'nix'>\n" for n in (1, 2, 3)]


def test_function_and_instruction_breakpoints(at_start: Client) -> None:
    made = at_start.ask("setFunctionBreakpoints", breakpoints=[{"name": "twice"}, {"name": "twicer"}])["breakpoints"]
    assert made[0]["verified"] and not made[1]["verified"] and "twice" in made[1]["message"]
    at_start.ask("continue", threadId=1)
    assert at_start.stopped()["hitBreakpointIds"] == [made[0]["id"]]
    at_start.ask("setFunctionBreakpoints", breakpoints=[])
    pc = at_start.frames()[1]["instructionPointerReference"]
    given = [
        {"instructionReference": pc, "offset": -16},
        {"instructionReference": "0x1"},
        {"instructionReference": "?"},
    ]
    made = at_start.ask("setInstructionBreakpoints", breakpoints=given)["breakpoints"]
    assert [b["verified"] for b in made] == [True, False, False] and made[0]["line"] == ADD
    assert go(at_start, "continue") == ADD
    assert go(at_start, "next", granularity="instruction") == CALL
    assert go(at_start, "next", granularity="instruction") == ADD


def test_lines_with_code(at_start: Client, folder: Folder) -> None:
    source = folder.path / "scale.s"
    found = at_start.ask("breakpointLocations", source={"path": str(source)}, line=1, endLine=VADDS)["breakpoints"]
    assert [b["line"] for b in found if b["line"] >= LOAD] == [LOAD, VADDS]
    assert at_start.ask("loadedSources")["sources"] == [{"name": "scale.s", "path": str(source)}]


# -- running ---------------------------------------------------------------------------------------


def test_pause_and_editing_while_it_runs(inside: Client, folder: Folder) -> None:
    folder.add("spin", SPIN)
    launch(inside, folder, "spin.elf", args={})
    inside.ask("configurationDone")
    for command, arguments in {"stackTrace": {"threadId": 1}, "evaluate": {"expression": "1"}}.items():
        with pytest.raises(Failed, match="the program is running") as caught:
            inside.ask(command, **arguments)
        assert caught.value.short == "notStopped"
    assert inside.ask("threads")["threads"] == [{"id": 1, "name": "chip 0: spin"}]
    inside.ask("pause", threadId=1)
    assert inside.stopped()["reason"] == "pause"
    inside.ask("continue", threadId=1)
    source = folder.path / "spin.s"
    (made,) = inside.breaks(source, 3)
    assert made["verified"]
    assert inside.stopped()["hitBreakpointIds"] == [made["id"]]
    inside.breaks(source)
    inside.ask("continue", threadId=1)
    (made,) = inside.breaks(source, {"line": 3, "hitCondition": ">= 1000000000"})
    inside.ask("pause", threadId=1)
    assert inside.stopped()["reason"] == "pause"
    inside.breaks(source)
    inside.ask("continue", threadId=1)
    inside.ask("terminate")
    inside.event("terminated")
    inside.ask("disconnect")


def test_a_client_that_vanishes_stops_the_program(folder: Folder) -> None:
    folder.add("spin", SPIN)
    with Inside() as client:
        launch(client, folder, "spin.elf", args={})
        client.ask("configurationDone")


def test_a_fault_is_an_exception(inside: Client, folder: Folder) -> None:
    folder.add("faulty", SCALE.replace("add        x21, x20, x20", "tbase t40, y, x20\n dma.store t40, a"))
    begin(inside, folder, "faulty.elf")
    stop = inside.stopped()
    assert stop["reason"] == "exception" and stop["description"] == "Stopped: misaligned"
    info = inside.ask("exceptionInfo", threadId=1)
    assert info["exceptionId"] == "misaligned" and "base is no multiple of 4" in info["description"]
    with pytest.raises(Failed, match="cannot go on"):
        inside.ask("continue", threadId=1)
    assert inside.ask("evaluate", expression="$x20")["result"] == "1"


def test_restart_reads_the_program_anew(at_start: Client, folder: Folder) -> None:
    source = folder.path / "scale.s"
    (made,) = at_start.breaks(source, ADD)
    assert go(at_start, "continue") == ADD
    folder.add("scale", "\n" + SCALE.replace("1.0", "7.0"))
    at_start.ask("restart")
    moved = at_start.event("breakpoint")["breakpoint"]
    assert moved["id"] == made["id"] and moved["verified"]
    assert at_start.event("stopped") and at_start.line() == LOAD + 1
    at_start.ask("continue", threadId=1)
    assert at_start.stopped()["hitBreakpointIds"] == [made["id"]]
    assert at_start.ask("evaluate", expression="a[0, 0]")["result"] == "7.0"


def test_the_end_can_be_looked_at(inside: Client, folder: Folder) -> None:
    begin(inside, folder, stopOnExit=True)
    assert inside.stopped()["description"] == "The kernel has ended"
    outputs = inside.scope("Outputs")
    assert outputs["y"]["value"].startswith("f32[4, 8]  min 1  max 32")
    inside.ask("continue", threadId=1)
    inside.event("terminated")


def test_no_debug_runs_to_the_end(inside: Client, folder: Folder) -> None:
    launch(inside, folder, noDebug=True)
    source = folder.path / "scale.s"
    (made,) = inside.breaks(source, ADD)
    assert not made["verified"]
    inside.ask("configurationDone")
    inside.event("terminated")


# -- attaching -------------------------------------------------------------------------------------


def test_attach_to_a_core_file(inside: Client, folder: Folder, tmp_path: Path) -> None:
    source = SCALE.replace("add        x21, x20, x20", "tbase t40, y, x20\n dma.store t40, a")
    device = Device("small", core=tmp_path / "c.core")
    with pytest.raises(MachineError):
        device.launch(assemble(source, "scale.s"), "scale", ARGS)
    inside.initialize()
    inside.ask("attach", core=str(tmp_path / "c.core"))
    inside.event("initialized")
    inside.ask("configurationDone")
    assert inside.stopped()["reason"] == "exception"
    assert [f["name"] for f in inside.frames()] == ["twice", "scale"]
    with pytest.raises(Failed, match="cannot go on"):
        inside.ask("next", threadId=1)
    with pytest.raises(Failed, match="nothing can be started"):
        inside.ask("restart")


def test_a_served_session(session: Session) -> None:
    session.begin()
    ports: queue.Queue[int] = queue.Queue()
    said: list[str] = []
    session.machine.output = said.append
    server = threading.Thread(target=serve, args=(session, 0), kwargs={"ready": ports.put}, daemon=True)
    server.start()
    with connected(ports.get(timeout=10)) as client:
        client.initialize()
        with pytest.raises(Failed, match="attach"):
            client.ask("launch", program="x.elf")
        client.ask("attach", stopOnExit=True)
        client.event("initialized")
        client.ask("setFunctionBreakpoints", breakpoints=[{"name": "twice"}])
        client.ask("configurationDone")
        client.stopped()
        assert client.line() == LOAD
        client.ask("continue", threadId=1)
        assert client.stopped()["reason"] == "function breakpoint"
        client.disconnect()
    server.join(10)
    assert not server.is_alive()
    assert session.pc == session.symbols.code("twice") and not session.breakpoints  # left as it was, without our points
    assert session.machine.output == said.append


# -- clients that count otherwise ------------------------------------------------------------------


def test_uris_and_lines_from_zero(inside: Client, folder: Folder) -> None:
    uri = (folder.path / "scale.s").as_uri()
    inside.initialize(pathFormat="uri", linesStartAt1=False, columnsStartAt1=False)
    inside.launch(program="scale.elf", cwd=str(folder.path), args=ARGUMENTS)
    (made,) = inside.ask("setBreakpoints", source={"path": uri}, breakpoints=[{"line": ADD - 1}])["breakpoints"]
    assert made["verified"] and made["line"] == ADD - 1 and made["source"]["path"] == uri
    inside.ask("configurationDone")
    inside.stopped()
    assert inside.frames()[0]["line"] == ADD - 1


def test_a_source_that_was_compiled_elsewhere(inside: Client, folder: Folder) -> None:
    (folder.path / "scale.s").unlink()
    begin(inside, folder, stopOnEntry=True)
    inside.stopped()
    frame = inside.frames()[0]
    assert frame["source"]["sourceReference"] == 1 and "not found" in frame["source"]["origin"]
    with pytest.raises(Failed, match="cannot be read"):
        inside.ask("source", sourceReference=1)
    with pytest.raises(Failed, match="no source"):
        inside.ask("source", sourceReference=2)
    other = {"path": "/somewhere/else/scale.s"}
    assert inside.ask("setBreakpoints", source=other, breakpoints=[{"line": ADD}])["breakpoints"][0]["verified"]
    other = {"path": "/somewhere/else/other.s"}
    assert not inside.ask("setBreakpoints", source=other, breakpoints=[{"line": ADD}])["breakpoints"][0]["verified"]


# -- bad input -------------------------------------------------------------------------------------


def test_requests_out_of_order(inside: Client, folder: Folder) -> None:
    with pytest.raises(Failed, match="first request is initialize"):
        inside.ask("threads")
    inside.initialize()
    with pytest.raises(Failed, match="has been answered"):
        inside.ask("initialize", adapterID="x")
    with pytest.raises(Failed, match="no program yet"):
        inside.ask("configurationDone")
    with pytest.raises(Failed, match="nothing to attach to"):
        inside.ask("attach", stopOnExit=True)
    for wrong, why in {
        "nix.elf": "nix.elf",
        "scale.s": "scale.s",
        "a\0b": "zero byte",
        "kernel.py": "is a Python program",
    }.items():
        with pytest.raises(Failed, match=why):
            inside.ask("launch", program=wrong, cwd=str(folder.path))
    inside.launch(program="scale.elf", cwd=str(folder.path), args=ARGUMENTS)
    with pytest.raises(Failed, match="there is a program already"):
        inside.ask("launch", program="scale.elf")
    with pytest.raises(Failed, match="not being run"):
        inside.ask("stackTrace", threadId=1)
    inside.ask("configurationDone")
    inside.event("terminated")
    with pytest.raises(Failed, match="has been answered"):
        inside.ask("configurationDone")


@pytest.mark.parametrize(
    "command, arguments, why",
    [
        ("setBreakpoints", {}, "source is missing"),
        ("setBreakpoints", {"source": 5}, "source: wants an object"),
        ("setBreakpoints", {"source": {}, "breakpoints": [{"line": "7"}]}, r"breakpoints\[0\]: line wants an integer"),
        ("setBreakpoints", {"source": {}, "breakpoints": {"line": 7}}, "breakpoints wants a list"),
        ("setBreakpoints", [], None),
        ("setBreakpoints", "x", "wants an object"),
        ("continue", {"threadId": True}, "threadId wants an integer"),
        ("continue", {"threadId": 1e3}, "threadId wants an integer"),
        ("continue", {"threadId": 10**30}, "out of range"),
        ("next", {"threadId": 1, "granularity": "page"}, "no granularity 'page'"),
        ("next", {"threadId": 1, "granularity": 3}, "granularity wants a string"),
        ("variables", {"variablesReference": 99}, "variable 99 is not there"),
        ("variables", {"variablesReference": -1}, "variable -1 is not there"),
        ("scopes", {"frameId": 0}, "frame 0 is not there"),
        ("evaluate", {"expression": ["x"]}, "expression wants a string"),
        ("evaluate", {"expression": "(" * 5000}, "nests too deeply"),
        ("completions", {"text": "p", "column": -5}, None),
        ("nonsense", {}, "the request 'nonsense' is not supported"),
        ("\x1b[2J", {}, "is not supported"),
        ("__class__", {}, "is not supported"),
        ("restart", {"arguments": {"program": 3}}, "program wants a string"),
    ],
)
def test_wrong_arguments(at_start: Client, command: str, arguments: Any, why: str | None) -> None:
    seq = at_start.send_wrong(command, arguments)
    if why is None:
        with contextlib.suppress(Failed):
            at_start.answer(seq)
    else:
        with pytest.raises(Failed, match=why):
            at_start.answer(seq)
    assert at_start.line() == LOAD  # and all is as it was


@pytest.mark.parametrize(
    "body, why",
    [
        (b"not json", "no JSON"),
        (b"[]", "no JSON object"),
        (b"{}", "no request"),
        (b'{"a":\xff1}', "UTF-8"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":' + b"[" * 194 + b"]", "no JSON"),
        (b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", "nests more than"),
        (b'{"a":' + b"[" * 100000 + b"]" * 100000 + b"}", "nests more than"),
        (b'{"type":"request","seq":"', "no JSON"),
        (b'{"type":"request","seq":1e3,"command":"x"}', "no command or no seq"),
        (b'{"type":"request","seq":0,"command":"threads"}', "no command or no seq"),
        (b'{"type":"request","seq":99}', "no command or no seq"),
    ],
)
def test_messages_that_are_none(at_start: Client, body: bytes, why: str) -> None:
    at_start.raw(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    assert at_start.line() == LOAD
    said = [e["body"]["output"] for e in at_start.events if e.get("event") == "output"]
    assert any(why in text for text in said), said


@pytest.mark.parametrize(
    "raw, why",
    [
        (b"Content-Length: 99999999999\r\n\r\n", "is refused"),
        (b"Content-Length: -1\r\n\r\n", "is no number"),
        (b"Content-Length: 9" + b"9" * 40 + b"\r\n\r\n", "is no number"),
        (b"GET / HTTP/1.1\r\n\r\n", "is no `Name: value`"),
        (b"Name: value\r\n\r\n", "no Content-Length"),
        (b"x" * 10000, "more than 4096 bytes|too long"),
        (b"Name: value\r\n" * 1000, "more than 4096 bytes"),
    ],
)
def test_streams_that_cannot_be_followed(raw: bytes, why: str) -> None:
    with Inside() as client:
        client.raw(raw)
        assert re.search(why, client.event("output")["output"])


def test_names_in_a_program_cannot_steer_the_client(inside: Client, folder: Folder) -> None:
    program = assemble(SCALE, "evil\x1b[2J.s")
    (folder.path / "evil.elf").write_bytes(write_elf(program))
    begin(inside, folder, "evil.elf", stopOnEntry=True)
    inside.stopped()
    assert "\x1b" not in json.dumps(inside.frames()[0], ensure_ascii=False)


def test_numbers_of_before_are_refused(at_start: Client) -> None:
    frame = at_start.frames()[0]["id"]
    scope = at_start.ask("scopes", frameId=frame)["scopes"][0]["variablesReference"]
    at_start.children(scope)
    go(at_start, "next")
    with pytest.raises(Failed, match=f"variable {scope} is not there"):
        at_start.children(scope)
    with pytest.raises(Failed, match=f"frame {frame} is not there"):
        at_start.ask("scopes", frameId=frame)


def test_columns_are_counted_in_utf16() -> None:
    text = "é\U0001f600x"
    assert [utf16(text[:n]) for n in range(4)] == [0, 1, 3, 4]
    assert [from_utf16(text, n) for n in range(6)] == [0, 1, 2, 2, 3, 3]


def test_only_this_machine_can_connect() -> None:
    with listen(0) as server:
        assert server.getsockname()[0] == "127.0.0.1"
        with pytest.raises(SohuError, match="cannot listen"), listen(server.getsockname()[1]):
            pass
