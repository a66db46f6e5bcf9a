        .include "inputs"
