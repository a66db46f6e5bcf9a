"""Scopes of a frame, and their variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sohu.debugger.assign import assign
from sohu.debugger.dap.messages import Scopes, SetExpression, SetVariable, Variables
from sohu.debugger.dap.registry import Body, request
from sohu.debugger.dap.stopping import Place
from sohu.debugger.dap.typed import BadRequest
from sohu.debugger.dap.values import UNPAGED, Group, Node, Variable, look
from sohu.debugger.display import filled
from sohu.debugger.errors import CommandError
from sohu.debugger.session import Session
from sohu.debugger.stops import Exited
from sohu.debugger.style import clean
from sohu.isa import NUM_SCALARS

if TYPE_CHECKING:
    from sohu.debugger.dap.adapter import Adapter


@request("scopes", Scopes)
def scopes(adapter: Adapter, args: Scopes) -> Body:
    """What there is to see: the kernel's own names first."""
    place = adapter.frames.get(args.frameId)
    session = adapter.session
    with adapter.seen_from(place.level):
        return {"scopes": _scopes(adapter, session, place)}


def _scopes(adapter: Adapter, session: Session, place: Place) -> list[dict[str, Any]]:
    if isinstance(stop := session.stop, Exited):
        outputs = Group(lambda: [look(session, n, n) for n in stop.outputs])
        return [_scope(adapter, "Outputs", outputs, "returnValue")]
    out = [] if place.issued is None else [_scope(adapter, "Waiting", Group(lambda: _waiting(session, place)))]
    out += [
        _scope(adapter, "Locals", Group(lambda: _locals(session, place)), "locals"),
        _scope(adapter, "Tiles", Group(lambda: _tiles(session))),
        _scope(adapter, "Registers", Group(lambda: _registers(session)), "registers"),
        _scope(adapter, "Semaphores", Group(lambda: _semaphores(session))),
        _scope(adapter, "Queues", Group(lambda: _queues(session))),
    ]
    return out


def _scope(adapter: Adapter, name: str, group: Group, hint: str = "") -> dict[str, Any]:
    out = {"name": name, "variablesReference": adapter.nodes.add((group, adapter.session.level)), "expensive": False}
    return out | ({"presentationHint": hint} if hint else {})


def _locals(session: Session, place: Place) -> list[Variable]:
    """Variables of the frame as the compiler tells, those without a value last; of assembly, what the kernel names."""
    names = session.names
    own = sorted(names.variables.locals(place.frame), key=lambda v: v.location is None)
    if own:
        return [look(session, v.name, v.name) for v in own]
    return [look(session, n, n) for n in [*names.tile_registers(), *names.scalars(), *names.dims()]]


def _tiles(session: Session) -> list[Variable]:
    return [
        look(session, f"t{t.reg}" + (f" ({t.name})" if t.name else ""), f"$t{t.reg}") for t in session.names.tiles()
    ]


def _registers(session: Session) -> list[Variable]:
    out = [Variable("pc", f"{session.pc:#06x}", "int", "$pc", read_only=True)]
    for i in range(NUM_SCALARS):
        aliases = session.names.scalar_names(i)
        out.append(look(session, f"x{i}" + (f" ({', '.join(aliases)})" if aliases else ""), f"$x{i}"))
    return out


def _semaphores(session: Session) -> list[Variable]:
    names = session.names.semaphore_names()
    return [
        Variable(f"s{i}" + (f" ({names[i]})" if i in names else ""), str(value), "int", f"$s{i}")
        for i, value in enumerate(session.machine.sems)
        if value or i in names
    ]


def _queues(session: Session) -> list[Variable]:
    return [
        Variable(q.name, filled(session, q), node=_entries(session, q) if q.entries else None, read_only=True)
        for q in session.queues
    ]


def _entries(session: Session, q: Any) -> Group:
    def rows() -> list[Variable]:
        out = []
        for n, issued in enumerate(q.entries):
            mnemonic, operands, sync = session.assembly(issued.op.pc)
            out.append(Variable(str(n), " ".join(f"{mnemonic} {operands} {sync}".split()), read_only=True))
        return out

    return Group(rows)


def _waiting(session: Session, place: Place) -> list[Variable]:
    issued = place.issued
    assert issued is not None
    wait = issued.op.wait
    if wait is None:
        return [Variable("waits for", "its turn in the queue", read_only=True)]
    name = session.names.semaphore_names().get(wait.sem, f"s{wait.sem}")
    now = session.machine.sems[wait.sem]
    return [
        Variable("waits for", f"{name} >= {issued.value}", read_only=True),
        Variable(name, str(now), "int", f"$s{wait.sem}", read_only=True),
    ]


@request("variables", Variables)
def variables(adapter: Adapter, args: Variables) -> Body:
    """Children: those with names, those by index, or both; of the latter a part, for clients that can ask for one."""
    node, level = adapter.nodes.get(args.variablesReference)
    if args.filter not in (None, "named", "indexed"):
        raise BadRequest(f"there is no filter {args.filter!r}")
    with adapter.seen_from(level):
        return {"variables": [_variable(adapter, v) for v in _children(adapter, node, args)]}


def _children(adapter: Adapter, node: Node, args: Variables) -> list[Variable]:
    out = node.named() if args.filter != "indexed" else []
    if args.filter != "named" and node.indexed:
        start = max(0, args.start)
        left = node.indexed - start
        count = min(
            left, args.count if args.count > 0 else UNPAGED if not adapter.client.supportsVariablePaging else left
        )
        out += node.part(start, count)
        if count < left and args.count <= 0:
            more = f"{left - count:,} more; slice it: t[{start + count}:]"
            out.append(Variable("...", more, kind="virtual", read_only=True))
    return out


def _variable(adapter: Adapter, v: Variable) -> dict[str, Any]:
    out: dict[str, Any] = {"name": clean(v.name), "value": clean(v.value)} | children(adapter, v.node)
    out["presentationHint"] = {"kind": v.kind} | ({"attributes": ["readOnly"]} if v.read_only else {})
    extra = {"type": v.type, "evaluateName": v.evaluate, "memoryReference": v.memory}
    return out | {name: text for name, text in extra.items() if text}


def children(adapter: Adapter, node: Node | None) -> dict[str, int]:
    """variablesReference, and how many children there are of each sort."""
    if node is None:
        return {"variablesReference": 0}
    out = {"variablesReference": adapter.nodes.add((node, adapter.session.level))}
    return out | ({"indexedVariables": node.indexed, "namedVariables": len(node.named())} if node.indexed else {})


@request("setVariable", SetVariable)
def set_variable(adapter: Adapter, args: SetVariable) -> Body:
    """Give a register, a semaphore, a row or an element another value: an expression."""
    child, level = find_child(adapter, args.variablesReference, args.name)
    if child.read_only or not child.evaluate:
        raise CommandError(f"{args.name} cannot be set", help="registers, semaphores and elements of tiles can")
    with adapter.seen_from(level):
        return set_value(adapter, child.evaluate, args.value, args.format.hex)


@request("setExpression", SetExpression)
def set_expression(adapter: Adapter, args: SetExpression) -> Body:
    """Give what an expression names another value."""
    with adapter.seen_from(level_of(adapter, args.frameId)):
        return set_value(adapter, args.expression, args.value, args.format.hex)


def level_of(adapter: Adapter, frame: int | None) -> int | None:
    """The level of a frame by its number; raises BadRequest for one that is not there."""
    return None if frame is None else adapter.frames.get(frame).level


def set_value(adapter: Adapter, target: str, value: str, hex: bool) -> dict[str, Any]:
    """Change the machine; what the client has seen of it is void."""
    session = adapter.session
    assign(session, target, value)
    if session.running:
        session.timeline.edited()
    found = look(session, target, target, hex)
    adapter.changed()
    out: dict[str, Any] = {"value": clean(found.value)} | children(adapter, found.node)
    return out | ({"type": found.type} if found.type else {})


def find_child(adapter: Adapter, reference: int, name: str) -> tuple[Variable, int]:
    """A child of a variable by its name, and the level from which it is seen; raises BadRequest."""
    node, level = adapter.nodes.get(reference)
    with adapter.seen_from(level):
        for child in node.named():
            if child.name == name:
                return child, level
        if name.isdecimal() and int(name) < node.indexed:
            return node.part(int(name), 1)[0], level
    raise BadRequest(f"there is no {name[:40]!r} in it")
