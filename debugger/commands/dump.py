"""The command `dump`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sohu.debugger.arguments import operands, read_operand, words
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.emulator.run_cli import write_arrays

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("dump", group="data", complete=operands, repeat=None)
def dump(shell: Shell, text: str) -> None:
    """Write a tile, or what is computed, to a .npy file: dump [-f] FILE.npy EXPRESSION.

    Example: dump acc.npy acc[0:16, :]

    A file that is there is replaced only with -f. Elements are written as the chip stores them, in row-major order;
    those of formats that NumPy does not have as bytes (numpy.load(FILE).view(ml_dtypes.bfloat16)).
    """
    force, (file,), expression = words(text, "-f", 1, "dump [-f] FILE.npy EXPRESSION")
    if not file.endswith(".npy"):
        raise CommandError(f"{file}: arrays are written to .npy files", help=f"dump {file}.npy ...")
    if not expression:
        raise CommandError("dump what?", help="dump FILE.npy EXPRESSION")
    path = Path(file).expanduser()
    if path.exists() and not force:
        raise CommandError(f"{path} is there already", help=f"dump -f {file} ... replaces it")
    value, _, rest = read_operand(shell.session, expression)
    if rest:
        raise CommandError(f"{rest!r} is not expected here")
    array = np.asarray(value.data)
    if array.dtype.kind not in "biufV":
        raise CommandError(f"{expression} holds no numbers")
    write_arrays({path: array})
    shell.write(f"{path}: {value.dtype or array.dtype}{list(array.shape)}, {array.nbytes:,} bytes")
