"""Init files: the user's own, and a project's when its folder is trusted."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell

NAME = ".sohudbginit"
_LARGEST = 1 << 20  # bytes of the list of trusted folders


def config_folder() -> Path:
    """$XDG_CONFIG_HOME/sohu (~/.config by default); a relative one is ignored, as the XDG rules say."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home and os.path.isabs(home) else Path.home() / ".config") / "sohu"


def trusted_file() -> Path:
    """The list of trusted folders, one a line."""
    return config_folder() / "trusted"


def user_files() -> list[Path]:
    """The user's init files that are there, in the order in which they are done."""
    return [path for path in (config_folder() / "dbginit", Path.home() / NAME) if path.is_file()]


def read_user_files(shell: Shell) -> None:
    """Do what they say. What fails is printed, and ends that file."""
    for path in user_files():
        shell.execute_file(path)


def read_project_file(shell: Shell) -> None:
    """Do what ./.sohudbginit says, if its folder is trusted; otherwise say that it was not read."""
    path = Path.cwd() / NAME
    if not path.is_file() or any(_same(path, other) for other in user_files()):
        return
    if (why := distrust(path)) == "":
        shell.execute_file(path)
    else:
        shell.warn(f"{path} was not read: {why}", "add-auto-load-safe-path trusts the folder; -nx reads no init files")


def distrust(path: Path) -> str:
    """Why a project's init file is not read; "" when it may be."""
    folder = path.parent.resolve()
    if not any(folder == t or t in folder.parents for t in trusted_folders()):
        return "its folder is not trusted"
    info = path.stat()
    if info.st_uid not in (os.getuid(), 0):
        return "it belongs to another user"
    if info.st_mode & stat.S_IWOTH:
        return "anybody can write it"
    return ""


def trusted_folders() -> list[Path]:
    """The folders of the list; those below them are trusted too. Lines that begin with # are comments."""
    path = trusted_file()
    try:
        if path.stat().st_size > _LARGEST:
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    folders = (line.strip() for line in lines)
    return [Path(f).resolve() for f in folders if f and not f.startswith("#") and os.path.isabs(f)]


def trust(folder: Path) -> Path:
    """Add a folder to the list; returns what was added. Raises CommandError."""
    folder = folder.expanduser().resolve()
    if not folder.is_dir():
        raise CommandError(f"{folder} is no folder")
    if "\n" in str(folder):
        raise CommandError("a folder whose name has a line break cannot be trusted")
    if folder not in trusted_folders():
        path = trusted_file()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            temporary.write_text(text + ("\n" if text and not text.endswith("\n") else "") + f"{folder}\n", "utf-8")
            temporary.replace(path)
        except (OSError, UnicodeDecodeError) as e:
            raise CommandError(f"cannot write {path}: {getattr(e, 'strerror', None) or e}") from None
    return folder


def _same(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:
        return False
