"""What is read of each MIDI file of a folder, a line each: a table to hold against what is right.

    python benchmarks/cases.py FOLDER

Durations are in quarter notes, the commonest first; "ends" is where the last note and the track end. A score is
MusicXML, read back by music21 where that is installed: its key signatures, tuplets, altered pitches, and the bars that
had to be rounded.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from melodygru import midi
from melodygru.corpus import choose_grid
from melodygru.corpus.beats import align
from melodygru.errors import MelodyGruError
from melodygru.midi.oddities import in_words
from melodygru.music.names import part_labels
from melodygru.music.notes import NoteSequence
from melodygru.music.tuplets import for_score
from melodygru.render import score

MOST = 4  # durations that are shown


def about(path: Path) -> list[str]:
    """The cells of a file's line."""
    data = path.read_bytes()
    try:
        reading = midi.read(data)
    except MelodyGruError as error:
        return ["refused", str(error), "", "", "", ""]
    piece = reading.sequence
    beat = piece.grid.steps_per_beat if piece.grid.is_metrical else None
    counts = Counter(piece.notes["duration"].tolist()).most_common()
    per = float(beat or 1)
    lengths = ", ".join(f"{n} x {ticks / per:g}" for ticks, n in counts[:MOST]) + (
        ", ..." if len(counts) > MOST else ""
    )
    parts = ", ".join(
        f"{label}: {int((piece.notes['part'] == number).sum())}" for number, label in enumerate(part_labels(piece))
    )
    ends = f"{piece.music_end / per:g} of {piece.length / per:g}"
    odd = [in_words(reading.oddities.as_dict())]
    odd += [f"unmodelled: {name} ({count})" for name, count in midi.left_out(data).items()]
    return [f"{len(piece)}", parts, lengths, ends, "; ".join(filter(None, odd)), scored(piece, reading.has_metre)]


def scored(piece: NoteSequence, has_metre: bool) -> str:
    """What a reader finds in the piece's score."""
    aligned, _ = align(piece, stated=has_metre)
    grid, _ = choose_grid([aligned])
    if not grid.is_metrical:
        return "no beats"
    written, rounded = for_score(aligned, grid)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.musicxml"
        try:
            score.write(written, file)
        except MelodyGruError as error:
            return str(error)
        try:
            import music21
        except ImportError:
            return "written"
        read = music21.converter.parse(file, forceSource=True)
    keys = [found.sharps for found in read.parts[0].recurse().getElementsByClass(music21.key.KeySignature)]
    notes = list(read.recurse().notes)
    tuplets = {str(note.duration.tuplets[0].numberNotesActual) for note in notes if note.duration.tuplets}
    pitches = sorted({pitch.name for note in notes for pitch in note.pitches if pitch.alter})
    words = [f"signatures {keys}"]
    words += [f"tuplets of {', '.join(sorted(tuplets))}"] if tuplets else []
    words += [f"accidentals {' '.join(pitches)}"] if pitches else []
    words += [f"rounded bars {rounded}"] if rounded else []
    return "; ".join(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    print("| file | notes | parts | durations | ends | oddities | score |\n|---|---|---|---|---|---|---|")
    for path in sorted(args.folder.iterdir()):
        if path.suffix in (".mid", ".rmi"):
            print("|", " | ".join([path.name, *about(path)]), "|", flush=True)


if __name__ == "__main__":
    main()
