"""What all tests share: one BLAS thread each, property tests that repeat, golden files."""

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

# Neither import above loads numpy, which reads these once. pytest-xdist runs a process per core already, so
# more threads would only get in each other's way; and a matrix product is the same to the bit in every run.
for _library in ("OPENBLAS", "OMP", "MKL", "VECLIB_MAXIMUM"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

# `make test` runs the same cases each time; `make fuzz` looks for new ones.
hypothesis.settings.register_profile("test", derandomize=True, deadline=None)
hypothesis.settings.register_profile("fuzz", max_examples=20_000, deadline=None, print_blob=True)
hypothesis.settings.load_profile("test")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files with what was made")
    parser.addoption("--schedules", type=int, default=0, metavar="N", help="launch all programs in N random orders too")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--schedules"):
        from tests.every_schedule import Plugin

        config.pluginmanager.register(Plugin(config))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)`: text must equal the file `golden/name` beside the test.

    The files change only by `pytest --update-golden`; look at the difference before you commit it.
    """
    folder: Path = request.path.parent / "golden"

    def check(name: str, text: str) -> None:
        path = folder / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        if not path.exists():
            pytest.fail(f"no golden file {path}; if this is right, run with --update-golden:\n{text}")
        expected = path.read_text(encoding="utf-8")
        assert text == expected, f"not as in {path}; if this is meant, run with --update-golden"

    return check
