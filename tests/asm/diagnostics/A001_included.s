        .include "inputs/latin.txt"
        j       somewhere               # which that file may define
