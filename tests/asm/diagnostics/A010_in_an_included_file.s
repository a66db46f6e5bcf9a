        .include "inputs/bad_line.s"
