        .print  "assembled for the small chip"
