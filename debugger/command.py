"""Commands: one file each in sohu/debugger/commands, found there by name.

    @command("delete", group="breakpoints", complete=breakpoint_numbers)
    def delete(shell: Shell, text: str) -> None:
        '''Delete breakpoints: delete [NUMBER]...

        Without a number, all of them.
        '''

The docstring is the command's help; its first line says what the command does, then how it is written.
A name of two words, `info tiles`, belongs to the command that is the first word.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sohu.asm.names import nearest
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.session import Session
    from sohu.debugger.shell import Shell

Action: TypeAlias = "Callable[[Shell, str], None]"
# What could stand where the word that begins `text` ends; `text` is all that is typed after the command.
Completer: TypeAlias = "Callable[[Session, str], Iterable[str]]"

GROUPS = ("running", "time", "breakpoints", "looking", "data", "other")


def nothing(session: Session, text: str) -> Iterable[str]:
    """The completer of commands without arguments."""
    return ()


@dataclass(frozen=True)
class Command:
    """One command. `repeat`: what an empty line after it does: None nothing, "" it again without arguments,
    "same" it again as it was.
    """

    name: str
    aliases: tuple[str, ...]
    group: str
    run: Action
    complete: Completer
    repeat: str | None
    formats: bool  # takes /FORMAT right after its name
    help: str

    @property
    def summary(self) -> str:
        """What it does, in a few words."""
        return self.help.split("\n", 1)[0].partition(":")[0].rstrip(".")


class Commands:
    """All commands, by name, alias and unambiguous prefix."""

    def __init__(self) -> None:
        self.table: dict[str, Command] = {}

    def __iter__(self) -> Iterator[Command]:
        return iter(sorted(self.table.values(), key=lambda c: c.name))

    def add(self, made: Command) -> None:
        """Raises ValueError for a name or alias that is taken."""
        for name in (made.name, *made.aliases):
            if self._named(name) is not None:
                raise ValueError(f"command {name!r} is defined twice")
        self.table[made.name] = made

    def _named(self, name: str) -> Command | None:
        known = self.table.get(name)
        return known or next((c for c in self.table.values() if name in c.aliases), None)

    def subcommands(self, name: str) -> dict[str, Command]:
        """The second words of a command of several, with what they run."""
        return {n.partition(" ")[2]: c for n, c in self.table.items() if n.startswith(name + " ")}

    def find(self, word: str) -> Command:
        """A command by its name, alias or prefix; raises CommandError that lists or suggests."""
        if (known := self._named(word)) is not None:
            return known
        names = sorted(n for n in self.table if n.startswith(word) and " " not in n)
        return self.table[pick(word, names, [n for n in self.table if " " not in n], "command")]

    def find_sub(self, name: str, word: str) -> Command:
        """The same for a second word."""
        subs = self.subcommands(name)
        found = [n for n in subs if n.startswith(word)]
        return subs[word] if word in subs else subs[pick(word, found, list(subs), f"{name} command")]


def pick(word: str, found: list[str], among: list[str], what: str) -> str:
    """The one name that was found; raises CommandError for none and for several."""
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(f"{word!r} can be {', '.join(sorted(found))}", help="type a letter more")
    first, _, more = what.partition(" ")
    hint = nearest(word, among) or f"{first if more else 'help'} lists what there is"
    raise CommandError(f"no {what} {word!r}", help=hint)


COMMANDS = Commands()


def command(
    name: str,
    *aliases: str,
    group: str,
    complete: Completer = nothing,
    repeat: str | None = "same",
    formats: bool = False,
) -> Callable[[Action], Action]:
    """Define a command (see the module's documentation)."""

    def define(run: Action) -> Action:
        help = inspect.getdoc(run)
        assert help and group in GROUPS, name
        COMMANDS.add(Command(name, aliases, group, run, complete, repeat, formats, help))
        return run

    return define


def load_commands() -> Commands:
    """All commands there are."""
    package = importlib.import_module("sohu.debugger.commands")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return COMMANDS
