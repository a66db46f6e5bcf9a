"""`sohu-dbg` as a process of its own: scripts, exit codes, bad input."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sohu.asm import assemble
from sohu.debugger.exitcodes import of_session

from tests.debugger.support import ARGS as ARGUMENTS
from tests.debugger.support import SCALE, SPIN, Folder

ARGS = ("scale.elf", "--chip", "small", "--arg", "x=x.npy", "--arg", "n=5", "--arg", "f=2.5")
BEFORE = "sync wait loaded>=2"  # the instruction at `done`


def test_a_script_in_batch_mode(folder: Folder, golden: Callable[[str, str], None]) -> None:
    script = """\
    # what a first look at a kernel takes
    info kernels
    info args
    break scale.s:11
    tbreak twice
    info breakpoints
    run
    print a[0:2, :]
    info tiles
    info semaphores
    continue
    backtrace
    info registers x20 ra
    finish
    disassemble
    list 18
    x/3i done
    x/4fw a
    delete
    info queues
    continue
    print y[3]
    """
    (folder.path / "look").write_text(script)
    done = folder.debug(*ARGS, "-batch", "-x", "look")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    # addresses in HBM are the emulator's affair
    golden("script.txt", re.sub(r"hbm 0x[0-9a-f]+(\.\.0x[0-9a-f]+)?", "hbm (somewhere)", done.stdout))


def test_commands_and_scripts_are_done_in_their_order(folder: Folder) -> None:
    (folder.path / "two").write_text("print 2\n")
    done = folder.debug(*ARGS, "-batch", "-ex", "print 1", "-x", "two", "-ex", "print 3")
    assert done.stdout.splitlines() == ["$1 = 1", "$2 = 2", "$3 = 3"]


def test_a_failing_command_shows_in_the_exit_code_and_the_next_is_done(folder: Folder) -> None:
    done = folder.debug(*ARGS, "-batch", "-ex", "brake 12", "-ex", "print 1")
    assert done.returncode == 1
    assert "no command 'brake'" in done.stderr and "did you mean 'break'?" in done.stderr
    assert done.stdout == "$1 = 1\n"


def test_the_first_failing_command_ends_a_script(folder: Folder) -> None:
    (folder.path / "s").write_text("print 1\nprint nosuch\nprint 3\n")
    done = folder.debug(*ARGS, "-batch", "-x", "s")
    assert done.returncode == 1
    assert done.stdout == "$1 = 1\n" and "s:2: the script ends here" in done.stderr


def test_a_script_that_reads_itself_comes_to_an_end(folder: Folder) -> None:
    (folder.path / "s").write_text("source s\n")
    done = folder.debug(*ARGS, "-batch", "-x", "s")
    assert done.returncode == 1 and "16 deep" in done.stderr and "Traceback" not in done.stderr


def test_a_fault_of_the_program_has_its_own_exit_code(folder: Folder) -> None:
    folder.add("bad", ".kernel bad\nli x20, 7\ntrap 3\nhalt\n")
    done = folder.debug("bad.elf", "--chip", "small", "-batch", "-ex", "run", "-ex", "print x20")
    assert done.returncode == 3
    assert "error[trap]: the program trapped with code 3" in done.stdout
    assert "bad.s:3" in done.stdout and "=> 0x0010  trap" in done.stdout
    assert "x20 = 7" in done.stdout


def test_commands_can_come_through_a_pipe(folder: Folder) -> None:
    done = folder.debug(*ARGS, stdin="break done\n\nrun\nprint x20\nquit\nprint 1\n")
    assert done.returncode == 0, done.stderr
    assert "x20 = 3" in done.stdout and "1 = 1" not in done.stdout and "(sohu)" not in done.stdout
    assert folder.debug(*ARGS, stdin="nonsense\n").returncode == 1


def test_what_the_program_prints_comes_between(folder: Folder) -> None:
    folder.add("say", '.kernel say\nli x20, 7\ndbg.print "x is ", x20\nhalt\n')
    done = folder.debug("say.elf", "--chip", "small", "-batch", "-ex", "run")
    assert done.stdout.splitlines()[0] == "x is 7"


def test_timing_shows_cycles(folder: Folder) -> None:
    done = folder.debug(*ARGS, "--timing", "-batch", "-ex", "run")
    assert re.search(r"has ended: 24 instructions, [1-9]\d* cycles", done.stdout)


def test_run_takes_arguments(folder: Folder) -> None:
    done = folder.debug(*ARGS, "-batch", "-ex", "start n=8", "-ex", "print n", "-ex", "start n=z")
    assert "n = 8" in done.stdout and done.returncode == 1
    assert "n=z: wants an integer" in done.stderr


# -- the command line and its files --------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("scale.elf", "--nonsense"),
        ("scale.elf", "-x"),
        ("a", "b", "c"),
        ("--args",),
        ("scale.elf", "--args", "scale.elf"),
        ("scale.elf", "--tui", "--json"),
        ("--core", "a.core", "--arg", "n=5"),
    ],
)
def test_a_wrong_command_line_is_2(folder: Folder, args: tuple[str, ...]) -> None:
    done = folder.debug(*args)
    assert done.returncode == 2 and "usage: sohu-dbg" in done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("nope.elf",), "cannot read nope.elf: No such file"),
        (("x.npy",), "x.npy"),
        (("scale.elf", "--kernel", "scael"), "no kernel 'scael'"),
        (("scale.elf", "--arg", "z=1"), "no parameter 'z'"),
        (("scale.elf", "--arg", "x=nope.npy"), "cannot read nope.npy"),
        (("scale.elf", "--arg", "x=scale.elf"), "scale.elf is no .npy file"),
        (("scale.elf", "--chip", "smal"), "unknown chip 'smal'"),
    ],
)
def test_what_is_wrong_is_one_message(folder: Folder, args: tuple[str, ...], message: str) -> None:
    done = folder.debug(*args, "-batch")
    assert done.returncode == 2 and done.stdout == ""
    first, *rest = done.stderr.splitlines()
    assert first.startswith("sohu-dbg: ") and message in first
    assert all(line.startswith("  help: ") for line in rest)


def test_a_missing_argument_leaves_the_session_alive(folder: Folder) -> None:
    done = folder.debug("scale.elf", "--chip", "small", "-batch", "-ex", "run", "-ex", "print 1")
    assert done.returncode == 1 and "argument x is missing" in done.stderr and done.stdout == "$1 = 1\n"


def test_damaged_programs_give_one_clear_error(folder: Folder) -> None:
    whole = (folder.path / "scale.elf").read_bytes()
    rng = random.Random(1)
    broken = [whole[:40], whole[: len(whole) // 2]]
    for _ in range(4):
        damaged = bytearray(whole)
        for _ in range(40):
            damaged[rng.randrange(len(whole))] = rng.randrange(256)
        broken.append(bytes(damaged))
    for data in broken:
        (folder.path / "broken.elf").write_bytes(data)
        done = folder.debug("broken.elf", "--chip", "small", "-batch", "-ex", "disassemble")
        assert done.returncode in (0, 1, 2) and "Traceback" not in done.stderr


def test_ctrl_c_stops_the_program_and_the_script_goes_on(folder: Folder) -> None:
    folder.add("spin", SPIN)
    process = subprocess.Popen(
        folder.command(
            "spin.elf", "--chip", "small", "-batch", "-ex", "print 1", "-ex", "run", "-ex", "print x20 > 99"
        ),
        cwd=folder.path,
        env=folder.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "$1 = 1\n"
    time.sleep(1)
    os.kill(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert rest.startswith("Interrupted in spin") and "x20 > 99 = 1" in rest


# -- nothing in a program steers the debugger ----------------------------------------------------------

EVIL = """\
        .file 1 "{source}"
        .kernel k
        .loc 1 1 1
        dbg.print "\\x1b]0;title\\x07\\x1b[2J", x20
        halt
        .endkernel
"""


def test_no_control_character_of_a_program_reaches_the_terminal(folder: Folder) -> None:
    (folder.path / "evil.py").write_text("x = 1  # \x1b[2J\x1b]52;c;aGk=\x07\n")
    folder.add("evil", EVIL.format(source="evil.py"))
    done = folder.debug("evil.elf", "--chip", "small", "-batch", *_each("start", "list", "disassemble", "continue"))
    assert done.returncode == 0, done.stderr
    assert "\N{REPLACEMENT CHARACTER}" in done.stdout
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.stdout)


def test_a_source_is_never_run(folder: Folder) -> None:
    (folder.path / "evil.py").write_text("open('ran', 'w')\nraise SystemExit(9)\n")
    folder.add("evil", EVIL.format(source="evil.py"))
    done = folder.debug("evil.elf", "--chip", "small", "-batch", *_each("start", "list", "print evil.__class__"))
    assert done.returncode == 1 and "open('ran', 'w')" in done.stdout
    assert not (folder.path / "ran").exists()


@pytest.mark.parametrize("source", ["/dev/zero", "/dev/stdin", "fifo", ".", "huge"])
def test_a_source_that_is_no_small_file_is_left_alone(folder: Folder, source: str) -> None:
    os.mkfifo(folder.path / "fifo")
    with (folder.path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    folder.add("evil", EVIL.format(source=source))
    done = folder.debug("evil.elf", "--chip", "small", "-batch", *_each("start", "list"))
    assert done.returncode == 1 and "cannot be read" in done.stderr


def _each(*commands: str) -> list[str]:
    return [word for c in commands for word in ("-ex", c)]


def test_a_relative_source_is_found_beside_the_program(folder: Folder) -> None:
    (folder.path / "build").mkdir()
    for name in ("scale.s", "scale.elf"):
        (folder.path / name).rename(folder.path / "build" / name)
    done = folder.debug("build/scale.elf", "--chip", "small", "-batch", "-ex", "list 9")
    assert SCALE.splitlines()[8].strip() in done.stdout


def test_numpy_arrays_of_bfloat16_are_taken(folder: Folder) -> None:
    import ml_dtypes

    folder.add("k", ".kernel k\n.param x, in, bf16, [4]\nnop\nhalt\n")
    np.save(folder.path / "b.npy", np.arange(4).astype(ml_dtypes.bfloat16))
    done = folder.debug("k.elf", "--chip", "small", "--arg", "x=b.npy", "-batch", "-ex", "start", "-ex", "print x")
    assert "bf16[4]  min 0  max 3" in done.stdout


# -- what else the command line says -------------------------------------------------------------------


TWO_TILES = ".param x, in, f32, [4, 8]\n.tile a, sram, f32, [4, 8]\n.tile b, sram, f32, [4, 8]\n"


@pytest.mark.parametrize(
    ("source", "commands", "code"),
    [
        ("li x20, 1\nhalt", ["run"], 0),
        ("li x20, 1\nhalt", ["run", "nonsense"], 1),
        ("trap 3", ["run"], 3),
        ("sync wait s1>=1\nhalt", ["run"], 14),
        ("li x20, 8\nld x21, x20, 0\nhalt", ["run"], 16),
        ("li x20, 8\nld x21, x20, 0\nhalt", ["run", "nonsense"], 1),
        (TWO_TILES + "vfill a, 0.0\nvdiv b, a, a\nhalt", ["catch nan", "run", "continue"], 10),
        (TWO_TILES + "dma.load a, x\nvmov b, a\nhalt", ["catch race", "run"], 11),
        (TWO_TILES + "vadd b, a, a\nhalt", ["catch uninit", "run", "delete", "continue"], 12),
    ],
)
def test_exit_codes_say_what_was_found(folder: Folder, source: str, commands: list[str], code: int) -> None:
    folder.add("k", f".kernel k\n{source}\n.endkernel\n")
    given = ["--arg", "x=x.npy"] if ".param" in source else []
    done = folder.debug("k.elf", "--chip", "small", *given, "-batch", *_each(*commands))
    assert done.returncode == code, done.stdout + done.stderr
    help = folder.debug("--help").stdout
    assert re.search(rf"^ .*\b{code}  ", help, re.MULTILINE)


def test_of_several_findings_the_first_counts_and_a_failing_command_before_it() -> None:
    assert of_session([], ["deadlock", "nan"]) == 14
    assert of_session([], ["nan", "deadlock"]) == 10
    assert of_session([1, 3], ["nan"]) == 1
    assert of_session([1, 15], ["nan"]) == 15
    assert of_session([], ["assert"]) == 3


def test_a_core_file_alone_needs_no_option_and_junk_is_called_neither(folder: Folder) -> None:
    from sohu.emulator import Device

    device = Device("small")
    device.start(assemble(SCALE, "scale.s"), "scale", ARGUMENTS)
    device.save(folder.path / "s.core")
    done = folder.debug("s.core", "-batch", "-ex", "print n")
    assert (done.returncode, done.stderr) == (0, "") and "n = 0" in done.stdout
    (folder.path / "junk.core").write_bytes(b"junk" * 100)
    done = folder.debug("junk.core", "-batch")
    assert done.returncode == 2 and "junk.core is neither a program nor a core file" in done.stderr


def test_what_follows_args_is_the_program_and_its_arguments(folder: Folder) -> None:
    options = ["--chip", "small", "-batch", "-ex", "info args"]
    done = folder.debug(*options, "--args", "scale.elf", "x=x.npy", "n=5", "f=2.5")
    assert done.returncode == 0 and "n: i64 = 5" in done.stdout
    assert done.stdout == folder.debug(*options, *ARGS).stdout


def test_json_is_one_object_a_line(folder: Folder) -> None:
    commands = _each("break done", "run", "stepi", "print a", "nonsense", "continue")
    done = folder.debug(*ARGS, "--json", "-batch", *commands)
    assert done.returncode == 1 and done.stderr == ""
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(e["version"] == 1 for e in events)
    assert [e["event"] for e in events] == ["output", "stop", "stop", "output", "error", "stop"]
    hit, step, printed, failed, ended = events[1:]
    assert (hit["reason"], hit["points"], hit["pc"], hit["instruction"]) == ("breakpoint", [1], 0xB0, BEFORE)
    assert hit["line"]["file"] == "scale.s" and hit["line"]["line"] == 15 and hit["error"] is None
    assert step["instructions"] == hit["instructions"] + 1 and step["cycle"] is None
    assert "f32[4, 8]" in printed["text"] and "did you mean" not in printed["text"]
    assert (printed["number"], printed["dtype"], printed["shape"]) == (1, "f32", [4, 8])
    assert printed["data"][0][:2] == [1.0, 2.0] and len(printed["data"]) == 4
    assert failed["message"] == "no command 'nonsense'"
    assert ended["reason"] == "exited" and ended["outputs"]["y"] == {"dtype": "f32", "shape": [4, 8]}


def test_a_wrong_command_line_in_json(folder: Folder) -> None:
    done = folder.debug("nothing.elf", "--json", "-batch")
    assert done.returncode == 2 and "nothing.elf" in done.stderr
    (error,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert error["event"] == "error" and "nothing.elf" in error["message"]


def test_json_of_a_fault_and_of_what_has_changed(folder: Folder) -> None:
    folder.add("bad", '.kernel bad\nli x20, 7\ndbg.print "x is ", x20\ntrap 3\nhalt\n')
    done = folder.debug("bad.elf", "--chip", "small", "--json", "-batch", *_each("starti", "stepi", "continue"))
    assert done.returncode == 3
    started, step, said, fault = [json.loads(line) for line in done.stdout.splitlines()]
    assert started["reason"] == "started" and started["changed"] == []
    assert step["changed"] == [{"kind": "register", "name": "x20", "old": 0, "new": 7}]
    assert said == {"version": 1, "event": "output", "text": "x is 7", "source": "program"}
    assert fault["reason"] == "fault" and fault["error"]["category"] == "trap" and fault["error"]["line"]["line"] == 4


def test_init_files_of_the_user_and_the_order_of_all(folder: Folder) -> None:
    config = folder.path / ".config/sohu"
    config.mkdir(parents=True)
    (config / "dbginit").write_text("print 1\n")
    (folder.path / ".sohudbginit").write_text("print 2\n")  # the test's home is its folder
    (folder.path / "early").write_text("print 4\n")
    late = ["-ex", "print 5", "-iex", "print 3", "-ix", "early"]
    done = folder.debug(*ARGS, "-batch", *late)
    assert done.stdout.splitlines() == [f"${i} = {i}" for i in range(1, 6)] and done.returncode == 0
    assert folder.debug(*ARGS, "-batch", "-nx", *late).stdout.startswith("$1 = 3\n$2 = 4\n$3 = 5\n")
    (config / "dbginit").write_text("nonsense\nprint 9\n")
    done = folder.debug(*ARGS, "-batch")
    assert done.returncode == 1 and "dbginit:1: the script ends here" in done.stderr and done.stdout == "$1 = 2\n"


def test_the_init_file_of_a_project_is_read_when_it_is_trusted(folder: Folder, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (folder.path / ".sohudbginit").write_text("print 7\n")
    environment = {"HOME": str(home)}
    done = folder.debug(*ARGS, "-batch", "-ex", "print 1", environment=environment)
    assert done.returncode == 0 and done.stdout == "$1 = 1\n"
    assert ".sohudbginit was not read: its folder is not trusted" in done.stderr
    assert "add-auto-load-safe-path" in done.stderr
    assert folder.debug(*ARGS, "-batch", "-nx", environment=environment).stderr == ""
    done = folder.debug(*ARGS, "-batch", "-ex", "add-auto-load-safe-path", environment=environment)
    assert done.returncode == 0
    assert (home / ".config/sohu/trusted").read_text() == f"{folder.path.resolve()}\n"
    done = folder.debug(*ARGS, "-batch", environment=environment)
    assert (done.stdout, done.stderr) == ("$1 = 7\n", "")
    (folder.path / ".sohudbginit").chmod(0o666)
    done = folder.debug(*ARGS, "-batch", environment=environment)
    assert done.stdout == "" and "anybody can write it" in done.stderr
    done = folder.debug(*ARGS, "-batch", "-ex", "add-auto-load-safe-path nowhere", environment=environment)
    assert done.returncode == 1 and "nowhere is no folder" in done.stderr


def test_python_is_off_unless_the_command_line_has_it(folder: Folder) -> None:
    (folder.path / "s").write_text("python open('ran', 'w')\n")
    done = folder.debug(*ARGS, "-batch", "-x", "s")
    assert done.returncode == 1 and "python is off" in done.stderr and "--python" in done.stderr
    assert not (folder.path / "ran").exists()
    commands = _each("start", "python n = session.evaluate('n').data; print(n + 1)", "python n * 2", "py 1/0", "py (")
    done = folder.debug(*ARGS, "--python", "-batch", "-x", "s", *commands, "-ex", "py session.evaluate('nosuch')")
    assert (folder.path / "ran").exists() and done.returncode == 1
    assert done.stdout.splitlines()[-2:] == ["6", "10"]
    assert "ZeroDivisionError" in done.stderr and "is not complete" in done.stderr
    assert "nothing is called 'nosuch'" in done.stderr


def test_ctrl_c_while_it_starts_gives_no_traceback(folder: Folder) -> None:
    for delay in (0.05, 0.15, 0.3):
        code = "import sys; print(flush=True); from sohu.entry import debugger; sys.exit(debugger())"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *ARGS, "-batch"],
            cwd=folder.path,
            env=folder.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None and process.stdout.readline() == "\n"
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert "Traceback" not in errors and process.returncode in (-signal.SIGINT, 130, 0)
