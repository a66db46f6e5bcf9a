from sohu.dsl import In, Out, f32, i32, kernel


@kernel
def k(x: In[f32, "N C"], y: Out[f32, "N C"]):
    y[...] = x[...] + x[...].to(i32)


def attempt() -> None:
    k.compile(bounds={"N": 64, "C": 64})
