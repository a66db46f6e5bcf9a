"""What an editor is told of the debug adapter: the VS Code extension, the example and the page of the manual."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sohu.debugger.dap.cli import main
from sohu.debugger.dap.messages import Attach, Launch
from sohu.debugger.dap.requests.data import FILTERS
from sohu.debugger.dap.typed import read
from sohu.debugger.points import CATCHES

from tests.debugger.dap_client import Client, Inside

ROOT = Path(__file__).parents[2]
PACKAGE: dict[str, Any] = json.loads((ROOT / "editors/vscode/package.json").read_text(encoding="utf-8"))
(DEBUGGER,) = PACKAGE["contributes"]["debuggers"]
BY_VSCODE = {"type", "request", "name"}  # fields of a configuration that are not the adapter's
BY_EXTENSION = {"port"}
EXAMPLES = ROOT / "examples/debugging"
PAGE = (ROOT / "docs/dap.md").read_text(encoding="utf-8")


def attributes(request: str) -> dict[str, Any]:
    found: dict[str, Any] = DEBUGGER["configurationAttributes"][request]
    return found


@pytest.mark.parametrize("request_, kind", [("launch", Launch), ("attach", Attach)])
def test_the_extension_offers_what_the_adapter_takes(request_: str, kind: type) -> None:
    fields = {f.name: f for f in dataclasses.fields(kind)} | dict.fromkeys(BY_EXTENSION if kind is Attach else ())
    fields.pop("noDebug", None)  # VS Code's own
    offered = attributes(request_)["properties"]
    assert set(offered) == set(fields)
    for name, says in offered.items():
        if "default" in says and fields[name] is not None and isinstance(fields[name].default, bool):
            sent = {"program": "p", name: says["default"]}
            read(kind, sent, name)
    page = PAGE.partition(f"| {request_} | |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in page.split("\n") if row))) - {"noDebug"} == (
        set(fields)
    )


def example() -> list[dict[str, Any]]:
    """The configurations of examples/debugging."""
    text = (EXAMPLES / ".vscode/launch.json").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = json.loads(re.sub(r"(?m)^\s*//.*$", "", text))["configurations"]
    return found


def configurations() -> list[dict[str, Any]]:
    """Those of the example, of the page, and of the extension itself."""
    out = example()
    for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL):
        out += json.loads(block)["configurations"]
    return [*out, *DEBUGGER["initialConfigurations"], *(s["body"] for s in DEBUGGER["configurationSnippets"])]


def test_configurations_are_taken() -> None:
    seen = configurations()
    assert len(seen) == len(example()) + 2 + 1 + 3
    for c in seen:
        assert c["type"] == DEBUGGER["type"]
        own = {name: value for name, value in c.items() if name not in BY_VSCODE}
        strict = attributes(c["request"]) | {"additionalProperties": False}
        assert [e.message for e in Draft202012Validator(strict).iter_errors(own)] == []
        read(Launch if c["request"] == "launch" else Attach, own, c["name"])


def test_filters_are_the_kinds_of_catch() -> None:
    assert [f["filter"] for f in FILTERS] == list(CATCHES)
    assert all(str(f["label"]) in PAGE for f in FILTERS)


NODE = """\
const Module = require("module");
const load = Module._load;
let factory;
const setting = { "debugger.command": process.argv[2] };
const vscode = {
  workspace: {
    getConfiguration: () => ({ get: (name) => setting[name] }),
    onDidOpenTextDocument: () => ({}),
    textDocuments: [],
  },
  window: {},
  debug: { registerDebugAdapterDescriptorFactory: (type, made) => ((factory = made), type) },
  DebugAdapterExecutable: function (command, args, options) { Object.assign(this, { command, args, options }); },
  DebugAdapterServer: function (port, host) { Object.assign(this, { port, host }); },
};
Module._load = (name, ...rest) => (name === "vscode" ? vscode : load(name, ...rest));
require("./extension.js").activate({ subscriptions: [] });
const made = JSON.parse(process.argv[3]).map((c) => factory.createDebugAdapterDescriptor({ configuration: c }));
console.log(JSON.stringify(made));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_the_extension_says_how_the_adapter_is_reached() -> None:
    asked = [{"request": "launch", "cwd": "/w"}, {"request": "attach", "core": "c"}, {"request": "attach", "port": 7}]
    made = subprocess.run(
        ["node", "-e", NODE, "x", "", json.dumps(asked)],
        cwd=ROOT / "editors/vscode",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(made.stdout) == [
        {"command": "sohu-dap", "args": [], "options": {"cwd": "/w"}},
        {"command": "sohu-dap", "args": [], "options": {}},
        {"port": 7, "host": "127.0.0.1"},
    ]
    settings = PACKAGE["contributes"]["configuration"]["properties"]
    assert settings["sohu.debugger.command"]["scope"] == "machine"  # no workspace says what is started
    assert "sohu.debugger.command" in PACKAGE["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"]


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["--once"], ["--port", "x"], ["more"]):
        with pytest.raises(SystemExit) as e:
            main(wrong)
        assert e.value.code == 2
    assert main(["--port", "70000"]) == 1
    assert "there is no port 70000" in capsys.readouterr().err


# -- the example's bugs, found in the editor ---------------------------------------------------------


def begin(client: Client, name: str, folder: Path, filters: list[str]) -> dict[str, Any]:
    """Make an example, launch it as launch.json says, and run to its first stop."""
    made = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), str(folder)]
    subprocess.run(made, check=True, timeout=120, capture_output=True)
    (chosen,) = (c for c in example() if c["name"].startswith(f"{name}.elf"))
    own = {n: v for n, v in chosen.items() if n not in BY_VSCODE}
    client.initialize()
    client.launch(**json.loads(json.dumps(own).replace("${workspaceFolder}", str(folder))))
    made = client.ask("setExceptionBreakpoints", filters=filters)["breakpoints"]
    assert all(b["verified"] for b in made)
    client.ask("configurationDone")
    return client.stopped()


def text_of(name: str, frame: dict[str, Any]) -> str:
    assert frame["source"]["path"] == str(EXAMPLES / f"{name}.py")
    return (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").split("\n")[frame["line"] - 1].strip()


def test_the_nan_of_the_example(tmp_path: Path) -> None:
    with Inside() as client:
        assert begin(client, "nan", tmp_path, ["nan", "inf"])["reason"] == "entry"
        client.ask("continue", threadId=1)
        assert client.stopped()["description"] == "Caught: nan"
        info = client.ask("exceptionInfo", threadId=1)
        assert "inf" in info["description"] and "vexp" in info["description"]
        assert text_of("nan", client.frames()[0]) == "e[r : r + rows] = sohu.exp(x[r : r + rows])"
        client.ask("continue", threadId=1)
        assert client.stopped()["description"] == "Caught: nan"
        assert text_of("nan", client.frames()[0]).startswith("y[r : r + rows] = t / t.sum")
        client.ask("reverseContinue", threadId=1)
        client.stopped()
        assert text_of("nan", client.frames()[0]).startswith("e[r : r + rows]")


def test_the_race_of_the_example(tmp_path: Path) -> None:
    with Inside() as client:
        stop = begin(client, "race", tmp_path, ["race"])
        assert stop["description"] == "Caught: race"
        assert "race.py" in stop["text"] and "dma.load" in stop["text"]


def test_the_deadlock_of_the_example(tmp_path: Path) -> None:
    with Inside() as client:
        stop = begin(client, "deadlock", tmp_path, ["deadlock"])
        assert stop["description"] == "Caught: deadlock"
        waiting = {t["name"].split(":")[0]: t["id"] for t in client.ask("threads")["threads"][1:]}
        assert waiting, "an engine waits"
        lines = {text_of("deadlock", f) for thread in waiting.values() for f in client.frames(thread)}
        assert any("y[m : m + rows]" in line or "s.max" in line or "@ keys.T" in line for line in lines)
        assert "waits for" in client.scope("Waiting", next(iter(waiting.values())))
