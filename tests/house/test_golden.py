"""Golden files hold, and change only when asked to."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def golden_test(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest((Path(__file__).parent.parent / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile("def test_it(golden):\n    golden('x.txt', 'new\\n')")
    return pytester


def test_a_missing_golden_file_fails(golden_test: pytest.Pytester) -> None:
    result = golden_test.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no golden file*--update-golden*"])


def test_a_difference_fails_and_leaves_the_file(golden_test: pytest.Pytester) -> None:
    golden_file = golden_test.path / "golden" / "x.txt"
    golden_file.parent.mkdir()
    golden_file.write_text("old\n", encoding="utf-8")
    golden_test.runpytest_subprocess().assert_outcomes(failed=1)
    assert golden_file.read_text(encoding="utf-8") == "old\n"


def test_it_changes_by_the_flag_and_then_holds(golden_test: pytest.Pytester) -> None:
    golden_test.runpytest_subprocess("--update-golden").assert_outcomes(passed=1)
    golden_test.runpytest_subprocess().assert_outcomes(passed=1)
    assert (golden_test.path / "golden" / "x.txt").read_text(encoding="utf-8") == "new\n"
