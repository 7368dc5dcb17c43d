"""melodygru: a GRU learns the style of a folder of MIDI files and composes in it."""

__version__ = "0.1.0"
