"""Run a kernel of a binary on arrays in .npy files."""

from sohu.emulator.run_cli import run as main

__all__ = ["main"]
