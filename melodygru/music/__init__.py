"""Music as data: notes on a grid, bars, keys, names, voices; nothing here knows a file or a model."""
