"""A folder of MIDI files as a corpus: intake report, grid, split by piece, notes cached on disk and memory-mapped.

corpus = intake(Path("midi_dir"))
print(corpus.report.table())
train, validation = split(corpus)
"""

from melodygru.corpus.grid import PERFORMANCE_GRID, STEPS_PER_BEAT, choose_grid
from melodygru.corpus.intake import intake
from melodygru.corpus.pieces import HELD_OUT, Corpus, Piece, overlap, require_pieces, split
from melodygru.corpus.report import FileRecord, Report
from melodygru.corpus.scheduler import DaskExecutor

__all__ = [
    "HELD_OUT",
    "PERFORMANCE_GRID",
    "STEPS_PER_BEAT",
    "Corpus",
    "DaskExecutor",
    "FileRecord",
    "Piece",
    "Report",
    "choose_grid",
    "intake",
    "overlap",
    "require_pieces",
    "split",
]
