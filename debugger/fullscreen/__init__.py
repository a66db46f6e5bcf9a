"""The full-screen mode: source, code, tiles and registers, queues, output and a command line at once."""

from sohu.debugger.fullscreen.screen import Screen

__all__ = ["Screen"]
