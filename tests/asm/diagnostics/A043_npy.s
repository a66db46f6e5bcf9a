        .rodata
        .npy    "inputs/f64.npy"
        .npy    "inputs/f32.npy", bf16
