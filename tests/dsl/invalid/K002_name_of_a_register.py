from sohu.dsl import In, Out, f32, kernel


def k(x: In[f32, "N C"], t3: Out[f32, "N C"]):
    pass


def attempt() -> None:
    kernel(k)
