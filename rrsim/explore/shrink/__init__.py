"""Shrinking: from a long random plan that fails to the shortest ordinary scenario that fails for the same reason."""
