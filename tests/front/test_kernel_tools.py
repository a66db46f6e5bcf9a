"""`kernel.debug(...)`: tools attached to kernels by entry points."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sohu.dsl.kernels.softmax import softmax

SCRIPT = """
import numpy as np
from sohu.dsl.kernels.softmax import softmax
x = np.ones((3, 4), np.float32)
session = softmax.debug(x)
print("output", session.stop.outputs["y"][2, 3], x.sum())
"""


def test_debug_opens_the_debugger_on_a_call(tmp_path: Path) -> None:
    """Commands come from a pipe; the outputs are in the session when the kernel ran to its end."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    commands = "break 18\ncontinue\nprint t[0, 0:2]\ndelete\ncontinue\n"
    done = subprocess.run([sys.executable, script], input=commands, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "softmax.py:18" in done.stdout
    assert "t[0, 0:2] = f32[2]" in done.stdout
    assert done.stdout.rstrip().endswith("output 0.25 12.0")


def test_an_unknown_tool_is_an_ordinary_missing_attribute() -> None:
    with pytest.raises(AttributeError, match="a kernel has no 'polish'"):
        softmax.polish  # noqa: B018
    assert not hasattr(softmax, "_private")
