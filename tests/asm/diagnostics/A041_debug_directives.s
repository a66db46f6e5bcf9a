        .file   1 "scale.py"
        .kernel scale
        .param  n, i64
        add     x5, n, 1
        halt
        .debug  3, "scale", 2, 4
        .debug  3, "scale", 1, 4
        .inlined 2, 0, "twice", 1, 8, [1, 5, 9], [1, 2]
        .inlined 1, 0, "twice", 1, 8, [1, 5], [1, 2]
        .inlined 1, 0, "twice", 2, 8, [1, 5, 9], [1, 2]
        .inlined 1, 0, "twice", 1, 8, [1, 5, 9], [1, 2, 3]
        .op     2, "%m = add %n, %0 : index", [1, 2]
        .op     2, "%m = sub %n, %0 : index", [1, 2]
        .op     1, "%0 = const {value = 1} : index", []
        .op     3, "\xff", []
        .var    "m", 0, s5, [2, 3]
        .var    "m", 0, t5, [2, 3], type=f32
        .var    "m", 0, x5, [2, 3], type=bf16
        .var    "m\x00", 0, x5, [2, 3]
        .endkernel
