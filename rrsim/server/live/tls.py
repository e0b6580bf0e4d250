"""Certificates made for a run: a certificate authority of its own, a server certificate, and the TLS settings.

The authority's key is never written down: once the server certificate is made, nobody can make another one that
agents of this run would trust. A restarted server finds certificate and key in its state directory and goes on with
them, because its agents know no other authority.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Final

import msgspec

DEFAULT_NAMES: Final = ("localhost", "127.0.0.1", "session-server.rrsim.test")
"""Host names and addresses the server certificate is good for."""

CA_FILE: Final = "ca.pem"
CERT_FILE: Final = "server-cert.pem"
KEY_FILE: Final = "server-key.pem"
NAMES_FILE: Final = "names.json"


class Certificates(msgspec.Struct, frozen=True):
    """Where the files of one run's certificates are."""

    ca: Path
    """The authority's certificate: what an agent trusts."""
    cert: Path
    key: Path
    """The server's private key, readable by its owner only."""


def ensure(folder: Path, names: tuple[str, ...] = DEFAULT_NAMES) -> Certificates:
    """Return the certificates in ``folder`` for ``names``; make them if they are not there.

    Raises:
        OSError: the folder cannot be read or written.
    """
    made = Certificates(folder / CA_FILE, folder / CERT_FILE, folder / KEY_FILE)
    wanted = msgspec.json.encode(sorted(names))
    listed = folder / NAMES_FILE
    if listed.is_file() and listed.read_bytes() == wanted and all(map(Path.is_file, (made.ca, made.cert, made.key))):
        return made
    import trustme  # a restart of the server has no use for it

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = trustme.CA(organization_name="rrsim", organization_unit_name="certificates of one run")
    server = authority.issue_cert(*names, common_name=names[0])
    _write_private(made.key, server.private_key_pem.bytes())
    made.cert.write_bytes(b"".join(pem.bytes() for pem in server.cert_chain_pems))
    made.ca.write_bytes(authority.cert_pem.bytes())
    listed.write_bytes(wanted)  # last: it says that the others are complete
    return made


def _write_private(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def server_context(certificates: Certificates) -> ssl.SSLContext:
    """Return the TLS settings of the agents' port: TLS 1.2 or later, no client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificates.cert, certificates.key)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def client_context(ca: Path) -> ssl.SSLContext:
    """Return the TLS settings of an endpoint that trusts only the authority in ``ca``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(ca)
    return context
