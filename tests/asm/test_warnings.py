"""Warnings and the flags for them; diagnostics as text, JSON and SARIF."""

import json
from pathlib import Path

import pytest
from sohu.asm import AsmError, Diagnostic, assemble
from sohu.asm.cli import main
from sohu.asm.codes import WARNINGS
from sohu.asm.options import Options
from sohu.asm.reports import to_json, to_sarif
from sohu.asm.warnings import WarningPolicy
from sohu.isa import SohuError

SOURCE = '.warning "one"\nnop\n.warning "two"\n'


def run(source: str, *flags: str) -> list[Diagnostic]:
    warnings: list[Diagnostic] = []
    assemble(source, "f.s", Options(warnings=WarningPolicy(flags)), warnings)
    return warnings


def test_warnings_do_not_stop_anything() -> None:
    assert [(d.line, d.severity, d.message) for d in run(SOURCE)] == [(1, "warning", "one"), (3, "warning", "two")]


@pytest.mark.parametrize(
    ("flags", "severity"),
    [
        ("", "warning"),
        ("no-user", None),
        ("no-user user", "warning"),
        ("no-user all", "warning"),
        ("none", None),
        ("none user error", None),
        ("error", "error"),
        ("error no-error", "warning"),
        ("error no-error=user", "warning"),
        ("no-error=user error", "warning"),
        ("error=user", "error"),
        ("no-user error=user", "error"),
        ("error=W001", "error"),
        ("error no-user", None),
    ],
)
def test_flags(flags: str, severity: str | None) -> None:
    assert WarningPolicy(flags.split()).severity("W001") == severity
    assert WarningPolicy(flags.split()).severity("A010") == "error"


@pytest.mark.parametrize("flag", ["usr", "no-usr", "error=usr", "A010"])
def test_a_flag_that_nothing_has(flag: str) -> None:
    with pytest.raises(SohuError, match=r"no warning is called '(usr|A010)'") as raised:
        WarningPolicy([flag])
    assert raised.value.help == (
        f"there are: {', '.join(sorted(WARNINGS))}" if flag == "A010" else "did you mean 'user'?"
    )


def test_an_error_lists_the_warnings_too() -> None:
    with pytest.raises(AsmError) as raised:
        assemble(SOURCE + "vad t0\n", "f.s")
    assert [d.severity for d in raised.value.diagnostics] == ["warning", "warning", "error"]
    assert raised.value.message == "1 error in f.s"


def test_how_a_warning_looks() -> None:
    assert run('\t.warning "one"')[0].render() == (
        'f.s:1:11: warning[W001]: one [-Wuser]\n    1 |  .warning "one"\n      |           ^~~~~'
    )


def test_json_says_everything() -> None:
    with pytest.raises(AsmError) as raised:
        assemble("a: nop\na: vmuul t0\n", "f.s")
    document = json.loads(to_json(raised.value.diagnostics))
    assert document["version"] == 1
    twice, unknown = document["diagnostics"]
    assert twice["notes"] == [{"message": "it was defined", "file": "f.s", "line": 1}]
    assert unknown == {
        "file": "f.s", "line": 2, "column": 4, "length": 5, "severity": "error", "code": "A010", "name": "",
        "message": "unknown instruction 'vmuul'", "help": "did you mean 'vmul'?", "source": "a: vmuul t0", "stack": [],
        "notes": [],
    }  # fmt: skip


def test_sarif_has_what_the_standard_asks_for() -> None:
    with pytest.raises(AsmError) as raised:
        assemble('a: nop\na: nop\n.warning "ünd"\n', "/ü f.s")
    document = json.loads(to_sarif(raised.value.diagnostics))
    assert document["version"] == "2.1.0" and document["$schema"].endswith("sarif-schema-2.1.0.json")
    (log,) = document["runs"]
    assert log["tool"]["driver"]["name"] == "sohu-asm" and log["columnKind"] == "unicodeCodePoints"
    rules = log["tool"]["driver"]["rules"]
    error, warning = log["results"]
    for result in log["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error") and result["message"]["text"]
    place = error["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "file:///%C3%BC%20f.s"},
        "region": {"startLine": 2, "startColumn": 1, "endColumn": 2},
    }
    assert error["relatedLocations"][0]["physicalLocation"]["region"] == {"startLine": 1}
    assert warning["level"] == "warning" and warning["ruleId"] == "W001"


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.s").write_text(SOURCE)
    assert main(["f.s"]) == 0
    assert capsys.readouterr().err.count("warning[W001]") == 2
    assert main(["f.s", "-w"]) == 0 == main(["f.s", "-Wno-user"])
    assert capsys.readouterr().err == ""
    assert main(["f.s", "-Werror=user", "--diagnostics=json"]) == 1
    assert [d["severity"] for d in json.loads(capsys.readouterr().err)["diagnostics"]] == ["error", "error"]
    assert main(["f.s", "--diagnostics", "sarif"]) == 0
    assert len(json.loads(capsys.readouterr().err)["runs"][0]["results"]) == 2
    assert main(["f.s", "-Wusr"]) == 1
    assert "did you mean 'user'?" in capsys.readouterr().err
