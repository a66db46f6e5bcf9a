from sohu.dsl import In, Out, f32, kernel


@kernel
def k(x: In[f32, "N C"], y: Out[f32, "N C"]):
    big = x[...] + 1
    y[...] = big * x[...]


def attempt() -> None:
    k.compile(bounds={"N": 512, "C": 512}, chip="small")
