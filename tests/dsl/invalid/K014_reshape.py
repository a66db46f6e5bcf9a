from sohu.dsl import In, Out, f32, kernel


@kernel
def k(x: In[f32, "4 6"], y: Out[f32, "4 5"]):
    y[...] = x[...].reshape(4, 5)


def attempt() -> None:
    k.compile()
