"""Whatever a client asks, it gets one answer that the schema knows, and the session stays."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

import pytest
from sohu.debugger.dap.registry import load_requests

from tests.debugger.dap_client import Client, Failed, Inside, schema
from tests.debugger.support import SCALE, Folder

STRINGS = [
    "", "a", "x", "a[2]", "a[0, 0]", "a[", "$x20", "$pc", "t3", "s0", "sram:0x0", "sram:0x20", "hbm:0x10", "0x0",
    "0x40",
    "-0x40", "1e400", "9" * 400, "nan", "error", "line", "instruction", "statement", "repl", "write", "readWrite", "\0",
    "\ud800", "é\U0001f600", "a" * 5000, "(" * 300, "2 ** 9999999", "zeros(10 ** 9)", "AAAA", "%s{}", "{x}",
    "../../etc",
    "scale.s", "print a", "x/8xb a",
    "break twice", "delete", "next", "reverse-step", "stepi 3", "info tiles", "hist a",
    "rc", "catch nan", "set $x20 = 4", "list", "disassemble", "goto 3", "why a[0,0]", "explain", "commands", "end",
    "tui",
    "python 1", "source /dev/null", "condition 1 a[", "watch a[1]", "ignore 1 2", "help", "apropos tile", "kill",
    "start",
]  # fmt: skip
NUMBERS = [0, 1, 2, 3, 5, 9, 16, 64, -1, -16, 1000, 10**6, 2**31 - 1]
QUIET = {"initialize", "launch", "attach", "disconnect"}


def arguments(chance: random.Random, definition: dict[str, Any], depth: int = 0) -> Any:
    """Something of a type that the schema describes, mostly."""
    if "$ref" in definition:
        return arguments(chance, schema()["definitions"][definition["$ref"].rpartition("/")[2]], depth)
    kind = definition.get("type")
    kind = chance.choice(kind) if isinstance(kind, list) else kind
    if chance.random() < 0.02:
        return chance.choice([None, True, 1.5, "x", [], {}, -1])
    if kind == "object":
        required = definition.get("required", [])
        fields = definition.get("properties", {})
        return {n: arguments(chance, d, depth + 1) for n, d in fields.items() if n in required or chance.random() < 0.4}
    if kind == "array":
        return [arguments(chance, definition.get("items", {}), depth + 1) for _ in range(chance.randrange(3))]
    if kind == "integer":
        return chance.choice(NUMBERS)
    if kind == "string":
        return chance.choice(definition.get("enum") or definition.get("_enum") or STRINGS)
    return chance.choice([True, False]) if kind == "boolean" else chance.choice(STRINGS)


@pytest.mark.parametrize("seed", range(8))
def test_any_request(folder: Folder, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.path)
    chance = random.Random(seed)
    commands = sorted(set(load_requests()) - QUIET)
    definitions = schema()["definitions"]
    with Inside() as client:
        client.initialize(supportsInvalidatedEvent=True)
        given = {"x": "x.npy", "n": 5, "f": 2.5}
        more = {"chip": "small", "stopOnEntry": True, "stopOnExit": True}
        client.launch(program="scale.elf", cwd=str(folder.path), args=given, **more)
        client.ask("configurationDone")
        answered = 0
        for _ in range(150):
            command = chance.choice(commands)
            definition = definitions.get(f"{command[0].upper()}{command[1:]}Arguments", {"type": "object"})
            made = arguments(chance, definition)
            if isinstance(made, dict) and (command == "stackTrace" or chance.random() < 0.5):
                made |= {"threadId": 1} if "threadId" in definition.get("properties", {}) else {}
            numbers_of(client, made, chance)
            with contextlib.suppress(Failed):
                client.answer(client.send_wrong(command, made))
                answered += 1
        assert answered > 20
        with contextlib.suppress(Failed):
            client.ask("pause", threadId=1)
        client.ask("threads")
        client.events.clear()
        client.ask("restart")
        client.stopped()
        assert client.ask("threads")["threads"]


def numbers_of(client: Client, made: Any, chance: random.Random) -> None:
    """Put numbers of frames and variables that are there in a request, half of the time."""
    if not isinstance(made, dict) or chance.random() < 0.5:
        return
    with contextlib.suppress(Failed, IndexError):
        frame = client.frames()[0]["id"]
        if "frameId" in made:
            made["frameId"] = frame
        if "variablesReference" in made:
            scopes = client.ask("scopes", frameId=frame)["scopes"]
            made["variablesReference"] = chance.choice(scopes)["variablesReference"]
            if "name" in made:
                names = list(client.children(made["variablesReference"], count=20))
                made["name"] = chance.choice(names) if names else "x"


def test_nothing_was_written(folder: Folder) -> None:
    """The commands above make no files."""
    assert {p.name for p in Path(folder.path).iterdir()} == {"scale.s", "scale.elf", "x.npy"} and SCALE
