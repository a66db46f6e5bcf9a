import sohu
from sohu.dsl import In, Out, f32, kernel


@kernel
def k(x: In[f32, "8 5"], y: Out[f32, "8 5"]):
    y[0:4] = sohu.zeros((3, 5))


def attempt() -> None:
    k.compile()
