"""Looking for what nobody thought of: exhaustive search over small models, and random runs.

Exhaustive search tries every interleaving of the *real* agent core, server core and modelled PC within bounds.
``model`` says what is searched and within which bounds; ``component`` interns states and remembers steps; ``network``
is the abstract network; ``monitor`` folds what happened into the invariants, ``ending`` judges where nothing is left to
happen; ``moves`` says what may happen next, ``turn`` carries out what follows at the same instant, ``world`` composes
them. ``packing`` makes one number of a composed state, ``ways`` looks up where each leads (``slowly`` works it out),
``stores`` keeps those that were met, ``search`` goes through all of them, breadth first, and ``checkpoint`` keeps a
search on disk. ``report`` and ``text`` say what came of it. Named models live in ``models``. See
``docs/exploration.md``.
"""
