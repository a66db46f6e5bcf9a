import sohu
from sohu.dsl import In, Out, f32, kernel


@kernel
def k(x: In[f32, "N C"], y: Out[f32, "N C"]):
    for a in sohu.range(x.N):
        for b in sohu.range(x.N):
            for c in sohu.range(x.N):
                for d in sohu.range(x.N):
                    for e in sohu.range(x.N):
                        for f in sohu.range(x.N):
                            for g in sohu.range(x.N):
                                for h in sohu.range(x.N):
                                    for i in sohu.range(x.N):
                                        pass


def attempt() -> None:
    k.compile(bounds={"N": 64, "C": 64})
