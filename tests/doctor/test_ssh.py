"""SSH, the way to hosts that are other computers."""

from __future__ import annotations

import msgspec
import pytest

from rrsim.doctor import dialup
from tests.doctor.conftest import World

FAR = "qemu+ssh://host/system"
RUNS_IT_HERE = 'for last; do :; done; PATH=/usr/bin:/bin sh -c "$last"'


@pytest.mark.parametrize(("uri", "answer", "state", "words"), [
    (FAR, "echo rrsim-host 0-0 net:[1]", "ok", "host is another computer: its guests are led here"),
    (FAR, RUNS_IT_HERE, "ok", "host is this computer"),
    (FAR, "echo Permission denied >&2; exit 255", "broken", "ssh ended with 255: Permission denied"),
    ("qemu+tls://host/system", "exit 1", "broken", "no way leads from there to this computer's loopback"),
    ("qemu:///system", "exit 1", "ok", "ssh 9.2"),
])  # fmt: skip
def test_the_host_is_asked_which_computer_it_is(uri: str, answer: str, state: str, words: str, world: World) -> None:
    world.has("ssh", f'if [ "$1" = -V ]; then echo OpenSSH_9.2p1 >&2; else {answer}; fi')
    seen = dialup.ssh(msgspec.structs.replace(world.place, uri=uri))
    assert seen.state == state, seen.what
    assert words in seen.what
    if "tls" in uri:
        assert seen.fix == "--uri qemu+ssh://host/system"
