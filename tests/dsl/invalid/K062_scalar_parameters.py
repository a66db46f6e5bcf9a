from sohu.dsl import Index, kernel


@kernel
def k(
    p0: Index,
    p1: Index,
    p2: Index,
    p3: Index,
    p4: Index,
    p5: Index,
    p6: Index,
    p7: Index,
    p8: Index,
    p9: Index,
    p10: Index,
    p11: Index,
    p12: Index,
    p13: Index,
    p14: Index,
    p15: Index,
    p16: Index,
    p17: Index,
    p18: Index,
    p19: Index,
    p20: Index,
    p21: Index,
    p22: Index,
    p23: Index,
    p24: Index,
    p25: Index,
    p26: Index,
    p27: Index,
    p28: Index,
    p29: Index,
):
    y = p0


def attempt() -> None:
    k.compile()
