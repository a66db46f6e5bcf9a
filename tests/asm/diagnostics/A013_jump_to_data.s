j data
.rodata
data: .i32 1
