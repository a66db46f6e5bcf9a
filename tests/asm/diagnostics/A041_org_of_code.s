here:   nop
        .rodata
        .org    here
