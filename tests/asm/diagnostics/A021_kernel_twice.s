.kernel k
halt
.kernel k
halt
