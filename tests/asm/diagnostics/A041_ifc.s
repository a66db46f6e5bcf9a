        .ifc one
        nop
        .endif
