"""Undoing what was begun on a host: seen through whatever happens, and without hiding what went wrong first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from rrsim.backends.live.vm.errors import VmError

if TYPE_CHECKING:
    from rrsim.backends.live.vm.vm import Vm


async def through(undoing: Awaitable[object]) -> None:
    """Await something to its end, also if whoever awaits it is cancelled meanwhile; every call of libvirt has a limit.

    Raises:
        VmError: what ``undoing`` raises.
        asyncio.CancelledError: we were cancelled; ``undoing`` has ended all the same.
    """
    task = asyncio.ensure_future(undoing)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()
        raise cancelled
    task.result()


async def after(error: BaseException, undo: Callable[[], Awaitable[object]], what: str) -> None:
    """Undo something because of an error, which the caller raises again; what goes wrong now is a note to it.

    Args:
        error: what went wrong.
        undo: removes what was begun.
        what: its name, for the note.
    """
    try:
        await through(undo())
    except VmError as another:
        error.add_note(f"and {what} could not be removed: {another}; once its lease is over: rrsim reap")


async def empty(vm: Vm) -> None:
    """End a machine and delete its files, so that its slot is as it was when it was taken."""
    await vm.destroy()
    await vm.close()
    await vm.clear_volumes()
