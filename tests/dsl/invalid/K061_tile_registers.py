from sohu.dsl import In, Out, f32, kernel


@kernel
def k(x: In[f32, "64 C"], y: Out[f32, "64 C"]):
    rows = ()
    for i in range(64):
        rows = (*rows, x[i : i + 1] + 1)
    for i, row in enumerate(rows):
        y[i : i + 1] = row


def attempt() -> None:
    k.compile(bounds={"C": 8})
