.macro tile_add
.endm
        .purgem tile_ad
