"""The command line: options, wiring, progress, and every error as one line on stderr."""

from melodygru.cli.program import main

__all__ = ["main"]
