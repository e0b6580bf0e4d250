"""Tideway Support for rrsim: a second, different product, plugged in through the two adapter groups only."""
