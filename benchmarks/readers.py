"""What is read of MIDI files, against other readers of them.

    pip install mido symusic partitura
    python benchmarks/readers.py DATA [-n FILES] [--json FILE]

FILES (500) of the folders below DATA, evenly spaced, and of the starter corpus. Each reader's notes in ticks are
compared as sets of (onset, pitch), and where both have one, by its end. For mido, which has messages and no notes, each
note-off ends the first note of its track, channel and pitch that sounds. Differences are sorted by what of the rule of
reading (`melodygru.midi`) came up in the file:

pedal       the end is later here: the sustain pedal holds the note, and the others leave that to their user
same tick   a note of no length, which is dropped here and is a stroke of a drum, or two of one part, onset and pitch
overlap     the part strikes the pitch again before its end, or all notes are switched off: the first then ends,
            and the note-offs end the notes in their order. partitura lets a note-off end the latest
unexplained none of these
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from melodygru import midi

STARTER = Path(__file__).resolve().parents[1] / "data" / "starter"
PERFORMANCES = 10  # they are long: one file in so many of a folder of them

Note = tuple[int, int, int]  # onset, end, pitch; ticks


def of_mido(path: Path) -> Iterator[Note]:
    """Notes of mido's messages."""
    import mido

    for track in mido.MidiFile(path, clip=True).tracks:
        now, sounding = 0, {}
        for message in track:
            now += message.time
            if message.type not in ("note_on", "note_off"):
                continue
            key = message.channel, message.note
            if message.type == "note_on" and message.velocity:
                sounding.setdefault(key, []).append(now)
            elif sounding.get(key):
                yield sounding[key].pop(0), now, message.note
        for (_, pitch), onsets in sounding.items():
            yield from ((onset, now, pitch) for onset in onsets)


def of_symusic(path: Path) -> Iterator[Note]:
    """Those of symusic."""
    import symusic

    for track in symusic.Score(path).tracks:
        notes = track.notes.numpy()
        times = notes["time"].astype(int), (notes["time"] + notes["duration"]).astype(int), notes["pitch"].astype(int)
        yield from zip(*(column.tolist() for column in times), strict=True)


def of_partitura(path: Path) -> Iterator[Note]:
    """Those of partitura."""
    import partitura

    for part in partitura.load_performance_midi(path):
        for note in part.notes:
            yield int(note["note_on_tick"]), int(note["note_off_tick"]), int(note["midi_pitch"])


OTHERS: dict[str, Callable[[Path], Iterator[Note]]] = {
    "mido": of_mido,
    "symusic": of_symusic,
    "partitura": of_partitura,
}


def compare(reading: midi.Reading, theirs: list[Note]) -> Counter[str]:
    """How many notes agree, and how many differ for which reason."""
    notes = reading.sequence.notes
    ours: dict[tuple[int, int], list[int]] = {}
    for onset, duration, pitch in zip(*(notes[name].tolist() for name in ("onset", "duration", "pitch")), strict=True):
        ours.setdefault((onset, pitch), []).append(onset + duration)
    found: dict[tuple[int, int], list[int]] = {}
    for onset, end, pitch in theirs:
        found.setdefault((onset, pitch), []).append(end)
    odd = reading.oddities
    counts: Counter[str] = Counter()
    for key in ours.keys() | found.keys():
        here, there = sorted(ours.get(key, [])), sorted(found.get(key, []))
        if here == there:
            counts["agree"] += len(here)
        elif len(here) != len(there):
            explained = odd.zero_length + odd.merged > 0 if len(here) < len(there) else odd.strokes > 0
            counts["same tick" if explained else "unexplained"] += abs(len(here) - len(there))
        elif odd.pedalled and sum(here) > sum(there):
            counts["pedal"] += len(here)
        elif odd.cut + odd.restruck + odd.silenced:
            counts["overlap"] += len(here)
        else:
            counts["same tick" if odd.strokes else "unexplained"] += len(here)
    return counts


def files_below(data: Path, n: int) -> list[Path]:
    """So many files, evenly spaced over the folders."""
    folders = [folder for folder in sorted(data.iterdir()) if folder.is_dir()] + [STARTER]
    long = sum(folder.name.startswith("maestro") for folder in folders)
    shares = -(-(n - long * (n // PERFORMANCES)) // (len(folders) - long)), n // PERFORMANCES
    each: list[Path] = []
    for folder in folders:
        files = [Path(file) for file in midi.find_files(folder).values()]
        share = shares[folder.name.startswith("maestro")]
        each += [files[int(at)] for at in np.linspace(0, len(files) - 1, min(share, len(files)))]
    return [each[int(at)] for at in np.linspace(0, len(each) - 1, min(n, len(each)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("-n", type=int, default=500)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    totals = {name: Counter[str]() for name in OTHERS}
    files = files_below(args.data, args.n)
    for path in files:
        reading = midi.read(path)
        for name, read in OTHERS.items():
            try:
                counts = compare(reading, list(read(path)))
            except Exception as error:  # noqa: BLE001 - whatever another reader thinks of a file
                totals[name]["refused"] += 1
                print(f"{path.name}: {name} refuses it: {error}", flush=True)
                continue
            totals[name].update(counts)
            totals[name]["files"] += 1
            totals[name]["same attacks"] += not counts["same tick"] and not counts["unexplained"]
            if counts["unexplained"]:
                print(f"{path.name}: {name}: {dict(counts)}, {reading.oddities.as_dict()}", flush=True)
    for name, counts in totals.items():
        print(f"{name:10s} " + ", ".join(f"{what} {count:,}" for what, count in sorted(counts.items())))
    if args.json:
        args.json.write_text(json.dumps(totals, indent=1) + "\n")


if __name__ == "__main__":
    main()
