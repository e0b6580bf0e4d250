"""Histories of live runs held against the model: every observed sequence must be one that the search allows.

:mod:`rrsim.explore.conform.witnessed` reads from a history what the server and the PC were seen to do, in order, and
which model is meant; :mod:`rrsim.explore.conform.follow` looks for a behaviour of the model that does the same.
"""
