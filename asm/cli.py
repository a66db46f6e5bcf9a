"""The `sohu-asm` command: assemble and link files, disassemble a program, or put sources in columns."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sohu.asm.archive import is_archive
from sohu.asm.assembler import assemble_object
from sohu.asm.console import EXIT_CODES, is_terminal, read, report, run, say, shown_name, working, write
from sohu.asm.diagnostics import AsmError, Diagnostic, Mistake, printable
from sohu.asm.disassembler import disassemble
from sohu.asm.elf import read_elf, write_elf
from sohu.asm.elf_object import is_elf, read_object, write_object
from sohu.asm.files import decode_source
from sohu.asm.formats import image, intel_hex, symbols_json
from sohu.asm.libraries import needed, read_library
from sohu.asm.link import LinkError, link
from sohu.asm.linkmap import link_map
from sohu.asm.listing import listing
from sohu.asm.names import is_name
from sohu.asm.numbers import float_literal, integer_literal
from sohu.asm.objects import Object
from sohu.asm.options import DEFAULT, Options
from sohu.asm.program import Program
from sohu.asm.warnings import WarningPolicy
from sohu.isa import ISA_VERSION, SohuError

_DESCRIPTION = """\
Assemble Sohu assembly and link it to a program.

FILE is a source, an object file or a library, told apart by what is in it; - is standard input. Out of libraries comes
what the other files need.
"""
_EPILOG = f"""\
exit codes: {EXIT_CODES}
--check exits with 1 if a file is not in columns. docs/assembly.md describes the language, docs/objects.md object files,
linking and the tools beside this one: sohu-nm, sohu-size, sohu-objdump, sohu-ar.
"""

# What -O can be, with other names that people know, and the suffix of such a file.
_FORMATS = {"elf": ".elf", "binary": ".bin", "ihex": ".hex"}
_ALIASES = {"raw": "binary", "bin": "binary", "hex": "ihex"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (sys.argv's by default); returns the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    _check(parser, options)
    if options.format:
        return run("sohu-asm", lambda: _format(options.input, options.check))
    if options.disassemble:
        return run("sohu-asm", lambda: _disassemble(options.input[0], options.output))
    return run("sohu-asm", lambda: _assemble(options), options.diagnostics)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sohu-asm",
        usage="sohu-asm [options] FILE...",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=28),
        allow_abbrev=False,  # a new option never changes what an old command line means
        add_help=False,
    )
    parser.add_argument("input", metavar="FILE", nargs="+", help=argparse.SUPPRESS)

    what = parser.add_argument_group("what to do (default: a program)")
    what.add_argument("-c", dest="compile_only", action="store_true", help="object files, one for each source")
    what.add_argument("-d", "--disassemble", action="store_true", help="print assembly that assembles to the same")
    what.add_argument("--format", action="store_true", help="put sources in columns, in place; - to standard output")
    what.add_argument("--check", action="store_true", help="with --format: change nothing, name what it would change")

    out = parser.add_argument_group("output")
    out.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to write (default: the first FILE's name with .elf, .bin, .hex or .o)",
    )
    out.add_argument(
        "-O",
        "--oformat",
        metavar="FORMAT",
        default="elf",
        help="elf (default); binary: the bare image; ihex: Intel HEX",
    )
    out.add_argument("-l", "--listing", metavar="FILE", help="write the sources with addresses and encodings")
    out.add_argument("--map", metavar="FILE", help="write what is where in the program")
    out.add_argument("--symbols", metavar="FILE", help="write the symbols, as JSON")

    source = parser.add_argument_group("sources")
    source.add_argument(
        "-I",
        dest="include",
        metavar="FOLDER",
        action="append",
        default=[],
        help="where else to look for included files",
    )
    source.add_argument(
        "-D",
        dest="defines",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        type=_define,
        help="a constant; without VALUE, 1",
    )
    source.add_argument(
        "--max-expansion",
        metavar="LINES",
        type=int,
        default=DEFAULT.max_expansion,
        help="how many lines macros and repetitions may make (%(default)s)",
    )

    linking = parser.add_argument_group("linking")
    linking.add_argument(
        "-u", dest="undefined", metavar="NAME", action="append", default=[], help="take NAME out of a library"
    )
    linking.add_argument("--whole-archive", action="store_true", help="take all that is in libraries")

    messages = parser.add_argument_group("messages")
    messages.add_argument(
        "--diagnostics",
        choices=("text", "json", "sarif"),
        default="text",
        help="how errors and warnings are printed, on standard error",
    )
    messages.add_argument(
        "-W",
        dest="warnings",
        metavar="FLAG",
        action="append",
        default=[],
        help="NAME, no-NAME or all: give a warning or not; error, error=NAME, no-error=NAME: make errors of them",
    )
    messages.add_argument("-w", dest="no_warnings", action="store_true", help="give no warnings")
    messages.add_argument("-h", "--help", action="help", help="print this")
    version = ".".join(map(str, ISA_VERSION))
    messages.add_argument("--version", action="version", version=f"sohu-asm, ISA version {version}")
    return parser


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse options that do not go together: usage, and exit code 2."""
    options.oformat = _ALIASES.get(options.oformat, options.oformat)
    if options.oformat not in _FORMATS:
        parser.error(f"-O takes {', '.join(_FORMATS)}, not {options.oformat!r}")
    if options.check and not options.format:
        parser.error("--check goes with --format")
    if options.format and (options.disassemble or options.output or options.compile_only):
        parser.error("--format changes the files themselves: it goes with neither -c nor -d nor -o")
    if options.disassemble and len(options.input) > 1:
        parser.error("-d takes one FILE")
    if options.compile_only and (
        options.oformat != "elf" or options.listing or options.map or options.symbols or options.disassemble
    ):
        parser.error("-c makes object files: it goes with none of -d, -O, -l, --map, --symbols")
    if options.compile_only and options.output and len(options.input) > 1:
        parser.error("-c -o takes one FILE")
    if options.input.count("-") > 1:
        parser.error("standard input can be read once")


def _define(text: str) -> tuple[str, int | float]:
    """`NAME` or `NAME=NUMBER`, for -D."""
    name, given, value = text.partition("=")
    if not is_name(name):
        raise argparse.ArgumentTypeError(f"{name!r} can't be the name of a constant")
    if not given:
        return name, 1
    sign, digits = (-1, value[1:]) if value.startswith("-") else (1, value)
    for reads in (integer_literal, float_literal):
        try:
            return name, sign * reads(digits, (0, 0))
        except (ValueError, Mistake):
            continue
    raise argparse.ArgumentTypeError(f"{value!r} is no number")


# -- assembling and linking ----------------------------------------------------------------------


def _assemble(options: argparse.Namespace) -> int:
    flags = ["none"] if options.no_warnings else options.warnings
    how = Options(
        include=tuple(options.include),
        defines=dict(options.defines),
        warnings=WarningPolicy(flags),
        max_expansion=options.max_expansion,
        listing=options.listing is not None,
        externals=options.compile_only or len(options.input) > 1,
    )
    warnings: list[Diagnostic] = []
    suffix = ".o" if options.compile_only else _FORMATS[options.oformat]
    outputs = [
        _output(options, name, suffix) for name in (options.input if options.compile_only else options.input[:1])
    ]
    objects, libraries = _read_all(options, how, warnings)
    if options.compile_only:
        for output, o in zip(outputs, objects, strict=True):
            write(output, write_object(o))
    else:
        objects += needed(objects, libraries, options.undefined)
        try:
            with working("sohu-asm: linking"):
                program = link(objects)
        except LinkError as e:
            raise AsmError([_with_source(d, options.input) for d in e.diagnostics], e.more) from None
        write(outputs[0], _encoded(program, options.oformat))
        if options.listing:
            write(options.listing, listing(objects, program).encode())
        if options.map:
            write(options.map, link_map(objects, program).encode())
        if options.symbols:
            write(options.symbols, symbols_json(program).encode())
    report(warnings, options.diagnostics)
    return 0


def _with_source(d: Diagnostic, sources: Sequence[str]) -> Diagnostic:
    """A diagnostic of the linker with the line of the source that it speaks of, if that is one of these files."""
    if not d.line or d.file == "-" or d.file not in sources:
        return d
    lines = read(d.file).decode("utf-8-sig", "replace").split("\n")
    text = lines[d.line - 1].rstrip("\r") if d.line <= len(lines) else ""
    # the symbol that the message names, else the instruction
    named = re.search(r"'([\w.]+)'", d.message)
    marked = re.search(rf"(?<![\w.]){re.escape(named[1])}(?![\w.])", text[d.column :]) if named else None
    if marked is not None:
        return replace(d, source=text, column=d.column + marked.start() + 1, length=len(marked[0]))
    word = re.match(r"\S+", text[max(d.column - 1, 0) :])
    return replace(d, source=text, length=len(word[0]) if word else 1)


def _output(options: argparse.Namespace, source: str, suffix: str) -> str:
    """Where what is made of `source` goes; raises SohuError."""
    output: str = options.output or ("-" if source == "-" else os.path.splitext(source)[0] + suffix)
    if output == "-" and options.oformat != "ihex" and is_terminal(sys.stdout):
        raise SohuError("a program is not for terminals", help="give -o FILE, or send the output to a file")
    if output != "-" and any(f != "-" and Path(f).resolve() == Path(output).resolve() for f in options.input):
        what = "the source" if output == source else "an input"
        raise SohuError(f"{output} is {what} itself", help="give -o FILE")
    return output


def _read_all(
    options: argparse.Namespace, how: Options, warnings: list[Diagnostic]
) -> tuple[list[Object], list[list[Object]]]:
    """Objects and libraries that these files are or give; raises AsmError with the mistakes of all sources."""
    objects: list[Object] = []
    libraries: list[list[Object]] = []
    mistakes: list[Diagnostic] = []
    more = 0
    for file in options.input:
        data, name = read(file), shown_name(file)
        if options.compile_only and (is_archive(data) or is_elf(data)):
            raise SohuError(f"{name} is no source: there is nothing to assemble", help="leave -c out to link it")
        if is_archive(data):
            library = read_library(data, name)
            objects += library if options.whole_archive else []
            libraries.append(library)
        elif is_elf(data):
            objects.append(read_object(data, name))
        else:
            try:
                with working(f"sohu-asm: assembling {name}"):
                    objects.append(assemble_object(decode_source(data, name), name, how, warnings))
            except AsmError as e:
                mistakes += e.diagnostics
                more += e.more
    if mistakes:
        raise AsmError(mistakes, more)
    return objects, libraries


def _encoded(program: Program, form: str) -> bytes:
    """The bytes of a program in one of _FORMATS."""
    if form == "binary":
        return image(program)
    return intel_hex(program).encode() if form == "ihex" else write_elf(program)


# -- the other ways round ------------------------------------------------------------------------


def _disassemble(file: str, output: str | None) -> int:
    write(output or "-", disassemble(read_elf(read(file), shown_name(file))).encode("utf-8"))
    return 0


def _format(files: Sequence[str], check: bool) -> int:
    from sohu.asm.formatter import format_source  # not imported for nothing by those who assemble

    changed = False
    for file in files:
        name = shown_name(file)
        text = decode_source(read(file), name)
        shown = format_source(text)
        changed = changed or shown != text
        if check and shown != text:
            say(f"sohu-asm: {printable(name)} is not in columns: --format changes it")
        elif not check and (file == "-" or shown != text):
            write(file, shown.encode("utf-8"))
    return int(check and changed)


if __name__ == "__main__":
    sys.exit(main())
