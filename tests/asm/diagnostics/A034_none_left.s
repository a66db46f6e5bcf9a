.kernel k
.param p0, i64
.param p1, i64
.param p2, i64
.param p3, i64
.param p4, i64
.param p5, i64
.param p6, i64
.param p7, i64
.param p8, i64
.param p9, i64
.param p10, i64
.param p11, i64
.param p12, i64
.param p13, i64
.param p14, i64
.param p15, i64
.param p16, i64
.param p17, i64
.param p18, i64
.param p19, i64
.param p20, i64
.param p21, i64

