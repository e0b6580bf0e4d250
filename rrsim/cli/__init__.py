"""The ``rrsim`` command. Start-up is part of speed: nothing here imports what the given command does not use."""
