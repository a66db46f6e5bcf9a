"""Where the panes lie: two columns over output and a command line; one column on narrow terminals.

Borders are rows and columns of their own, dragged with the mouse or moved with keys. Every size follows from that of
the terminal and from four shares, so that a terminal of another size looks the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prompt_toolkit.data_structures import Size
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout import Container, DynamicContainer, HSplit, VSplit, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.mouse_handlers import MouseHandlers
from prompt_toolkit.layout.screen import Screen as Canvas
from prompt_toolkit.layout.screen import WritePosition
from prompt_toolkit.mouse_events import MouseEvent, MouseEventType
from sohu.debugger.fullscreen.pane import Pane
from sohu.debugger.style import clean

if TYPE_CHECKING:
    from prompt_toolkit.key_binding.key_bindings import NotImplementedOrNone

NARROW = 70  # columns below which panes stand in one column
LEAST = 3  # rows of a pane with its border
SOURCE, CODE, STATE, QUEUES, LOG = "source", "code", "state", "queues", "output"
ABOVE = (SOURCE, CODE, STATE, QUEUES)
SHARES = {"left": 0.55, SOURCE: 0.5, STATE: 0.65, LOG: 0.3}


@dataclass(frozen=True)
class Sizes:
    """Columns of the left side (0: there is one column), and rows of each pane, its border counted; 0: not shown."""

    left: int
    rows: Mapping[str, int]


def arrange(columns: int, rows: int, shares: Mapping[str, float], wanted: str) -> Sizes:
    """Sizes for a terminal; where not all have room, the pane `wanted` has."""
    room = max(0, rows - 2)  # without command line and status
    log = _part(room, shares[LOG], 2, LEAST)
    above = room - log
    if columns >= NARROW and above >= 2 * LEAST:
        source, state = (_part(above, shares[name], LEAST, LEAST) for name in (SOURCE, STATE))
        left = _part(columns, shares["left"], 20, 20)
        return Sizes(left, {SOURCE: source, CODE: above - source, STATE: state, QUEUES: above - state, LOG: log})
    first = wanted if wanted in ABOVE else SOURCE
    order = [first, *(name for name in ABOVE if name != first)]
    shown = order[: max(1, min(3, above // 5))] if above else []
    out = dict.fromkeys((*ABOVE, LOG), 0) | {LOG: log}
    left_over = above
    for i, name in enumerate(shown):
        out[name] = left_over // (len(shown) - i)
        left_over -= out[name]
    return Sizes(0, out)


def _part(whole: int, share: float, least: int, rest: int) -> int:
    """A share of a whole, at least so much, and so that so much is left for the rest."""
    return max(0, min(max(least, round(whole * share)), whole - rest)) if whole >= least + rest else whole // 2


class Arrangement:
    """The containers of the panes, and how they are resized."""

    def __init__(
        self, panes: Mapping[str, Pane], bottom: list[Container], size: Callable[[], Size], ascii: bool = False
    ) -> None:
        self.panes = panes
        self.horizontal, self.vertical = ("-", "|") if ascii else ("─", "│")
        self.shares = dict(SHARES)
        self.size = size
        self.wanted = SOURCE  # the pane that had the focus last
        self.dragged: str | None = None  # the share that the mouse changes
        self.windows = {
            name: Window(pane, wrap_lines=False, always_hide_cursor=True, height=self._rows(name))
            for name, pane in panes.items()
        }
        border = Window(FormattedTextControl(self._border), width=1, style="class:border")
        left, right = ([self._framed(n) for n in names] for names in ((SOURCE, CODE), (STATE, QUEUES)))
        wide = VSplit([HSplit(left, width=self._left), border, HSplit(right)])
        narrow = {tuple(names): HSplit([self._framed(n) for n in names]) for names in _orders()}
        above = DynamicContainer(lambda: wide if self.sizes.left else narrow[self._shown()])
        self.root: Container = _Draggable(HSplit([above, self._framed(LOG), *bottom]), self)

    @property
    def sizes(self) -> Sizes:
        """For the terminal as it is now."""
        size = self.size()
        return arrange(size.columns, size.rows, self.shares, self.wanted)

    def _shown(self) -> tuple[str, ...]:
        return tuple(name for name in ABOVE if self.sizes.rows[name])

    def _left(self) -> Dimension:
        return Dimension.exact(self.sizes.left)

    def _rows(self, name: str) -> Callable[[], Dimension]:
        return lambda: Dimension.exact(max(0, self.sizes.rows[name] - 1))

    def _framed(self, name: str) -> Container:
        title = Window(FormattedTextControl(lambda: self._title(name)), height=1, style="class:border")
        return HSplit([title, self.windows[name]])

    # -- borders -----------------------------------------------------------------------------------

    def _title(self, name: str) -> StyleAndTextTuples:
        from prompt_toolkit.application import get_app

        focused = get_app().layout.has_focus(self.windows[name])
        style = "class:title.focused" if focused else "class:title"
        handler = self._grab(name)
        title = clean(self.panes[name].contents.title)
        return [
            ("class:border", self.horizontal * 2, handler),
            (style, f" {title} ", handler),
            ("class:border", self.horizontal * 500, handler),
        ]

    def _border(self) -> StyleAndTextTuples:
        return [("class:border", f"{self.vertical}\n" * 500, self._grab("left"))]

    def _grab(self, name: str) -> Callable[[MouseEvent], NotImplementedOrNone]:
        def handler(event: MouseEvent) -> NotImplementedOrNone:
            if event.event_type is MouseEventType.MOUSE_DOWN:
                self.dragged = {CODE: SOURCE, QUEUES: STATE, LOG: LOG, "left": "left"}.get(name)
                return None
            return NotImplemented

        return handler

    def drag(self, event: MouseEvent) -> NotImplementedOrNone:
        """The mouse, while a border is held; places are those of the whole screen."""
        if event.event_type is MouseEventType.MOUSE_UP:
            self.dragged = None
        elif event.event_type is MouseEventType.MOUSE_MOVE and self.dragged is not None:
            size, sizes = self.size(), self.sizes
            if self.dragged == "left":
                self._set("left", event.position.x / max(1, size.columns))
            elif self.dragged == LOG:
                self._set(LOG, 1 - event.position.y / max(1, size.rows - 2))
            else:
                self._set(self.dragged, event.position.y / max(1, size.rows - 2 - sizes.rows[LOG]))
        else:
            return NotImplemented
        return None

    def resize(self, name: str, rows: int, columns: int) -> None:
        """Make a pane larger or smaller by so much."""
        size, sizes = self.size(), self.sizes
        if rows:
            room = size.rows - 2 if name == LOG else size.rows - 2 - sizes.rows[LOG]
            share, sign = {CODE: (SOURCE, -1), QUEUES: (STATE, -1)}.get(name, (name, 1))
            now = sizes.rows[share] or 1
            self._set(share, (now + sign * rows) / max(1, room))
        if columns and name != LOG:
            sign = 1 if name in (SOURCE, CODE) else -1
            self._set("left", (sizes.left + sign * columns) / max(1, size.columns))

    def _set(self, name: str, share: float) -> None:
        self.shares[name] = min(0.95, max(0.05, share))


def _orders() -> list[tuple[str, ...]]:
    """Every selection of panes above the output, in their order."""
    return [tuple(n for i, n in enumerate(ABOVE) if bits >> i & 1) for bits in range(1 << len(ABOVE))]


class _Draggable(Container):
    """All of the screen; while a border is held, the mouse is its alone."""

    def __init__(self, inner: Container, arrangement: Arrangement) -> None:
        self.inner = inner
        self.arrangement = arrangement

    def reset(self) -> None:
        self.inner.reset()

    def preferred_width(self, max_available_width: int) -> Dimension:
        return self.inner.preferred_width(max_available_width)

    def preferred_height(self, width: int, max_available_height: int) -> Dimension:
        return self.inner.preferred_height(width, max_available_height)

    def get_children(self) -> list[Container]:
        return [self.inner]

    def write_to_screen(
        self,
        screen: Canvas,
        mouse_handlers: MouseHandlers,
        write_position: WritePosition,
        parent_style: str,
        erase_bg: bool,
        z_index: int | None,
    ) -> None:
        at = write_position
        self.inner.write_to_screen(screen, mouse_handlers, at, parent_style, erase_bg, z_index)
        if self.arrangement.dragged is not None:
            screen.draw_with_z_index(
                1 << 20,
                lambda: mouse_handlers.set_mouse_handler_for_range(
                    at.xpos, at.xpos + at.width, at.ypos, at.ypos + at.height, self.arrangement.drag
                ),
            )
