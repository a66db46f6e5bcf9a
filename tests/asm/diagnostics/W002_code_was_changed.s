        .file   1 "scale.py"
        .kernel scale
        .param  n, i64
        add     x5, n, 1
        mv      x6, x5
        halt
        .debug  3, "scale", 1, 4
        .op     2, "%m = add %n, %0 : index", [1, 2]
        .endkernel
