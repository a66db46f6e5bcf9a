        .include "inputs/cycle_a.s"
