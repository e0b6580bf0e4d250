"""A stub of Windows' remote shell service: WS-Management over HTTP or HTTPS on loopback, with faults to inject.

It speaks the five messages of the shell protocol (Create, Command, Send, Receive, Signal, Delete makes six) as Windows
documents them; what a command prints is up to the test.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import re
import socket
import ssl
import threading
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
NAMES = {"s": SOAP, "a": ADDRESSING, "w": WSMAN, "rsp": SHELL}
OPERATION_TIMEOUT = 2150858793
SHELL_GONE = 2150858843
USER, PASSWORD = "rrsim-admin", "only for this test"


@dataclass
class Script:
    """How one command behaves: so many silent rounds (below zero: for ever), then its output piece by piece."""

    pieces: list[tuple[bytes, bytes]] = field(default_factory=list)
    code: int = 0
    silent_rounds: int = 0
    on_input: Callable[[bytes], Script] | None = None
    """Reads its standard input to the end first, and then behaves as this says."""


@dataclass
class Faults:
    """What goes wrong; by default nothing."""

    decline_first: int = 0
    """So many requests are answered with 401; below zero: all."""
    cut_at: str = ""
    """The connection is broken instead of an answer to this message."""
    silent_at: str = ""
    """This message is never answered."""
    status: int = 0
    """Every answer has this HTTP status, and no content that makes sense."""
    refuse_after_command: bool = False


@dataclass
class Seen:
    """What reached the stub."""

    messages: list[str] = field(default_factory=list)
    commands: list[tuple[str, bool]] = field(default_factory=list)
    """Command line, and whether through ``cmd.exe``."""
    shells: set[str] = field(default_factory=set)
    """The ones that are open."""
    options: dict[str, str] = field(default_factory=dict)
    idle: str = ""
    signals: int = 0


class StubWinRm:
    """Stands in for WinRM on Windows."""

    def __init__(self, tls: ssl.SSLContext | None = None, handler: type[Handler] | None = None) -> None:
        self.faults = Faults()
        self.seen = Seen()
        self.answer: Callable[[str], Script] = lambda line: Script([(b"ran " + line.encode(), b"")])
        self.going = threading.Event()
        """Set at the end: what was to be silent for ever lets go."""
        self.running: dict[str, tuple[Script, bytearray]] = {}
        self._ids = itertools.count(1)
        stub = self

        class OfThisStub(handler or Handler):  # type: ignore[misc]  # a class that is chosen at run time
            rig = stub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), OfThisStub)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.where: tuple[str, int] = ("127.0.0.1", self._server.server_address[1])
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="winrm rig")
        self._thread.start()

    def new_id(self) -> str:
        """An id for a shell or a command."""
        return str(uuid.UUID(int=next(self._ids))).upper()

    def forget_shells(self) -> None:
        """What a restart does to them."""
        self.seen.shells.clear()

    def close(self) -> None:
        self.going.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class Handler(BaseHTTPRequestHandler):
    """Serves one connection; signs in by password and speaks plainly."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece, else each answer waits for an acknowledgement
    rig: StubWinRm
    challenge = 'Basic realm="WSMAN"'

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        faults = self.rig.faults
        if self.rig.faults.decline_first or not self.allowed():
            self.rig.faults.decline_first -= self.rig.faults.decline_first != 0
            self._reply(401, b"")
            return
        body = self.unpack(body)
        if not body:
            self._reply(200, b"")
            return
        root = ET.fromstring(body)
        name = (root.findtext(".//a:Action", "", NAMES)).rsplit("/", maxsplit=1)[-1]
        self.rig.seen.messages.append(name)
        if faults.status:
            self._reply(faults.status, b"<html>not what you look for")
            return
        if faults.silent_at == name:
            self.rig.going.wait(20)
            self.close_connection = True
            return
        status, answer = self._answer(name, root)
        if faults.cut_at == name:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        related = root.findtext(".//a:MessageID", "", NAMES)
        self._reply(status, _envelope(related, answer))

    def allowed(self) -> bool:
        """Whether this request may be carried out."""
        good = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {good}"

    def unpack(self, body: bytes) -> bytes:
        """Return what a request says."""
        return body

    def pack(self, content: bytes) -> tuple[str, bytes]:
        """Return the type and the content of an answer."""
        return "application/soap+xml;charset=UTF-8", content

    def _reply(self, status: int, content: bytes) -> None:
        with contextlib.suppress(OSError):
            kind, content = self.pack(content)
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", self.challenge)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def _answer(self, name: str, root: ET.Element) -> tuple[int, str]:
        seen = self.rig.seen
        if name == "Create":
            shell = self.rig.new_id()
            seen.shells.add(shell)
            seen.options = {one.attrib["Name"]: one.text or "" for one in root.findall(".//w:Option", NAMES)}
            seen.idle = root.findtext(".//rsp:IdleTimeOut", "", NAMES)
            return 200, f'<w:SelectorSet><w:Selector Name="ShellId">{shell}</w:Selector></w:SelectorSet>'
        shell = root.findtext(".//w:Selector", "", NAMES)
        if shell not in seen.shells:
            return 500, _fault(SHELL_GONE, "The request for the Windows Remote Shell with ShellId failed because the "
                                           "shell was not found on the server.")
        return {"Command": self._command, "Send": self._send, "Receive": self._receive, "Signal": self._signal,
                "Delete": lambda _: (seen.shells.discard(shell), (200, ""))[1]}[name](root)

    def _command(self, root: ET.Element) -> tuple[int, str]:
        options = {one.attrib["Name"]: one.text for one in root.findall(".//w:Option", NAMES)}
        words = [root.findtext(f".//rsp:{tag}", "", NAMES) for tag in ("Command", "Arguments")]
        line = " ".join(word for word in words if word)
        self.rig.seen.commands.append((line, options["WINRS_SKIP_CMD_SHELL"] == "FALSE"))
        command = self.rig.new_id()
        self.rig.running[command] = (self.rig.answer(line), bytearray())
        return 200, f"<rsp:CommandResponse><rsp:CommandId>{command}</rsp:CommandId></rsp:CommandResponse>"

    def _send(self, root: ET.Element) -> tuple[int, str]:
        stream = root.find(".//rsp:Stream", NAMES)
        assert stream is not None
        script, given = self.rig.running[stream.attrib["CommandId"]]
        given += base64.b64decode(stream.text or "")
        if stream.attrib["End"] == "true":
            assert script.on_input is not None
            self.rig.running[stream.attrib["CommandId"]] = (script.on_input(bytes(given)), bytearray())
        return 200, "<rsp:SendResponse/>"

    def _receive(self, root: ET.Element) -> tuple[int, str]:
        stream = root.find(".//rsp:DesiredStream", NAMES)
        assert stream is not None
        command = stream.attrib["CommandId"]
        script, _ = self.rig.running[command]
        if script.silent_rounds:
            script.silent_rounds -= 1
            self.rig.going.wait(0.02)
            return 500, _fault(OPERATION_TIMEOUT, "The WS-Management service cannot complete the operation within the "
                                                  "time specified in OperationTimeout.")
        answer = ""
        if script.pieces:
            for name, data in zip(("stdout", "stderr"), script.pieces.pop(0), strict=True):
                text = base64.b64encode(data).decode()
                answer += f'<rsp:Stream Name="{name}" CommandId="{command}">{text}</rsp:Stream>'
        state = "Running" if script.pieces else "Done"
        code = "" if script.pieces else f"<rsp:ExitCode>{script.code}</rsp:ExitCode>"
        return 200, (f'<rsp:ReceiveResponse>{answer}<rsp:CommandState CommandId="{command}" '
                     f'State="{SHELL}/CommandState/{state}">{code}</rsp:CommandState></rsp:ReceiveResponse>')

    def _signal(self, _: ET.Element) -> tuple[int, str]:
        self.rig.seen.signals += 1
        return 200, "<rsp:SignalResponse/>"


def _envelope(related: str, body: str) -> bytes:
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMES.items())
    return (f"<s:Envelope {names}><s:Header><a:RelatesTo>{related}</a:RelatesTo></s:Header>"
            f"<s:Body>{body}</s:Body></s:Envelope>").encode()


def _fault(code: int, text: str) -> str:
    return (f"<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>{text}</s:Text></s:Reason>"
            f'<s:Detail><f:WSManFault xmlns:f="{FAULT}" Code="{code}"/></s:Detail></s:Fault>')


def decoded(line: str) -> str:
    """Return the PowerShell script in a command line."""
    found = re.search(r"-EncodedCommand (\S+)$", line)
    assert found is not None, line
    return base64.b64decode(found[1]).decode("utf-16-le")


class PretendPowerShell:
    """Stands in for PowerShell as far as the shell's own scripts go: it knows them by what they call."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.scripts: list[str] = []
        self.damage = b""
        """Added to a file on its way, to be found out by its checksum."""

    def __call__(self, line: str) -> Script:
        script = decoded(line)
        self.scripts.append(script)
        if "FromBase64String" in script:
            return Script(on_input=lambda given: self._put(script, given))
        if "ToBase64String" in script:
            return self._get(script)
        return Script(code=1, pieces=[(b"", b"unknown script")])

    def _put(self, script: str, given: bytes) -> Script:
        path, wanted = re.search(r"\$to='(.*?)';", script), re.search(r"-ne '(\w+)'", script)
        assert path is not None
        assert wanted is not None
        data = b"".join(base64.b64decode(line, validate=True) for line in given.split(b"\r\n")) + self.damage
        digest = hashlib.sha256(data).hexdigest().upper()
        if digest != wanted[1]:
            return Script(code=1, pieces=[(b"", b"it arrived damaged")])
        self.files[path[1].replace("''", "'")] = data
        return Script([(f"sha256={digest}\r\n".encode(), b"")])

    def _get(self, script: str) -> Script:
        path, most = re.search(r"Open\('(.*?)','Open'", script), re.search(r"-gt (\d+)\)", script)
        assert path is not None
        assert most is not None
        data = self.files.get(path[1].replace("''", "'"))
        if data is None:
            return Script(code=1, pieces=[(b"", b"Could not find file")])
        if len(data) > int(most[1]):
            return Script([(f"size={len(data)}".encode(), b"")], code=3)
        step = 57 * 1024
        lines = [base64.b64encode(data[at:at + step]) + b"\r\n" for at in range(0, len(data), step)]
        return Script([(line, b"") for line in lines])


class Certified:
    """A certificate for ``windows.test``, its authority's in a file, and one that nobody knows."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.authority_file = folder / "authority.pem"
        authority.cert_pem.write_to_path(self.authority_file)
        self.other_file = folder / "other.pem"
        trustme.CA().cert_pem.write_to_path(self.other_file)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("windows.test").configure_cert(self.server)


@contextlib.contextmanager
def stub_winrm(tls: ssl.SSLContext | None = None, handler: type[Handler] | None = None) -> Iterator[StubWinRm]:
    """The stub, for a while."""
    stub = StubWinRm(tls, handler)
    try:
        yield stub
    finally:
        stub.close()
