"""Deliberate bugs: the measure of the scenarios and checks. Product code has no switches for them.

Each bug is one small change to one part: a wrapper round a step function, a variant of it, or a variant of the
world's wiring. :mod:`rrsim.broken.catalogue` lists them; :mod:`rrsim.broken.hunt` shows which scenario or invariant
catches each.
"""
