"""Tests of :mod:`rrsim.agent`."""
