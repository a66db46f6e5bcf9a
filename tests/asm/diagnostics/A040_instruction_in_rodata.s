.rodata
halt
