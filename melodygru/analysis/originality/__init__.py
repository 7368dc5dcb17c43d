"""What of an output stands in a corpus: the longest match of notes, where it stands, and how much matches cover.

index = Index.build((piece.path, corpus[at]) for at, piece in enumerate(corpus.pieces))
index.examine(sequence).longest  # a Match: so many notes, in which file and bar
Matcher(index).extend(onset, duration, program, pitch)  # note by note, while they are composed

A **line** is the notes of one program of a piece in canonical order, or those of all its programs together (all
voices). A **match** of n notes is a run of n notes of a line that has the intervals and the rhythm of n notes that
follow one another in a line of the corpus: n - 1 times the same interval, time from onset to onset, and duration
(of the later note; the first note's own is free). Transposition, tempo, velocity and program don't count. Matches of
fewer than N_GRAM notes are none: music of one style shares them by chance. See `codes` for what a note is compared by,
`index` for how they are found.
"""

from melodygru.analysis.originality.codes import N_GRAM
from melodygru.analysis.originality.index import Index
from melodygru.analysis.originality.matcher import Matcher
from melodygru.analysis.originality.report import Match, Originality, Part, spread
from melodygru.analysis.originality.storage import MEMBER, attach, read

__all__ = ["MEMBER", "N_GRAM", "Index", "Match", "Originality", "Part", "Matcher", "attach", "read", "spread"]
