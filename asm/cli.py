"""The `sohu-asm` command: assemble a file, disassemble a program, or put sources in columns."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sohu.asm.assembler import assemble
from sohu.asm.diagnostics import AsmError, Diagnostic, printable, render
from sohu.asm.disassembler import disassemble
from sohu.asm.elf import read_elf, write_elf
from sohu.asm.formatter import format_source
from sohu.asm.options import Options
from sohu.asm.reports import to_json, to_sarif
from sohu.asm.warnings import WarningPolicy
from sohu.isa import ISA_VERSION, SohuError

_EPILOG = """\
exit codes: 0 done; 1 errors in the input, a file that can't be read or written, or with --check one that is not in
columns; 2 wrong usage.
- stands for standard input or output. docs/assembly.md describes the language.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (sys.argv's by default); returns the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.check and not options.format:
        parser.error("--check goes with --format")
    if options.format and (options.disassemble or options.output):
        parser.error("--format changes the files themselves: it goes with neither -d nor -o")
    if len(options.input) > 1 and not options.format:
        parser.error("one FILE, unless it is --format")
    try:
        if options.format:
            return _format(options.input, options.check)
        return _run(options)
    except AsmError as e:
        report(e.diagnostics, options.diagnostics, e.more)
    except SohuError as e:
        _say("\n".join(printable(line) for line in f"sohu-asm: {e}".split("\n")))
    except BrokenPipeError:
        # whoever read our output has seen enough; keep Python from complaining when it flushes at exit
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sohu-asm",
        description="Assemble Sohu assembly to an ELF program, or disassemble such a program.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = ".".join(map(str, ISA_VERSION))
    parser.add_argument("input", metavar="FILE", nargs="+", help="source file, or with -d a program")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to write (default: FILE with suffix .elf; with -d, stdout)",
    )
    parser.add_argument("-d", "--disassemble", action="store_true", help="print assembly that assembles to the same")
    parser.add_argument("--format", action="store_true", help="put sources in columns, in place; - to standard output")
    parser.add_argument("--check", action="store_true", help="with --format: change nothing, name what it would change")
    parser.add_argument(
        "--diagnostics",
        choices=("text", "json", "sarif"),
        default="text",
        help="how errors and warnings are printed, on standard error",
    )
    parser.add_argument(
        "-W",
        dest="warnings",
        metavar="FLAG",
        action="append",
        default=[],
        help="NAME, no-NAME or all: give a warning or not; error, error=NAME, no-error=NAME: make errors of them",
    )
    parser.add_argument("-w", dest="no_warnings", action="store_true", help="give no warnings")
    parser.add_argument("--version", action="version", version=f"sohu-asm, ISA version {version}")
    return parser


def report(found: Sequence[Diagnostic], form: str, more: int = 0) -> None:
    """Print diagnostics to standard error: as `text`, `json` or `sarif`. `more`: errors that were only counted."""
    if form == "json":
        _say(to_json(found))
    elif form == "sarif":
        _say(to_sarif(found))
    elif found:
        _say(render(found, _coloured(sys.stderr), more))


def _run(options: argparse.Namespace) -> int:
    source, output = options.input[0], options.output
    data = _read(source)
    name = "<stdin>" if source == "-" else source
    if options.disassemble:
        _write(output or "-", disassemble(read_elf(data, name)).encode("utf-8"))
        return 0
    if output is None:
        output = "-" if source == "-" else str(Path(source).with_suffix(".elf"))
    if output == "-" and sys.stdout.isatty():
        raise SohuError("a program is not for terminals", help="give -o FILE, or send the output to a file")
    if output != "-" and source != "-" and Path(output).resolve() == Path(source).resolve():
        raise SohuError(f"{output} is the source itself", help="give -o FILE")
    flags = ["none"] if options.no_warnings else options.warnings
    warnings: list[Diagnostic] = []
    program = assemble(decode_source(data, name), name, Options(warnings=WarningPolicy(flags)), warnings)
    _write(output, write_elf(program))
    report(warnings, options.diagnostics)
    return 0


def _format(files: Sequence[str], check: bool) -> int:
    changed = False
    for file in files:
        name = "<stdin>" if file == "-" else file
        text = decode_source(_read(file), name)
        shown = format_source(text)
        changed = changed or shown != text
        if check and shown != text:
            _say(f"sohu-asm: {printable(name)} is not in columns: --format changes it")
        elif not check and (file == "-" or shown != text):
            _write(file, shown.encode("utf-8"))
    return int(check and changed)


def decode_source(data: bytes, name: str) -> str:
    """The text of a source file; raises AsmError where it is no UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        before = data[: e.start]
        line = before.count(b"\n") + 1
        start = before.rfind(b"\n") + 1
        column = len(before[start:].decode("utf-8", "replace")) + 1
        text = data[start:].split(b"\n", 1)[0].decode("utf-8", "replace")
        what = f"byte {data[e.start]:#04x} is no UTF-8: this is no source text"
        raise AsmError([Diagnostic("A001", what, name, line, column, 1, text)]) from None


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as e:
        raise SohuError(f"cannot read {name}: {e.strerror or e}") from None


def _write(name: str, data: bytes) -> None:
    """Write a whole file or none: to a temporary one beside it, which is then renamed."""
    if name == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    try:
        if path.exists() and not path.is_file():  # a device or pipe can't be replaced
            path.write_bytes(data)
            return
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        handle, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as f:
                f.write(data)
            os.chmod(scratch, mode)
            os.replace(scratch, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(scratch)
            raise
    except OSError as e:
        raise SohuError(f"cannot write {name}: {e.strerror or e}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _coloured(stream: object) -> bool:
    return "NO_COLOR" not in os.environ and bool(getattr(stream, "isatty", lambda: False)())


def _say(text: str) -> None:
    encoding = sys.stderr.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
