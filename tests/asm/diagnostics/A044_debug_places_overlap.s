        .file   1 "scale.py"
        .kernel scale
        .param  n, i64
        add     x5, n, 1
        halt
        .debug  3, "scale", 1, 4
        .var    "m", 0, x5, [2, 3]
        .var    "m", 0, x6, [1, 3]
        .endkernel
