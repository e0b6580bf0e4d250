"""Signing in by NTLM: over plain HTTP every message is encrypted. The stub's NTLM is that of a library, for real."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
import spnego

from rrsim.backends.live.shells.interface import Boot, Result, ShellRefused
from rrsim.backends.live.shells.login import Login
from rrsim.backends.live.shells.winrm import WinRmShell
from tests.backends.live.shells.stories import tell
from tests.backends.live.shells.winrm_rig import Certified, Handler, StubWinRm, stub_winrm

KIND = b"application/HTTP-SPNEGO-session-encrypted"
BOUNDARY = b"--Encrypted Boundary"


class NtlmHandler(Handler):
    """Wants NTLM, once a connection, and encrypts as Windows does where there is no TLS."""

    context: Any = None
    encrypted = False

    def allowed(self) -> bool:
        words = self.headers.get("Authorization", "").split()
        if words[:1] == ["NTLM"]:
            if self.context is None or self.context.complete:
                self.context = spnego.server(protocol="ntlm")
            try:
                answer = self.context.step(base64.b64decode(words[1]))
            except spnego.exceptions.SpnegoError:
                self.context = None
                return False
            self.challenge = f"NTLM {base64.b64encode(answer or b'').decode()}".strip()
        return self.context is not None and self.context.complete

    challenge = "NTLM"

    def unpack(self, body: bytes) -> bytes:
        self.encrypted = KIND.decode() in self.headers.get("Content-Type", "")
        if not self.encrypted:
            return body
        secret = re.split(rb"\tContent-Type: application/octet-stream\r\n", body, maxsplit=1)[1]
        secret = secret.removesuffix(BOUNDARY + b"--\r\n")
        length = int.from_bytes(secret[:4], "little")
        plain: bytes = self.context.unwrap_winrm(secret[4:4 + length], secret[4 + length:])
        return plain

    def pack(self, content: bytes) -> tuple[str, bytes]:
        if not self.encrypted or not content:
            return super().pack(content)
        sealed = self.context.wrap_winrm(content)
        return (
            f'multipart/encrypted;protocol="{KIND.decode()}";boundary="Encrypted Boundary"',
            BOUNDARY + b"\r\n\tContent-Type: " + KIND + b"\r\n\tOriginalContent: type=application/soap+xml;"
            b"charset=UTF-8;Length=" + str(len(content)).encode() + b"\r\n" + BOUNDARY + b"\r\n"
            b"\tContent-Type: application/octet-stream\r\n" + len(sealed.header).to_bytes(4, "little") + sealed.header
            + sealed.data + BOUNDARY + b"--\r\n",
        )


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Login:
    (tmp_path / "accounts").write_text("LAB:customer:right password\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(tmp_path / "accounts"))
    return Login("LAB\\customer", "right password")


def ran(stub: StubWinRm, login: Login, **options: Any) -> Result:
    async def told() -> Result:
        shell = WinRmShell(stub.where, login, boot=Boot(young_s=0), how="ntlm", **options)
        try:
            await shell.open(limit_s=5)
            return await shell.run("do it", limit_s=5)
        finally:
            await shell.close()

    return tell(told())


def test_over_plain_http_all_that_is_said_is_encrypted(account: Login) -> None:
    bodies: list[bytes] = []

    class Listening(NtlmHandler):
        def unpack(self, body: bytes) -> bytes:
            bodies.append(body)
            return super().unpack(body)

    with stub_winrm(handler=Listening) as stub:
        assert ran(stub, account, plain_http=True).out == "ran do it"
    assert stub.seen.shells == set()
    assert len([body for body in bodies if body]) >= 5
    assert not any(b"do it" in body or b"Envelope" in body for body in bodies)


def test_over_tls_it_signs_in_bound_to_the_certificate(account: Login, tmp_path: Path) -> None:
    certified = Certified(tmp_path)
    with stub_winrm(certified.server, handler=NtlmHandler) as stub:
        result = ran(stub, account, certificate=certified.authority_file, server_name="windows.test")
    assert result.out == "ran do it"


def test_a_wrong_password_is_refused(account: Login) -> None:
    with stub_winrm(handler=NtlmHandler) as stub, pytest.raises(ShellRefused, match="with ntlm"):
        ran(stub, Login(account.user, "wrong password"), plain_http=True)
