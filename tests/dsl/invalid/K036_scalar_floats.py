from sohu.dsl import In, Out, Scalar, f32, kernel


@kernel
def k(x: In[f32, "N C"], y: Out[f32, "N C"], s: Scalar):
    y[...] = x[...] * (s + 1)


def attempt() -> None:
    k.compile(bounds={"N": 64, "C": 64})
