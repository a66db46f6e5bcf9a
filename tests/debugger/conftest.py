"""What the tests of the debugger share."""

from pathlib import Path

import numpy as np
import pytest
from sohu.asm import assemble
from sohu.debugger import Session
from sohu.emulator import Device

from tests.debugger.support import ARGS, SCALE, Folder, X


@pytest.fixture
def session() -> Session:
    """A session of SCALE with all arguments, not running yet."""
    return Session(assemble(SCALE, "scale.s"), args=ARGS, device=Device("small"))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder with scale.elf and its argument x.npy."""
    made = Folder(tmp_path)
    made.add("scale", SCALE)
    np.save(tmp_path / "x.npy", X)
    return made
