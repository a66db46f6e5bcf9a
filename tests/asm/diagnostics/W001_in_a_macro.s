.macro old
        .warning "`old` goes away: write `new`"
.endm
        old
