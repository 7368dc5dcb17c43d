"""The command line: options, wiring, progress, and every error as one line on stderr."""

import time

_began = time.perf_counter()

from melodygru.cli.program import main  # noqa: E402

main.loading_s = time.perf_counter() - _began

__all__ = ["main"]
