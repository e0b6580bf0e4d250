"""Tests of the deliberate bugs, and of the hunt for them."""
