"""Arguments of the `sohu` command: argparse, with our help texts and a suggestion for what is misspelled."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any

from sohu.isa import SohuError
from sohu.isa.chip import Chip, load_chip

EXIT_STATUS = """\
exit status:
  0    done
  1    something given is wrong: a file, a model, a kernel, an argument
  2    the command line itself is wrong
  3    the machine stopped the program
  130  interrupted by Ctrl-C
  141  whoever read the output has gone
"""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser for a command whose module has `doc`: the first line a summary, the rest its help."""

    def __init__(self, command: str, doc: str | None, **options: Any) -> None:
        super().__init__(
            prog=f"sohu {command}".rstrip(),
            description=doc,
            epilog=EXIT_STATUS,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,  # a new option never changes what an old command line means
            **options,
        )

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """The parsed arguments; prints what is wrong and exits with 2 otherwise."""
        args, surplus = self.parse_known_intermixed_args(argv)
        if surplus:
            option = surplus[0].partition("=")[0]
            self.error(f"unknown argument {surplus[0]!r}" + suggestion(option, self._option_string_actions))
        return args


def suggestion(word: str, among: Sequence[str] | dict[str, Any]) -> str:
    """`; did you mean 'x'?` for the nearest of some names, or nothing."""
    near = difflib.get_close_matches(word, among, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def positive(text: str) -> int:
    """A whole number of at least 1, for `type=`."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def chip(text: str) -> Chip:
    """A chip configuration by name or .toml file, for `type=`."""
    try:
        return load_chip(text)
    except SohuError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
