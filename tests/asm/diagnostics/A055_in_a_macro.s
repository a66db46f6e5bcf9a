.macro rows n
        .if     \n % 8
        .error  "rows come in eights, not \n"
        .endif
.endm
        rows    16
        rows    12
