# bug: a branch jumps over the load when there is nothing to add, but not over its use
# expect: uninitialized
# operand: b
# says: everything of `b`
# args: x f32 4 4; bias f32 1 4; has 0
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  bias, in, f32, [1, 4]
        .param  y, out, f32, [4, 4]
        .param  has, i64
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, f32, [1, 4]
        dma.load   a, x
        beq        has, 0, 1f
        dma.load   b, bias
1:      drain
#+      beq        has, 0, 2f
        vadd       a, a, b     #! #-
#+      vadd       a, a, b
2:      drain
        dma.store  y, a
        halt
