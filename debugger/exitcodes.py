"""Exit codes of sohu-dbg where nobody watches: what a script found."""

from __future__ import annotations

from collections.abc import Sequence

OK, COMMAND_FAILED, USAGE, STOPPED = 0, 1, 2, 3
DIVERGED = 15
INTERRUPTED, READER_GONE = 130, 141  # 128 + SIGINT and SIGPIPE, as shells report them
OF_CATEGORY = {"nan": 10, "race": 11, "uninitialized": 12, "tolerance": 13, "deadlock": 14, "out-of-bounds": 16}

TABLE = """\
exit codes, when commands do not come from a terminal:
    0  all went well
    1  a command failed
    2  the command line, a file or an argument that it names is wrong
    3  the machine stopped the program, for another reason than those below
   10  a NaN or infinity         13  a result beyond the tolerance   15  a replay that went another way
   11  a race                    14  a deadlock                      16  an access out of bounds
   12  uninitialized data
  130  interrupted              141  whoever read the output has gone
Of several, 15 comes before 1, and 1 before the others, of which the first one counts. At a terminal it is 0.
"""


def of_session(failures: Sequence[int], categories: Sequence[str]) -> int:
    """The exit code of a script.

    failures: the exit codes of the errors of commands; categories: of the errors that stopped the program, in order.
    """
    if DIVERGED in failures:
        return DIVERGED
    if failures:
        return COMMAND_FAILED
    return OF_CATEGORY.get(categories[0], STOPPED) if categories else OK
