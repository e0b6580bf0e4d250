"""Exhaustive search over a small model: every interleaving of the *real* agent core, server core and modelled PC.

``model`` says what is searched and within which bounds; ``component`` interns states and remembers steps; ``network`` is
the abstract network; ``monitor`` folds what happened into the invariants; ``world`` composes them and says what may
happen next; ``search`` goes through all of it, breadth first. Named models live in ``models``. See ``docs/search.md``.
"""
