"""`make bench`: emulator, compiler, model beside NumPy, assembler and disassembler beside LLVM, in the same run.

Every figure is the median of several rounds that take turns, so that a busy moment of the machine meets
both sides. BLAS has the same number of threads on both sides.
"""

import argparse
import json
import os
import sys

NAMES = (
    "instructions", "start", "snapshots", "timetravel", "redraw", "provenance", "compile", "kernels", "model",
    "assembler", "disassembler",
)  # fmt: skip
LIBRARIES = ("OPENBLAS", "OMP", "MKL", "VECLIB_MAXIMUM")


def main() -> int:
    """Run the benchmarks and give the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="a few seconds, a small random model: no real figures")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--threads", type=int, metavar="N", help="of BLAS (all usable cores)")
    parser.add_argument("--only", choices=NAMES, help="one benchmark")
    args = parser.parse_args()
    if args.threads is not None and args.threads < 1:
        parser.error("--threads wants at least 1")
    threads = args.threads or len(os.sched_getaffinity(0))
    for library in LIBRARIES:  # they look here once, when NumPy is imported
        os.environ[f"{library}_NUM_THREADS"] = str(threads)

    from sohu.isa import SohuError

    from benchmarks import (
        assembler,
        compiling,
        disassembler,
        instructions,
        kernels,
        machine,
        model,
        provenance,
        redraw,
        snapshots,
        start,
        timetravel,
    )

    modules = (
        instructions, start, snapshots, timetravel, redraw, provenance, compiling, kernels, model, assembler,
        disassembler,
    )  # fmt: skip
    benchmarks = dict(zip(NAMES, modules, strict=True))
    facts = machine.facts(threads)
    if not args.json:
        print("\n".join(f"{name:12}{value}" for name, value in facts.items()))
    tables = []
    try:
        for name, benchmark in benchmarks.items():
            if args.only in (None, name):
                for table in benchmark.run(quick=args.quick):
                    tables.append(table)
                    if not args.json:
                        print(f"\n{table}", flush=True)
    except SohuError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if args.json:
        print(json.dumps({"machine": facts, "quick": args.quick, "tables": [t.record() for t in tables]}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
