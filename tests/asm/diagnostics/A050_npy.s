        .rodata
        .npy    "inputs/objects.npy"
        .npy    "inputs/good.s"
        .npy    "inputs/short.npy"
