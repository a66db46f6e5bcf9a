from sohu.dsl import In, Out, f32, kernel


@kernel
def k(x: In[f32, "N C"], y: Out[f32, "N C"]):
    blocks = (1, 2)
    y[...] = x[...] * blocks[2]


def attempt() -> None:
    k.compile(bounds={"N": 64, "C": 64})
