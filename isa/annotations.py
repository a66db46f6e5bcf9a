"""The words in which rows are written: `from sohu.isa.annotations import *`.

At run time these are operand kinds; a type checker sees what the semantics function receives (an
ndarray, an int, a float, a Tile), so that the body of a row is checked like any other function. Row
modules must not say `from __future__ import annotations`: the annotations are read as values.
"""

from typing import TYPE_CHECKING

from sohu.isa.machine import Engine, Flow, Space

SRAM, ACC, HBM = Space.SRAM, Space.ACC, Space.HBM

if TYPE_CHECKING:
    from typing import Annotated as In
    from typing import Annotated as InOut
    from typing import Annotated as Out
    from typing import Any, TypeAlias

    import numpy as np
    from numpy.typing import NDArray
    from sohu.isa.instruction import Machine
    from sohu.isa.tile import Tile

    Float: TypeAlias = NDArray[np.float32]
    F32: TypeAlias = NDArray[np.float32]
    I32: TypeAlias = NDArray[np.int32]
    I8: TypeAlias = NDArray[np.int8]
    Factor: TypeAlias = NDArray[Any]
    Fp8: TypeAlias = NDArray[np.float32]
    Fp4: TypeAlias = NDArray[np.uint8]
    Scale: TypeAlias = NDArray[np.float32]
    Scalable: TypeAlias = NDArray[Any]
    Summed: TypeAlias = NDArray[Any]
    Result: TypeAlias = NDArray[Any]
    StoredFp8: TypeAlias = NDArray[Any]
    Number: TypeAlias = NDArray[Any]
    Num: TypeAlias = NDArray[Any]
    Stored: TypeAlias = NDArray[Any]
    X: TypeAlias = int
    XI: TypeAlias = int
    XOut: TypeAlias = int
    XF: TypeAlias = float
    XFI: TypeAlias = float
    FImm: TypeAlias = int
    Label: TypeAlias = int
    Str: TypeAlias = int
    Sem: TypeAlias = int
    Queue: TypeAlias = int
    Group: TypeAlias = int
    Flag: TypeAlias = int
    U2: TypeAlias = int
    U3: TypeAlias = int
    U16: TypeAlias = int
    S32: TypeAlias = int
    S64: TypeAlias = int
    T: TypeAlias = Tile
    TOut: TypeAlias = Tile
else:
    from sohu.isa.dtypes import (
        F32,
        I8,
        I32,
        Any_,
        Factor,
        Float,
        Fp4,
        Fp8,
        Num,
        Number,
        Result,
        Scalable,
        Scale,
        StoredFp8,
        Summed,
    )
    from sohu.isa.instruction import Machine
    from sohu.isa.operands import (
        XF,
        XFI,
        XI,
        FImm,
        Group,
        In,
        InOut,
        Label,
        Out,
        Queue,
        Sem,
        SImm,
        Str,
        T,
        TOut,
        UImm,
        X,
        XOut,
    )

    Stored = Any_
    Flag, U2, U3, U16, S32, S64 = UImm(1), UImm(2), UImm(3), UImm(16), SImm(32), SImm(64)

__all__ = [
    "ACC",
    "F32",
    "HBM",
    "I8",
    "I32",
    "S32",
    "S64",
    "SRAM",
    "U2",
    "U3",
    "U16",
    "XF",
    "XFI",
    "XI",
    "Engine",
    "FImm",
    "Factor",
    "Flag",
    "Float",
    "Flow",
    "Fp4",
    "Fp8",
    "Group",
    "In",
    "InOut",
    "Label",
    "Machine",
    "Num",
    "Number",
    "Out",
    "Queue",
    "Result",
    "Scalable",
    "Scale",
    "Sem",
    "Stored",
    "StoredFp8",
    "Str",
    "Summed",
    "T",
    "TOut",
    "X",
    "XOut",
]  # fmt: skip
