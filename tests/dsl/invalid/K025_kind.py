import sohu
from sohu.dsl import In, Out, f32, kernel


@kernel
def k(x: In[f32, "N C"], y: Out[f32, "N C"]):
    t = x[0]
    for i in sohu.range(x.N):
        y[i] = t
        t = "done"


def attempt() -> None:
    k.compile(bounds={"N": 64, "C": 64})
