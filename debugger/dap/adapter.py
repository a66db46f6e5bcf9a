"""One conversation: requests in, responses and events out, and the program's movements between them.

Two threads. One reads requests; it answers at once what must be answered while the program runs (pause, threads) and
hands on all else. The other, the engine's, does these in order and lets the program run; nothing else touches the
session. A request that edits breakpoints while the program runs interrupts it, is done, and the run goes on.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from sohu.debugger.dap.console import Console
from sohu.debugger.dap.messages import Initialize
from sohu.debugger.dap.points import Points
from sohu.debugger.dap.protocol import ProtocolError, Writer, read_message
from sohu.debugger.dap.references import References
from sohu.debugger.dap.registry import Request, When, load_requests
from sohu.debugger.dap.sources import Places
from sohu.debugger.dap.stopping import Options, Place, report, threads_of
from sohu.debugger.dap.typed import BadRequest, read
from sohu.debugger.dap.values import Node
from sohu.debugger.errors import CommandError
from sohu.debugger.session import Session
from sohu.debugger.stops import Interrupted, Stop
from sohu.debugger.style import clean
from sohu.isa import SohuError

LAST = "disconnect"
NUDGE = 0.02  # seconds between tries to interrupt: between two runs of one movement none is heard
SEQUENCER = 1  # the thread that can be stepped

_IDS = {"protocol": 1, "arguments": 2, "state": 3, "failed": 4}


class Adapter:
    """A client and a session.

    served: the session of a Python program that attaching takes; without it, launch and attach make one.
    """

    def __init__(self, stream: BinaryIO, writer: Writer, served: Session | None = None) -> None:
        self.stream = stream
        self.writer = writer
        self.served = served
        self.client = Initialize()
        self.options = Options()
        self.requests = load_requests()
        self.frames: References[Place] = References("frame")
        self.nodes: References[tuple[Node, int]] = References(
            "variable"
        )  # with the level of the frame they are seen from
        self.targets: References[Callable[[], Stop]] = References("target")
        self.then: Callable[[], None] | None = None  # to be done when the response at hand has been sent
        self.make: Callable[[], Session] | None = None  # the session of the launch, once more
        self.points = Points(self)
        self.leaving = False  # the client wants the program to end
        self.initialized = self.configured = self.over = False
        self.threads: list[dict[str, Any]] = []  # as of the last stop
        self._session: Session | None = None
        self._inbox: queue.Queue[tuple[Request, dict[str, Any]] | None] = queue.Queue()
        self._lock = threading.Lock()  # of the next four
        self._moving = False
        self._turn = 0  # counts movements
        self._resumes = False  # this movement goes on after an edit
        self._wanted = ""  # why the program is to stop: "", "edit", "pause", "end"

    # -- the conversation --------------------------------------------------------------------------

    def talk(self) -> None:
        """Answer until the client goes. The caller's thread becomes the engine's."""
        reader = threading.Thread(target=self._read, name="sohu-dap reader", daemon=True)
        reader.start()
        while not self.over:
            item = self._inbox.get()
            if item is None:
                return
            made, message = item
            self._do(made, message)
            self.over = self.over or made.command == LAST

    def _read(self) -> None:
        while True:
            try:
                message = read_message(self.stream)
            except ProtocolError as e:
                self.output(f"sohu-dap: {e}\n", "important")
                if not e.fatal:
                    continue
                message = None
            except (OSError, ValueError):  # the connection has broken, or we have closed it
                message = None
            if message is None:
                self._interrupt("end")
                self._inbox.put(None)
                return
            self._receive(message)
            if message.get("command") == LAST:
                return  # whoever waits for more holds the stream when the process ends

    def _receive(self, message: dict[str, Any]) -> None:
        """In the reader's thread: answer a message, refuse it or hand it on."""
        if message.get("type") != "request":
            if message.get("type") not in ("response", "event"):
                self.output("sohu-dap: a message is no request\n", "important")
            return
        command, seq = message.get("command"), message.get("seq")
        if not isinstance(command, str) or type(seq) is not int or seq < 1:
            self.output("sohu-dap: a request has no command or no seq\n", "important")
            return
        known = self.requests.get(command)
        if known is None:
            self._fail(message, BadRequest(f"the request {clean(command[:80])!r} is not supported"), "protocol")
        elif known.when is When.ALWAYS:
            self._do(known, message)
        elif self._moving and known.when is When.STOPPED:
            self._refuse(message)
        else:
            self._inbox.put((known, message))
            if known.when is not When.STOPPED:
                self._interrupt("end" if known.when is When.END else "edit")

    def _do(self, made: Request, message: dict[str, Any]) -> None:
        then = None
        if made.when is When.END:
            self.leaving = False
        reading = made.when is When.ALWAYS
        try:
            if not self.initialized and made.command not in ("initialize", LAST):
                raise CommandError("the first request is initialize")
            if self._session is None and not made.setup:
                raise CommandError("there is no program yet", help="launch or attach comes first")
            args: Any = read(made.arguments, message.get("arguments") or {}, made.command)
            body = made.run(self, args)
        except SohuError as e:
            self._fail(message, e, "arguments" if isinstance(e, BadRequest) else "failed")
            return
        if not reading:
            then, self.then = self.then, None
        answer = {"type": "response", "request_seq": message["seq"], "success": True, "command": made.command}
        if body is not None:
            answer["body"] = body
        self.writer.send(answer)
        if then is not None:
            try:
                then()
            finally:
                self._moving = False

    def _fail(self, message: dict[str, Any], e: SohuError, kind: str, short: str = "") -> None:
        text = clean(str(e))
        error = {"id": _IDS[kind], "format": "{why}", "variables": {"why": text}, "showUser": kind == "failed"}
        answer = {
            "type": "response",
            "request_seq": message["seq"],
            "success": False,
            "command": clean(message["command"][:80]),
            "message": short or text.split("\n", 1)[0],
            "body": {"error": error},
        }
        self.writer.send(answer)

    def event(self, name: str, /, **body: Any) -> None:
        """Send an event."""
        self.writer.send({"type": "event", "event": name} | ({"body": body} if body else {}))

    def output(self, text: str, category: str = "console") -> None:
        """Show text at the client's debug console."""
        self.event("output", category=category, output=clean(text))

    # -- the session -------------------------------------------------------------------------------

    @property
    def attached(self) -> bool:
        """True when there is a program to debug."""
        return self._session is not None

    @property
    def session(self) -> Session:
        """The program being debugged; there is one, or the request would have been refused."""
        assert self._session is not None
        return self._session

    def adopt(self, session: Session) -> None:
        """Debug this one from now on; breakpoints that the client has set stand in it too."""
        self._session = session
        session.output = lambda text: self.output(f"{text}\n", "stdout")
        self.places = Places(session, self.client)
        self.console = Console(self)
        self.threads = threads_of(session)
        self.points.place_again()
        self.forget()

    @contextlib.contextmanager
    def seen_from(self, level: int | None) -> Iterator[None]:
        """Names mean the variables of a frame, by its level; None for the one that is selected at the console."""
        before = self.session.level
        self.session.level = before if level is None else level
        try:
            yield
        finally:
            self.session.level = before

    def leave(self, end: bool) -> None:
        """The client goes: take its breakpoints away, and end the run if it is to end."""
        for kind in list(self.points.kinds):
            self.points.replace(kind, [])
        if end:
            self.session.kill()

    def forget(self) -> None:
        """Numbers given out for frames and variables are void: the program moves, or its values change."""
        self.frames.clear()
        self.nodes.clear()
        self.targets.clear()

    def changed(self) -> None:
        """Values of the machine have been changed: let the client ask for them anew."""
        if self.client.supportsInvalidatedEvent:
            self.event("invalidated", areas=["variables"])

    # -- movements ---------------------------------------------------------------------------------

    def go(self, do: Callable[[], Stop], again: Callable[[], Stop] | None = None, reason: str = "") -> None:
        """Let the program run, once the response has been sent, and tell the client where it stops.

        again: how it goes on after it was interrupted for a request that edits breakpoints; without it such a request
        waits for the movement's end. reason: of the stop, where the movement has come to its own end.
        """

        def then() -> None:
            try:
                stop = self.console.after(self.move(do, again))
            except SohuError as e:
                self.output(f"{e}\n", "important")
                stop = self.session.stop
            if self.leaving:
                return
            if stop is None:
                self.event("terminated")
            else:
                report(self, stop, reason)

        self.then = then
        self._moving = True  # before the response is sent: the client may not see it stand any more

    def move(self, do: Callable[[], Stop], again: Callable[[], Stop] | None = None) -> Stop:
        """Let the program run now. Raises SohuError for what cannot be done."""
        self.forget()
        with self._lock:
            self._moving, self._turn, self._resumes = True, self._turn + 1, again is not None
            wanted = self._wanted
        if wanted:
            self._interrupt(wanted)  # it came before the movement had begun
        try:
            while True:
                try:
                    stop = do()
                except KeyboardInterrupt:  # so does a search in the past end that is interrupted
                    if not self._wanted:
                        raise
                    session = self.session
                    stop = session.ended(Interrupted(session.machine.pc, session.position))
                if self._wanted == "end":
                    self.leaving = True
                if again is None or self._wanted != "edit" or not isinstance(stop, Interrupted):
                    return stop
                self._wanted = ""
                self._edits()
                do = again
        finally:
            with self._lock:
                self._moving, self._wanted = False, ""

    def _edits(self) -> None:
        """Do what came while the program ran."""
        while not self._inbox.empty():
            item = self._inbox.get()
            if item is None:
                self._inbox.put(None)
                self._wanted = "end"
                return
            made, message = item
            if made.when is When.STOPPED:
                self._refuse(message)
            else:
                self._do(made, message)

    def _refuse(self, message: dict[str, Any]) -> None:
        self._fail(message, CommandError("the program is running", help="pause it first"), "state", "notStopped")

    def pause(self) -> None:
        """Stop a program that runs, soon; from any thread."""
        self._interrupt("pause")

    def _interrupt(self, why: str) -> None:
        with self._lock:
            if not self._moving or (why == "edit" and not self._resumes):
                return
            order = ("", "edit", "pause", "end")
            self._wanted = max(self._wanted, why, key=order.index)
            turn = self._turn
        threading.Thread(target=self._nudge, args=(turn,), name="sohu-dap interrupt", daemon=True).start()

    def _nudge(self, turn: int) -> None:
        pause = threading.Event()
        while True:
            with self._lock:
                if not self._moving or self._turn != turn or not self._wanted:
                    return
                self.session.interrupt()
            pause.wait(NUDGE)
