"""What the documents show is what happens: their code runs, their commands print what they say, their links lead."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.front.conftest import environment
from tools.tree import ROOT, files

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_HERE = [
    "README.md",
    "docs/tutorial.md",
    "docs/language.md",
    "docs/groups.md",
    "docs/emulator.md",
    "docs/debugging-tour.md",
]  # the rooms test their own pages
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)|!\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"#]+)\"")


def matches(shown: str, real: str) -> bool:
    """Whether output is as a document shows it; `...` stands for any text, also of several lines."""
    pattern = ".*?".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, real.strip(), re.DOTALL) is not None


def outputs(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what is shown after it."""
    return [(c, o) for c, _, o in (part.partition("\n") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:])]


@pytest.mark.parametrize("name", RUN_HERE)
def test_the_blocks_of_a_document_run(name: str, tmp_path: Path) -> None:
    """Python blocks that begin with `# name.py` are files; the others, and commands, run beside them and `examples`."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    blocks = FENCE.findall((ROOT / name).read_text(encoding="utf-8"))
    assert any(language in ("python", "console") for language, _ in blocks)
    for number, (language, text) in enumerate(blocks):
        if language == "python":
            named = re.match(r"# (\w+\.py)\n", text)
            path = tmp_path / (named[1] if named else f"block_{number}.py")
            path.write_text(text, encoding="utf-8")
            if not named:
                run([sys.executable, str(path)], tmp_path, "")
        elif language == "console":
            for command, shown in outputs(text):
                run(["bash", "-c", command], tmp_path, shown)


def run(command: list[str], folder: Path, shown: str) -> None:
    """A failure must be part of what is shown: `[exit status 1]` at its end."""
    env = environment(PYTHONPATH=os.pathsep.join([str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]))
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)
    real = done.stdout + done.stderr + (f"[exit status {done.returncode}]" if done.returncode else "")
    assert matches(shown, real) or (not shown.strip() and not done.returncode), f"{command[-1]}\n{real}"


@pytest.mark.parametrize(
    ("shown", "real", "same"),
    [
        ("a\n...\nb", "a\n1\n2\nb\n", True),
        ("a ... c", "a b c", True),
        ("a ... c", "a b d", False),
        ("[0.1]", "[0.1]", True),
        ("[0.1]", "00.1", False),
        ("a", "a b", False),
    ],
)
def test_what_counts_as_the_same_output(shown: str, real: str, same: bool) -> None:
    assert matches(shown, real) is same


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for path in files():
        # chapters of the manual link to where they are written, docs/isa/, and are looked at there
        if path.suffix == ".md" and path.parent != ROOT / "isa" / "manual":
            for found in LINK.finditer(path.read_text(encoding="utf-8")):
                target = next(group for group in found.groups() if group)
                if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists():
                    broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert not broken, "\n".join(broken)


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    missing = [p.name for p in (ROOT / "docs").glob("*.md") if p.name != "README.md" and f"({p.name})" not in index]
    assert not missing


def test_every_make_target_that_a_document_names_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for name in ("README.md", "CONTRIBUTING.md", *RUN_HERE):
        text = (ROOT / name).read_text(encoding="utf-8")
        named = set(re.findall(r"(?:`|^ *)make ([a-z]+)", text, re.MULTILINE))
        assert named <= targets, name
    assert {"demo", "test"} <= set(re.findall(r"^make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    recipes = dict(re.findall(r"^([a-z]+):[^\n]*\n\t([^\n]*)", makefile, re.MULTILINE))
    assert "-m sohu.demo" in recipes["demo"] and "-m benchmarks" in recipes["bench"]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout and not done.stderr


def test_every_example_is_in_their_index() -> None:
    index = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    examples = [p.name for p in (ROOT / "examples").iterdir() if p.suffix in (".py", ".s")]
    assert examples and all(f"`{name}`" in index for name in examples)
