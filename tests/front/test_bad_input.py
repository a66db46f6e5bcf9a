"""Bad input to the installed commands: one message, a status, no traceback, nothing half-written."""

from pathlib import Path

import numpy as np
import pytest
import sohu.asm.cli
import sohu.debugger.cli

import sohu.cli
from tests.front.conftest import Run


@pytest.fixture
def files(run: Run, kernel_file: Path, tmp_path: Path) -> Path:
    """A good binary and a good array, and many bad ones."""
    np.save(tmp_path / "x.npy", np.ones((5, 6), np.float32))
    assert run("sohu", "compile", "double.py", "--bind", "x=x.npy").returncode == 0
    elf = (tmp_path / "double.elf").read_bytes()
    (tmp_path / "short.elf").write_bytes(elf[: len(elf) // 2])
    (tmp_path / "flipped.elf").write_bytes(elf.replace(b"\x7fELF\x02", b"\x7fELF\x01"))
    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "short.gguf").write_bytes(b"GGUF\x03\0\0\0" + bytes(20))
    (tmp_path / "noise.s").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "wrong.s").write_text("        vepx t, t\n")
    np.save(tmp_path / "wide.npy", np.ones((5, 6)))
    np.save(tmp_path / "flat.npy", np.ones(30, np.float32))
    np.save(tmp_path / "columns.npy", np.asfortranarray(np.ones((5, 6), np.float32)))
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "short.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-8])
    return tmp_path


CASES = [
    ("sohu chat smolm2 hi", 1, "unknown model 'smolm2'"),
    ("sohu chat missing.gguf hi", 1, "missing.gguf: no such model file"),
    ("sohu chat short.gguf hi", 1, "short.gguf: "),
    ("sohu chat noise hi", 1, "noise: not a model file"),
    ("sohu chat . hi", 1, "config.json"),
    ("sohu run missing.elf", 1, "cannot read missing.elf: No such file"),
    ("sohu run short.elf", 1, "short.elf: "),
    ("sohu run flipped.elf", 1, "flipped.elf: "),
    ("sohu run empty", 1, "empty: "),
    ("sohu run noise", 1, "noise: "),
    ("sohu run double.elf --arg x=missing.npy", 1, "cannot read missing.npy"),
    ("sohu run double.elf --arg x=wide.npy", 1, "dtype float64, wants"),
    ("sohu run double.elf --arg x=flat.npy", 1, "argument x"),
    ("sohu run double.elf --arg x=columns.npy", 1, "contiguous"),
    ("sohu run double.elf --arg x=object.npy", 1, "Python objects"),
    ("sohu run double.elf --arg x=short.npy", 1, "short.npy"),
    ("sohu run double.elf --arg z=x.npy", 1, "no parameter 'z'"),
    ("sohu run double.elf --arg x=x.npy --out no/folder/y.npy", 1, "cannot write no/folder/y.npy"),
    ("sohu run double.elf --arg x=x.npy --out y.npy --chip smal", 1, "unknown chip 'smal'"),
    ("sohu run double.elf --arg x=x.npy --out y.npy --max-instructions 3", 3, "[limit]"),
    ("sohu-asm missing.s", 1, "missing.s"),
    ("sohu-asm noise.s -o out.elf", 1, "noise.s"),
    ("sohu-asm wrong.s -o out.elf", 1, "did you mean 'vexp'?"),
    ("sohu-asm -d short.elf", 1, "short.elf"),
    ("sohu-dbg -batch short.elf", 2, "short.elf"),
    ("sohu-dbg -batch noise -ex run", 2, "noise"),
]


# These are run as processes of their own, the others within the test: a process takes most of a second.
PROCESSES = {
    "sohu chat smolm2 hi",
    "sohu chat short.gguf hi",
    "sohu run missing.elf",
    "sohu run flipped.elf",
    "sohu run double.elf --arg x=wide.npy",
    "sohu-asm noise.s -o out.elf",
    "sohu-dbg -batch short.elf",
}
MAINS = {"sohu": sohu.cli.main, "sohu-asm": sohu.asm.cli.main, "sohu-dbg": sohu.debugger.cli.main}


def test_bad_input_gets_one_message_and_leaves_nothing(
    run: Run, files: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(files)
    before = sorted(files.iterdir())
    assert {line for line, _, _ in CASES} >= PROCESSES
    wrong = []
    for line, status, message in CASES:
        words = line.split()
        if line in PROCESSES:
            done = run(*words)
            got, said = done.returncode, done.stderr
        else:
            got, said = MAINS[words[0]](words[1:]), capfd.readouterr().err
        if got != status or message not in said or len(said) > 1500:
            wrong.append(f"$ {line}\n{said}[exit status {got}, not {status}: {message!r}]")
        if after := [p for p in sorted(files.iterdir()) if p not in before]:
            wrong.append(f"$ {line}\nleft {after}")
    assert not wrong, "\n".join(wrong)
