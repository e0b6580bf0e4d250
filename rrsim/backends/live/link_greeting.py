"""Whether a connection was established, read off the outside of a TLS handshake that passes through untouched.

A connection counts as established when the server answers to the client's second flight: only then has the client
accepted the certificate. A client that declines it either says so in an alert or just closes. What is not TLS counts as
established with its first byte.
"""

from __future__ import annotations

from typing import Final

_CHANGE_CIPHER, _ALERT, _HANDSHAKE, _DATA = 20, 21, 22, 23
"""Record types of TLS (RFC 8446, section 5.1)."""
_CHANGE_CIPHER_RECORD_BYTES: Final = 6
"""TLS 1.3 clients send one before their second flight, for the sake of middleboxes (appendix D.4)."""
_CLIENT_HELLO: Final = 1
_SEALED_ALERT_BYTES: Final = 19
"""Two bytes of alert, one of content type, sixteen of seal: nothing else in a handshake is as short."""
_LOOKED_AT_BYTES: Final = 32


class Greeting:
    """The first flights of one connection."""

    def __init__(self) -> None:
        """Nothing has passed yet."""
        self._tls: bool | None = None
        self._answered = False
        self._second = b""
        """The beginning of the client's second flight."""

    def client_sent(self, data: bytes) -> bool:
        """Bytes pass towards the server; return whether the connection is established with them."""
        if self._tls is None:
            self._tls = data[0] == _HANDSHAKE
        if self._answered:
            self._second += data[: _LOOKED_AT_BYTES - len(self._second)]
        return not self._tls

    def server_sent(self, data: bytes) -> bool:
        """Bytes pass towards the client; return whether the connection is established with them."""
        del data
        if not self._tls:
            return True
        if not self._second:
            self._answered = True
            return False
        if self._kind() == (_HANDSHAKE, _CLIENT_HELLO):
            self._second = b""  # the server asked for another hello: this answers that one
            return False
        return not self.declined

    @property
    def declined(self) -> bool:
        """Whether a client that is gone now has seen the certificate and did not want it."""
        if not self._answered or not self._second:
            return self._answered
        record, detail = self._kind()
        return record == _ALERT or (record == _DATA and detail == _SEALED_ALERT_BYTES)

    def _kind(self) -> tuple[int, int]:
        """Return the type of the second flight's first record, and its first byte or (for sealed ones) its length."""
        flight = self._second
        if flight[0] == _CHANGE_CIPHER:
            flight = flight[_CHANGE_CIPHER_RECORD_BYTES:]
        if len(flight) < _CHANGE_CIPHER_RECORD_BYTES:
            return 0, 0
        return flight[0], flight[5] if flight[0] == _HANDSHAKE else int.from_bytes(flight[3:5], "big")
