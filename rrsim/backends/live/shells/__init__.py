"""Remote shells into a real machine: WinRM, SSH and the QEMU guest agent behind one interface."""
