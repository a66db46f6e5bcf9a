from sohu.dsl import In, Out, f32, kernel


@kernel
def k(x: In[f32, "4 3"], y: Out[f32, "3"]):
    y[...] = x[4]


def attempt() -> None:
    k.compile()
