"""Draws docs/images/road.svg from a real run: `python -m tools.picture` (needs the language model)."""

import html
import io
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.terminal_theme import TerminalTheme
from rich.text import Text
from sohu.asm.lexer import SohuLexer
from sohu.dsl.kernels import softmax as module

from sohu.demo import function_source
from tools.tree import ROOT

TARGET = ROOT / "docs" / "images" / "road.svg"
WIDTH = 104
QUESTION = "What is the capital of France?"
BIN = Path(sys.executable).parent
BRIGHT = [(224, 108, 117), (152, 195, 121), (229, 192, 123), (97, 175, 239), (198, 120, 221), (86, 182, 194)]
THEME = TerminalTheme(
    (22, 24, 29),
    (214, 217, 224),
    [(40, 44, 52), *BRIGHT, (200, 204, 212)],
    [(110, 118, 135), *BRIGHT, (255, 255, 255)],
)


def code(text: str, lexer: str | SohuLexer) -> Text:
    """Coloured text that is cut, not wrapped, where it is too wide."""
    made = Syntax("", lexer, theme="ansi_dark").highlight(text.rstrip("\n"))
    made.no_wrap, made.overflow = True, "ellipsis"
    made.rstrip()
    return made


def panel(title: str, *parts: RenderableType) -> Panel:
    """One stage of the road."""
    return Panel(Group(*parts), title=f"[bold]{title}[/]", title_align="left", box=ROUNDED, border_style="cyan")


def output(folder: Path, *words: str) -> str:
    """What a command of ours prints."""
    command = [str(BIN / words[0]), *words[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.rstrip()


def loop(asm: str) -> str:
    """The loop of the kernel's assembly up to the exponential, without the line table's entries."""
    lines = [line for line in asm.splitlines() if line.split()[:1] != [".loc"]]
    first = next(i for i, line in enumerate(lines) if line.split()[:1] == ["loop"])
    last = next(i for i, line in enumerate(lines) if line.split()[:1] == ["vdiv"])
    return "\n".join(lines[first : last + 1])


def stages(folder: Path) -> list[Panel]:
    """All stages, each from a real run."""
    path = Path(module.__file__)
    source, first = function_source(path, "softmax")
    at = first + next(i for i, line in enumerate(source.splitlines()) if " exp(" in line)
    x = np.random.default_rng(0).normal(0, 3, (300, 70)).astype(np.float32)
    np.save(folder / "x.npy", x)
    compiled = module.softmax.compile(x)
    (folder / "softmax.elf").write_bytes(compiled.elf)
    script = [f"break {path.name}:{at}", "run", "print t[0:3, 0:4]"]
    options = ["--arg", "x=x.npy", *[word for command in script for word in ("-ex", command)]]
    stopped = output(folder, "sohu-dbg", "-batch", "softmax.elf", *options)
    shown = " ".join(["sohu-dbg softmax.elf --arg x=x.npy", *(f"-ex {shlex.quote(command)}" for command in script)])
    answer = output(folder, "sohu", "chat", "smollm2", QUESTION)
    return [
        panel("a kernel in Python", code(source, "python")),
        panel("its assembly: who waits for whom is worked out by the compiler", code(loop(compiled.asm), SohuLexer())),
        panel("the debugger inside its binary", Text(f"$ {shown}", style="green"), code(stopped, "text")),
        panel(
            "a language model: every tensor operation a kernel on the emulated chip",
            Text(f'$ sohu chat smollm2 "{QUESTION}"', style="green"),
            Text(answer),
        ),
    ]


def plain(svg: str) -> str:
    """The picture without fonts from elsewhere, and with no text that begins or ends with spaces.

    Some programs drop such spaces; here a text starts at its first letter instead.
    """
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code,", "Fira Code, DejaVu Sans Mono, Menlo, Consolas,")

    def trimmed(found: re.Match[str]) -> str:
        before, x, y, length, rest, text = found.groups()
        lead = len(text) - len(text.lstrip("\xa0"))
        cell = float(length) / len(html.unescape(text))
        text = text.strip("\xa0")
        wide = cell * len(html.unescape(text))
        return (
            f'{before}x="{float(x) + lead * cell:g}" y="{y}" textLength="{wide:g}"{rest}>{text}</text>' if text else ""
        )

    pattern = r'(<text [^>]*?)x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>([^<]*)</text>'
    return re.sub(pattern, trimmed, svg.replace("&#160;", "\xa0"))


def main() -> None:
    """Draw the picture."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    with tempfile.TemporaryDirectory() as folder:
        for stage in stages(Path(folder)):
            console.print(stage)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    svg = plain(console.export_svg(title="sohu", theme=THEME, unique_id="road"))
    TARGET.write_text(svg, encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(svg):,} bytes")


if __name__ == "__main__":
    main()
