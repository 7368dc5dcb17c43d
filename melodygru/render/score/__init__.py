"""Sheet music: a note sequence as MusicXML, and as a picture of its pages (SVG) through verovio.

Conventions
-----------
Nothing of the music is rounded: reading the MusicXML back, with ties joined, gives every note's own onset, duration,
pitch and program. What is chosen here is how the notes are written:

- A **part** is one of the piece's, with its name. One that is wide and in chords has two **staves**; a staff has up to
  four **voices**: notes of one onset and duration are a chord of one voice; of notes that overlap otherwise, the
  highest is in voice 1, the lowest in voice 2, what lies between in voices 3 and 4. A staff that is in two lines most
  of the time keeps them apart throughout, and their rests are printed; elsewhere rests of a bar's first voice alone
  are, save where an inner voice, or at the bar's end any other, sounds through them. Where four voices are too few,
  notes of one voice are cut where the others begin and end, and tied.
- **Bars** are as long as their metre says; one that a change of metre interrupts is shorter. A change that falls
  where no binary fraction of a quarter note does waits for the bar line. Bars after the last note are left out.
- **Values** have at most one dot. What a value would hide (a beat inside a syncopation, the middle of the bar) cuts
  it into tied ones. A window of time that is halved from the bar down, and whose notes fall on no binary fraction of a
  quarter note, is a tuplet: `n` in the time of the next smaller power of two.
- **Spelling** takes twelve neighbours on the line of fifths around the key signature, E flat to G sharp in C.

MusicXML 4.0, score-partwise: https://www.w3.org/2021/06/musicxml40/
"""

from melodygru.render.score.musicxml import check_grid, to_musicxml
from melodygru.render.score.rhythm import MOST_BARS
from melodygru.render.score.spelling import spell
from melodygru.render.score.write import check_path, to_svg, write

__all__ = [
    "MOST_BARS",
    "check_grid",
    "check_path",
    "spell",
    "to_musicxml",
    "to_svg",
    "write",
]
