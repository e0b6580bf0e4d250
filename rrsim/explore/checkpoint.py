"""A search on disk: stopped anywhere, it goes on from there and comes to the same totals.

A file is a line with its kind and version, a line of JSON (which code, which model, what is kept of a state), the
search itself, and a checksum over all of it. It is read as data of known types only, and never by another version of
the code: numbers in it stand for states in the order in which this code meets them.
"""

from __future__ import annotations

import os
from array import array
from collections import deque
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

import rrsim
from rrsim.agent.core import AgentState
from rrsim.backends.sim.pc import PcState
from rrsim.explore.component import Table
from rrsim.explore.model import Model
from rrsim.explore.monitor import Watch
from rrsim.explore.network import Net
from rrsim.explore.packing import BITS
from rrsim.explore.report import Violation
from rrsim.explore.search import Search
from rrsim.explore.stores import Exact
from rrsim.explore.turn import Client, Session
from rrsim.explore.world import Bounds
from rrsim.server.core import SessionState

KIND: Final = b"rrsim search checkpoint "
VERSION: Final = 1
_SUM_BYTES: Final = 32
ROOMS: Final = ("agent", "backends/sim", "explore", "machine", "people", "protocol", "scenario", "server")
"""Whose code decides what a search meets, and in which order."""
_ELSEWHERE: Final = ("explore/cluster", "explore/shrink", "explore/swarm")
"""Parts of these rooms that a search has nothing to do with."""

_TYPES: Final[dict[str, Any]] = {
    "agent": list[AgentState], "pc": list[PcState], "client": list[Client], "server": list[SessionState],
    "session": list[Session], "network": list[Net], "network 2": list[Net], "bounds": list[Bounds],
    "monitor": list[Watch],
}  # fmt: skip
"""What the tables hold."""


class CheckpointError(ValueError):
    """A file that no search can go on from; the message says why and what to try."""


class CorruptCheckpoint(CheckpointError):
    """The file is no checkpoint, is cut off, or was changed."""


class OtherCode(CheckpointError):
    """The file was written by another version of the code, or in another format."""


class OtherModel(CheckpointError):
    """The file is of another model, of other bounds, or keeps other things of a state."""


class _Header(msgspec.Struct, frozen=True):
    code: str
    model: str
    """Everything about the model, as JSON."""
    kept: str


class _Body(msgspec.Struct, frozen=True):
    tables: dict[str, bytes]
    layers: list[int]
    layer_end: int
    transitions: int
    ends: int
    reached: dict[str, int]
    broken: list[Violation]
    at: int
    states: bytes
    """Exact: every state. Fingerprints: those that wait to be expanded."""
    parents: bytes
    marks: bytes = b""
    last: bytes = b""


def save(search: Search, path: Path) -> None:
    """Write a search to a file; the file is complete, or it is as it was.

    Raises:
        OSError: it cannot be written.
    """
    store, world = search.store, search.world
    width = _width(search)
    waiting = store.states if isinstance(store, Exact) else store.frontier
    body = _Body(
        tables={name: msgspec.msgpack.encode(table.states[1:]) for name, table in world.tables().items()},
        layers=search.layers, layer_end=search.layer_end, transitions=search.transitions, ends=search.ends,
        reached=search.reached, broken=list(search.broken.values()), at=store.at,
        states=b"".join(state.to_bytes(width, "big") for state in waiting), parents=store.parents.tobytes(),
        marks=b"" if isinstance(store, Exact) else store.marks.tobytes(),
        last=b"" if isinstance(store, Exact) else store.last.tobytes(),
    )  # fmt: skip
    header = msgspec.json.encode(_header(world.model, store.name))
    data = b"%s%d\n%s\n%s" % (KIND, VERSION, header, msgspec.msgpack.encode(body))
    partly = path.with_name(f"{path.name}.part")
    with partly.open("wb") as file:
        file.write(data)
        file.write(_sum(data))
        file.flush()
        os.fsync(file.fileno())
    partly.replace(path)


def load(model: Model, path: Path, *, fingerprints: bool = False) -> Search:
    """Return a search of ``model`` as it was when it was saved.

    Raises:
        CorruptCheckpoint: the file is not whole.
        OtherCode: another version of the code wrote it.
        OtherModel: it is of another model, or keeps other things of a state.
        OSError: it cannot be read.
    """
    data, told = _whole(path)
    search = Search(model, fingerprints=fingerprints)
    here = _header(model, search.store.name)
    if told.code != here.code:
        raise OtherCode(
            f"expected a checkpoint of this code ({here.code}); seen: {path} of another ({told.code}); begin anew "
            "without it"
        )
    if (told.model, told.kept) != (here.model, here.kept):
        raise OtherModel(
            f"expected a checkpoint of model {model.name!r} that keeps {here.kept} states; seen: {path} of "
            f"{msgspec.json.decode(told.model)['name']!r} with {told.kept} states; name that one, or begin anew"
        )
    try:
        _restore(search, msgspec.msgpack.decode(data, type=_Body))
    except (msgspec.MsgspecError, ValueError, KeyError) as error:
        raise CorruptCheckpoint(f"expected a whole search in {path}; seen: {error}; begin anew without it") from error
    return search


def _whole(path: Path) -> tuple[bytes, _Header]:
    """Return a file's body and header, after its checksum has proved both."""
    data = path.read_bytes()
    kind, _, rest = data.partition(b"\n")
    if not kind.startswith(KIND):
        raise CorruptCheckpoint(f"expected a search's checkpoint in {path}; seen: something else; name another file")
    if kind != b"%s%d" % (KIND, VERSION):
        raise OtherCode(
            f"expected format {VERSION} of checkpoints; seen: {kind.decode(errors='replace')!r} in {path}; begin anew "
            "without it"
        )
    if len(rest) <= _SUM_BYTES or _sum(data[:-_SUM_BYTES]) != data[-_SUM_BYTES:]:
        raise CorruptCheckpoint(
            f"expected a checksum that fits; seen: {path} was cut off or changed; begin anew without it"
        )
    header, _, body = rest[:-_SUM_BYTES].partition(b"\n")
    return body, msgspec.json.decode(header, type=_Header)


def _restore(search: Search, body: _Body) -> None:
    for name, table in search.world.tables().items():
        _fill(name, table, msgspec.msgpack.decode(body.tables[name], type=_TYPES[name]))
    search.layers, search.layer_end = body.layers, body.layer_end
    search.transitions, search.ends, search.reached = body.transitions, body.ends, body.reached
    search.broken = {(violation.invariant, violation.message): violation for violation in body.broken}
    width, store = _width(search), search.store
    states = [int.from_bytes(body.states[at: at + width], "big") for at in range(0, len(body.states), width)]
    store.parents = _array("I", body.parents)
    store.at = body.at
    if isinstance(store, Exact):
        store.states, store.seen = states, set(states)
    else:
        store.frontier, store.marks, store.last = deque(states), _array("Q", body.marks), _array("I", body.last)
        store.fit()


def _fill(name: str, table: Table, states: list[Any]) -> None:
    """Give states the numbers they had. The first ones have theirs already, from the opening scene."""
    for number, state in enumerate(states, 1):
        if table.number(state) != number:
            raise ValueError(f"state {number} of the {name} stands twice, or not where the opening scene has it")


def _array(kind: str, data: bytes) -> array[int]:
    found = array(kind)
    found.frombytes(data)
    return found


def _width(search: Search) -> int:
    """Return the bytes of a packed state."""
    return (search.world.fields * BITS + 7) // 8


def _sum(data: bytes) -> bytes:
    return blake2b(data, digest_size=_SUM_BYTES).digest()


def _header(model: Model, kept: str) -> _Header:
    return _Header(code_version(), msgspec.json.encode(model).decode(), kept)


@cache
def code_version(rooms: tuple[str, ...] = ROOMS, elsewhere: tuple[str, ...] = _ELSEWHERE) -> str:
    """Return a digest of all code in some rooms of rrsim; by default of all that decides what a search meets."""
    top = Path(rrsim.__file__).parent
    digest = blake2b(digest_size=8)
    for room in rooms:
        for path in sorted((top / room).rglob("*.py")):
            name = path.relative_to(top).as_posix()
            if not name.startswith(elsewhere):
                digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
