"""Exhaustive search over a small model: every interleaving of the *real* agent core, server core and modelled PC.

``model`` says what is searched and within which bounds; ``component`` interns states and remembers steps; ``network``
is the abstract network; ``monitor`` folds what happened into the invariants, ``ending`` judges where nothing is left to
happen; ``world`` composes them, ``moves`` says what may happen next, ``turn`` carries it out; ``search`` goes through
all of it, breadth first. Named models live in ``models``. See ``docs/search.md``.
"""
