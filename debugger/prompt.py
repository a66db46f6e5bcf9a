"""The prompt in a terminal: history, completion, suggestions, a toolbar."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText, StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style as Colours
from sohu.debugger.display import place_name, short
from sohu.debugger.errors import CommandError
from sohu.debugger.style import clean

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell

PROMPT = "(sohu) "


class CommandCompleter(Completer):
    """Commands first, then what the command takes; beside commands what they do, beside lines what stands there."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """What the word before the cursor can become."""
        text = document.text_before_cursor
        m = re.search(r"[$\w.:*/~=-]*$", text)
        word = (m[0] if m is not None else "").lstrip("*")
        for name in self.shell.complete(text):
            if name.startswith(word) and name != word:
                yield Completion(clean(name), start_position=-len(word), display_meta=self._about(text, name))

    def _about(self, text: str, name: str) -> str:
        commands = self.shell.commands.table
        before = text.split()[: -1 if text[-1:].strip() else None]
        if (made := commands.get(" ".join([*before, name]))) is not None:
            return made.summary
        if m := re.fullmatch(r"(.+):(\d+)", name):
            files = self.shell.session.symbols.matching(m[1])
            return clean(self.shell.sources.line(files[0], int(m[2])).strip()) if files else ""
        return ""


class CommandLexer(Lexer):
    """Paints a command line while it is typed: a command that is there, and its expression."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """The painted line."""
        line = document.text
        m = _HEAD.match(line)
        assert m is not None
        known = not self.shell.collecting and self._known(m[2])
        parts: StyleAndTextTuples = [("", m[1]), ("class:command" if known else "", m[2])]
        for token in _TOKENS.finditer(line, m.end()):
            parts.append((f"class:{token.lastgroup}" if token.lastgroup != "other" else "", token[0]))
        return lambda number: parts if number == 0 else []

    def _known(self, word: str) -> bool:
        try:
            return bool(word) and bool(self.shell.commands.find(word))
        except CommandError:
            return False


_HEAD = re.compile(r"(\s*)((?:[A-Za-z?][\w-]*)?)")
_TOKENS = re.compile(
    r"(?P<number>\b\d[\w.]*)|(?P<string>\"[^\"]*\"?|'[^']*'?)|(?P<register>\$\w*)|(?P<other>\w+|.)", re.DOTALL
)
COLOURS = Colours.from_dict(
    {"command": "bold ansigreen", "number": "ansicyan", "string": "ansiyellow", "register": "ansimagenta"}
)


def history_file() -> Path:
    """Where commands are remembered: $XDG_STATE_HOME/sohu/dbg_history (~/.local/state by default)."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home and os.path.isabs(home) else Path.home() / ".local/state") / "sohu/dbg_history"


def history(shell: Shell) -> History:
    """Of all sessions; of this one alone where nothing can be written. The same for the prompt and the full screen."""
    if shell.history is None:
        shell.history = _history()
    return shell.history


def _history() -> History:
    try:
        path = history_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a"):
            return FileHistory(str(path))
    except (OSError, RuntimeError):  # a read-only home, or none
        return InMemoryHistory()


def toolbar(shell: Shell) -> FormattedText:
    """Where the program stands: pc, name, line, counts; how far it has been run, and whether it can go back fast."""
    session = shell.session
    if not session.running:
        return FormattedText([("", clean(f" {session.kernel.name}: not running"))])
    machine = session.machine
    here, last = session.progress
    line = session.line
    parts = [f"pc {session.pc:#06x}", place_name(shell, session.pc)]
    parts += [f"{short(line.file)}:{line.line}"] if line is not None else []
    several = machine.chips > 1
    parts += [f"chip {machine.chip} of {machine.chips}"] if several else []
    far = (f", {here:,} of {last:,} of all chips" if several else f" of {last:,}") + " (back in time)"
    parts += [f"instruction {session.position:,}" + (far if last > here else "")]
    parts += [f"cycle {session.cycle:,}"] if session.cycle is not None else []
    parts += ["not recording"] if not session.record else []
    parts += ["stopped by an error"] if not session.alive else []
    return FormattedText([("", clean(" " + "   ".join(p for p in parts if p)))])


def read_terminal(shell: Shell) -> None:
    """Prompt for commands and do them until Ctrl-D. Raises Quit."""
    keys = KeyBindings()

    @keys.add("c-x", "a")
    @keys.add("c-x", "c-a")
    def _(event: KeyPressEvent) -> None:
        event.app.exit(result="tui")

    prompt: PromptSession[str] = PromptSession(
        lambda: ">" if shell.collecting else PROMPT,
        history=history(shell),
        completer=CommandCompleter(shell),
        complete_while_typing=False,
        auto_suggest=AutoSuggestFromHistory(),
        bottom_toolbar=lambda: toolbar(shell),
        lexer=CommandLexer(shell),
        style=COLOURS if shell.style.colour else None,
        key_bindings=keys,
        color_depth=None if shell.style.colour else ColorDepth.DEPTH_1_BIT,
    )
    while True:
        try:
            line = prompt.prompt()
        except KeyboardInterrupt:
            shell.give_up()  # what was typed
            continue
        except EOFError:
            return
        try:
            if line.strip():
                shell.execute(line)
            else:
                shell.again()
        except KeyboardInterrupt:
            shell.write("interrupted")
