"""Where scenarios run: the simulator here; live machines beside it."""
