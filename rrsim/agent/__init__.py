"""The reboot-reconnect agent: a pure core, and what it needs from an operating system."""
