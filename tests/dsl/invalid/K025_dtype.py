import sohu
from sohu.dsl import In, Out, bf16, f32, kernel


@kernel
def k(x: In[f32, "N C"], y: Out[f32, "N C"]):
    t = x[0:4]
    for i in sohu.range(x.N):
        t = t.to(bf16)
        y[i] = t[0]


def attempt() -> None:
    k.compile(bounds={"N": 64, "C": 64})
