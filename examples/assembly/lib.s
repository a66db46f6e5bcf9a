# What the programs of this folder share.

        .ifndef LIB
        .equ    LIB, 1

        .macro  blocks d, size, step    # d = how many blocks of `step` hold `size`
        add        \d, \size, \step - 1
        div        \d, \d, \step
        .endm

        .macro  swap a, b, spare=t63    # two tile registers change places
        tmv        \spare, \a
        tmv        \a, \b
        tmv        \b, \spare
        .endm

        .endif
