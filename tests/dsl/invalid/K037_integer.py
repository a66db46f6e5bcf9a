from sohu.dsl import InOut, i32, kernel


@kernel
def k(n: InOut[i32, "N"]):
    n[...] = n[...] + 0.5


def attempt() -> None:
    k.compile(bounds={"N": 64})
