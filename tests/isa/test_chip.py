"""Chip configurations."""

from pathlib import Path

import pytest
from sohu.isa import MIN_QUEUE_DEPTH, SohuError, Space, chips, load_chip


@pytest.mark.parametrize("name", chips())
def test_every_configuration_loads(name: str) -> None:
    chip = load_chip(name)
    assert chip.name == name
    assert chip.queue_depth >= MIN_QUEUE_DEPTH
    assert chip.capacity(Space.HBM) == chip.hbm_bytes > chip.capacity(Space.SRAM) == chip.sram_bytes
    assert chip.capacity(Space.ACC) == chip.acc_bytes
    assert set(chip.mxu_rate) >= {"f32", "bf16", "f16", "fp8e4m3", "fp8e5m2", "i8", "fp4x2"}


def text(**changes: str | None) -> str:
    path = Path(__file__).parents[2] / "isa" / "chips" / "small.toml"
    lines = [line for line in path.read_text().split("\n") if line.split(" = ")[0] not in changes]
    return "\n".join(lines + [f"{key} = {value}" for key, value in changes.items() if value is not None])


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text(name='"mine"', queue_depth="9"))
    chip = load_chip(str(path))
    assert (chip.name, chip.queue_depth, chip.vpu_lanes) == ("mine", 9, load_chip("small").vpu_lanes)


@pytest.mark.parametrize(
    ("changes", "says", "help"),
    [
        ({"vpu_lines": "5"}, "unknown key 'vpu_lines'", "'vpu_lanes'"),
        ({"vpu_lanes": None}, "missing vpu_lanes", ""),
        ({"vpu_lanes": "0"}, "vpu_lanes = 0, wants a positive whole number", ""),
        ({"vpu_lanes": "true"}, "vpu_lanes = True, wants a positive whole number", ""),
        ({"vpu_lanes": '"5"'}, "vpu_lanes = '5', wants a positive whole number", ""),
        ({"name": "5"}, "name = 5, wants text", ""),
        ({"mxu_rate": "5"}, "mxu_rate = 5, wants a table", ""),
        ({"mxu_rate": "{ f32 = -1 }"}, "wants a table of positive numbers", ""),
        ({"mxu_rate": "{ f32 = inf }"}, "wants a table of positive numbers", ""),
        ({"mxu_rate": "{ f32 = 1.0 }"}, "mxu_rate says nothing of bf16, f16, fp4x2, fp8e4m3, fp8e5m2, i8", ""),
        ({"hbm_bytes": "1e9"}, "hbm_bytes = 1000000000.0, wants a positive whole number", ""),
        ({"sram_bytes": "99999999999999999999"}, "wants a positive whole number", ""),
        ({"clock_hz": "inf"}, "clock_hz = inf, wants a positive number", ""),
        ({"queue_depth": "7"}, "queues are at least 8 deep", ""),
        ({"queue_depth": "="}, "mine.toml: ", ""),
    ],
)
def test_bad_configurations(changes: dict[str, str | None], says: str, help: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text(**changes))
    with pytest.raises(SohuError) as raised:
        load_chip(str(path))
    assert says in raised.value.message and help in raised.value.help


def test_names_that_are_none() -> None:
    with pytest.raises(SohuError) as raised:
        load_chip("smal")
    assert "unknown chip 'smal'" in raised.value.message and "'small'" in raised.value.help
    with pytest.raises(SohuError, match=r"there are: .*small"):
        load_chip("quite another")
    with pytest.raises(SohuError, match=r"cannot read chip configuration no\.toml"):
        load_chip("no.toml")
