from sohu.dsl import In, Out, f32, kernel


@kernel
def k(ξ: In[f32, "N C"], y: Out[f32, "N C"]):
    y[...] = "größer" if False else ξ[...] + grösse


def attempt() -> None:
    k.compile(bounds={"N": 64, "C": 64})
