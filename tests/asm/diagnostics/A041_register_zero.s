.kernel k
.param n, i64, reg=x0
