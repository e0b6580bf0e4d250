"""``python -m rrsim``: the same as the ``rrsim`` command."""

from __future__ import annotations

from rrsim.cli.main import main

if __name__ == "__main__":
    main()
