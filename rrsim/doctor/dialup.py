"""Dial-up: the internet provider behind the modem; and SSH, the way to hosts that are other computers."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import subprocess
from typing import Final

from rrsim.backends.live.vm import tunnel
from rrsim.doctor import programs
from rrsim.doctor.finding import Seen
from rrsim.doctor.trial import Place, attempt, last_words
from rrsim.live_clock import monotonic_us

SLIRP: Final = ("slirp",)
PROVIDER: Final = "slirp-fullbolt"
READY: Final = b"SLiRP Ready"
START_S: Final = 8.0
MOST_BYTES: Final = 20_000


def provider(place: Place) -> Seen:
    """Start the provider on a line of its own and wait until it takes calls."""
    program = place.which(PROVIDER)
    if program is None:
        return Seen("missing", f"no program {PROVIDER} on PATH", place.sudo("apt-get install -y slirp"), SLIRP)
    ours, its = os.openpty()
    try:
        process = subprocess.Popen(
            [program, "-P"], stdin=its, stdout=its, stderr=its, env=place.environment, cwd=place.scratch,
            start_new_session=True,
        )
    except OSError as error:
        os.close(ours)
        os.close(its)
        return Seen("broken", f"{PROVIDER} cannot be started: {error.strerror}",
                    place.sudo("apt-get install --reinstall -y slirp"))
    os.close(its)
    began = monotonic_us()
    try:
        said = _listen(ours, began + round(START_S * place.hasty * 1e6))
        code = process.poll()
    finally:
        with contextlib.suppress(ProcessLookupError):
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)
    if READY in said:
        return Seen("ok", f"speaks PPP after {(monotonic_us() - began) / 1e6:.1f} s")
    last = last_words(said.decode(errors="replace"))
    state = "it waits" if code is None else f"it ended with {code}"
    return Seen("broken", f"expected {PROVIDER} to say {READY.decode()!r}, heard {last!r}; {state}",
                f"try it by hand: {PROVIDER} -P")


def _listen(line: int, over_us: int) -> bytes:
    """Return what comes from a line until the provider is ready, it falls silent, or the time is over."""
    heard = b""
    while READY not in heard and len(heard) < MOST_BYTES:
        left_s = (over_us - monotonic_us()) / 1e6
        if left_s <= 0 or not select.select([line], [], [], left_s)[0]:
            break
        try:
            piece = os.read(line, 4096)
        except OSError:  # the other end of the line is closed
            break
        heard += piece
    return heard


def ssh(place: Place) -> Seen:
    """Ask SSH for its version, and the host of libvirt's address, if that has one, which computer it is."""
    try:
        way = tunnel.ssh_of(place.uri)
    except tunnel.NoWay as error:
        what, _, fix = str(error).rpartition("; try ")
        return Seen("broken", what, fix)
    seen = programs.version(place, "ssh", ("-V",), r"OpenSSH_(\d+)\.(\d+)", ("openssh-client",), oldest=(8, 0))
    if seen.state != "ok" or way is None:
        return seen
    tried = attempt(place, *way.asking(), limit_s=tunnel.ASK_LIMIT_S)
    same = tunnel.is_this_computer(tried.text)
    if same is None:
        by_hand = f"ssh -o BatchMode=yes {shlex.quote(way.host)} true"
        return Seen("broken", f"expected {way.host} to tell which computer it is, saw: {tried.story}",
                    f"try by hand, with what the libvirt address says: {by_hand}")
    return Seen("ok", f"{seen.what}; {way.host} is " + (
        "this computer" if same else "another computer: its guests are led here through ssh"
    ))
