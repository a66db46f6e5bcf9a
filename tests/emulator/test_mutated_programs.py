"""Programs with flipped bits: each ends, or is stopped with one categorized error; nothing else happens."""

from __future__ import annotations

import random

import numpy as np
import pytest
from sohu.asm import Program, assemble
from sohu.emulator import Device, MachineError
from sohu.isa import CATEGORIES, ROWS

from tests.emulator.support import random_floats

SOURCE = """
 .kernel k
 .param h, in, f32, [R, C]
 .param o, out, f32, [R, C]
 .param n, i64, reg=x20
 .tile a, sram, f32, [x21<=8, 16]
 .tile b, sram, bf16, [8, 16]
 .tile r, sram, f32, [x21<=8, 1]
 .tile i, sram, i32, [8]
 .tile c, acc, f32, [8, 8]
 .tile w, sram, bf16, [16, 8]
 li x21, 8
 vfill w, 0.5
 viota i, 0
 loop x20, 9f
   tslice t40, h, 0, x22, x21
   tslice t41, o, 0, x22, x21
   dma.load a, t40                     signal s1
   dma.gather b, h, i, q=1             signal s1
   add x23, x23, 2
   vmax.row r, a        wait s1>=x23
   vsub a, a, r
   vexp a, a
   vsum.row r, a
   vdiv a, a, r                        signal s2
   add x24, x24, 1
   mm c, b, w           wait s2>=x24   signal s3
   vrms b, b, w2, 0.1
   dma.store t41, a     wait s2>=x24   signal s4
   sync                 wait s4>=x24
   tget x25, t41, 0
   add x22, x22, x25
   blt x22, 64, 8f
   call f
 8: nop
 9: drain
 semreset s1
 dbg.print "rows: ", x22
 halt
f: sub sp, sp, 64
 tst a, sp, 0
 sd ra, sp, 8
 ld ra, sp, 8
 tld t50, sp, 0
 tswap t51, h, 0, 1
 add sp, sp, 64
 ret
""".replace("w2", "t45").replace("vrms b", "tslice t44, w, 1, 0, 1\n tdrop t45, t44, 1\n vrms b")


def _mutated(program: Program, rng: random.Random) -> Program:
    text = bytearray(program.text)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(text) // 16) * 16
        kind = rng.randrange(4)
        if kind == 0:  # another opcode
            opcode = rng.choice([row.opcode for row in ROWS])
            text[at : at + 2] = (int.from_bytes(text[at : at + 2], "little") & 0xF000 | opcode).to_bytes(2, "little")
        elif kind == 1:
            text[at + rng.randrange(16)] = rng.randrange(256)
        else:
            text[at + rng.randrange(16)] ^= 1 << rng.randrange(8)
    rodata = bytearray(program.rodata)
    if rng.randrange(3) == 0:
        rodata[rng.randrange(len(rodata))] ^= 1 << rng.randrange(8)
    return Program(bytes(text), bytes(rodata), program.symbols, program.kernels, program.lines)


@pytest.mark.parametrize("seed", range(6))
def test_mutated_programs(seed: int, count: int = 50) -> None:
    original = assemble(SOURCE, "k.s")
    rng = random.Random(seed)
    h = random_floats((16, 16))
    clean = Device("small", output=lambda _: None)
    expected = clean.launch(original, "k", [h, 2]).outputs["o"].numpy()
    stopped: set[str] = set()
    for _ in range(count):
        schedule = rng.choice([None, None, rng.randrange(100)])
        device = Device(
            "small", schedule=schedule, timing=rng.random() < 0.3, max_instructions=3000, output=lambda _: None
        )
        o = device.empty((16, 16), device.tensor(h).dtype)
        try:
            device.launch(_mutated(original, rng), "k", [h, o, 2])
        except MachineError as e:
            assert e.category in CATEGORIES and str(e).startswith(f"{e.where}: error[{e.category}]: ")
            stopped.add(e.category)
        # the device is as good as new
        device.machine.max_instructions = None
        assert np.array_equal(device.launch(original, "k", [h, o, 2]).outputs["o"].numpy(), expected)
    assert len(stopped) >= 3
