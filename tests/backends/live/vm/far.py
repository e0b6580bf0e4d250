"""A host that is another computer as far as the network goes: a namespace with its own loopback, and an sshd in it."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests import processes

SSHD: Final = "/usr/sbin/sshd"
PORT: Final = 2222
TO_HOST: Final = """
import socket, sys, threading
there = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def back():
    while data := there.recv(65536):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
threading.Thread(target=back, daemon=True).start()
while data := sys.stdin.buffer.raw.read(65536):
    there.sendall(data)
"""
"""What nc does, which is not everywhere."""
SPEAK: Final = """
import socket, sys
there = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
there.sendall(b"a word")
print(there.recv(100).decode(), flush=True)
sys.stdin.read()
"""
"""Says a word to a port, prints the answer, and holds the connection until its input ends."""
LISTEN: Final = """
import socket, sys
one = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("there", flush=True)
sys.stdin.read()
"""


class Far:
    """The host."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.uri = (
            f"qemu+ssh://root@{name}:{PORT}/system?keyfile={folder}/key&known_hosts={folder}/known&no_verify=1"
            f"&command={folder}/ssh"
        )

    @contextlib.contextmanager
    def runs(self, code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """A Python program there; ended afterwards."""
        one = subprocess.Popen(
            ["ip", "netns", "exec", self.name, sys.executable, "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        try:
            yield one
        finally:
            one.kill()
            one.communicate()

    def answer(self, port: int) -> str:
        """Say a word to a port there and return the answer."""
        with self.runs(SPEAK, port) as one:
            return one.communicate(timeout=20)[0].strip()

    def listens(self, port: int) -> bool:
        """Whether anything there listens on a port."""
        lines = subprocess.run(
            ["ip", "netns", "exec", self.name, "cat", "/proc/net/tcp"], check=True, capture_output=True, text=True
        ).stdout.splitlines()[1:]
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines)

    def pids(self) -> set[int]:
        """The processes there."""
        told = subprocess.run(["ip", "netns", "pids", self.name], check=True, capture_output=True, text=True)
        return set(map(int, told.stdout.split()))


def _call(*command: str | Path) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]} {command[1]} does not work here: {done.stderr.strip()[:200]}")


def _script(path: Path, *words: object) -> None:
    """A program that is these words and its own arguments; a path may have spaces."""
    path.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    path.chmod(0o755)


@contextlib.contextmanager
def away(folder: Path, *, settings: str = "") -> Iterator[Far]:
    """Make the host; skip where that cannot be done."""
    if os.geteuid() != 0:
        pytest.skip("only root makes network namespaces")
    for program in ("ip", "ssh", "ssh-keygen", SSHD):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install iproute2 openssh-server")
    one = Far(f"rrsim-test-{os.getpid()}", folder)
    for key in ("key", "host-key"):
        _call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key)
    (folder / "to_host.py").write_text(TO_HOST)
    _script(folder / "proxy", "ip", "netns", "exec", one.name, sys.executable, folder / "to_host.py", PORT)
    _script(folder / "ssh", "ssh", "-F", "none", "-o", "IdentitiesOnly=yes", "-o", f"ProxyCommand={folder}/proxy")
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {PORT}\nHostKey {folder}/host-key\nPidFile none\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/key.pub\nPermitRootLogin yes\nPasswordAuthentication no\n{settings}"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    _call("ip", "netns", "add", one.name)
    try:
        _call("ip", "-n", one.name, "link", "set", "lo", "up")
        with _sshd(one):
            yield one
    finally:
        subprocess.run(["ip", "netns", "del", one.name], check=True)


@contextlib.contextmanager
def _sshd(one: Far) -> Iterator[None]:
    log = one.folder / "sshd.log"
    process = subprocess.Popen(
        ["ip", "netns", "exec", one.name, SSHD, "-D", "-E", str(log), "-f", str(one.folder / "sshd_config")]
    )
    try:
        while not one.listens(PORT):
            assert process.poll() is None, log.read_text() if log.exists() else "it said nothing"
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def nothing_but_sshd(one: Far, within_s: float = 10) -> Iterator[None]:
    """Afterwards the host is as it was."""
    before = one.pids()
    yield
    assert all(processes.ends(pid, within_s) for pid in one.pids() - before)
