"""The screen: puts panes and command line together, and does commands in a thread, so that it stays alive."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prompt_toolkit.application import Application
from prompt_toolkit.application.current import get_app_session
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout import ConditionalContainer, Float, FloatContainer, Layout, Window
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import AppendAutoSuggestion, BeforeInput
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style as Colours
from prompt_toolkit.styles import merge_styles
from prompt_toolkit.widgets import SearchToolbar
from sohu.debugger.fullscreen import keys
from sohu.debugger.fullscreen.arrangement import CODE, LOG, QUEUES, SOURCE, STATE, Arrangement
from sohu.debugger.fullscreen.contents import Code, Log, Queues, Source, State
from sohu.debugger.fullscreen.pane import Pane
from sohu.debugger.prompt import COLOURS, PROMPT, CommandCompleter, CommandLexer, history, toolbar

if TYPE_CHECKING:
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output
    from sohu.debugger.shell import Shell

_COLOURS = Colours.from_dict(
    {
        "border": "#888888",
        "title": "#888888",
        "title.focused": "bold reverse",
        "current": "reverse",
        "current.expression": "reverse bold underline",
        "status": "reverse",
    }
)
_PLAIN = Colours.from_dict(
    {
        "title.focused": "reverse",
        "current": "reverse",
        "current.expression": "reverse underline",
        "status": "reverse",
    }
)
TYPED_AHEAD = 64  # lines, or keys that are held
PATIENCE = 0.5  # seconds after which a line that waits is said to
FLASH = 0.15  # seconds that a command may take before the status says that it runs
WELCOME = "F1 lists the keys, Ctrl-X a leaves the full screen\n"


class Screen:
    """The full-screen mode of a shell, until it is left."""

    def __init__(self, shell: Shell, *, input: Input | None = None, output: Output | None = None) -> None:
        self.shell = shell
        self.colour = shell.style.colour
        self.running: threading.Thread | None = None
        self.quit = False
        self.source, self.code, self.state, self.queues = Source(self), Code(self), State(self), Queues(self)
        self.log = Log(self)
        self._waiting: deque[str] = deque()  # lines that were typed while another was done
        self._began = 0.0  # when the command at hand did
        self._stood: StyleAndTextTuples = []  # what the status was before it
        self._failure: BaseException | None = None
        contents = {SOURCE: self.source, CODE: self.code, STATE: self.state, QUEUES: self.queues, LOG: self.log}
        self.panes = {name: Pane(name, what, lambda: self.busy, follows=name == LOG) for name, what in contents.items()}
        search = SearchToolbar()
        self.line = Buffer(
            completer=CommandCompleter(shell),
            history=history(shell),
            auto_suggest=AutoSuggestFromHistory(),
            enable_history_search=False,
            multiline=False,
            accept_handler=self._accept,
        )
        self.prompt = Window(
            BufferControl(
                self.line,
                lexer=CommandLexer(shell),
                preview_search=True,
                input_processors=[BeforeInput(lambda: ">" if shell.collecting else PROMPT), AppendAutoSuggestion()],
                search_buffer_control=search.control,
            ),
            height=1,
        )
        status = Window(FormattedTextControl(self._status), height=1, style="class:status")
        searching = Condition(lambda: self.app.layout.is_searching)
        bottom = [self.prompt, ConditionalContainer(status, ~searching), ConditionalContainer(search, searching)]
        self.arrangement = Arrangement(self.panes, bottom, (output or get_app_session().output).get_size, shell.ascii)
        for name, pane in self.panes.items():
            pane.clicked = lambda name=name: self.focus(name)  # type: ignore[misc]  # mypy knows no default of a lambda
        menu = Float(CompletionsMenu(max_height=8, scroll_offset=1), xcursor=True, ycursor=True)
        self.app: Application[None] = Application(
            Layout(FloatContainer(self.arrangement.root, [menu]), focused_element=self.prompt),
            key_bindings=keys.bindings(self),
            style=merge_styles([COLOURS, _COLOURS]) if self.colour else _PLAIN,
            color_depth=None if self.colour else ColorDepth.DEPTH_1_BIT,
            mouse_support=True,
            full_screen=True,
            input=input,
            output=output,
        )
        self.app.ttimeoutlen = self.app.timeoutlen = 0.1  # for Escape alone

    # -- what others ask ---------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """A command is being done: the program may move, and is not looked at."""
        return self.running is not None

    def redraw(self) -> None:
        """Soon; also from another thread."""
        self.app.invalidate()

    def focus(self, name: str) -> None:
        """To a pane, or "" for the command line."""
        if name and name in self.panes:
            self.arrangement.wanted = name if name != LOG else self.arrangement.wanted
            self.app.layout.focus(self.arrangement.windows[name])
        else:
            self.app.layout.focus(self.prompt)

    @property
    def focused(self) -> str:
        """The name of the pane that has the focus; "" for the command line."""
        return next((n for n, w in self.arrangement.windows.items() if self.app.layout.has_focus(w)), "")

    def next_focus(self) -> None:
        """Round all panes and the command line; a pane that had no room gets some."""
        round_ = ["", *self.panes]
        at = round_.index(self.focused) if self.focused in round_ else 0
        self.focus(round_[(at + 1) % len(round_)])

    def toggle(self, there: list[str] | None, place: str) -> None:
        """Delete breakpoints, or set one where there are none."""
        self.enter(f"delete {' '.join(there)}" if there else f"break {place}")

    # -- commands ----------------------------------------------------------------------------------

    def _accept(self, buffer: Buffer) -> bool:
        self.enter(buffer.text)
        return False  # and empty the line

    def enter(self, text: str) -> None:
        """Do a command line in a thread of its own, after those that were typed before."""
        if self.busy:
            if text.strip() in ("q", "quit", "exit"):
                self.quit = True
                self.shell.session.interrupt()
            elif len(self._waiting) < TYPED_AHEAD:
                self._waiting.append(text)
                if time.monotonic() - self._began > PATIENCE:
                    self.log.write("the program is running; this is done when it has stopped, Ctrl-C stops it\n")
            return
        again = not text.strip()
        self.log.write(self.shell.style.paint("dim", PROMPT + self.shell.style.safe(text)) + "\n")
        self._began = time.monotonic()
        self.running = threading.Thread(target=self._work, args=(text, again), daemon=True)
        self.running.start()

    def _work(self, text: str, again: bool) -> None:
        from sohu.debugger.shell import Quit

        try:
            if again:
                self.shell.again()
            else:
                self.shell.execute(text)
        except Quit:
            self.quit = True
        except BaseException as e:  # noqa: BLE001  # a bug of ours: raised where everybody sees it
            self._failure = e
        self._call(self._done)

    def _call(self, do: Any) -> None:
        loop = self.app.loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(do)

    def _done(self) -> None:
        self.running = None
        if self._failure is not None:
            self.app.exit(exception=self._failure)
        elif self.quit or self.shell.fullscreen is not self:
            self.app.exit()
        else:
            self.refresh()
            if self._waiting:
                self.enter(self._waiting.popleft())

    def interrupt(self) -> None:
        """Ctrl-C: stop the program; on the command line, give up what was typed."""
        self._waiting.clear()
        if self.busy:
            self.shell.session.interrupt()
        else:
            self.line.reset()
            self.focus("")

    def leave(self) -> None:
        """Back to the prompt; not while the program runs."""
        if self.busy:
            self.log.write("the program is running; Ctrl-C stops it\n")
        else:
            self.app.exit()

    def refresh(self) -> None:
        """Show everything as it is now, and where the program stands."""
        self.source.follow()
        self.state.collect()
        self.queues.collect()
        for pane in self.panes.values():
            pane.changed(reveal=True)
        self.redraw()

    def _status(self) -> StyleAndTextTuples:
        if self.busy and time.monotonic() - self._began < FLASH:
            return self._stood
        if self.busy:
            count = self.shell.session.machine.instructions
            return [("", f" running   instruction {count:,}   Ctrl-C stops it")]
        hint = f"{self.focused}: s n i o f c, capitals go back; Esc: commands" if self.focused else "F1 keys"
        self._stood = [*toolbar(self.shell), ("", f"   {hint}")]
        return self._stood

    # -- its life ----------------------------------------------------------------------------------

    def run(self) -> bool:
        """Until the user leaves it; False when they want to leave the debugger too."""
        with self._as_output():
            self.log.write(WELCOME)
            self.refresh()
            self.app.run(pre_run=self._tick)
        return not self.quit

    def _tick(self) -> None:
        """While a program runs, its count of instructions is shown now and then."""

        async def count() -> None:
            import asyncio

            while True:
                await asyncio.sleep(0.25)
                if self.busy:
                    self.app.invalidate()

        self.app.create_background_task(count())

    @contextlib.contextmanager
    def _as_output(self) -> Iterator[None]:
        """The shell prints here."""
        shell = self.shell
        before = shell.out, shell.err, shell.fullscreen
        shell.out, shell.err, shell.fullscreen = self.log, self.log, self
        try:
            yield
        finally:
            shell.out, shell.err, shell.fullscreen = before
