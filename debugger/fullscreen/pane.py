"""A pane: rows of painted text that scroll, and can be clicked. What is in them, contents.py says."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from prompt_toolkit.data_structures import Point
from prompt_toolkit.formatted_text import ANSI, StyleAndTextTuples, to_formatted_text
from prompt_toolkit.formatted_text.utils import fragment_list_len
from prompt_toolkit.layout.controls import UIContent, UIControl
from prompt_toolkit.mouse_events import MouseEvent, MouseEventType
from sohu.debugger.style import clean
from sohu.isa import SohuError

if TYPE_CHECKING:
    from prompt_toolkit.key_binding.key_bindings import NotImplementedOrNone

WHEEL = 3  # rows
MARGIN = 11  # columns of marks and numbers, where a click means a breakpoint


class Row:
    """A row on the screen: its text, and which item of the pane it shows (None: it can't be clicked)."""

    __slots__ = ("current", "item", "text", "underline")

    def __init__(
        self, text: str, item: int | None = None, *, current: bool = False, underline: tuple[int, int] | None = None
    ) -> None:
        self.text = text
        self.item = item
        self.current = current
        self.underline = underline  # columns [start, end)

    def fragments(self, width: int) -> StyleAndTextTuples:
        """What prompt_toolkit paints; the row of the current instruction over the whole width."""
        out = list(_fragments(self.text))
        if self.current:  # without its own colours: reversed, they could be read on no background
            low, high = self.underline or (0, 0)
            out = [
                ("class:current.expression" if low <= at < high else "class:current", text)
                for at, (_, text, *_) in enumerate(out)  # ANSI gives single characters
            ]
            out.append(("class:current", " " * max(0, width - fragment_list_len(out))))
        return out


@functools.lru_cache(1 << 12)
def _fragments(text: str) -> StyleAndTextTuples:
    """Colours as prompt_toolkit has them."""
    return to_formatted_text(ANSI(text))


class Contents:
    """What a pane shows. Items are counted from 0; an item can take several rows."""

    title = ""

    def total(self) -> int:
        """How many items there are."""
        raise NotImplementedError

    def rows(self, top: int, width: int, height: int) -> list[Row]:
        """The rows from an item on, as many as fit; more do not matter."""
        raise NotImplementedError

    def current(self) -> int | None:
        """The item that should be seen after a stop."""
        return None

    def click(self, item: int, margin: bool) -> bool:
        """Somebody has clicked on an item; `margin`: on the columns before its text. False: it means nothing here."""
        return False


class Pane(UIControl):
    """Shows Contents. `busy`: while it is true nothing of the program is looked at, and the last rows stay."""

    def __init__(self, name: str, contents: Contents, busy: Callable[[], bool], *, follows: bool = False) -> None:
        self.name = name
        self.contents = contents
        self.busy = busy
        self.follows = follows  # stays at its end, unless it was scrolled
        self.top = 0
        self.height = 1
        self.clicked: Callable[[], None] = lambda: None
        self._rows: list[Row] = []
        self._drawn: tuple[int, int, int] | None = None
        self._following = follows
        self._reveal = False  # once its height is known

    def changed(self, *, reveal: bool = False) -> None:
        """The program has moved: draw anew, and show where it stands."""
        self._drawn = None
        self._reveal = reveal

    def _show_current(self, width: int, height: int) -> None:
        """Choose `top` so that the current item is in sight, with something around it; leave it where it is so."""
        at = self.contents.current()
        self._clamp()
        if at is None or self._in_sight(at, width, height):
            return
        for before in (height // 2, height // 3, height // 4, height // 8, 1, 0):  # items can take several rows
            self.top = max(0, at - before)
            if self._in_sight(at, width, height):
                return

    def _in_sight(self, item: int, width: int, height: int) -> bool:
        items = [row.item for row in self._draw(width, height)]
        rows = slice(1 if self.top and height > 3 else 0, max(1, height - 2))
        return item in items[rows]

    def scroll(self, rows: int) -> None:
        """Up for negative numbers."""
        self.top += rows
        self._clamp()
        self._following = self.follows and self.top >= self._end()

    def to_end(self, start: bool = False) -> None:
        """To the last rows, or the first."""
        self.scroll(-(1 << 60) if start else 1 << 60)

    def _end(self) -> int:
        return max(0, self.contents.total() - self.height)

    def _clamp(self) -> None:
        # panes whose items take several rows can be scrolled until the last item is the first row
        last = self._end() if self.follows else max(0, self.contents.total() - 1)
        self.top = max(0, min(self.top, last))

    # -- what prompt_toolkit asks ------------------------------------------------------------------

    def is_focusable(self) -> bool:
        """Yes: keys then scroll it, and single letters are commands."""
        return True

    def create_content(self, width: int, height: int) -> UIContent:
        """The rows in sight."""
        if height != self.height:
            self.height = height
            self._reveal = True
        if not self.busy() or self.follows:
            if self._following:
                self.top = self._end()
            if self._reveal:
                self._reveal = False
                self._show_current(width, height)
            key = self.top, width, height
            if self._drawn != key or self.follows:
                self._rows = self._draw(width, height)
                self._drawn = key
        rows = self._rows
        return UIContent(
            get_line=lambda i: rows[i].fragments(width) if i < len(rows) else [],
            line_count=max(1, len(rows)),
            cursor_position=Point(0, 0),
            show_cursor=False,
        )

    def _draw(self, width: int, height: int) -> list[Row]:
        try:
            return self.contents.rows(self.top, width, height)[:height]
        except SohuError as e:  # a tile that lies nowhere, say
            return [Row(" " + clean(str(e).split("\n", 1)[0]))]

    def mouse_handler(self, mouse_event: MouseEvent) -> NotImplementedOrNone:
        """The wheel scrolls; a click is passed on."""
        kind = mouse_event.event_type
        if kind is MouseEventType.SCROLL_UP:
            self.scroll(-WHEEL)
        elif kind is MouseEventType.SCROLL_DOWN:
            self.scroll(WHEEL)
        elif kind is MouseEventType.MOUSE_UP:
            at = mouse_event.position
            item = self._rows[at.y].item if 0 <= at.y < len(self._rows) else None
            if item is None or self.busy() or not self.contents.click(item, at.x < MARGIN):
                self.clicked()  # the focus comes here, else it stays where the user types
        else:
            return NotImplemented
        return None
