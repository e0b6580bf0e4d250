"""A server that answers for the right one with another authority's certificate (SE-11), or a captive portal (NE-05).

It speaks TLS at the server's end of a relayed connection, in memory: no socket of its own, no byte to the real server.
The certificate is for whatever name the client asks for, so that only a client which checks *who signed it* is safe.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final

from rrsim.backends.live.link_flow import Keeper

MOST_NAMES: Final = 8
"""Certificates are made for so many different names; further ones get the first."""
READ_BYTES: Final = 64 * 1024


class Impostor:
    """The identity of a server that nobody vouches for."""

    def __init__(self) -> None:
        """Make an authority of its own; takes some tens of milliseconds."""
        import trustme  # only runs with an impostor need it

        self._authority = trustme.CA(organization_name="Impostor")
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.context = self._for_name("localhost")
        self.context.sni_callback = self._answer_as_asked

    def _for_name(self, name: str) -> ssl.SSLContext:
        if name not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._authority.issue_cert(name).configure_cert(context)
            self._contexts[name] = context
        return self._contexts[name]

    def _answer_as_asked(self, tls: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name and (name in self._contexts or len(self._contexts) < MOST_NAMES):
            tls.context = self._for_name(name)


class ImpostorEnd:
    """The impostor's end of one connection. It says goodbye as soon as the handshake is over, either way."""

    def __init__(self, impostor: Impostor, keeper: Keeper) -> None:
        """``keeper`` hears what it says, a turn of the event loop later."""
        self._loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._keeper = keeper
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = impostor.context.wrap_bio(self._in, self._out, server_side=True)
        self._over = False
        self.full = False

    def write(self, data: bytes) -> None:
        """Take bytes of the client's, and answer."""
        if self._over:
            return
        self._in.write(data)
        over = True
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            over = False
        except ssl.SSLError:
            pass  # an alert: the client declined; or what came was not TLS
        while answer := self._out.read(READ_BYTES):
            self._loop.call_soon(self._say, answer)
        if over:
            self._loop.call_soon(self._end)

    def _say(self, answer: bytes) -> None:
        if not self._over:
            self._keeper.got(self, answer)

    def _end(self, *_: Any) -> None:
        if not self._over:
            self._over = True
            self._keeper.ended(self, "closed")

    def pause(self) -> None:
        """Nothing to do: it says little."""

    def resume(self) -> None:
        """Nothing to do: it says little."""

    def finish(self) -> None:
        """The client said goodbye."""
        self._loop.call_soon(self._end)

    def close(self) -> None:
        """Be silent."""
        self._over = True

    def reset(self) -> None:
        """Be silent."""
        self._over = True
