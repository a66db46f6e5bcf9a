"""Every row that an engine executes, by its mnemonic."""

from __future__ import annotations

from tests.emulator.reference.elements import ELEMENTS, Row
from tests.emulator.reference.movement import MOVEMENT
from tests.emulator.reference.products import PRODUCTS
from tests.emulator.reference.quantizing import QUANTIZING
from tests.emulator.reference.transformers import TRANSFORMERS

ENGINES: dict[str, Row] = {}
for _part in (ELEMENTS, MOVEMENT, PRODUCTS, QUANTIZING, TRANSFORMERS):
    assert not ENGINES.keys() & _part.keys()
    ENGINES |= _part
