"""The IR as text, the verifier, and each pass by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sohu.dsl import (
    CompiledKernel,
    CompileError,
    Function,
    In,
    Index,
    Kernel,
    Out,
    bf16,
    f32,
    i32,
    kernel,
    parse_function,
    print_function,
)
from sohu.dsl.ir import FLOAT, INDEX, Dim, Op, TileType, Value, walk
from sohu.dsl.kernels.matmul import matmul
from sohu.dsl.kernels.softmax import softmax
from sohu.dsl.passes import (
    PIPELINE,
    collect_bounds,
    fold_casts,
    fuse_accumulate,
    hoist,
    remove_dead,
    run_passes,
)
from sohu.dsl.places import assign_spaces, copy_loaded, split_shared
from sohu.dsl.verify import RULES, verify
from sohu.isa import Space

import sohu
from tests.dsl.support import SMALL, assembly, library, ops, without_places

BOUNDS = dict.fromkeys(["A", "B", "C", "D", "E", "G", "H", "K", "M", "N", "P", "Q", "R", "S", "V"], 12)
LIBRARY = [pytest.param(k, constants, id=name) for name, k, constants in library()]


def compiled(k: Kernel, dtype: Any = f32, **constants: Any) -> CompiledKernel:
    specs = [s for s in k.specs.values() if hasattr(s, "dims")]
    bounds = {d: BOUNDS[d] for s in specs for d in s.dims if isinstance(d, str)}
    tensor = next(
        (n for n, s in k.specs.items() if hasattr(s, "dims") and not isinstance(s.dtype, sohu.isa.DType)), None
    )
    given = {} if tensor is None else {tensor: dtype}
    return k.compile(chip=SMALL, bounds=bounds, **given, **constants)


# -- text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "constants"), LIBRARY)
@pytest.mark.parametrize("dtype", [f32, bf16], ids=str)
def test_text_goes_around_and_compiles_to_the_same(k: Kernel, constants: dict[str, Any], dtype: Any) -> None:
    c = compiled(k, dtype, **constants)
    again = parse_function(c.ir)
    verify(again, "parsing")
    assert print_function(again) == c.ir
    assert without_places(assembly(again)) == without_places(c.code)


def test_text_of_odd_things_goes_around() -> None:
    text = """kernel @odd[%N](%N.1: mem<f32, [%N, 3]> inout, %s: f32 f32, %i: index i64) bounds {N = 8} {
  %0 = const {value = -1.5e-07} : f32
  %1 = const {value = -inf} : f32
  %x = const {value = -3} : index
  %x.1 = vfill %0 : tile<f32, [%N<=8, 3], sram>
  %x.2 = const {value = 1} : index
  %2, %acc = for %j = %x to %i step %x.2 carry (%k = %x : index, %größe = %x.1 : tile<f32, [%N<=8, 3], sram>) {
    yield %k, %größe
  }
  dma.store %N.1, %acc {q = 1}
}
"""
    f = parse_function(text)
    assert print_function(f) == text
    assert [p.name for p in f.params] == ["N", "s", "i"] and list(f.dims) == ["N"] and f.bounds == {"N": 8}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kernel @k[](%x: mem<f32, [4]> in) {\n  %t = dma.load\n  @\n}", "line 3, column 3"),
        (
            "kernel @k[]() {\n  %t = const {value = 1} : index\n  %t = const {value = 1} : index\n}",
            "line 3: %t is defined twice",
        ),
        ("kernel @k[]() {\n  %t = add %a, %a : index\n}", "line 2: %a is used before its definition"),
        ("kernel @k[](%x: mem<f99, [4]> in) {\n}", "no IR: 'f99'"),
        ("kernel @k[](%x: blob<f32, [4]> in) {\n}", "unknown type blob"),
        ("", "this is no IR"),
    ],
)
def test_bad_text_is_one_clear_error(text: str, says: str) -> None:
    with pytest.raises(CompileError) as caught:
        parse_function(text)
    assert caught.value.code == "K090" and says in str(caught.value)


@pytest.mark.parametrize("k", [softmax, matmul], ids=["softmax", "matmul"])
def test_ir_and_assembly_look_like_this(k: Kernel, golden: Callable[[str, str], None]) -> None:
    c = k.compile(
        bf16,
        bf16,
        chip=SMALL,
        bounds=dict.fromkeys(("R C" if k is softmax else "M K N").split(), 256),
        **({"rows": 64} if k is softmax else {"bm": 64, "bn": 64, "bk": 64}),
    )
    golden(f"{k.name}.ir", c.ir)
    path = c.function.loc.file if c.function.loc is not None else ""
    golden(f"{k.name}.s", c.asm.replace(path.rpartition("/")[0], ""))


# -- the verifier ----------------------------------------------------------------------------------

GOOD = """kernel @good[%N](%x: mem<f32, [%N, 4]> in, %y: mem<f32, [%N, 4]> out, %i: index i64) bounds {N = 8} {
  %0 = const {value = 0} : index
  %1 = const {value = 1} : index
  %2 = const {value = 2.0} : f32
  %a = vfill %2 : tile<f32, [4, 4]>
  %r, %n = for %j = %0 to %i step %1 carry (%c = %a : tile<f32, [4, 4]>, %k = %0 : index) {
    %l = add %k, %1 : index
    %b = vadd %c, %a : tile<f32, [4, 4]>
    yield %b, %l
  }
  %v = tslice %r, %0, %1 {axis = 0} : tile<f32, [1, 4]>
  %w = tdrop %v {axis = 0} : tile<f32, [4]>
  %shaped = reshape %r : tile<f32, [2, 8]>
  %t = dma.load %x {q = 0} : tile<f32, [%N<=8, 4]>
  %s = vadd %t, %w : tile<f32, [%N<=8, 4]>
  dma.store %y, %s {q = 1}
}
"""

# What is broken, and what the verifier says of it: each line of GOOD replaced once.
BROKEN = [
    ("an unknown op", "= vfill", "= vfull", "no op and no instruction"),
    ("a constant without a value", "%0 = const {value = 0}", "%0 = const", "needs a value"),
    (
        "an index that is a float",
        "%0 = const {value = 0} : index",
        "%0 = const {value = 0.5} : index",
        "do not go together",
    ),
    (
        "a constant tile",
        "%2 = const {value = 2.0} : f32",
        "%2 = const {value = 2.0} : tile<f32, [1]>",
        "do not go together",
    ),
    ("a scalar op of floats", "add %k, %1 : index", "add %2, %1 : index", "takes two indices"),
    ("a scalar op of one", "add %k, %1 : index", "add %k : index", "takes two indices"),
    ("a loop over floats", "to %i step", "to %2 step", "three indices"),
    ("a yield of too little", "yield %b, %l", "yield %b", "different numbers"),
    ("a yield of another type", "yield %b, %l", "yield %l, %b", "changes its type"),
    (
        "another init",
        "= for %j = %0 to %i step %1 carry (%c = %a",
        "= for %j = %0 to %i step %1 carry (%c = %0",
        "changes its type",
    ),
    ("no yield", "    yield %b, %l\n", "", "does not yield|different numbers"),
    ("a yield in the middle", "    %b = vadd", "    yield %c, %k\n    %b = vadd", "only a loop's last op yields"),
    ("a yield outside", "  dma.store", "  yield %s\n  dma.store", "only a loop's last op yields"),
    (
        "a view of another rank",
        "%w = tdrop %v {axis = 0} : tile<f32, [4]>",
        "%w = tdrop %v {axis = 0} : tile<f32, [1, 4]>",
        "gives rank 2",
    ),
    ("a view of another dtype", "{axis = 0} : tile<f32, [1, 4]>", "{axis = 0} : tile<bf16, [1, 4]>", "gives rank"),
    (
        "a view into another memory",
        "%w = tdrop %v {axis = 0} : tile<f32, [4]>",
        "%w = tdrop %v {axis = 0} : mem<f32, [4]>",
        "same kind",
    ),
    ("an axis beyond the rank", "tdrop %v {axis = 0}", "tdrop %v {axis = 2}", "axis 2"),
    ("a view without an axis", "tdrop %v {axis = 0}", "tdrop %v", "axis"),
    ("too few operands", "vadd %c, %a", "vadd %c", "takes 2 operands"),
    (
        "no result",
        "%s = vadd %t, %w : tile<f32, [%N<=8, 4]>\n  dma.store %y, %s",
        "vadd %t, %w\n  dma.store %y, %t",
        "gives 1",
    ),
    ("a scalar for a tile", "vadd %c, %a", "vadd %c, %2", "is a scalar"),
    ("a tile for a scalar", "vfill %2", "vfill %x", "is "),
    ("an index for a float", "vfill %2", "vfill %0", "value is"),
    ("an unknown option", "dma.load %x {q = 0}", "dma.load %x {z = 0}", "no option z"),
    (
        "a dtype it does not take",
        "%b = vadd %c, %a : tile<f32, [4, 4]>",
        "%b = vadd %c, %a : tile<u8, [4, 4]>",
        "is u8|changes its type",
    ),
    (
        "shapes that do not go together",
        "%b = vadd %c, %a : tile<f32, [4, 4]>",
        "%z = vadd %c, %a : tile<f32, [4, 3]>\n    %b = vadd %c, %a : tile<f32, [4, 4]>",
        "broadcast",
    ),
    (
        "a tile in the wrong memory",
        "%t = dma.load %x {q = 0} : tile<f32, [%N<=8, 4]>",
        "%t = dma.load %x {q = 0} : tile<f32, [%N<=8, 4], acc>",
        "lies in acc",
    ),
    ("HBM where a tile belongs", "vadd %t, %w", "vadd %x, %w", "lies in hbm"),
    (
        "a tile without a capacity",
        "%t = dma.load %x {q = 0} : tile<f32, [%N<=8, 4]>",
        "%t = dma.load %x {q = 0} : tile<f32, [%N, 4]>",
        "no capacity",
    ),
    (
        "a size that is a float",
        "%a = vfill %2 : tile<f32, [4, 4]>",
        "%a = vfill %2 : tile<f32, [%2<=4, 4]>",
        "no index|changes its type",
    ),
    ("a reshape of two", "= reshape %r", "= reshape %r, %r", "takes a tile and gives one"),
    ("a reshape to a tensor", "= reshape %r : tile<f32", "= reshape %r : mem<f32", "a tile of the same dtype"),
    ("a reshape of a view", "= reshape %r : tile<f32, [2, 8]>", "= reshape %v : tile<f32, [4]>", "takes a whole tile"),
    ("a reshape to more", "= reshape %r : tile<f32, [2, 8]>", "= reshape %r : tile<f32, [2, 9]>", "16 .* become 18"),
    ("a capacity below the size", "%a = vfill", "%q = vfill %2 : tile<f32, [%1<=0, 4]>\n  %a = vfill", "capacity"),
]


def test_good_ir_passes() -> None:
    f = parse_function(GOOD)
    verify(f, "parsing")
    run_passes(f)
    assert "halt" in assembly(f)


@pytest.mark.parametrize(("old", "new", "says"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_broken_ir_is_caught(old: str, new: str, says: str) -> None:
    assert old in GOOD
    f = parse_function(GOOD.replace(old, new, 1))
    with pytest.raises(CompileError, match=says) as caught:
        verify(f, "a pass")
    assert caught.value.code == "K099" and "after a pass" in caught.value.message


def test_values_are_defined_before_their_use_and_inside_their_block() -> None:
    def at(f: Function, name: str) -> Op:
        return ops(f, name)[0]

    f = parse_function(GOOD)
    f.body.ops.insert(0, f.body.ops.pop())  # the store first
    with pytest.raises(CompileError, match="not defined before its use"):
        verify(f, "a pass")
    f = parse_function(GOOD)
    at(f, "dma.store").operands[1] = at(f, "for").body.ops[1].result  # type: ignore[union-attr]
    with pytest.raises(CompileError, match="not defined before its use"):
        verify(f, "a pass")
    f = parse_function(GOOD)
    size = at(f, "for").body.args[0]  # type: ignore[union-attr]
    t = at(f, "dma.load").result
    t.type = TileType(f32, (Dim(size, 8), Dim(4, 4)))
    with pytest.raises(CompileError, match="size %j in its type is not defined"):
        verify(f, "a pass")


def test_an_op_and_its_results_name_each_other_and_are_there_once() -> None:
    f = parse_function(GOOD)
    ops(f, "dma.load")[0].result.op = None
    with pytest.raises(CompileError, match="does not name its op"):
        verify(f, "a pass")
    f = parse_function(GOOD)
    f.body.ops.insert(1, f.body.ops[0])
    with pytest.raises(CompileError, match="defined twice"):
        verify(f, "a pass")


def test_every_rule_has_a_case() -> None:
    for rule in RULES:
        others = [r for r in RULES if r is not rule]
        escaped = []
        for what, old, new, _ in BROKEN:
            f = parse_function(GOOD.replace(old, new, 1))
            before = RULES[:]
            RULES[:] = others
            try:
                verify(f, "a pass")
                escaped.append(what)
            except (CompileError, IndexError, AttributeError, KeyError, ValueError):
                pass
            finally:
                RULES[:] = before
        assert escaped, f"no case of BROKEN needs {rule.__name__}"


# -- passes ----------------------------------------------------------------------------------------


def after(text: str, *passes: Callable[[Function], None]) -> Function:
    f = parse_function(text)
    verify(f, "parsing")
    for p in passes:
        p(f)
        verify(f, p.__name__)
    return f


def names(f: Function) -> list[str]:
    return [op.name for op in walk(f.body)]


def in_kernel(body: str, params: str = "%x: mem<f32, [4, 4]> in, %y: mem<f32, [4, 4]> out, %i: index i64") -> str:
    return (
        f"kernel @k[]({params}) {{\n"
        "  %0 = const {value = 0} : index\n  %1 = const {value = 1} : index\n  %2 = const {value = 2.0} : f32\n"
        + "".join(f"  {line}\n" for line in body.strip().splitlines())
        + "}\n"
    )


T = "tile<f32, [4, 4]>"


def test_remove_dead_keeps_only_what_stores_need() -> None:
    f = after(
        in_kernel(f"""
%a = dma.load %x {{q = 0}} : {T}
%b = dma.load %x {{q = 0}} : {T}
%c = vadd %a, %b : {T}
dma.store %y, %a {{q = 1}}"""),
        remove_dead,
    )
    assert names(f) == ["dma.load", "dma.store"]


def test_remove_dead_drops_what_loops_carry_for_nobody_and_loops_that_do_nothing() -> None:
    f = after(
        in_kernel(f"""
%a = vfill %2 : {T}
%r, %n, %m = for %j = %0 to %i step %1 carry (%c = %a : {T}, %k = %0 : index, %u = %0 : index) {{
  %l = add %k, %1 : index
  %d = vneg %c : {T}
  %v = add %u, %k : index
  yield %d, %l, %v
}}
for %q = %0 to %i step %1 {{
  %p = vfill %2 : {T}
  yield
}}
dma.store %y, %r {{q = 1}}"""),
        remove_dead,
    )
    loops = [op for op in walk(f.body) if op.name == "for"]
    assert len(loops) == 1 and len(loops[0].results) == 1
    assert names(f) == ["const", "const", "const", "vfill", "for", "vneg", "yield", "dma.store"]


def test_remove_dead_keeps_what_only_the_next_turn_reads() -> None:
    f = after(
        in_kernel(f"""
%a = vfill %2 : {T}
%r, %s = for %j = %0 to %i step %1 carry (%c = %a : {T}, %e = %a : {T}) {{
  %d = vneg %e : {T}
  yield %d, %c
}}
dma.store %y, %r {{q = 1}}"""),
        remove_dead,
    )
    assert len(ops(f, "for")[0].results) == 2


def test_fuse_accumulate() -> None:
    def fused(body: str) -> list[str]:
        return names(after(in_kernel(body + "\ndma.store %y, %s {q = 1}"), fuse_accumulate, remove_dead))

    product = f"%a = dma.load %x {{q = 0}} : {T}\n%p = mm %a, %a : {T}\n"
    assert "mma" in fused(product + f"%z = vfill %2 : {T}\n%s = vadd %z, %p : {T}")
    assert "mma" in fused(product + f"%z = vfill %2 : {T}\n%s = vadd %p, %z : {T}")
    assert "mm" in fused(product + f"%s = vadd %p, %p : {T}")  # used twice
    assert "mm" in fused(product + f"%z = vfill %2 : tile<f32, [1, 4]>\n%s = vadd %z, %p : {T}")  # broadcast
    loop = f"%s = for %j = %0 to %i step %1 carry (%c = %a : {T}) {{\n%d = vadd %c, %p : {T}\nyield %d\n}}"
    assert "mm" in fused(product + loop)  # made once, before the loop


def test_fold_casts() -> None:
    y = "%x: mem<f32, [4, 4]> in, %y: mem<bf16, [4, 4]> out, %z: mem<i32, [4, 4]> out, %i: index i64"
    b = "tile<bf16, [4, 4]>"

    def folded(body: str) -> list[str]:
        text = in_kernel(f"%a = dma.load %x {{q = 0}} : {T}\n{body}\ndma.store %y, %c {{q = 1}}", y)
        return names(after(text, fold_casts))

    assert "vmov" not in folded(f"%n = vneg %a : {T}\n%c = vmov %n : {b}")
    assert "vmov" in folded(f"%c = vmov %a : {b}")  # a load stays as it is
    assert "vmov" in folded(f"%n = vneg %a : {T}\n%m = vneg %n : {T}\n%c = vmov %n : {b}")  # used twice
    assert "vmov" in folded(f"%n = vneg %a : {b}\n%m = vneg %n : tile<f16, [4, 4]>\n%c = vmov %m : {b}")  # rounds twice
    assert "vmov" in folded(f"%n = mm %a, %a : {T}\n%c = vmov %n : {b}")  # no VPU result
    assert "vmov" in folded(f"%n = vsum.row %a : tile<f32, [4, 1]>\n%c = vmov %n : {b}")  # broadcast on the way


def test_hoist_moves_what_cannot_fail() -> None:
    f = after(
        in_kernel(f"""
%a = dma.load %x {{q = 0}} : {T}
for %j = %0 to %i step %1 {{
  %k = add %i, %1 : index
  %d = div %k, %i : index
  %t = tswap %a {{a = 0, b = 1}} : {T}
  %v = tslice %a, %0, %1 {{axis = 0}} : tile<f32, [1, 4]>
  %w = tdrop %v {{axis = 0}} : tile<f32, [4]>
  %u = tslice %a, %i, %1 {{axis = 0}} : tile<f32, [1, 4]>
  %e = vadd %t, %v : {T}
  %f = vadd %e, %w : {T}
  %g = vadd %f, %u : {T}
  %h = tslice %a, %0, %d {{axis = 0}} : tile<f32, [%d<=4, 4]>
  %o = vadd %h, %h : tile<f32, [%d<=4, 4]>
  dma.store %y, %g {{q = 1}}
  dma.store %y, %o {{q = 1}}
  yield
}}"""),
        hoist,
    )
    inside = [op.name for op in ops(f, "for")[0].body.ops]  # type: ignore[union-attr]
    assert inside[:4] == ["div", "tdrop", "tslice", "vadd"]
    assert [op.name for op in f.body.ops][3:] == ["dma.load", "add", "tswap", "tslice", "for"]


def test_collect_bounds_keeps_what_capacities_come_from() -> None:
    text = """kernel @k[%R, %C, %K](%x: mem<f32, [%R, %C]> in, %y: mem<f32, [%R, %K]> out)
  bounds {C = 8, K = 9, R = 7} {
  %0 = const {value = 0} : index
  %4 = const {value = 4} : index
  %n = min %R, %4 : index
  %k = min %K, %C : index
  %a = tslice %x, %0, %n {axis = 0} : mem<f32, [%n, %C]>
  %t = dma.load %a {q = 0} : tile<f32, [%n<=4, %C<=8]>
  %u = tslice %t, %0, %k {axis = 1} : tile<f32, [%n<=4, %k<=8]>
  dma.store %y, %u {q = 1}
}
"""
    assert after(text, collect_bounds).bounds == {"C": 8, "K": 9}


def test_split_shared_copies_what_is_consumed_and_still_needed() -> None:
    f = after(
        in_kernel(f"""
%a = dma.load %x {{q = 0}} : {T}
%z = vfill %2 : {T}
%p = mma %z, %a, %a : {T}
%q = mma %p, %a, %a : {T}
%s = vadd %q, %z : {T}
dma.store %y, %s {{q = 1}}"""),
        split_shared,
    )
    first, second = ops(f, "mma")
    assert first.operands[0].op is not None and first.operands[0].op.name == "vmov"
    assert second.operands[0] is first.result


def test_copy_loaded_and_assign_spaces() -> None:
    f = after(
        in_kernel(f"""
%a = dma.load %x {{q = 0}} : {T}
%b = dma.load %x {{q = 0}} : {T}
%q = mma %a, %b, %b : {T}
%r = mm %q, %b : {T}
dma.store %y, %r {{q = 1}}"""),
        split_shared,
        copy_loaded,
        assign_spaces,
    )
    (mma,), (mm,), (store,) = ops(f, "mma"), ops(f, "mm"), ops(f, "dma.store")
    assert mma.result.tile.space is mma.operands[0].tile.space is Space.ACC
    for v in (mm.operands[0], store.operands[1], mma.operands[1]):
        assert v.tile.space is Space.SRAM


def test_the_pipeline_is_all_of_them() -> None:
    passes = [remove_dead, fuse_accumulate, fold_casts, hoist, collect_bounds, split_shared, copy_loaded, assign_spaces]
    assert set(PIPELINE) == set(passes)
    assert FLOAT != INDEX and Value(INDEX).op is None and i32 is not f32


@kernel
def through(x: In[f32, "N"], y: Out[f32, "N"], i: Index):
    y[:] = x[:]


def test_passes_leave_a_kernel_that_moves_memory_alone() -> None:
    f = through.compile(chip=SMALL, bounds={"N": 8}).function
    assert names(f) == ["dma.load", "dma.store"]
