"""What has changed from one stop to the next, and how it is shown; settings."""

from io import StringIO

import numpy as np
import pytest
from sohu.asm import assemble
from sohu.debugger import CommandError, Session
from sohu.debugger.changes import SAMPLE, WHOLE, Observer, sample
from sohu.debugger.settings import CONTEXT, LIST_SIZE, SECTIONS, Settings
from sohu.debugger.shell import Shell
from sohu.debugger.style import Style, clip, visible
from sohu.emulator import Device

from tests.debugger.support import Folder, make_session, talk

# two large tiles, of which the sample of one is not met by what is written
LARGE = """\
        .kernel large
        .param  x, in, f32, [R, 512]
        .tile   a, sram, f32, [256, 512]
        .tile   row, sram, f32, [1, 512]
        .sem    done
        dma.load a, x                     signal done
        sync                   wait done>=1
        vfill   row, 1.0
        tslice  t40, a, 0, x0, 1
        vfill   t40, 7.0
        halt
        .endkernel
"""


def test_registers_semaphores_and_tiles_that_changed(session: Session) -> None:
    observer = Observer(session)
    session.begin()
    assert not observer.observe()  # nothing to compare with
    session.stepi()
    seen = observer.observe()
    assert seen.semaphores == {0: (0, 1)} and not seen.registers
    (tile,) = seen.tiles
    a = session.names.tile_registers()["a"]
    assert (tile.reg, tile.moved, tile.elements) == (a, False, 31)  # x begins with a zero, as a did
    assert not observer.observe()
    session.stepi(3)
    assert observer.observe().semaphores == {0: (1, 2)}
    session.stepi()
    assert observer.observe().registers == {20: (0, 1)}
    session.stepi(reverse=True)
    assert observer.observe().registers == {20: (1, 0)}


def test_another_launch_is_not_compared_with_the_one_before(session: Session) -> None:
    observer = Observer(session)
    session.begin()
    observer.observe()
    session.begin()
    assert not observer.observe()
    session.kill()
    assert not observer.observe()


def test_a_tile_that_is_moved_and_one_that_nobody_may_write() -> None:
    source = ".kernel k\n.param x, in, f32, [8]\n.tile a, sram, f32, [8]\ntset a, a, 0, x5\nhalt\n"
    device = Device("small")
    x = device.tensor(np.arange(8, dtype=np.float32), writable=False)
    session = Session(assemble(source, "k.s"), args={"x": x}, device=device)
    session.begin()
    observer = Observer(session)
    observer.observe()
    x.view().flags.writeable = True
    session.stepi()
    (change,) = observer.observe().tiles
    assert change.moved and change.reg == session.names.tile_registers()["a"]


def test_of_large_tiles_a_sample_is_compared_and_what_straight_code_wrote_is_known() -> None:
    x = np.zeros((256, 512), np.float32)
    assert x.nbytes > WHOLE
    session = make_session(LARGE, {"x": x})
    observer = Observer(session)
    session.begin()
    observer.observe()
    session.stepi(2)  # zeros over zeros: nothing differs, but `a` was written
    a = session.names.tile_registers()["a"]
    assert [c.reg for c in observer.observe().tiles] == [a]
    session.stepi()
    row = session.names.tile_registers()["row"]
    assert [(c.reg, c.elements) for c in observer.observe().tiles] == [(row, 512)]  # exactly: it is small
    session.stepi(2)  # a row of `a` through another descriptor
    assert {c.reg for c in observer.observe().tiles} == {a, 40}


@pytest.mark.parametrize("shape", [(1 << 20,), (4, 1 << 18), (1 << 18, 4), (7, 11, 5000), (1, 1 << 20, 1)])
def test_a_sample_is_small_and_spread(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    some = sample(array)
    assert SAMPLE // 64 <= some.nbytes <= SAMPLE
    assert np.ptp(some) > 0.8 * array.size


@pytest.fixture
def beside(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source of the session's program can be found."""
    monkeypatch.chdir(folder.path)


@pytest.mark.usefixtures("beside")
def test_the_context_can_be_had_in_scripts(session: Session) -> None:
    text = talk(session, "set context on", "start", "stepi", "break 11", "context")
    first, second, third = text.split("── scale.s ")[1:]
    assert "=>     9" in first and "── changed" not in first
    assert "=>    10" in second and "  loaded 0 → 1\n" in second
    assert " 1      11" in third and "  loaded 0 → 1\n" in third  # the same again, with the breakpoint


def test_only_the_panels_that_are_wanted(session: Session) -> None:
    text = talk(session, "set context on", "set context-panels queues code", "start", "stepi")
    assert "── scale.s" not in text and "── changed" not in text
    assert text.count("── code: scale+") == 2


def test_what_waits_in_queues_is_in_the_context() -> None:
    source = (
        ".kernel k\n.param x, in, f32, [8]\n.tile a, sram, f32, [8]\n.sem go\n"
        "dma.load a, x  wait go>=1\nnop\nsig go, 1\nhalt\n"
    )
    session = make_session(source.replace("sig go, 1", "sync signal go"), {"x": np.zeros(8, np.float32)})
    text = talk(session, "set context on", "start", "stepi")
    assert "── queues" in text and "waits for go >= 1; it is 0" in text


def test_settings() -> None:
    settings = Settings()
    assert settings[CONTEXT] == "auto" and settings[LIST_SIZE] == 10
    settings.change("listsize", "3")
    settings.change("context-p", "code changed")
    assert settings[LIST_SIZE] == 3 and settings[SECTIONS] == ("code", "changed")
    for name, value, message in [
        ("listsize", "0", "a number from 1"),
        ("listsize", "9" * 5000, "a number from 1"),
        ("context", "", "one of on, off, auto"),
        ("context-panels", "nosuch", "'nosuch' is no panel"),
        ("nosuch", "1", "no setting 'nosuch'"),
        ("cont", "on", "several"),
    ]:
        with pytest.raises(CommandError, match=message):
            settings.change(name, value)
    assert dict(settings)["context-panels"] == "code changed"


@pytest.mark.usefixtures("beside")
def test_the_size_of_lists(session: Session) -> None:
    assert talk(session, "set listsize 3", "list 9").count("\n") == 4


def test_painted_text_is_cut_by_what_is_seen_of_it() -> None:
    painted = Style(True).paint("error", "abcdef") + "ghi"
    assert visible(clip(painted, 4)) == 4 and clip(painted, 4).endswith("\x1b[0m")
    assert clip(painted, 9) == painted and clip("abc", 2) == "ab"


def test_drawing_what_a_binary_says_steers_no_terminal() -> None:
    source = '.file 1 "\\x1b[2Jevil.py"\n.kernel k\n.sem s\n.loc 1 1 1\nli x20, 7\nhalt\n'
    session = make_session(source)
    out = StringIO()
    shell = Shell(session, out, Style(True))
    for line in ("set context on", "starti", "stepi"):
        shell.execute(line)
    assert "\x1b[2J" not in out.getvalue() and "=>" in out.getvalue()
