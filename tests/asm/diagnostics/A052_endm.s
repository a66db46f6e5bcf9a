        .endm
        .endr
