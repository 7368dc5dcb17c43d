"""MidiTok: seconds to turn every MIDI file of a folder into ids, for each tokenisation.

python benchmarks/peers/intake.py FOLDER
"""

import json
import sys
import time
from pathlib import Path

from miditok import REMI, TSD, TokenizerConfig
from symusic import Score

files = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.suffix in (".mid", ".midi"))
# MidiTok's own defaults (velocity in 32 bins, no pedals, no programs), said where they matter
config = {"use_velocities": True, "use_sustain_pedals": False, "use_chords": False, "use_programs": False}
found = {"notes": sum(len(track.notes) for file in files for track in Score(file).tracks)}  # warms the disk's cache
for kind in (REMI, TSD):
    tokenizer = kind(TokenizerConfig(**config))
    tokenizer(files[0])
    began = time.perf_counter()
    for file in files:
        tokenizer(file)
    found[kind.__name__] = time.perf_counter() - began
print(json.dumps(found))
