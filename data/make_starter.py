"""Make the starter corpus: MIDI, one sub-folder a style, from music21's corpus and from Freedoom's music.

    python data/make_starter.py [--output data/starter] [--freedoom FOLDER]

Needs music21 (a development dependency) and the WAD files of Debian's package freedoom, which it fetches through apt
where no folder is named. The same versions of both give the same bytes on every run. Of music21 only compositions
in the public domain are used; their notes are read, and every file is written anew. README.md beside this
script says how upbeats, repeats, ties and grace notes are treated; the functions below do it.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
import shutil
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import band_files
import mido
import numpy as np

from melodygru import midi
from melodygru.music.notes import METRE, TEMPO, Grid, NoteSequence, canonical, note_array

STEPS_PER_BEAT = 12  # sixteenths and triplets of eighths; pieces that need a finer grid are left out
VOICES = (40, 41, 42, 43)  # General MIDI programs of soprano, alto, tenor, bass
FIDDLE = 110
VELOCITY = 80  # the sources carry no dynamics
MIN_NOTES, MAX_NOTES = 16, 600
MIN_PITCH, MAX_PITCH = 34, 103  # a bass's low B flat to a fiddle's high G
STYLES = ("chorales", "reels", "jigs", "hornpipes", "airs", "quartets", "bands")
SHARED_NOTES = 0.9  # two pieces that share this much, at one transposition, are one piece

# A reel or hornpipe in 2/4 is written in sixteenths, one in 2/2 in eighths: one dance in two notations, of which the
# corpus has the second.
TWICE_AS_LONG = {"reels": {(2, 4): (2, 2)}, "hornpipes": {(2, 4): (2, 2)}}
# Quarter notes per minute by style and metre ("": any other), where the source gives no tempo.
DEFAULT_QPM = {
    "chorales": {"": 72.0, "3/2": 144.0},
    "reels": {"": 208.0, "2/4": 104.0},  # 2/4: one that changes its metre and so keeps it
    "jigs": {"": 171.0, "2/4": 84.0},  # a dotted quarter at 114
    "hornpipes": {"": 168.0},
    "airs": {"": 84.0, "2/2": 120.0, "6/8": 96.0, "3/8": 96.0, "9/8": 96.0, "2/4": 66.0},
}
COLLECTIONS = {
    "bach": "J. S. Bach (1685-1750)",
    "ryan": "Ryan's Mammoth Collection (1883)",
    "oneill": "O'Neill's Music of Ireland (1903)",
}
DANCES = {
    "reel": "reels",
    "jig": "jigs",
    "double jig": "jigs",
    "slip jig": "jigs",
    "slipjig": "jigs",
    "hornpipe": "hornpipes",
    "air": "airs",
}
LAST_AIR = 625  # O'Neill's first section, "Airs and Songs", is nos. 1 to 625
# Name and General MIDI program of a quartet's parts.
QUARTET = (("Violin I", 40), ("Violin II", 40), ("Viola", 41), ("Cello", 42))
QUARTET_STEPS_PER_BEAT = 24  # down to thirty-seconds and their triplets; what is left is a run of small notes
QUARTET_TICKS_PER_BEAT = 96  # a quarter note in one byte
# Movements by folder and number, with quarter notes a minute: few files give a tempo.
QUARTETS = {
    "haydn/opus1no1": (
        "Haydn, String Quartet in B flat, op. 1 no. 1",
        [("Presto", 168), ("Menuetto", 126), ("Adagio", 50), ("Menuetto", 126), ("Presto", 132)],
    ),
    "haydn/opus74no1": (
        "Haydn, String Quartet in C, op. 74 no. 1",
        [("Allegro moderato", 116), ("Andantino grazioso", 63), ("Menuetto, Allegretto", 132), ("Vivace", 138)],
    ),
    "mozart/k80": (
        "Mozart, String Quartet in G, K. 80",
        [("Adagio", 56), ("Allegro", 132), ("Menuetto", 120), ("Rondeau", 132)],
    ),
    "mozart/k155": (
        "Mozart, String Quartet in D, K. 155",
        [("Allegro", 126), ("Andante", 66), ("Molto allegro", 126)],
    ),
    "mozart/k156": (
        "Mozart, String Quartet in G, K. 156",
        [("Presto", 144), ("Adagio", 44), ("Tempo di Menuetto", 120), ("Adagio, first version", 44)],
    ),
    "mozart/k458": (
        "Mozart, String Quartet in B flat, K. 458",
        [("Allegro vivace assai", 168), ("Menuetto", 116), ("Adagio", 40), ("Allegro assai", 144)],
    ),
    "beethoven/opus18no1": (
        "Beethoven, String Quartet in F, op. 18 no. 1",
        [("Allegro con brio", 156), ("Adagio", 66), ("Scherzo", 288), ("Allegro", 116)],
    ),
    "beethoven/opus59no1": (
        "Beethoven, String Quartet in F, op. 59 no. 1",
        [("Allegro", 152), ("Allegretto vivace", 84), ("Adagio molto", 44), ("Allegro", 120)],
    ),
    "beethoven/opus59no2": (
        "Beethoven, String Quartet in E minor, op. 59 no. 2",
        [("Allegro", 120), ("Molto adagio", 50), ("Allegretto", 168), ("Presto", 304)],
    ),
    "beethoven/opus59no3": (
        "Beethoven, String Quartet in C, op. 59 no. 3",
        [
            ("Andante con moto, Allegro vivace", 152),
            ("Andante con moto", 80),
            ("Menuetto", 112),
            ("Allegro molto", 304),
        ],
    ),
}
ANNOTATION = re.compile(r"\"[^\"\n]*\"|![^!\n]*!")
JUMP = re.compile(r"(?<![a-z])(d\.? ?c\.?|d\.? ?s\.?|da capo|dal segno|segno|fine|coda)(?![a-z])", re.IGNORECASE)


LICENCE = Path(__file__).parent / "starter" / "bands" / "LICENSE.txt"


class Dropped(Exception):
    """A piece that does not enter the corpus; the message is the reason as the report counts it."""


@dataclass(frozen=True)
class Candidate:
    """A piece of a source that may enter the corpus; `read` gives its music21 parts, or the bytes of a band's file."""

    key: str  # unique, ASCII, the file's name without ending
    style: str
    title: str
    source: str
    read: Callable[[], Any]
    qpm: float | None = None  # a tempo that is known beside the source


@dataclass(frozen=True)
class Bar:
    """One measure as written, times in quarter notes from its start.

    `voices` holds for each voice the notes (onset, duration, pitch, tied to the next).
    """

    length: Fraction
    metre: tuple[int, int] | None  # where a time signature stands
    voices: tuple[tuple[tuple[Fraction, Fraction, int, bool], ...], ...]
    opens: bool  # |:
    closes: bool  # :|
    divides: bool  # a double bar line without dots at its end
    endings: tuple[int, ...]  # the passes on which the bar is played; empty: on all


@dataclass(frozen=True)
class Piece:
    candidate: Candidate
    sequence: NoteSequence
    graces: int
    data: bytes = b""  # its file, where that says more than the sequence


# -------------------------------------------------------------------------------------------- from score to notes


def read_bars(parts: list[Any], strings: bool = False) -> tuple[list[Bar], int]:
    """The measures of parts that run together, and the number of grace notes left out.

    `strings` may play chords, and their files leave out rests at the end of a bar.
    """
    columns = [list(part.getElementsByClass("Measure")) for part in parts]
    if len({len(column) for column in columns}) != 1 or not columns[0]:
        raise Dropped("voices differ in their number of bars")
    place = {id(measure): at for at, measure in enumerate(columns[0])}
    endings: dict[int, tuple[int, ...]] = {}
    for bracket in parts[0].recurse().getElementsByClass("RepeatBracket"):
        # A bracket names its first and last measures, and those between them or not.
        spanned = [place[id(measure)] for measure in bracket.getSpannedElements() if id(measure) in place]
        for at in range(min(spanned, default=0), max(spanned, default=-1) + 1):
            endings[at] = tuple(bracket.numberRange)
    bars: list[Bar] = []
    graces = 0
    for at, row in enumerate(zip(*columns, strict=True)):
        voices = []
        lengths = set()
        for measure in row:
            notes, left_out = _read_voice(measure, strings)
            graces += left_out
            voices.append(notes)
            lengths.add(_exact(measure.flatten().notesAndRests.stream().highestTime))
        if len(lengths) != 1 and not strings:
            raise Dropped("voices differ in the length of a bar")
        signature = row[0].timeSignature
        left, right = row[0].leftBarline, row[0].rightBarline
        bars.append(
            Bar(
                length=max(lengths),
                metre=None if signature is None else (signature.numerator, signature.denominator),
                voices=tuple(voices),
                opens=getattr(left, "direction", "") == "start",
                closes=getattr(right, "direction", "") == "end",
                divides=right is not None and right.type in ("double", "final"),
                endings=endings.get(at, ()),
            )
        )
    return bars, graces


def _read_voice(measure: Any, chords: bool) -> tuple[tuple[tuple[Fraction, Fraction, int, bool], ...], int]:
    """The notes of one measure of one voice, and how many grace notes were left out."""
    notes, graces = [], 0
    for item in measure.flatten().notes:
        if "Harmony" in item.classes:
            continue
        if item.quarterLength == 0:
            graces += 1
            continue
        if not item.isNote and not chords:
            raise Dropped("a chord in a single voice")
        for note in [item] if item.isNote else item.notes:
            tied = note.tie is not None and note.tie.type in ("start", "continue")
            notes.append((_exact(item.offset), _exact(item.quarterLength), int(note.pitch.midi), tied))
    return tuple(notes), graces


def _exact(quarters: float | Fraction) -> Fraction:
    """A music21 time as a fraction: its own, or a float that is one."""
    return Fraction(quarters).limit_denominator(5040)


def play_order(bars: list[Bar]) -> list[int]:
    """Indices of the bars in the order in which they sound: each repeat once, endings by pass.

    A repeat goes back to its opening sign; where there is none, to the last double bar or closing sign before it,
    else to the start. (music21's own expansion goes back to the start of the piece each time.)
    """
    bars = _complete_second_endings(bars)
    order: list[int] = []
    at, start, explicit, turn = 0, 0, False, 1
    while at < len(bars):
        bar = bars[at]
        following = bars[at + 1].endings if at + 1 < len(bars) else ()
        if bar.opens and (turn == 1 or at != start):
            start, explicit, turn = at, True, 1
        if bar.endings and turn not in bar.endings:
            if turn == 1 or not following:
                raise Dropped("endings that are not a first and a second")
            at += 1
            continue
        order.append(at)
        if bar.closes and turn == 1:
            at, turn = start, 2
            continue
        if turn == 1 and bar.endings and not following:
            raise Dropped("endings that are not a first and a second")
        if turn == 2 and 2 not in following and (bar.closes or 2 in bar.endings):
            start, explicit, turn = at + 1, False, 1
        elif turn == 1 and bar.divides and not explicit:
            start = at + 1
        at += 1
    return order


def _complete_second_endings(bars: list[Bar]) -> list[Bar]:
    """Let a second ending last as long as its first, at most to the section's end (ABC marks only where it begins)."""
    done: list[Bar] = []
    first = second = 0  # bars so far in the endings
    for bar in bars:
        before = done[-1] if done else None
        if bar.endings == (1,):
            first, second = first + 1 if before is not None and before.endings == (1,) else 1, 0
        elif bar.endings == (2,):
            second += 1
        elif second and second < first and not (bar.opens or (before and (before.closes or before.divides))):
            bar = replace(bar, endings=(2,))
            second += 1
        else:
            first = second = 0
        done.append(bar)
    return done


@dataclass(frozen=True)
class Layout:
    """A piece on the time axis, in quarter notes."""

    notes: list[tuple[Fraction, Fraction, int, int]]  # onset, duration, voice, pitch; tied notes are one
    metres: list[tuple[Fraction, int, int]]  # onset, numerator, denominator
    bar_lines: list[Fraction]
    length: Fraction


def lay_out(bars: list[Bar]) -> Layout:
    """Put bars, in playing order, on the time axis so that bar lines fall where the score has them.

    A first bar that is too short is an upbeat: rests before it fill the bar. A short bar further on must be
    completed by those after it to exactly one bar, as the end of a repeated section and its upbeat do.
    Where that fails the piece is `Dropped`.
    """
    metre = bars[0].metre
    if metre is None:
        raise Dropped("no time signature")
    full = Fraction(4 * metre[0], metre[1])
    now = full - bars[0].length if bars[0].length < full else Fraction(0)
    filled = now
    metres = [(Fraction(0), *metre)]
    bar_lines = [Fraction(0)]
    notes: list[tuple[Fraction, Fraction, int, int]] = []
    sounding: dict[tuple[int, int], int] = {}  # voice, pitch -> index of its last note, where that is tied to the next
    for bar in bars:
        if bar.metre is not None and bar.metre != metre:
            if filled:
                raise Dropped("a change of metre inside a bar")
            metre = bar.metre
            full = Fraction(4 * metre[0], metre[1])
            metres.append((now, *metre))
        if bar.length == 0 or filled + bar.length > full:
            raise Dropped("bars that do not add up")
        for voice, written in enumerate(bar.voices):
            for onset, duration, pitch, tied in written:
                last = sounding.pop((voice, pitch), None)
                if last is not None and sum(notes[last][:2]) == now + onset:
                    notes[last] = (notes[last][0], notes[last][1] + duration, voice, pitch)
                else:
                    last = len(notes)
                    notes.append((now + onset, duration, voice, pitch))
                if tied:
                    sounding[voice, pitch] = last
        now += bar.length
        filled = (filled + bar.length) % full
        if not filled:
            bar_lines.append(now)
    return Layout(notes, metres, bar_lines, now)


def to_sequence(style: str, bars: list[Bar], order: list[int], qpm: float | None) -> NoteSequence:
    """A note sequence on the corpus's grid; `Dropped` when the piece does not fit it."""
    layout = lay_out([bars[at] for at in order])
    notes, metres = layout.notes, layout.metres
    times = [time for note in notes for time in note[:2]] + [mark[0] for mark in metres] + [layout.length]
    if any((time * STEPS_PER_BEAT).denominator != 1 for time in times):
        raise Dropped(f"needs a finer grid than {STEPS_PER_BEAT} steps per beat")
    if not MIN_NOTES <= len(notes) <= MAX_NOTES:
        raise Dropped(f"not {MIN_NOTES} to {MAX_NOTES} notes")
    if any(not MIN_PITCH <= note[3] <= MAX_PITCH for note in notes):
        raise Dropped("pitches out of range")
    programs = VOICES if style == "chorales" else (FIDDLE,)
    if {note[2] for note in notes} != set(range(len(programs))):
        raise Dropped("a voice is silent")
    rows = [
        (int(onset * STEPS_PER_BEAT), int(duration * STEPS_PER_BEAT), programs[voice], pitch, VELOCITY)
        for onset, duration, voice, pitch in notes
    ]
    ordered = sorted(rows, key=lambda row: (row[2], row[0]))
    if any(a[2] == b[2] and a[0] + a[1] > b[0] for a, b in zip(ordered, ordered[1:], strict=False)):
        raise Dropped("two notes at once in a single voice")
    array, changes = canonical(note_array(rows))
    assert changes.total == 0
    notation = TWICE_AS_LONG.get(style, {})
    if all(mark[1:] in notation for mark in metres):
        array["onset"] *= 2
        array["duration"] *= 2
        metres = [(2 * at, *notation[top, bottom]) for at, top, bottom in metres]
        layout = Layout(layout.notes, metres, [2 * time for time in layout.bar_lines], 2 * layout.length)
    first = f"{metres[0][1]}/{metres[0][2]}"
    if qpm is None:
        qpm = DEFAULT_QPM[style].get(first, DEFAULT_QPM[style][""])
    sequence = NoteSequence(
        notes=array,
        grid=Grid.beats(STEPS_PER_BEAT),
        length=int(layout.length * STEPS_PER_BEAT),
        tempos=np.array([(0, round(60e6 / qpm))], TEMPO),
        metres=np.array([(int(step * STEPS_PER_BEAT), top, bottom) for step, top, bottom in metres], METRE),
    )
    bar_starts = [int(start) for start in sequence.bar_starts() if start <= sequence.length]
    assert bar_starts == [int(time * STEPS_PER_BEAT) for time in layout.bar_lines]
    return sequence


def once(bars: list[Bar]) -> list[int]:
    """Indices of the bars as they sound where no repeat is played: first endings are left out."""
    return [at for at, bar in enumerate(bars) if 1 not in bar.endings and 0 not in bar.endings]


def to_quartet(bars: list[Bar], qpm: float, text: tuple[str, str]) -> bytes:
    """A quartet's file, a track a part; `Dropped` when it does not fit the grid."""
    layout = lay_out([bars[at] for at in once(bars)])
    times = [time for note in layout.notes for time in note[:2]]
    if any((time * QUARTET_STEPS_PER_BEAT).denominator != 1 for time in times):
        raise Dropped(f"needs a finer grid than {QUARTET_STEPS_PER_BEAT} steps per beat")

    def ticks(time: Fraction) -> int:
        return int(time * QUARTET_TICKS_PER_BEAT)

    conductor: list[band_files.Timed] = [(0, mido.MetaMessage("set_tempo", tempo=round(60e6 / qpm)))]
    for onset, top, bottom in layout.metres:
        conductor.append((ticks(onset), mido.MetaMessage("time_signature", numerator=top, denominator=bottom)))
    tracks = []
    for voice, (name, program) in enumerate(QUARTET):
        head: list[band_files.Timed] = [
            (0, mido.MetaMessage("track_name", name=name)),
            (0, mido.Message("program_change", channel=voice, program=program)),
        ]
        # Two stems on one note are one stroke, as long as the longer.
        longest = {(note[0], note[3]): note[1] for note in sorted(layout.notes) if note[2] == voice}
        body: list[band_files.Timed] = []
        for (onset, pitch), duration in longest.items():
            for at, velocity in ((onset, VELOCITY), (onset + duration, 0)):
                body.append((ticks(at), mido.Message("note_on", channel=voice, note=pitch, velocity=velocity)))
        tracks.append(head + sorted(body, key=lambda item: (item[0], item[1].velocity)))
    return band_files.write_tracks(conductor, tracks, QUARTET_TICKS_PER_BEAT, ticks(layout.length), text)


def read_qpm(parts: list[Any]) -> float | None:
    """The first metronome mark of the score, in quarter notes per minute."""
    for mark in parts[0].recurse().getElementsByClass("MetronomeMark"):
        qpm = mark.getQuarterBPM()
        if qpm is not None:
            return float(qpm)
    return None


def build(candidate: Candidate) -> Piece:
    """Read, unfold and lay out one candidate; `Dropped` says why it can't be used."""
    parts = candidate.read()
    if candidate.style == "bands":
        return Piece(candidate, midi.read(parts).sequence, 0, parts)
    bars, graces = read_bars(parts, strings=candidate.style == "quartets")
    if candidate.style == "quartets":
        assert candidate.qpm is not None
        data = to_quartet(bars, candidate.qpm, text_of(candidate))
        return Piece(candidate, midi.read(data).sequence, graces, data)
    # The Q: fields of the few tunes that have one are numbers without a unit.
    qpm = read_qpm(parts) if candidate.style == "chorales" else None
    return Piece(candidate, to_sequence(candidate.style, bars, play_order(bars), qpm), graces)


# ------------------------------------------------------------------------------------------------------ the sources


def chorales(corpus: Path) -> Iterator[Candidate]:
    """Bach's chorales, by BWV number."""
    from music21 import converter
    from music21.corpus.chorales import ChoraleListRKBWV

    titles = {str(number): entry["title"].replace("AAch", "Ach") for number, entry in ChoraleListRKBWV().byBWV.items()}
    for path in sorted((corpus / "bach").glob("*.mxl"), key=lambda path: _natural(path.stem)):
        number = path.stem.removeprefix("bwv")
        title = titles.get(number, "")

        def read(path: Path = path) -> list[Any]:
            score: Any = converter.parse(path, forceSource=True)
            names = [str(part.partName) for part in score.parts]
            if len(names) != len(VOICES):
                raise Dropped("not four voices")
            if not [name[:1].upper() for name in names] == ["S", "A", "T", "B"]:
                raise Dropped("not soprano, alto, tenor and bass")
            return list(score.parts)

        yield Candidate(
            key="-".join(filter(None, [f"bwv{slug(number)}", slug(title)])),
            style="chorales",
            title=" ".join(filter(None, [f"BWV {number}", title])),
            source=f"{COLLECTIONS['bach']}, bach/{path.name}",
            read=read,
        )


def tunes(corpus: Path) -> Iterator[Candidate]:
    """Reels, jigs, hornpipes and airs of Ryan and O'Neill, by collection and number or title."""
    paths = sorted((corpus / "ryansMammoth").glob("*.abc")) + sorted((corpus / "oneills1850").glob("*.abc"))
    for path in paths:
        source = "ryan" if path.parent.name == "ryansMammoth" else "oneill"
        for text in _split_abc(path.read_text(encoding="utf-8", errors="replace")):
            style = _style(text, source)
            if style is None:
                continue
            title = tidy_title(_field(text, "T"))
            number = f"{int(_field(text, 'X')):04d}" if source == "oneill" else ""
            yield Candidate(
                key="-".join(filter(None, [source, number, slug(title)])),
                style=style,
                title=title,
                source=f"{COLLECTIONS[source]}, {path.parent.name}/{path.name}",
                read=lambda text=text: _read_abc(text),
            )


def quartets(corpus: Path) -> Iterator[Candidate]:
    """Movements of string quartets, by composer, work and number."""
    from music21 import converter

    for folder, (work, movements) in QUARTETS.items():
        for number, (name, qpm) in enumerate(movements, 1):
            path = corpus / folder / f"movement{number}.mxl"

            def read(path: Path = path) -> list[Any]:
                score: Any = converter.parse(path, forceSource=True)
                if len(score.parts) != len(QUARTET):
                    raise Dropped("not four parts")
                return list(score.parts)

            yield Candidate(
                key=f"{folder.replace('/', '-')}-{number}",
                style="quartets",
                title=f"{work}: {number}. {name}",
                source=f"{folder}/{path.name}",
                read=read,
                qpm=qpm,
            )


def freedoom(wads: dict[str, bytes]) -> Iterator[Candidate]:
    """Freedoom's pieces, in the order of its two WAD files."""
    for wad, content in wads.items():
        for lump, data in band_files.lumps(content):
            title = band_files.title_of(data, lump)
            source = f"Freedoom {band_files.VERSION}, {wad}, {lump}"

            def read(lump: str = lump, data: bytes = data, text: tuple[str, str] = (title, source)) -> bytes:
                if lump in band_files.NO_BEAT:
                    raise Dropped("played without the beat that its file counts")
                return band_files.clean(data, band_files.MUS_QPM.get(lump), text)

            yield Candidate(f"{wad.removesuffix('.wad')}-{slug(lump[2:])}", "bands", title, source, read)


def _split_abc(text: str) -> list[str]:
    """The tunes of an ABC file, each from its X: field on."""
    return [tune.strip() + "\n" for tune in re.split(r"(?m)^(?=X:)", text.replace("\r", "")) if tune.startswith("X:")]


def _field(text: str, letter: str) -> str:
    """The first value of an ABC information field, or the empty string."""
    found = re.search(rf"(?m)^{letter}:[ \t]*(.*)$", text)
    return found[1].strip() if found else ""


def _style(text: str, source: str) -> str | None:
    """The sub-folder for a tune, from its R: field or its place in O'Neill; None for other kinds."""
    rhythm = _field(text, "R").lower()
    if not rhythm and source == "oneill" and int(_field(text, "X")) <= LAST_AIR:
        return "airs"
    return DANCES.get(rhythm)


def _read_abc(text: str) -> list[Any]:
    from music21 import converter

    if any(JUMP.search(words) for words in ANNOTATION.findall(text)):
        raise Dropped("a jump in words (D.C., Segno, Fine)")
    if re.search(r"(?m)^[PV]:", text):
        raise Dropped("parts or voices named in the source")
    score: Any = converter.parse(text, format="abc", forceSource=True)
    if len(score.parts) != 1:
        raise Dropped("not a single voice")
    return list(score.parts)


def tidy_title(title: str) -> str:
    """A tune's title without its kind, in reading order: `BAG OF MEAL., THE -- REEL` is The Bag Of Meal."""
    kinds = "reel|jig|hornpipe|air|strathspey"
    title = re.sub(rf"(\s+--.*|\s*-+\s*({kinds})\.?)$", "", title.replace(":", ""), flags=re.IGNORECASE).rstrip(" .")
    inverted = re.fullmatch(r"(.*?)\.?,\s+(the|an?)", title, re.IGNORECASE)
    if inverted:
        title = f"{inverted[2]} {inverted[1]}"
    if title.isupper():
        title = re.sub(r"[^\s\-(]+", lambda word: word[0].capitalize(), title.lower())
        title = re.sub(r"\bO'[a-z]", lambda start: start[0].upper(), title)
    return title[:1].upper() + title[1:]


def slug(title: str) -> str:
    """Lower-case ASCII words joined by hyphens, at most 40 characters."""
    plain = unicodedata.normalize("NFKD", title.replace("ß", "ss")).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", plain.lower().replace("'", "")).strip("-")
    return words[:40].rstrip("-")


def _natural(name: str) -> list[tuple[int, str]]:
    """A sorting key in which bwv10 comes after bwv9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


# ------------------------------------------------------------------------------------------------------- the corpus


def without_duplicates(pieces: list[Piece]) -> tuple[list[Piece], int]:
    """The first of each set of pieces that share most notes, and how many were left out.

    Notes are compared by voice, by place counted in bars, and by interval from the first note, so neither
    transposition nor tempo nor notation (a reel in 2/4 or 2/2) makes a difference.
    """
    kept: list[Piece] = []
    shapes: list[frozenset[tuple[int, int, int]]] = []
    for piece in pieces:
        notes, (numerator, denominator) = piece.sequence.notes, piece.sequence.metre
        place = notes["onset"] * 960 * denominator // (4 * STEPS_PER_BEAT * numerator)
        interval = notes["pitch"] - notes["pitch"][0]
        shape = frozenset(zip(place.tolist(), notes["program"].tolist(), interval.tolist(), strict=True))
        if any(
            len(shape & other) >= SHARED_NOTES * max(len(shape), len(other))
            for other in shapes
            if min(len(shape), len(other)) >= SHARED_NOTES * max(len(shape), len(other))
        ):
            continue
        kept.append(piece)
        shapes.append(shape)
    return kept, len(pieces) - len(kept)


def file_of(piece: Piece) -> bytes:
    """The bytes of a piece's file."""
    return piece.data or midi.to_bytes(piece.sequence, text_of(piece.candidate))


def text_of(candidate: Candidate) -> tuple[str, str]:
    """What a file says about itself."""
    return candidate.title, candidate.source


def write_corpus(pieces: list[Piece], output: Path) -> None:
    """Write the pieces and `catalogue.csv`, and remove what an earlier catalogue listed.

    Raises
    ------
    SystemExit
        The folder holds something that this script did not write.
    """
    catalogue = output / "catalogue.csv"
    if catalogue.exists():
        with catalogue.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                (output / row["file"]).unlink(missing_ok=True)
    known = {catalogue, output / "bands" / LICENCE.name}
    strangers = [path for path in sorted(output.rglob("*")) if path.is_file() and path not in known]
    if strangers:
        raise SystemExit(f"{output} holds {strangers[0].name}, which is not in its catalogue.csv; name another folder")
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["file", "style", "title", "source", "metre", "qpm", "notes", "seconds"])
    for piece in pieces:
        candidate, sequence = piece.candidate, piece.sequence
        path = output / candidate.style / f"{candidate.key}.mid"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = file_of(piece)
        path.write_bytes(data)
        rows.writerow(
            [
                path.relative_to(output).as_posix(),
                candidate.style,
                candidate.title,
                candidate.source,
                "{}/{}".format(*sequence.metre),
                f"{sequence.qpm:.0f}",
                band_files.strokes(data),
                f"{sequence.seconds:.1f}",
            ]
        )
        if candidate.style == "bands" and not (path.parent / LICENCE.name).exists():
            shutil.copy(LICENCE, path.parent)
    aside = catalogue.with_suffix(".part")
    aside.write_text(table.getvalue(), encoding="utf-8")
    os.replace(aside, catalogue)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "starter", metavar="DIR")
    parser.add_argument(
        "--freedoom",
        type=Path,
        metavar="FOLDER",
        help="where freedoom1.wad and freedoom2.wad lie; else apt fetches them",
    )
    options = parser.parse_args(arguments)
    output: Path = options.output
    try:
        import music21
    except ImportError:
        raise SystemExit("music21 is missing; install it with: pip install music21") from None
    corpus = Path(music21.__file__).parent / "corpus"

    with tempfile.TemporaryDirectory() as folder:
        if options.freedoom is None:
            band_files.fetch(Path(folder))
        wads = band_files.find_wads(options.freedoom or Path(folder))
    candidates = [*chorales(corpus), *tunes(corpus), *quartets(corpus), *freedoom(wads)]
    found = Counter(candidate.style for candidate in candidates)
    dropped: dict[str, Counter[str]] = {style: Counter() for style in STYLES}
    pieces: list[Piece] = []
    keys: set[str] = set()
    for at, candidate in enumerate(candidates, 1):
        if sys.stderr.isatty():
            print(f"\r{at} of {len(candidates)}", end="", file=sys.stderr)
        try:
            if candidate.key in keys:
                raise Dropped("a second transcription")
            pieces.append(build(candidate))
            keys.add(candidate.key)
        except Dropped as reason:
            dropped[candidate.style][str(reason)] += 1
        except music21.exceptions21.Music21Exception as error:
            dropped[candidate.style][f"music21 cannot read it ({type(error).__name__})"] += 1
    unique, _ = without_duplicates(pieces)
    kept: list[Piece] = []
    for style in STYLES:
        chosen = [piece for piece in unique if piece.candidate.style == style]
        dropped[style][f"shares {SHARED_NOTES:.0%} of its notes with another"] = sum(
            piece.candidate.style == style for piece in pieces
        ) - len(chosen)
        kept += chosen
        notes = sum(band_files.strokes(file_of(piece)) for piece in chosen)
        minutes = sum(piece.sequence.seconds for piece in chosen) / 60
        graces = sum(piece.graces for piece in chosen)
        print(f"\n{style}: {len(chosen)} of {found[style]} pieces, {notes} notes, {minutes:.0f} minutes")
        print(f"  {graces} grace notes left out")
        for why, count in dropped[style].most_common():
            if count:
                print(f"  {count:4d} dropped: {why}")
    write_corpus(kept, output)
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    print(f"\n{len(kept)} pieces, {size / 1e6:.2f} MB in {output}")


if __name__ == "__main__":
    main()
