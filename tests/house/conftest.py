"""The wheel, built and unpacked once for each process that asks for it."""

from pathlib import Path

import pytest

from tools.wheel import build_wheel, unpack


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like site-packages with nothing but the built wheel in it."""
    folder = tmp_path_factory.mktemp("wheel")
    unpack(build_wheel(folder), folder / "site")
    return folder / "site"
