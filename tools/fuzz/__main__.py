"""`python -m tools.fuzz`: random and damaged input for assembler and loaders, random programs for the emulator."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from sohu.isa import SohuError

from tools.fuzz.coverage import table
from tools.fuzz.run import TARGETS, Counts, State, load_state, problem, run, run_batch
from tools.fuzz.target import Target
from tools.tree import ROOT

_EVERY = {True: 0.5, False: 60.0}  # seconds between two lines of progress: on a terminal, and elsewhere
_SAVE_EVERY = 2.0


def main() -> int:
    """Run the command; 1 when something failed."""
    names = "\n".join(f"  {t.name:10}{t.about}; {t.goal:,} {t.unit}" for t in TARGETS.values())
    parser = argparse.ArgumentParser(
        prog="python -m tools.fuzz",
        description=f"{__doc__}\n\ntargets, and how much is a full run of each:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all of them, if none is named")
    parser.add_argument("--count", type=int, metavar="N", help="units of each target, in place of its full run")
    parser.add_argument("--seconds", type=float, metavar="S", help="stop each target after so long")
    parser.add_argument("--seed", type=int, metavar="N", help="of the cases (default: a new one, printed)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (1)")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="go on from this state file, and keep it up")
    parser.add_argument(
        "--failures",
        type=Path,
        metavar="DIR",
        default=ROOT / "build" / "fuzz",
        help="where they are saved (build/fuzz)",
    )
    parser.add_argument("--check", type=Path, metavar="FILE", help="check one saved case of the target")
    parser.add_argument("--batch", type=int, metavar="N", help="run one batch of the target, in this process")
    args = parser.parse_args()
    chosen = args.targets or list(TARGETS)
    for name in chosen:
        if name not in TARGETS:
            parser.error(f"no target {name!r}; there are {', '.join(TARGETS)}")
    if (args.check or args.batch is not None) and len(args.targets) != 1:
        parser.error("--check and --batch want one target")
    if args.jobs < 1:
        parser.error("--jobs wants at least 1")
    try:
        if args.check:
            return _say(problem(TARGETS[chosen[0]], args.check.read_bytes()))
        seed = time.time_ns() if args.seed is None else args.seed
        state = load_state(args.resume) if args.resume and args.resume.exists() else State(seed)
        if args.batch is not None:
            return max([0, *(_say(f.why) for f in run_batch(chosen[0], state.seed, args.batch).failures)])
        return _run_all([TARGETS[name] for name in chosen], state, args)
    except (SohuError, OSError) as e:
        print(f"fuzz: {e}", file=sys.stderr)
        return 1


def _say(why: str) -> int:
    print(why or "nothing is wrong")
    return int(bool(why))


def _run_all(targets: list[Target], state: State, args: argparse.Namespace) -> int:
    progress = _Progress(state, args.resume)
    print(f"seed {state.seed}", flush=True)
    status = 0
    try:
        for target in targets:
            progress.goal = args.count or target.goal
            run(
                target,
                state,
                goal=progress.goal,
                cover=args.count is None,
                seconds=args.seconds,
                jobs=args.jobs,
                failures=args.failures,
                report=progress,
            )
    except KeyboardInterrupt:
        status = 130
    progress.end()
    for target in targets:
        print(_line(target, state.counts[target.name], args.count or target.goal))
        print("\n".join(table(target, state.counts[target.name])), end="\n" if target.cells() else "")
    if failed := sum(state.counts[t.name].failures for t in targets):
        print(f"{failed} failures, in {args.failures}", file=sys.stderr)
    return status or int(failed > 0)


def _line(target: Target, counts: Counts, goal: int) -> str:
    rate = counts.units / counts.seconds if counts.seconds else 0
    return (
        f"{target.name:10}{counts.units:>12,} of {goal:,} {target.unit}, {counts.failures} failed "
        f"({counts.seconds:,.0f} s, {rate:,.0f}/s)"
    )


class _Progress:
    """Shows the counts now and then, and saves the state."""

    def __init__(self, state: State, path: Path | None) -> None:
        self.state = state
        self.path = path
        self.goal = 0
        self.terminal = sys.stderr.isatty()
        self.shown = self.saved = time.monotonic()

    def __call__(self, target: Target, counts: Counts) -> None:
        now = time.monotonic()
        if self.path and now - self.saved >= _SAVE_EVERY:
            self.state.save(self.path)
            self.saved = now
        if now - self.shown >= _EVERY[self.terminal]:
            end = "\r" if self.terminal else "\n"
            print(_line(target, counts, self.goal), end=end, file=sys.stderr, flush=True)
            self.shown = now

    def end(self) -> None:
        """Save the last state, and leave the line of progress."""
        if self.path:
            self.state.save(self.path)
        if self.terminal:
            print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
