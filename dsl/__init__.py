"""The kernel language: Python functions over tiles, their IR, and the way down to assembly."""
