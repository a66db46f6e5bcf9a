"""Files stay short, and speak only of the product."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.tree import ROOT, files

LONGEST = 700  # lines
CODE = {".py", ".lark", ".s", ".toml", ".sh", ".js", ".css", ".html", ""}

# A file names no place of the machine it was written on, and no paper that the reader does not have.
ELSEWHERE = re.compile(
    r"(?<![\w.~}>/-])/(?:work|root|tmp|home|Users|mnt|scratch)/"  # somebody's folders
    r"|\.\./shared\b"
    r"|--(?:extra-)?index-url|PIP_INDEX_URL|PIP_EXTRA_INDEX_URL"  # somebody's package index
    r"|\bthe charter\b|\bcharter section\b|\bthe brief\b|\bissue item \d",
    re.IGNORECASE,
)


def texts() -> Iterator[tuple[Path, str]]:
    """(path, text) of every hand-written text file."""
    for path in files():
        data = path.read_bytes()
        if b"\0" not in data:
            yield path.relative_to(ROOT), data.decode("utf-8")


def elsewhere(text: str) -> list[str]:
    """What of `text` belongs to a machine or a workplace, each with its line number."""
    return [f"{text.count(chr(10), 0, m.start()) + 1}: {m[0]!r}" for m in ELSEWHERE.finditer(text)]


def test_hand_written_code_stays_under_700_lines() -> None:
    lines = {str(path): text.count("\n") for path, text in texts() if path.suffix in CODE}
    assert "isa/__init__.py" in lines
    long = {path: count for path, count in lines.items() if count > LONGEST}
    assert not long, f"split what is over {LONGEST} lines"


def test_no_file_betrays_where_it_was_written() -> None:
    this = Path(__file__).relative_to(ROOT)
    found = [f"{path}:{what}" for path, text in texts() if path != this for what in elsewhere(text)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "see /work/elsewhere/x.py",
        'open("/home/me/model.gguf")',
        "cp x /tmp/x",
        "pip install --index-url http://host/simple",
        "x = '../shared/data'",
        "as the charter says",
    ],
)
def test_a_giveaway_is_found(text: str) -> None:
    (what,) = elsewhere("first line\n" + text)
    assert what.startswith("2: ")


@pytest.mark.parametrize("text", ["a/work/b", "https://example.org/home/page", "~/tmp/x", "the root/"])
def test_innocent_text_is_not(text: str) -> None:
    assert elsewhere(text) == []
