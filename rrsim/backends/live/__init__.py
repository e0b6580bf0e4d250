"""Real machines on a real clock: what the simulator models, done by real programs."""
