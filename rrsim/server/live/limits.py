"""What the agents' port allows, and how often somebody may speak."""

from __future__ import annotations

from typing import Annotated

import msgspec

from rrsim.protocol.codec import MAX_MESSAGE_BYTES

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every limit of the agents' port. Whoever goes over one is refused with the reason; others do not notice."""

    message_bytes: Count = MAX_MESSAGE_BYTES
    open_s: Seconds = 10.0
    """How long TLS and WebSocket handshakes may take, each."""
    claim_s: Seconds = 30.0
    """How long an endpoint may take until it has made its claim. Phone-mode agents think in this time too."""
    idle_s: Seconds = 600.0
    """How long a connection may say nothing; an account's sign of life comes more often."""
    close_s: Seconds = 5.0
    messages_per_s: Seconds = 50.0
    messages_at_once: Count = 200
    """How many messages may come at once before :attr:`messages_per_s` counts."""
    connections: Count = 12_000
    connections_per_remote: Count = 12_000
    """Connections of one remote address. Behind one address there may be a whole company; lower it to try floods."""
    connections_per_machine: Count = 8
    unsent_bytes: Count = 1024 * 1024
    """How much may wait for an endpoint that does not read."""


class Bucket:
    """A token bucket: ``at_once`` tokens, refilled at ``per_s``."""

    __slots__ = ("_at_once", "_last_s", "_per_s", "_tokens")

    def __init__(self, per_s: float, at_once: int, now_s: float) -> None:
        self._per_s = per_s
        self._at_once = float(at_once)
        self._tokens = float(at_once)
        self._last_s = now_s

    def take(self, now_s: float) -> bool:
        """Take one token; False if there is none."""
        self._tokens = min(self._at_once, self._tokens + (now_s - self._last_s) * self._per_s)
        self._last_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
