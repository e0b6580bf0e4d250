"""What can go wrong with virtual machines, by name. Every text says what was expected, what was seen, what to try."""

from __future__ import annotations


class VmError(Exception):
    """The environment of a virtual machine failed, never the product under test."""


class VmMissing(VmError):
    """libvirt, its Python binding or QEMU is not installed or does not run; the text has the command that helps."""


class HostLost(VmError):
    """The connection to libvirt broke and did not come back in time."""


class HostRefused(VmError):
    """libvirt answered a request with an error."""

    def __init__(self, text: str, code: int) -> None:
        """Keep libvirt's error number beside the text."""
        super().__init__(text)
        self.code = code


class HostSlow(VmError):
    """libvirt did not answer a request within its limit."""


class ImageMissing(VmError):
    """There is no such image, or a file of it is gone."""


class ImageCorrupt(VmError):
    """A file of an image is not what its manifest says."""


class DiskFull(VmError):
    """The host has no room for a machine's disk, before or during a run."""


class DiskFailed(VmError):
    """A disk of the host failed under a machine, which was halted."""


class NoFreeSlot(VmError):
    """Other runs hold every slot of the host, and none became free in time."""


class LeaseLost(VmError):
    """The lease on the host is no longer ours: it ran out and somebody took the slot."""


class GuestNeverBooted(VmError):
    """The guest did not reach what was waited for; the text has the end of its console and the last event."""


class RestartLoop(VmError):
    """The guest restarts again and again."""


class GuestStopped(VmError):
    """The guest stopped or crashed while it was needed."""


class ReadyStateBad(VmError):
    """A kept ready state is damaged or belongs to another host, image or version: make it anew."""


class ChannelClosed(VmError):
    """The other end of a byte stream is gone."""
