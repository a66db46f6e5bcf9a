.kernel .L1
halt
