"""Makes ``pytest scenarios/`` work in a checkout in which rrsim was not installed with its pytest entry point."""

import sys

if "rrsim.pytest_plugin" not in sys.modules:
    pytest_plugins = ["rrsim.pytest_plugin"]
