"""The `sohu-ar` command: makes, lists and unpacks libraries of objects."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sohu.asm.archive import Member, read_archive, write_archive
from sohu.asm.console import read, run, say, shown_name, write
from sohu.asm.diagnostics import printable
from sohu.asm.tools.files import parser
from sohu.isa import SohuError

_DESCRIPTION = """\
Make, list and unpack libraries. KEY is one of these letters, and any of the modifiers:

  r  put files into the library, in place of members of the same name
  d  remove members
  t  list members
  x  write members to files in this folder
  p  print members

  c  (with r) the library may be new        v  say what is done
  s, D  an index of symbols, and no times or owners: always so
"""
_MODIFIERS = "csvD"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (sys.argv's by default); returns the exit code."""
    p = parser("sohu-ar", _DESCRIPTION, usage="sohu-ar KEY LIBRARY [FILE...]")
    p.add_argument("key", metavar="KEY", help="what to do, as above")
    p.add_argument("library", metavar="LIBRARY", help="an archive in the format of GNU ar; - for standard input")
    p.add_argument("files", metavar="FILE", nargs="*", help="files, or members; with t, x and p: all, if none is named")
    options = p.parse_args(argv)
    key = options.key.removeprefix("-")
    operations = [c for c in key if c not in _MODIFIERS]
    if len(operations) != 1 or operations[0] not in _OPERATIONS:
        p.error(f"KEY takes one of {', '.join(_OPERATIONS)} and any of {', '.join(_MODIFIERS)}, not {options.key!r}")
    return run("sohu-ar", lambda: _OPERATIONS[operations[0]](key, options.library, options.files))


def _replace(key: str, library: str, files: Sequence[str]) -> int:
    exists = library != "-" and Path(library).exists()
    members = {m.name: m for m in read_archive(read(library), library)} if exists else {}
    if not exists and "c" not in key:
        say(f"sohu-ar: making {printable(library)}")
    for file in files:
        name = os.path.basename(file)
        if "v" in key:
            print(f"{'r' if name in members else 'a'} - {printable(file)}")
        members[name] = Member(name, read(file))
    _write(library, members)
    return 0


def _delete(key: str, library: str, files: Sequence[str]) -> int:
    members = {m.name: m for m in _chosen(library, [])}
    for m in _chosen(library, files) if files else []:
        if "v" in key:
            print(f"d - {printable(m.name)}")
        members.pop(m.name, None)
    _write(library, members)
    return 0


def _table(key: str, library: str, files: Sequence[str]) -> int:
    for m in _chosen(library, files):
        print(f"{len(m.data):10} {printable(m.name)}" if "v" in key else printable(m.name))
    return 0


def _extract(key: str, library: str, files: Sequence[str]) -> int:
    for m in _chosen(library, files):
        if "v" in key:
            print(f"x - {printable(m.name)}")
        write(m.name, m.data)
    return 0


def _print(key: str, library: str, files: Sequence[str]) -> int:
    for m in _chosen(library, files):
        if "v" in key:
            print(f"\n<{printable(m.name)}>\n")
        write("-", m.data)
    return 0


_OPERATIONS = {"r": _replace, "d": _delete, "t": _table, "x": _extract, "p": _print}


def _chosen(library: str, names: Sequence[str]) -> list[Member]:
    """Members of these names, or all; raises SohuError."""
    members = read_archive(read(library), shown_name(library))
    missing = [n for n in names if n not in {m.name for m in members}]
    if missing:
        raise SohuError(f"{shown_name(library)} has no member {missing[0]!r}")
    return [m for m in members if not names or m.name in names]


def _write(library: str, members: dict[str, Member]) -> None:
    try:
        write(library, write_archive(list(members.values())))
    except ValueError as e:
        raise SohuError(str(e)) from None


if __name__ == "__main__":
    sys.exit(main())
