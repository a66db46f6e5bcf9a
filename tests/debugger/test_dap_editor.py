"""What an editor is told of the debug adapter: the VS Code extension, the example and the page of the manual."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sohu.debugger.dap.cli import main
from sohu.debugger.dap.messages import Attach, Launch
from sohu.debugger.dap.requests.data import FILTERS
from sohu.debugger.dap.typed import read
from sohu.debugger.points import CATCHES

ROOT = Path(__file__).parents[2]
PACKAGE: dict[str, Any] = json.loads((ROOT / "editors/vscode/package.json").read_text(encoding="utf-8"))
(DEBUGGER,) = PACKAGE["contributes"]["debuggers"]
BY_VSCODE = {"type", "request", "name"}  # fields of a configuration that are not the adapter's
BY_EXTENSION = {"port"}
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


def configurations() -> list[dict[str, Any]]:
    """Those of the example, of the page, and of the extension itself."""
    example = (ROOT / "examples/debugging/.vscode/launch.json").read_text(encoding="utf-8")
    out = json.loads(re.sub(r"(?m)^\s*//.*$", "", example))["configurations"]
    for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL):
        out += json.loads(block)["configurations"]
    return [*out, *DEBUGGER["initialConfigurations"], *(s["body"] for s in DEBUGGER["configurationSnippets"])]


def test_configurations_are_taken() -> None:
    seen = configurations()
    assert len(seen) == 4 + 2 + 1 + 3
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
