"""Blocking calls of libvirt beside the event loop, and the one thread in which libvirt delivers its events.

libvirt takes one event loop per process and for ever, while a process may run several asyncio loops one after the
other (a test each). So libvirt's own loop runs in a daemon thread, and every callback hands its news over to the
asyncio loop that asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from rrsim.backends.live.vm.errors import HostSlow

T = TypeVar("T")
SETTLE_S: Final = 10.0
"""How long a call that was cancelled is waited for."""
_events_lock = threading.Lock()
_events: list[threading.Thread] = []


async def in_thread(what: str, function: Callable[[], T], limit_s: float) -> T:
    """Run a blocking call in a thread of its own and return its result.

    The thread is a daemon: a call that never returns is left behind and does not keep the process alive. Nothing ends a
    call that has begun. So whoever is cancelled goes on only when it has ended, for at most :data:`SETTLE_S`: what it
    makes on the host is there by then, and can be removed; else it would come after everything was cleared away.

    Raises:
        HostSlow: no result within ``limit_s`` seconds.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # -- without an error there is a result

    def work() -> None:
        result: T | None = None
        failed: BaseException | None = None
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 -- handed to whoever awaits the result
            failed = error
        hand_over(loop, deliver, result, failed)

    threading.Thread(target=work, name=f"libvirt: {what}", daemon=True).start()
    try:
        async with asyncio.timeout(limit_s):
            return await asyncio.shield(future)
    except asyncio.CancelledError:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({future}, timeout=SETTLE_S)
        _ignore(future)
        raise
    except TimeoutError:
        if future.done():
            raise
        _ignore(future)
        raise HostSlow(
            f"{what}: expected an answer of libvirt within {limit_s:g} s, saw none; rrsim doctor --for vm "
            "tells whether libvirt is to blame, else look at the load of the host and at libvirtd's log"
        ) from None


def _ignore(future: asyncio.Future[T]) -> None:
    """Have nobody complain that a result, come or still to come, is not asked for."""
    if not future.cancel() and not future.cancelled():
        future.exception()


def hand_over(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *arguments: Any) -> None:
    """Have ``call`` run in the event loop, from any thread; harmless once the loop is closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *arguments)


def deliver_events() -> None:
    """Start the thread that delivers libvirt's events, if it does not run yet. Call it before opening a connection."""
    import libvirt

    with _events_lock:
        if _events:
            return
        libvirt.virEventRegisterDefaultImpl()
        # Errors arrive as exceptions; libvirt would print each of them as well.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        thread = threading.Thread(target=_run_events, name="libvirt events", daemon=True)
        thread.start()
        _events.append(thread)


def _run_events() -> None:
    import libvirt

    while True:
        libvirt.virEventRunDefaultImpl()
