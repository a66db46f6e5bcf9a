import sohu
from sohu.dsl import In, Out, f32, kernel


@kernel
def k(x: In[f32, "8 8"], y: Out[f32, "8 8"]):
    t = x[0:4, 0:4]
    for i in sohu.range(8):
        t = t @ x[0:4, 0:8]
        y[i] = t[0]


def attempt() -> None:
    k.compile()
