"""Nights: everything is played unattended, what came of it is kept, and the kept nights are compared."""
