"""A client of the debug adapter: it holds both sides to the published schema, in every message."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import json
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from jsonschema import Draft202012Validator
from sohu.debugger import Session
from sohu.debugger.dap.adapter import Adapter
from sohu.debugger.dap.protocol import Writer

from tests.debugger.support import Folder

SCHEMA = Path(__file__).parent / "data/debugAdapterProtocol.json"
PATIENCE = 8.0  # seconds
_BASES = ("ProtocolMessage", "Request", "Response", "Event")
_OPEN = ("LaunchRequestArguments", "AttachRequestArguments")  # each adapter has fields of its own there

Message = dict[str, Any]


@functools.cache
def schema() -> Message:
    """The protocol's, made strict: a field that it does not know is an error."""
    made: Message = json.loads(SCHEMA.read_text())
    for name, definition in made["definitions"].items():
        if name not in (*_BASES, *_OPEN):
            _close(definition)
    made["$schema"] = Draft202012Validator.META_SCHEMA["$id"]
    return made


def _close(at: Any) -> None:
    """Forbid unknown fields in an object and what is in it."""
    if "allOf" in at:
        at["unevaluatedProperties"] = False
        parts = [p for p in at["allOf"] if "$ref" not in p]
    else:
        parts = [at]
        if at.get("properties"):
            at["additionalProperties"] = False
    for part in parts:
        for inner in part.get("properties", {}).values():
            if inner.get("properties"):
                _close(inner)


@functools.cache
def _validator(definition: str) -> Draft202012Validator:
    made = copy.copy(schema())
    made["$ref"] = f"#/definitions/{definition}"
    return Draft202012Validator({k: v for k, v in made.items() if k in ("$schema", "$ref", "definitions")})


def check(message: Message) -> None:
    """Hold a message to its definition; raises AssertionError."""
    kind = message["type"]
    if kind == "request":
        name = f"{message['command'][0].upper()}{message['command'][1:]}Request"
    elif kind == "event":
        name = f"{message['event'][0].upper()}{message['event'][1:]}Event"
    elif message["success"]:
        name = f"{message['command'][0].upper()}{message['command'][1:]}Response"
    else:
        name = "ErrorResponse"
    for e in _validator(name).iter_errors(message):
        raise AssertionError(f"{name}: {e.json_path}: {e.message}")


class Failed(Exception):
    """An error response."""

    def __init__(self, message: Message) -> None:
        error = message["body"]["error"]
        text = error["format"]
        for name, value in error["variables"].items():
            text = text.replace("{" + name + "}", value)
        super().__init__(text)
        self.short = message["message"]


class Client:
    """One end of a conversation."""

    def __init__(self, reading: BinaryIO, writing: BinaryIO) -> None:
        self.reading, self.writing = reading, writing
        self.events: list[Message] = []
        self.wrong: list[str] = []  # what the schema refuses in messages that came
        self._seq = itertools.count(1)
        self._last = 0
        self._answers: dict[int, queue.Queue[Message]] = {}
        self._arrived = threading.Condition()
        self.closed = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    # -- messages ----------------------------------------------------------------------------------

    def _read(self) -> None:
        while True:
            length = 0
            while line := self.reading.readline().strip():
                name, _, value = line.partition(b":")
                assert name == b"Content-Length", line
                length = int(value)
            body = self.reading.read(length) if length else b""
            with self._arrived:
                if not body:
                    self.closed = True
                    self._arrived.notify_all()
                    return
                message = json.loads(body)
                try:
                    check(message)
                    assert message["seq"] == self._last + 1, f"seq {message['seq']} after {self._last}"
                except Exception as e:  # noqa: BLE001  # the test's thread is told
                    self.wrong.append(f"{e}\n{json.dumps(message)[:2000]}")
                self._last = message["seq"]
                if message["type"] == "response" and message["request_seq"] in self._answers:
                    self._answers[message["request_seq"]].put(message)
                else:
                    self.events.append(message)
                self._arrived.notify_all()

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writing.write(data)
        self.writing.flush()

    def send(self, command: str, /, **arguments: Any) -> int:
        """Send a request, and do not wait."""
        message: Message = {"seq": next(self._seq), "type": "request", "command": command}
        if arguments:
            message["arguments"] = arguments
        check(message)
        return self._post(message)

    def send_wrong(self, command: str, arguments: Any) -> int:
        """Send a request that the schema may refuse."""
        return self._post({"seq": next(self._seq), "type": "request", "command": command, "arguments": arguments})

    def _post(self, message: Message) -> int:
        self._answers[message["seq"]] = queue.Queue()
        body = json.dumps(message).encode()
        self.raw(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        return message["seq"]

    def answer(self, seq: int) -> Message:
        """The body of a response ({} without one); raises Failed."""
        message = self._answers[seq].get(timeout=PATIENCE)
        assert not self.wrong, self.wrong[0]
        if not message["success"]:
            raise Failed(message)
        return message.get("body", {})

    def ask(self, command: str, /, **arguments: Any) -> Message:
        """Send a request and wait for the response."""
        return self.answer(self.send(command, **arguments))

    def event(self, name: str, test: Callable[[Message], bool] = lambda body: True) -> Message:
        """The body of the next event of a kind, which is then forgotten with all before it."""
        with self._arrived:

            def found() -> int | None:
                for i, e in enumerate(self.events):
                    if e.get("event") == name and test(e.get("body", {})):
                        return i
                return None

            ready = self._arrived.wait_for(lambda: found() is not None or self.closed or self.wrong, PATIENCE)
            assert not self.wrong, self.wrong[0]
            at = found()
            assert ready and at is not None, f"no event {name}; there are {self.events}"
            body = self.events[at].get("body", {})
            self.printed += [e["body"]["output"] for e in self.events[: at + 1] if e.get("event") == "output"]
            del self.events[: at + 1]
            return body

    printed: list[str] = []

    # -- conversations -----------------------------------------------------------------------------

    def initialize(self, **more: Any) -> Message:
        """The first request; returns the capabilities."""
        self.printed = []
        given = {"adapterID": "sohu", "linesStartAt1": True, "columnsStartAt1": True, "supportsVariablePaging": True}
        return self.ask("initialize", **(given | more))

    def launch(self, **arguments: Any) -> None:
        """Launch; breakpoints can be set afterwards."""
        self.ask("launch", **arguments)
        self.event("initialized")

    def breaks(self, file: Path, *lines: int | Message) -> list[Message]:
        """Set the breakpoints of a file: lines, or what the protocol calls a SourceBreakpoint."""
        given = [{"line": b} if isinstance(b, int) else b for b in lines]
        made: list[Message] = self.ask("setBreakpoints", source={"path": str(file)}, breakpoints=given)["breakpoints"]
        return made

    def stopped(self) -> Message:
        """Where it stops next."""
        return self.event("stopped")

    def frames(self, thread: int = 1) -> list[Message]:
        """The frames of a thread."""
        return self.ask("stackTrace", threadId=thread)["stackFrames"]

    def line(self) -> int:
        """The line at which the sequencer stands."""
        return self.frames()[0]["line"]

    def scope(self, name: str, thread: int = 1) -> dict[str, Message]:
        """The variables of a scope, by name."""
        frame = self.frames(thread)[0]["id"]
        scopes = {s["name"]: s for s in self.ask("scopes", frameId=frame)["scopes"]}
        return self.children(scopes[name]["variablesReference"])

    def children(self, reference: int, **more: Any) -> dict[str, Message]:
        """The children of a variable, by name."""
        return {v["name"]: v for v in self.ask("variables", variablesReference=reference, **more)["variables"]}

    def repl(self, text: str) -> str:
        """What the debug console answers."""
        return self.ask("evaluate", expression=text, context="repl")["result"]

    def close(self) -> None:
        """Let the streams go, when the other side has."""
        self._reader.join(PATIENCE)
        for stream in (self.reading, self.writing):
            with contextlib.suppress(OSError):
                stream.close()

    def disconnect(self) -> None:
        """Say goodbye, and see that the other side closes."""
        self.ask("disconnect")
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.closed, PATIENCE)
        assert not self.wrong, self.wrong[0]


@contextlib.contextmanager
def connected(port: int) -> Iterator[Client]:
    """A client of an adapter that listens at a port."""
    made = socket.create_connection(("127.0.0.1", port))
    client = Client(made.makefile("rb"), made.makefile("wb"))
    try:
        yield client
    finally:
        with contextlib.suppress(OSError):  # ends the client's reading too
            made.shutdown(socket.SHUT_RDWR)
        client.close()
        made.close()


class Process:
    """`sohu-dap` as an editor starts it, and a client of it over stdio or TCP."""

    def __init__(self, folder: Folder, *options: str, tcp: bool = False) -> None:
        code = "import sys; from sohu.debugger.dap.cli import main; sys.exit(main())"
        options = (*options, "--port", "0", "--once") if tcp else options
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, *options],
            cwd=folder.path,
            env=folder.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdin and self.process.stdout and self.process.stderr
        if tcp:
            said = self.process.stderr.readline().decode()
            self.connection = connected(int(said.rpartition(":")[2]))
            self.client = self.connection.__enter__()
        else:
            self.connection = None
            self.client = Client(self.process.stdout, self.process.stdin)

    def __enter__(self) -> Client:
        return self.client

    def __exit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                assert self.process.stdin and self.process.stderr
                self.process.stdin.close()
                code, said = self.process.wait(PATIENCE), self.process.stderr.read().decode()
                assert (code, said) == (0, ""), f"exit code {code}\n{said}"
        finally:
            self.process.kill()
            self.process.wait()
            if self.connection is not None:
                self.connection.__exit__(None, None, None)
            for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()


class Inside:
    """An adapter in a thread of this process, and a client of it."""

    def __init__(self, served: Session | None = None) -> None:
        self.ours, theirs = socket.socketpair()
        self.theirs = theirs
        self.client = Client(self.ours.makefile("rb"), self.ours.makefile("wb"))
        self.reading, self.writing = theirs.makefile("rb"), theirs.makefile("wb")
        self.adapter = Adapter(self.reading, Writer(self.writing), served)
        self.thread = threading.Thread(target=self._talk, daemon=True)
        self.thread.start()

    def _talk(self) -> None:
        try:
            self.adapter.talk()
        finally:
            with contextlib.suppress(OSError):
                self.theirs.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Client:
        return self.client

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):
            self.ours.shutdown(socket.SHUT_RDWR)
        self.thread.join(PATIENCE)
        alive = self.thread.is_alive()
        self.client.close()
        for stream in (self.reading, self.writing):
            with contextlib.suppress(OSError):
                stream.close()
        self.ours.close()
        self.theirs.close()
        assert not alive
        assert error[0] is not None or not self.client.wrong, self.client.wrong[0]
