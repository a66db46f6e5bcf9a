"""What the commands of this room have in common: files and pipes, messages on standard error, exit codes, progress."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from sohu.asm.diagnostics import AsmError, Diagnostic, printable, render
from sohu.asm.reports import to_json, to_sarif
from sohu.isa import SohuError

EXIT_CODES = """\
0 done; 1 errors in the input, or a file that can't be read or written; 2 wrong usage; 130 interrupted;
141 whoever read the output has gone."""

INTERRUPTED, READER_GONE = 130, 141  # 128 + SIGINT and SIGPIPE, as shells report them

_PATIENCE = 1.0  # seconds before progress is shown
_TICK = 0.2  # seconds between two updates of it


def run(program: str, body: Callable[[], int], diagnostics: str = "text") -> int:
    """The exit code of `body`, or of what it raises: a SohuError gets its message, nothing gets a traceback.

    `diagnostics`: the form in which an AsmError is printed.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names may be more than the locale can show
    try:
        status = body()
        sys.stdout.flush()  # here, where a reader that is gone is noticed
        return status
    except AsmError as e:
        report(e.diagnostics, diagnostics, e.more)
    except SohuError as e:
        say("\n".join(printable(line) for line in f"{program}: {e}".split("\n")))
    except BrokenPipeError:
        # whoever read our output has seen enough; keep Python from complaining when it flushes at exit
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except KeyboardInterrupt:
        return INTERRUPTED
    return 1


def report(found: Sequence[Diagnostic], form: str, more: int = 0) -> None:
    """Print diagnostics to standard error: as `text`, `json` or `sarif`. `more`: errors that were only counted."""
    if form == "json":
        say(to_json(found))
    elif form == "sarif":
        say(to_sarif(found))
    elif found:
        say(render(found, coloured(sys.stderr), more))


def say(text: str) -> None:
    """Print to standard error, whatever it can encode."""
    encoding = sys.stderr.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)


def coloured(stream: object) -> bool:
    """True where colours are welcome: on a terminal, unless NO_COLOR is set."""
    return "NO_COLOR" not in os.environ and is_terminal(stream)


def is_terminal(stream: object) -> bool:
    """True for a stream that a person looks at."""
    return bool(getattr(stream, "isatty", lambda: False)())


# -- files ---------------------------------------------------------------------------------------


def shown_name(name: str) -> str:
    """What messages call an input file."""
    return "<stdin>" if name == "-" else name


def read(name: str) -> bytes:
    """A whole file, `-` for standard input; raises SohuError."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as e:
        raise SohuError(f"cannot read {name}: {getattr(e, 'strerror', None) or e}") from None


def write(name: str, data: bytes) -> None:
    """Write a whole file or none (to a temporary one beside it, which is then renamed), `-` for standard output.

    Raises SohuError.
    """
    if name == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    try:
        if path.exists() and not path.is_file():  # a device or pipe can't be replaced
            path.write_bytes(data)
            return
        # by hand: the module tempfile takes as long to import as a hundred lines to assemble
        scratch = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            with os.fdopen(handle, "wb") as f:
                f.write(data)
            if path.exists():
                os.chmod(scratch, path.stat().st_mode & 0o777)
            os.replace(scratch, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(scratch)
            raise
    except (OSError, ValueError) as e:
        raise SohuError(f"cannot write {name}: {getattr(e, 'strerror', None) or e}") from None


# -- progress ------------------------------------------------------------------------------------


@contextmanager
def working(what: str) -> Iterator[None]:
    """Say on a terminal that `what` is being done, once it takes longer than a second."""
    stream = sys.stderr
    if not is_terminal(stream):
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_tell, args=(what, stream, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _tell(what: str, stream: TextIO, done: threading.Event) -> None:
    start = time.monotonic()
    if done.wait(_PATIENCE):
        return
    while not done.wait(_TICK):
        stream.write(f"\r\033[K{printable(what)} {time.monotonic() - start:.0f} s")
        stream.flush()
    stream.write("\r\033[K")
    stream.flush()
