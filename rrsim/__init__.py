"""rrsim: prove that *Reboot and Reconnect* brings the right support session back, or ends it as it must."""

__version__ = "0.1.0"
