from sohu.dsl import In, f32, kernel


def k(x: "In[f32, 'N C-1']"):
    pass


def attempt() -> None:
    kernel(k)
