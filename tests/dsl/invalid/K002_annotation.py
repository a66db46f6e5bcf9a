from sohu.dsl import In, f32, kernel


def k(x: In[f32, "N C"], n: int):
    pass


def attempt() -> None:
    kernel(k)
