        .include inputs
