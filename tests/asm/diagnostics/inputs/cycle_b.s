# b
.include "cycle_a.s"
