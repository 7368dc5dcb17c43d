"""What `benchmarks/bench.py` measures, a module for each part: `measure(setting) -> list[Row]`."""
