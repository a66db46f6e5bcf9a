"""The machine as data: instruction rows and semantics, dtypes, registers, chip configurations."""

from sohu.isa import extensions as _extensions
from sohu.isa import rows as _rows  # fills ROWS
from sohu.isa.chip import Chip, chips, load_chip
from sohu.isa.dtypes import BY_CODE, DTYPES, DType, bf16, dtype, dtype_of, f16, f32, i32, u8
from sohu.isa.errors import CATEGORIES, DefinitionError, EncodingError, Fault, SohuError
from sohu.isa.instruction import (
    EXTENSION_OPCODES,
    ROWS,
    CostArgs,
    Inst,
    Machine,
    Operand,
    Row,
    Signal,
    Table,
    Wait,
    decode,
    encode,
    format_sync,
    instruction,
)
from sohu.isa.machine import (
    INSTRUCTION_BYTES,
    ISA_VERSION,
    LOOP_DEPTH,
    MIN_QUEUE_DEPTH,
    NUM_SCALARS,
    NUM_SEMAPHORES,
    NUM_TILES,
    Engine,
    Flow,
    Space,
)
from sohu.isa.operands import Data, In, InOut, Label, Out, Reg
from sohu.isa.tile import TILE_BYTES, Tile, row_major

_extensions.load()  # last: they lean on all of this
del _rows

__all__ = [
    "BY_CODE",
    "CATEGORIES",
    "DTYPES",
    "EXTENSION_OPCODES",
    "INSTRUCTION_BYTES",
    "ISA_VERSION",
    "LOOP_DEPTH",
    "MIN_QUEUE_DEPTH",
    "NUM_SCALARS",
    "NUM_SEMAPHORES",
    "NUM_TILES",
    "ROWS",
    "TILE_BYTES",
    "Chip",
    "CostArgs",
    "DType",
    "Data",
    "DefinitionError",
    "EncodingError",
    "Engine",
    "Fault",
    "Flow",
    "In",
    "InOut",
    "Inst",
    "Label",
    "Machine",
    "Operand",
    "Out",
    "Reg",
    "Row",
    "Signal",
    "SohuError",
    "Space",
    "Table",
    "Tile",
    "Wait",
    "bf16",
    "chips",
    "decode",
    "dtype",
    "dtype_of",
    "encode",
    "f16",
    "f32",
    "format_sync",
    "i32",
    "instruction",
    "load_chip",
    "row_major",
    "u8",
]  # fmt: skip
