        .rodata
        .fill   4, 1, 256
