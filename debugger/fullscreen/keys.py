"""The keys of the full-screen mode: GDB's TUI and its SingleKey mode, and function keys as in editors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prompt_toolkit.filters import Condition, Filter
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

if TYPE_CHECKING:
    from sohu.debugger.fullscreen.screen import Screen

SINGLE = {
    "s": "step", "n": "next", "i": "stepi", "o": "nexti", "f": "finish", "c": "continue",
    "S": "reverse-step", "N": "reverse-next", "I": "reverse-stepi", "O": "reverse-nexti", "F": "reverse-finish",
    "C": "reverse-continue",
    "u": "up", "d": "down", "r": "run", "v": "info locals", "w": "where",
}  # fmt: skip
FUNCTION = {
    "f5": "continue", "f17": "reverse-continue", "f10": "next", "f22": "reverse-next", "f11": "step",
    "f23": "reverse-step", "f12": "finish", "f24": "reverse-finish",
}  # fmt: skip
HELP = """\
Ctrl-X o   to the next pane            Esc       back to the command line
Ctrl-X s   to the source               Ctrl-X a  leave the full screen, as `tui` does
in a pane  s step  n next  i stepi  o nexti  f finish  c continue  r run  u up  d down  v info locals  w where
           capitals S N I O F C go back in time; arrows, PageUp, PageDown, Home and End scroll
Alt-arrow  resize the pane             Enter     the last command again
F5 continue  F9 breakpoint  F10 next  F11 step  F12 finish; Shift-F5, F10, F11 and F12 go back in time
Ctrl-C     stop the program            Ctrl-R    search the history
mouse      wheel scrolls; a click on a line's number sets or deletes a breakpoint; borders can be dragged;
           with Shift the terminal's own selection works
"""


def bindings(screen: Screen) -> KeyBindings:
    """All of them."""
    keys = KeyBindings()
    in_pane = Condition(lambda: bool(screen.focused))
    in_line = ~in_pane

    def bind(*sequence: str, when: Filter | None = None) -> Callable[[Callable[[], None]], Callable[[], None]]:
        def define(do: Callable[[], None]) -> Callable[[], None]:
            def handler(event: KeyPressEvent) -> None:
                do()

            keys.add(*sequence, filter=True if when is None else when)(handler)
            return do

        return define

    for key, text in FUNCTION.items():
        bind(key)(lambda text=text: screen.enter(text))  # type: ignore[misc]  # mypy knows no default of a lambda
    for key, text in SINGLE.items():
        bind(key, when=in_pane)(lambda text=text: screen.enter(text))  # type: ignore[misc]

    bind("c-c")(screen.interrupt)
    bind("<sigint>")(screen.interrupt)
    bind("c-x", "a")(screen.leave)
    bind("c-x", "c-a")(screen.leave)
    bind("c-x", "o")(screen.next_focus)
    bind("c-x", "s")(lambda: screen.focus("" if screen.focused else "source"))
    bind("c-l")(lambda: screen.app.renderer.clear())
    bind("f9")(lambda: screen.toggle(_here(screen), f"*{screen.shell.session.pc:#x}"))
    bind("escape", when=in_pane)(lambda: screen.focus(""))
    bind("q", when=in_pane)(lambda: screen.focus(""))
    bind("enter", when=in_pane)(lambda: screen.enter(""))
    bind("f1")(lambda: _help(screen))
    bind("?", when=in_pane)(lambda: _help(screen))

    @bind("c-d", when=in_pane)
    def _quit() -> None:
        screen.focus("")

    @bind("c-d", when=Condition(lambda: not screen.focused and not screen.line.text))
    def _end() -> None:
        screen.enter("quit")

    def scroll(rows: Callable[[], int]) -> Callable[[], None]:
        return lambda: screen.panes[screen.focused].scroll(rows())

    def page() -> int:
        return max(1, screen.panes[screen.focused].height - 1)

    bind("up", when=in_pane)(scroll(lambda: -1))
    bind("down", when=in_pane)(scroll(lambda: 1))
    bind("pageup", when=in_pane)(scroll(lambda: -page()))
    bind("pagedown", when=in_pane)(scroll(page))
    bind("home", when=in_pane)(lambda: screen.panes[screen.focused].to_end(start=True))
    bind("end", when=in_pane)(lambda: screen.panes[screen.focused].to_end())
    bind("pageup", when=in_line)(lambda: screen.panes["output"].scroll(-max(1, screen.panes["output"].height - 1)))
    bind("pagedown", when=in_line)(lambda: screen.panes["output"].scroll(max(1, screen.panes["output"].height - 1)))

    def resize(rows: int, columns: int) -> Callable[[], None]:
        return lambda: screen.arrangement.resize(screen.focused or "source", rows, columns)

    bind("escape", "up")(resize(-1, 0))
    bind("escape", "down")(resize(1, 0))
    bind("escape", "left")(resize(0, -2))
    bind("escape", "right")(resize(0, 2))
    return keys


def _here(screen: Screen) -> list[str]:
    session = screen.shell.session
    return [str(b.number) for b in session.breakpoints.values() if session.pc in b.pcs]


def _help(screen: Screen) -> None:
    screen.log.write(HELP)
