from sohu.dsl import In, Out, f32, kernel


def inner(t, width):
    return t @ t[:, 0:width]


def outer(t):
    return inner(
        t,
        width=3,
    )


@kernel
def k(x: In[f32, "4 5"], y: Out[f32, "4 3"]):
    y[...] = outer(x[...])


def attempt() -> None:
    k.compile()
