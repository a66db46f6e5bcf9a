"""From the first message to the last: initialize, launch, attach, restart, terminate, disconnect."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sohu.debugger.dap.messages import Attach, Disconnect, Initialize, Launch, Nothing, Restart
from sohu.debugger.dap.registry import Body, When, request
from sohu.debugger.dap.requests.data import FILTERS
from sohu.debugger.dap.stopping import Options, report
from sohu.debugger.dap.typed import BadRequest, read
from sohu.debugger.errors import CommandError
from sohu.debugger.session import Session
from sohu.emulator import Device
from sohu.emulator.run_cli import read_arguments, read_program, read_schedule
from sohu.emulator.snapshot_file import SnapshotFile

if TYPE_CHECKING:
    from sohu.debugger.dap.adapter import Adapter

CAPABILITIES: dict[str, Any] = {
    "supportsConfigurationDoneRequest": True,
    "supportsFunctionBreakpoints": True,
    "supportsConditionalBreakpoints": True,
    "supportsHitConditionalBreakpoints": True,
    "supportsEvaluateForHovers": True,
    "exceptionBreakpointFilters": FILTERS,
    "supportsExceptionFilterOptions": True,
    "supportsStepBack": True,
    "supportsSetVariable": True,
    "supportsGotoTargetsRequest": True,
    "supportsSetExpression": True,
    "supportsDataBreakpoints": True,
    "supportsDataBreakpointBytes": True,
    "supportsWriteMemoryRequest": True,
    "supportsCompletionsRequest": True,
    "completionTriggerCharacters": [" ", "$", "/"],
    "supportsRestartRequest": True,
    "supportsExceptionInfoRequest": True,
    "supportsValueFormattingOptions": True,
    "supportTerminateDebuggee": True,
    "supportsDelayedStackTraceLoading": True,
    "supportsLoadedSourcesRequest": True,
    "supportsLogPoints": True,
    "supportsTerminateRequest": True,
    "supportsReadMemoryRequest": True,
    "supportsDisassembleRequest": True,
    "supportsBreakpointLocationsRequest": True,
    "supportsClipboardContext": True,
    "supportsSteppingGranularity": True,
    "supportsInstructionBreakpoints": True,
}


@request("initialize", Initialize, setup=True)
def initialize(adapter: Adapter, args: Initialize) -> Body:
    """What both sides can do."""
    if adapter.initialized:
        raise CommandError("initialize has been answered")
    adapter.client = args
    adapter.initialized = True
    return CAPABILITIES


@request("launch", Launch, setup=True)
def launch(adapter: Adapter, args: Launch) -> Body:
    """Load a program; it begins to run after configurationDone."""
    _only_once(adapter)
    if adapter.served is not None:
        raise CommandError("this is a session of a program that runs", help='use "request": "attach"')
    _launch(adapter, args)
    adapter.then = lambda: adapter.event("initialized")
    return None


def _launch(adapter: Adapter, args: Launch) -> None:
    adapter.options = Options(args.stopOnEntry, args.stopOnExit, args.noDebug, launched=True)
    adapter.make = lambda: session_of(args)
    adapter.adopt(adapter.make())
    if args.cwd:
        adapter.places.texts.folders.insert(0, args.cwd)


def session_of(args: Launch) -> Session:
    """A session as a launch describes it. Raises SohuError for files and values that do not fit."""
    program = _path(args.cwd, args.program)
    if program.suffix == ".py":
        raise CommandError(
            f"{args.program} is a Python program, which this does not run",
            help="run it yourself; in it, sohu.debugger.dap.serve(session) waits for an attach",
        )
    device = Device(args.chip, schedule=_schedule(args.schedule), timing=args.timing)
    session = Session(read_program(program), args.kernel, device=device, checks=args.checks, record=args.record)
    tensors = {p.name for p in session.kernel.params if p.is_tensor}
    given = [
        f"{name}={_path(args.cwd, value) if name in tensors and isinstance(value, str) else value}"
        for name, value in args.args.items()
    ]
    session.args = read_arguments(session.kernel, given)
    return session


def _path(cwd: str | None, path: str) -> Path:
    if "\0" in path or "\0" in (cwd or ""):
        raise BadRequest("a path has a zero byte in it")
    return Path(cwd or "", path)


def _schedule(text: str | int | None) -> Any:
    if text is None or isinstance(text, int) or text == "program":
        return text if isinstance(text, int) else None
    try:
        return read_schedule(text)
    except argparse.ArgumentTypeError as e:
        raise BadRequest(f"launch: schedule {e}") from None


@request("attach", Attach, setup=True)
def attach(adapter: Adapter, args: Attach) -> Body:
    """Look at a core file or a snapshot, or take the session that is being served."""
    _only_once(adapter)
    adapter.options = Options(stop_on_exit=args.stopOnExit)
    if args.core is not None:
        file = SnapshotFile(_path(args.cwd, args.core))
        if args.program is not None and read_program(_path(args.cwd, args.program)).text != file.program.text:
            raise CommandError(f"{args.core} is of another program than {args.program}")
        adapter.adopt(Session.of_file(file))
    elif adapter.served is not None:
        adapter.adopt(adapter.served)
    else:
        raise CommandError(
            "there is nothing to attach to",
            help='"core" names a core file or snapshot; a Python program is attached to where it serves a session',
        )
    if args.cwd:
        adapter.places.texts.folders.insert(0, args.cwd)
    adapter.then = lambda: adapter.event("initialized")
    return None


def _only_once(adapter: Adapter) -> None:
    if adapter.attached:
        raise CommandError("there is a program already", help="restart begins it anew")


@request("configurationDone", Nothing)
def configuration_done(adapter: Adapter, args: Nothing) -> Body:
    """All breakpoints are there: the program begins."""
    if adapter.configured:
        raise CommandError("configurationDone has been answered")
    adapter.configured = True
    session = adapter.session
    adapter.event(
        "process",
        name=os.path.basename(session.program.name) or session.kernel.name,
        systemProcessId=os.getpid(),
        isLocalProcess=True,
        startMethod="launch" if adapter.options.launched else "attach",
    )
    if (stop := session.stop) is not None:
        adapter.then = lambda: report(adapter, stop)
    else:
        _begin(adapter)
    return None


def _begin(adapter: Adapter) -> None:
    """Start the kernel, to its first line or to the first breakpoint."""
    session = adapter.session
    if adapter.options.stop_on_entry or not adapter.options.launched:
        adapter.go(session.begin, reason="entry")
    else:
        adapter.go(session.run, session.cont)


@request("restart", Restart, when=When.END)
def restart(adapter: Adapter, args: Restart) -> Body:
    """From the beginning. A launched program is read anew, with its arguments: it may have been compiled again."""
    if args.arguments is not None and adapter.options.launched:
        _launch(adapter, read(Launch, args.arguments, "restart"))
    elif adapter.make is not None:
        adapter.adopt(adapter.make())
    elif adapter.session.file is not None:
        raise CommandError("a core file shows a machine as it was, nothing can be started in it")
    _begin(adapter)
    return None


@request("terminate", Nothing, when=When.END, setup=True)
def terminate(adapter: Adapter, args: Nothing) -> Body:
    """Give the run up."""
    if adapter.attached:
        adapter.session.kill()
    adapter.then = lambda: adapter.event("terminated")
    return None


@request("disconnect", Disconnect, when=When.END, setup=True)
def disconnect(adapter: Adapter, args: Disconnect) -> Body:
    """The client goes. A session that was attached to stays as it is, unless it is to be ended."""
    if adapter.attached:
        end = adapter.options.launched if args.terminateDebuggee is None else args.terminateDebuggee
        adapter.leave(end)
    return None
