"""Where tiles of a kernel are, which registers names get, and data that is placed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sohu.asm import AsmError, assemble
from sohu.emulator import Device


def tiles(*lines: str) -> dict[str, tuple[int, int]]:
    """First and last byte of the tiles of a kernel with these declarations."""
    program = assemble("\n".join([".kernel k", ".param x, in, f32, [R, C]", *lines, "halt"]))
    return {t.name: t.tile.extent() for t in program.kernels["k"].tiles}


def test_a_tile_over_another() -> None:
    found = tiles(
        ".tile a, sram, u8, [100]",
        ".tile b, sram, u8, [300], over=a",
        ".tile c, sram, u8, [10]",
        ".tile d, sram, u8, [5], over=c",
    )
    assert found == {"a": (0, 100), "b": (0, 300), "c": (320, 330), "d": (320, 325)}
    found = tiles(
        ".tile a, sram, u8, [10]", ".tile b, sram, u8, [20], over=a", ".tile c, sram, u8, [300], over=b",
        ".tile d, sram, u8, [1]",
    )  # fmt: skip
    assert found == {"a": (0, 10), "b": (0, 20), "c": (0, 300), "d": (320, 321)}


def test_buffers() -> None:
    found = tiles(".tile a, sram, u8, [100], buffers=3", ".tile b, acc, f32, [4], buffers=1", ".tile c, sram, u8, [1]")
    assert found == {"a": (0, 100), "a.1": (128, 228), "a.2": (256, 356), "b": (0, 16), "c": (384, 385)}


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(1, 3), st.integers(-1, 3)), min_size=1, max_size=8))
def test_only_what_was_asked_to_lies_over_another(sizes: list[tuple[int, int, int]]) -> None:
    lines = []
    over: dict[str, str] = {}
    for i, (size, buffers, below) in enumerate(sizes):
        if 0 <= below < i:
            over[f"t{i}."] = f"t{below}."
            lines.append(f".tile t{i}., sram, u8, [{size}], over=t{below}.")
        else:
            lines.append(f".tile t{i}., sram, u8, [{size}], buffers={buffers}")
    found = tiles(*lines)

    def root(name: str) -> str:
        return root(over[name]) if name in over else name

    for a, (low, high) in found.items():
        assert a not in over or low == found[over[a]][0]
        for b, (start, stop) in found.items():
            assert root(a) == root(b) or high <= start or stop <= low


def test_names_of_registers() -> None:
    program = assemble(
        ".reg far, x20\n.kernel k\n.param x, in, f32, [R, C]\n.param n, i64\n.dim C\n.reg a\n.reg b, x12\n.reg t, t\n"
        "li a, 1\nli b, 2\n.reg c\nli c, 3\n.unreg a\n.reg d\nli d, 4\nmv far, n\nmv C, C\ntmv t, x\nhalt\n"
        ".kernel l\n.reg a\nli a, 5\nmv far, far\nhalt"
    )
    plain = assemble(
        ".kernel k\n.param x, in, f32, [R, C], reg=t0\n.param n, i64, reg=x11\ntget x13, t0, 1\n"
        "li x14, 1\nli x12, 2\nli x15, 3\nli x14, 4\nmv x20, x11\nmv x13, x13\ntmv t1, t0\nhalt\n"
        ".kernel l\nli x11, 5\nmv x20, x20\nhalt"
    )
    assert program.text == plain.text


def test_a_dimension_gives_tiles_their_size() -> None:
    source = """
        .kernel k
        .param  x, in, f32, [R, C]
        .param  y, out, f32, [R, C]
        .bound  C, 64
        .dim    C
        .tile   row, sram, f32, [2, C]
        .sem    s
        dma.load   row, x                       signal s
        vmuls      row, row, 3.0   wait s>=1    signal s
        dma.store  y, row          wait s>=2
        halt
    """
    x = np.arange(34, dtype=np.float32).reshape(2, 17)
    y = Device("small").launch(assemble(source), "k", {"x": x}).outputs["y"].numpy()
    np.testing.assert_array_equal(y, 3 * x)


def test_a_tile_over_data_of_the_program() -> None:
    source = """
        .kernel k
        .param  y, out, f32, [2, 2]
        .tile   table, hbm, f32, [2, 2], at=here + 4
        .tile   t, sram, f32, [2, 2]
        .sem    s
        dma.load   t, table                 signal s
        dma.store  y, t        wait s>=1
        halt
        .rodata
here:   .f32    9, 1, 2, 3, 4
    """
    y = Device("small").launch(assemble(source), "k", {}).outputs["y"].numpy()
    np.testing.assert_array_equal(y, [[1, 2], [3, 4]])


def test_data() -> None:
    source = ".section .rodata.a\nx: .byte 1\n.p2align 2\n.fill 2, 2, 0x102\n.org 12\n.fill 3\n.byte 7\n.org x + 20\n"
    assert assemble(source).rodata == b"\1\0\0\0\2\1\2\1\0\0\0\0\0\0\0\7\0\0\0\0"


def test_local_takes_globl_back() -> None:
    program = assemble(".globl a, b\n.local a\na: nop\nb: nop")
    assert not program.symbols["a"].is_global and program.symbols["b"].is_global


def test_a_name_of_another_kernel_means_nothing() -> None:
    with pytest.raises(AsmError, match="no scalar register is called 'a'"):
        assemble(".kernel k\n.reg a\nhalt\n.kernel l\nli a, 1\nhalt")
