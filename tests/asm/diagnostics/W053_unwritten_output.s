        .kernel k
        .param  y, out, f32, [64, 64]
        halt
