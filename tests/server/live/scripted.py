"""A scripted agent: speaks the protocol over a real connection, by hand, one message at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Self, TypeVar

from websockets.asyncio.client import ClientConnection, connect

from rrsim.protocol import codec
from rrsim.protocol import messages as msg
from rrsim.server.live.tls import client_context

PATIENCE_S = 10.0
T = TypeVar("T", bound=msg.Message)


class ScriptedAgent:
    """One process of an agent on one machine; :meth:`connect` may be called again after :meth:`hang_up`."""

    def __init__(
        self, port: int, ca: Path, machine: str = "machine-1", boot: str = "boot-1",
        mode: msg.AgentMode = "application", platform: msg.Platform = "windows",
    ) -> None:  # fmt: skip
        self.port = port
        self.ca = ca
        self.machine = machine
        self.boot = boot
        self.mode = mode
        self.platform = platform
        self.ws: ClientConnection | None = None
        self.seen: list[Any] = []
        """Everything the server said on the present connection."""
        self.session = self.ticket = self.key = ""
        self.order = 0

    async def connect(self) -> Self:
        """Shake hands and say hello; return once the server has welcomed the agent."""
        self.seen = []
        self.ws = await connect(
            f"wss://localhost:{self.port}/agent", ssl=client_context(self.ca), compression=None, ping_interval=None,
            max_queue=None, proxy=None,
        )  # fmt: skip
        await self.say(msg.Hello((1,), self.platform, self.mode, self.machine))
        await self.expect(msg.Welcome)
        return self

    async def say(self, message: Any) -> None:
        """Send one message."""
        assert self.ws is not None
        await self.ws.send(codec.encode(message), text=True)

    async def hear(self) -> Any:
        """Return the next message of the server."""
        assert self.ws is not None
        async with asyncio.timeout(PATIENCE_S):
            message = codec.decode(await self.ws.recv(decode=False), "server")
        self.seen.append(message)
        if isinstance(message, msg.Joined | msg.Resumed):
            self.session, self.key = message.session, message.live_key
        elif isinstance(message, msg.Order):
            self.order, self.ticket = message.order, message.ticket
        return message

    async def expect(self, kind: type[T]) -> T:
        """Return the next message of this kind; others on the way are kept in :attr:`seen`."""
        while True:
            message = await self.hear()
            if isinstance(message, kind):
                return message

    async def join(self, code: str) -> msg.Joined:
        """Join a session."""
        await self.say(msg.Join(code, self.boot, "customer"))
        return await self.expect(msg.Joined)

    def resume_claim(self) -> msg.Resume:
        """The claim of the present boot with the latest ticket."""
        return msg.Resume(self.session, self.ticket, self.boot, safe_mode=False, elevated=True, user="customer",
                          desktop="visible")  # fmt: skip

    async def resume(self) -> msg.Resumed:
        """Claim the session again after a restart."""
        await self.say(self.resume_claim())
        return await self.expect(msg.Resumed)

    async def reconnect(self) -> msg.Resumed:
        """Claim the session again after a loss of network."""
        await self.say(msg.Reconnect(self.session, self.key, self.boot, restarting=False))
        return await self.expect(msg.Resumed)

    async def goes_down(self) -> None:
        """Take the standing order as far as the PC going down: armed, restarting, gone."""
        await self.say(msg.Armed(self.order))
        await self.say(msg.Restarting(self.order))
        await self.hang_up()

    async def hang_up(self) -> None:
        """End the connection."""
        if self.ws is not None:
            await self.ws.close()
            self.ws = None

    def break_off(self) -> None:
        """End the connection as a crash or a pulled cable would."""
        if self.ws is not None:
            self.ws.transport.abort()
            self.ws = None
