"""HBM images: made once, found again, made anew when anything about them is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sohu.isa import DType, bf16, f16, f32
from sohu.models import Checkpoint, ModelError, Pretrained, load
from sohu.models import image as module
from sohu.models.fetch import note_checked
from sohu.models.image import ALIGN, Image, NoImage, image
from sohu.models.llama import LlamaOnChip

Change = Callable[[Path], None]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("SOHU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def model(tmp_path: Path, write_gguf: Callable[..., Path]) -> Path:
    return write_gguf(tmp_path / "tiny.gguf")


def written(made: Image) -> tuple[int, int]:
    """Tells one making of an image from another."""
    s = made.path.stat()
    return s.st_ino, s.st_mtime_ns


@pytest.mark.parametrize("dtype", [f32, bf16], ids=str)
def test_a_model_of_an_image_is_the_model(model: Path, tiny: Checkpoint, dtype: DType) -> None:
    made = image(load(model).source, dtype)
    tokens = [3, 1, 4, 1, 5, 9, 2, 6]
    mapped = LlamaOnChip(made, max_positions=48)
    assert mapped.dtype == dtype and made.nbytes == sum(a.nbytes for a in tiny.tensors.values()) * dtype.itemsize // 4
    loaded = LlamaOnChip(tiny, dtype=dtype, max_positions=48)
    streamed = LlamaOnChip(load(model).source, dtype=dtype, max_positions=48)
    want = loaded.forward(tokens).tobytes()
    assert mapped.forward(tokens).tobytes() == want
    assert streamed.forward(tokens).tobytes() == want
    with pytest.raises(ModelError, match=f"the image holds {dtype}, not f16"):
        LlamaOnChip(made, dtype=f16, max_positions=8)


def test_an_image_of_each_form_of_file(tmp_path: Path, write_hf: Callable[..., Path], stories: Pretrained) -> None:
    for source in (load(write_hf(tmp_path / "hf", shards=3)).source, stories.source):
        made = image(source, f32)
        assert made.check()
        tokens = list(range(5, 20))
        want = LlamaOnChip(source, max_positions=32).forward(tokens)
        np.testing.assert_array_equal(LlamaOnChip(made, max_positions=32).forward(tokens), want)


def test_it_is_made_once(model: Path, cache: Path) -> None:
    first = written(image(load(model).source, f32))
    assert written(image(load(model).source, f32)) == first
    os.utime(model)  # the same content at another time
    assert written(image(load(model).source, f32)) == first
    assert written(image(load(model).source, bf16)) != first
    assert written(image(load(model).source, f32)) == first
    names = sorted(p.suffix for p in (cache / "images").iterdir() if not p.name.startswith("."))
    assert names == [".hbm", ".hbm"]


def flip(at: int) -> Change:
    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)

    return change


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def folder(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


@pytest.mark.parametrize(
    "change",
    [flip(0), flip(9), flip(20), flip(60), flip(ALIGN), flip(ALIGN + 5000), flip(-1), cut, empty, folder],
    ids=["magic", "length", "hash", "header", "first byte", "a byte", "padding", "cut", "empty", "a link to nothing"],
)
def test_a_damaged_image_is_made_anew(model: Path, change: Change) -> None:
    source = load(model).source
    made = image(source, f32)
    good, first = made.path.read_bytes(), written(made)
    change(made.path)
    again = image(source, f32)
    assert written(again) != first and again.path.read_bytes() == good


@pytest.mark.parametrize("name", ["FORMAT", "layout.VERSION"])
def test_an_image_of_another_version_is_made_anew(model: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = load(model).source
    first = written(image(source, f32))
    monkeypatch.setattr(f"{module.__name__}.{name}", 99)
    assert written(image(source, f32)) != first


def test_damage_that_leaves_the_times_alone_is_found_by_a_check(model: Path) -> None:
    source = load(model).source
    made = image(source, f32)
    assert made.check()
    flip(ALIGN + 5000)(made.path)
    with made.path.open("rb") as file:
        note_checked(file)
    found = image(source, f32)
    assert not found.check()


def test_another_source_makes_another_image(model: Path, write_gguf: Callable[..., Path], tiny: Checkpoint) -> None:
    first = image(load(model).source, f32)
    before, data = written(first), first.path.read_bytes()
    norm = tiny.final_norm + 1
    write_gguf(model, tensors={"output_norm.weight": norm})
    second = image(load(model).source, f32)
    assert second.path == first.path and written(second) != before and second.path.read_bytes() != data


def test_no_place_for_an_image(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = load(model).source
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SOHU_CACHE", str(tmp_path / "file"))
    with pytest.raises(NoImage, match="no image can be kept there"):
        image(source, f32)
    monkeypatch.setenv("SOHU_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(NoImage, match="not enough space"):
        image(source, f32)


def test_a_damaged_source_leaves_nothing_behind(
    tmp_path: Path, cache: Path, write_gguf: Callable[..., Path], tiny: Checkpoint
) -> None:
    norm = np.full_like(tiny.final_norm, np.nan)
    source = load(write_gguf(tmp_path / "nan.gguf", tensors={"output_norm.weight": norm})).source
    with pytest.raises(ModelError, match="final_norm holds NaN"):
        image(source, f32)
    assert not [p for p in (cache / "images").iterdir() if p.suffix != ".lock"]


def test_progress_is_told(model: Path) -> None:
    seen: list[tuple[int, int]] = []
    made = image(load(model).source, f32, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] == made.path.stat().st_size
    assert seen == sorted(seen)
