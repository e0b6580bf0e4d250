"""Images of virtual machines: what they are, how they are built, where they are kept."""
