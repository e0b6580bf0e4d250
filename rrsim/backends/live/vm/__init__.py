"""Virtual machines through libvirt: a host, its slots and disks, and the machines on it.

libvirt's Python binding is imported only when a host is opened: see :class:`rrsim.backends.live.vm.errors.VmMissing`.
"""
