"""The page that `melodygru inspect --html` writes: what a folder of MIDI files holds, and what was skipped and why."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melodygru.cli import charts, page
from melodygru.music.names import DRUM_NAMES, pitch_name, program_name
from melodygru.music.notes import DRUMS
from melodygru.util.wording import clock, counted

if TYPE_CHECKING:
    from melodygru.analysis.style import Survey
    from melodygru.corpus import Corpus, FileRecord, Report

STYLE = (
    charts.STYLE
    + """
details { margin: .4rem 0 } summary { cursor: pointer } details ul { margin: .3rem 0 .8rem; padding-left: 1.3rem }
nav a { color: inherit; margin-right: .9rem; display: inline-block }
"""
)
ROOM = 1_500_000  # characters of file names in all lists together
PIECES = 500  # rows of the table of pieces
STYLES = 60  # rows of the table of styles
GROUPS = 40  # reasons of skipping that are told apart
BARS = 24  # in a picture
UNFOLDED = 5  # a list as short as this is not folded
NAME = 160  # characters of a file name
# by semitones above C; the order of the picture is that of sharps, most flats first
MAJOR = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR = ("A", "Bb", "B", "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#")
FIFTHS = tuple(7 * sharps % 12 for sharps in range(-5, 7))
_VARYING = re.compile(r"(b'(?:[^'\\]|\\.)*'|b\"(?:[^\"\\]|\\.)*\"|\d[\d,]*)")  # in reasons: bytes and numbers
_DUPLICATE = "duplicate of "  # how the intake says so


def write(path: Path, corpus: Corpus, progress: Callable[[int, int], None]) -> None:
    """Write the page; it appears whole or not at all.

    Parameters
    ----------
    corpus : Corpus
        Read once, piece by piece.
    progress : called with (done, total) pieces

    Raises
    ------
    SettingError
        The file can't be written.
    """
    from melodygru.analysis.style import survey

    def pieces() -> Iterator[Any]:
        for at, piece in enumerate(corpus):
            yield piece
            progress(at + 1, len(corpus))

    page.write(path, document(corpus, survey(pieces())))


def document(corpus: Corpus, found: Survey) -> str:
    """The page's HTML."""
    report = corpus.report
    room = _Room(ROOM)
    held_out = _held_out(corpus)
    sections = {
        "Grid": _grid(report),
        "Keys, metres, tempos": _side_by_side(_keys(corpus, found), _times(corpus, found)),
        "Voices": _voices(found),
        "Texture and rhythm": _texture(report, found),
        "Lengths": _lengths(corpus, found),
        "Styles": _styles(corpus, found, held_out),
        "Skipped": _skipped(report, room),
        "Duplicates": _duplicates(report, room),
        "Held out": _held_out_list(corpus, held_out, room),
        "Pieces": _pieces(corpus, found, held_out, room),
    }
    ids = {title: re.sub(r"\W+", "-", title.lower()) for title in sections}
    links = " ".join(f'<a href="#{ids[title]}">{title}</a>' for title, body in sections.items() if body)
    parts = [f'<h2 id="{ids[title]}">{title}</h2>\n{body}' for title, body in sections.items() if body]
    title = f"What {Path(report.folder).resolve().name or report.folder} holds"
    body = "\n".join([f"<h1>{page.text(title)}</h1>", page.facts(_facts(corpus, found)), f"<nav>{links}</nav>", *parts])
    return page.document(title, body, style=STYLE)


class _Room:
    """How many characters of file names the page still takes."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def take(self, items: Sequence[str]) -> Sequence[str]:
        """The first of some pieces of HTML: as many as there is room for."""
        for at, item in enumerate(items):
            self._left -= len(item)
            if self._left < 0:
                return items[:at]
        return items

    def folded(self, summary: str, items: Sequence[str]) -> str:
        """A list of pieces of HTML that opens with a click; short ones are open."""
        shown = self.take(items)
        more = len(items) - len(shown)
        entries = "".join(f"<li>{item}</li>" for item in shown)
        if more:
            entries += f"<li>and {more:,} more: melodygru inspect --json lists all</li>"
        opened = " open" if len(items) <= UNFOLDED else ""
        return f"<details{opened}><summary>{summary}</summary><ul>{entries}</ul></details>\n"


def _name(path: str) -> str:
    """A file's name as HTML, shortened in its middle; its direction of writing is its own."""
    shown = path if len(path) <= NAME else f"{path[: NAME // 2]}…{path[-NAME // 2 :]}"
    return f"<bdi>{page.text(shown)}</bdi>"


def _charts(*drawn: str) -> str:
    drawn = tuple(filter(None, drawn))
    return f'<div class="charts">{"".join(drawn)}</div>\n' if drawn else ""


def _side_by_side(*parts: tuple[str, list[str]]) -> str:
    """What is said in several parts, then all their pictures."""
    return "".join(said for said, _ in parts) + _charts(*(one for _, drawn in parts for one in drawn))


def _paragraph(*sentences: str) -> str:
    """A paragraph of texts; "" where all of them are."""
    said = " ".join(filter(None, sentences))
    return f"<p>{page.text(said)}</p>\n" if said else ""


def _share(part: float, whole: float) -> str:
    """A part in per cent; what is not nothing is not called 0%, and what is not all not 100%."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "less than 0.1%"
    if 99.9 < percent < 100:
        return "more than 99.9%"
    return f"{percent:.1f}%".replace(".0%", "%")


def _most(counts: Iterable[tuple[str, float]], unit: str, shown: int = 6) -> str:
    """What a picture shows, in words: `4/4 229, 3/4 12 pieces`."""
    order = sorted((item for item in counts if item[1]), key=lambda item: -item[1])
    told = ", ".join(f"{label} {value:,.0f}" for label, value in order[:shown])
    return f"{told} {unit}" + (f", and {len(order) - shown:,} more" if len(order) > shown else "")


# ---- sections --------------------------------------------------------------------------------------------------


def _facts(corpus: Corpus, found: Survey) -> Iterator[tuple[str, str]]:
    """What stands at the top: label and text."""
    report = corpus.report
    skipped = report.skipped
    copies = sum((file.reason or "").startswith(_DUPLICATE) for file in skipped)
    yield "file" if Path(report.folder).is_file() else "folder", report.folder
    said = f"{len(report.files):,}: {report.kept:,} kept, {len(skipped):,} skipped"
    yield "files", said + (f" ({counted(copies, 'duplicate')})" if copies else "")
    music = f"{counted(report.notes, 'note')}, {clock(report.seconds)}"
    yield "music", music + (f", {counted(int(found.bars.sum()), 'bar')}" if corpus.grid.is_metrical else "")
    yield "grid", corpus.grid.describe()
    yield "notes lost", f"{report.lost:,} of {report.notes + report.lost_reading + report.merged:,}"
    pitched = found.pitches[:DRUMS].sum(0)
    if pitched.any():
        low, high = np.flatnonzero(pitched)[[0, -1]]
        yield "pitches", f"{low}..{high} ({pitch_name(low)}..{pitch_name(high)})"
    yield "polyphony", f"mean {report.polyphony_mean:.2f}, at most {report.polyphony_max}"
    loud = np.flatnonzero(found.velocities)
    if len(loud) == 1:
        yield "velocity", f"{loud[0]} everywhere: there is nothing in it to learn"
    else:
        yield "velocities", f"{loud[0]}..{loud[-1]}, {len(loud)} different"
    if report.oddities:
        order = sorted(report.oddities.items(), key=lambda item: -item[1])
        yield "oddities", ", ".join(f"{name.replace('_', ' ')} ({n:,})" for name, n in order)


def _grid(report: Report) -> str:
    """The grid that was found, and what it costs."""
    from melodygru.music.notes import Grid

    evidence, grid = report.grid_evidence, Grid.parse(report.grid)
    looked, metrical = evidence.get("pieces", 0), evidence.get("metrical_pieces", 0)
    steady = f"{metrical:,} of the {looked:,} pieces looked at keep"
    if looked == 1:
        steady = "The piece keeps" if metrical else "The piece does not keep"
    elif metrical in (0, looked):
        steady = f"{'All' if metrical else 'None of the'} {looked:,} pieces looked at keep"
    if evidence["decided_by"] == "given":
        why = f"The grid was given: {grid.describe()}."
    elif evidence["decided_by"] == "no beat":
        why = (
            f"{steady} a steady beat{'; two thirds would have to' if looked > 1 else ''}. So time is counted in "
            f"seconds, {grid.describe()}."
        )
    else:
        by = "onsets" if evidence["decided_by"] == "onsets" else "onsets and ends of notes"
        why = (
            f"{steady} a steady beat. {grid.describe().capitalize()} (a beat is a "
            f"quarter note) is the coarsest grid that fits their {by}."
        )
    fit = "Every onset lies on it"
    if report.moved:
        fit = (
            f"It moves {_share(report.moved, report.notes + report.merged)} of the onsets: {report.error_mean_ms:.2f} "
            f"ms in the mean over all, 99% within {report.error_p99_ms:.2f} ms, {report.error_max_ms:.2f} ms at most"
        )
    costs = [
        (report.lost_reading, "dropped, merged or cut in reading the files"),
        (report.merged, "dropped by the grid, because they fall on another note of their pitch"),
        (report.cut, "shortened by the grid, because the next of their pitch begins earlier"),
        (report.clipped, "shortened or moved, because a time is too great"),
    ]
    lost = ", ".join(f"{n:,} {what}" for n, what in costs if n)
    loss = f"Notes that are not as the files have them: {lost}." if lost else "No note was lost or shortened."
    shown = {int(n): (share, evidence["ends"].get(n, 0.0)) for n, share in evidence.get("onsets", {}).items()}
    picture = ""
    if shown:
        onset_shares, end_shares = zip(*shown.values(), strict=True)
        alt = ", ".join(f"{n} steps: {_share(max(0, on), 1)} of onsets" for n, (on, _) in shown.items())
        picture = charts.columns(
            "Which grids the notes lie on", [str(n) for n in shown],
            [(name, [100 * max(0.0, share) for share in shares]) for name, shares in
             (("onsets", onset_shares), ("ends", end_shares))],
            "steps per beat", "% of notes, beyond chance", f"Onsets and ends on grids by steps per beat: {alt}",
            reach=100,
        )  # fmt: skip
    return _paragraph(why, f"{fit}.", loss) + _charts(picture)


def _keys(corpus: Corpus, found: Survey) -> tuple[str, list[str]]:
    """Key signatures, by the notes: what is said, and pictures."""
    with_key = found.signatures >= 0
    n = int(with_key.sum())
    if n == 0:
        return _paragraph("There are drums only: no keys."), []
    counts = np.bincount(found.signatures[with_key], minlength=12)
    inside = f"{100 * float(np.nanmean(found.in_key)):.0f}%"
    top = int(counts.argmax())
    name = f"{MAJOR[top]} major or {MINOR[top]} minor"
    said = "By its notes the piece is in" if len(corpus) == 1 else "The commonest key, by the notes, is that of"
    text = f"{said} {name}" + ("" if len(corpus) == 1 else f": {_share(counts[top], n)} of the pieces")
    text += f". A major key and its relative minor share a signature. {inside} of a piece's time lies in its key" + (
        ", in the mean." if len(corpus) > 1 else "."
    )
    without = counted(len(corpus) - n, "piece") + " without pitches: no key." if n < len(corpus) else ""
    if len(corpus) == 1:
        return _paragraph(text), []
    named = [(MAJOR[key], int(counts[key])) for key in FIFTHS]
    picture = charts.columns(
        "Key signatures", [label for label, _ in named], [("", [count for _, count in named])],
        "named by the major key, from flats to sharps", "pieces", f"Key signatures: {_most(named, 'pieces', 12)}",
    )  # fmt: skip
    return _paragraph(text, without), [picture]


def _times(corpus: Corpus, found: Survey) -> tuple[str, list[str]]:
    """Metres and tempos, where there is a beat: what is said, and pictures."""
    if not corpus.grid.is_metrical:
        return _paragraph(
            "Without a steady beat there are no bars: metres and tempos that the files name are not used, and times "
            "are those of the performance."
        ), []
    metres = sorted(corpus.report.metres.items(), key=lambda item: (-item[1], item[0]))
    qpm = np.array([piece.qpm for piece in corpus.pieces])
    changes = [
        f"{counted(n, 'piece')} {'changes' if n == 1 else 'change'} {what} later."
        for n, what in ((found.metre_changes, "metre"), (found.tempo_changes, "tempo"))
        if n
    ]
    drawn, said = [], []
    if len(metres) == 1:
        said.append(f"{'The piece is' if len(corpus) == 1 else 'All pieces are'} in {metres[0][0]}.")
    else:
        drawn.append(_ranked("Metres", metres, "pieces, by the first metre"))
    if np.ptp(qpm) < 0.05:
        said.append(f"The tempo is {qpm[0]:.1f} quarter notes per minute{'' if len(qpm) == 1 else ' in all'}.")
    else:
        slow, middle, fast = np.percentile(qpm, [0, 50, 100])
        said.append(f"Tempos go from {slow:.1f} to {fast:.1f} quarter notes per minute, {middle:.1f} in the median.")
        drawn.append(_histogram("Tempos", qpm, (1, 2, 5, 10, 20, 50), "quarter notes per minute", "{:g}".format))
    assumed = "A file that names none counts as 4/4 at 120."
    return _paragraph(*said, *changes, assumed), drawn


def _voices(found: Survey) -> str:
    """What each program plays, and how high and low."""
    programs = [
        int(program) for program in np.argsort(-found.pitches.sum(1), kind="stable") if found.pieces_of[program]
    ]
    rows, ranges = [], []
    for program in programs:
        counts = found.pitches[program]
        cells = [program_name(program), str(program), f"{found.pieces_of[program]:,}", f"{counts.sum():,}"]
        if program == DRUMS:
            rows.append([*cells[:1], "drums", *cells[2:], *("–" * 5)])
            continue
        places = _percentiles(counts)
        rows.append([*cells, *(pitch_name(place) for place in places)])
        names = [pitch_name(place) for place in places]
        said = f"{cells[0]}: {names[0]} to {names[4]}, 90% of notes {names[1]} to {names[3]}, median {names[2]}"
        ranges.append((cells[0], places.tolist(), said))
    drawn = []
    pitched = found.pitches[:DRUMS].sum(0)
    if ranges:
        octaves = [(pitch, pitch_name(pitch)) for pitch in range(0, 128, 12)]
        low, high = np.flatnonzero(pitched)[[0, -1]].tolist()
        low, high = low // 12 * 12, -(-high // 12) * 12  # whole octaves
        alt = "; ".join(said for _, _, said in ranges[:6])
        more = f", the {BARS} with most notes" if len(ranges) > BARS else ""
        drawn.append(
            charts.spans(f"Ranges{more}", ranges[:BARS], (low, high), octaves, "pitch; octaves begin at C", alt)
        )
        labels = [pitch_name(pitch) if pitch % 12 == 0 else "" for pitch in range(low, high + 1)]
        used = [(pitch_name(pitch), int(pitched[pitch]) if pitch < 128 else 0) for pitch in range(low, high + 1)]
        alt = f"Notes by pitch; most: {_most(used, 'notes')}"
        drawn.append(
            charts.columns(
                "Pitches", labels, [("", [n for _, n in used])], "pitch; octaves begin at C", "notes", alt, sampled=True
            )
        )
    drums = found.pitches[DRUMS]
    if drums.any():
        keys = np.argsort(-drums, kind="stable")[: np.count_nonzero(drums)].tolist()
        struck = [(DRUM_NAMES.get(key, f"key {key}"), int(drums[key])) for key in keys]
        drawn.append(_ranked("Drums", struck, "notes"))
    headings = ("voice", "program", "pieces", "notes", "lowest", "5%", "median", "95%", "highest")
    explained = "A voice is a General MIDI program. " + (
        "The bar holds 90% of its notes, the mark is their median, the thin line goes from the lowest to the highest."
        if ranges else ""
    )  # fmt: skip
    return _paragraph(explained.strip()) + _charts(*drawn) + page.table(headings, rows, numbers=range(1, 9))


def _texture(report: Report, found: Survey) -> str:
    """How many notes sound at once, how long they are."""
    steps = found.polyphony
    levels = [(str(n), float(steps[n])) for n in range(min(len(steps), 17))]
    if len(steps) > 17:
        levels[-1] = ("16+", float(steps[16:].sum()))
    total = steps.sum()
    drawn = [
        charts.columns(
            "Polyphony", [label for label, _ in levels], [("", [100 * n / total for _, n in levels])],
            "notes that sound at once", "% of the time",
            "Share of time by notes that sound at once: " + ", ".join(f"{n}: {_share(v, total)}" for n, v in levels),
        )
    ]  # fmt: skip
    said = (
        f"No note sounds for {_share(steps[0], total)} of the time, one alone for {_share(steps[1:2].sum(), total)}, "
        f"two or more for {_share(steps[2:].sum(), total)}."
    )
    if found.lengths.any():
        shares = 100 * found.lengths / found.lengths.sum()
        in_seconds = found.length_names[0].endswith("s")
        alt = ", ".join(f"{n}: {_share(v, 100)}" for n, v in zip(found.length_names, shares, strict=True) if v)
        names = [name.replace(" s", "") for name in found.length_names]
        drawn.append(
            charts.columns(
                "Note lengths", names, [("", shares.tolist())],
                "seconds, the nearest of these" if in_seconds else "note values, the nearest of these; t: triplet",
                "% of notes without drums" if found.pieces_of[DRUMS] else "% of notes", f"Note lengths: {alt}",
            )
        )  # fmt: skip
    else:
        said += " Drums have no meaningful length."
    return _paragraph(said) + _charts(*drawn)


def _lengths(corpus: Corpus, found: Survey) -> str:
    """How long the pieces are."""
    notes = np.array([piece.n_notes for piece in corpus.pieces])
    if len(corpus) == 1:
        bars = f", {counted(int(found.bars[0]), 'bar')}" if corpus.grid.is_metrical else ""
        return _paragraph(f"The piece lasts {clock(found.seconds[0])}{bars}, {counted(int(notes[0]), 'note')}.")
    rows = [("time", *(clock(round(value)) for value in np.percentile(found.seconds, [0, 50, 100])))]
    if corpus.grid.is_metrical:
        rows.append(("bars", *(f"{value:,.0f}" for value in np.percentile(found.bars, [0, 50, 100]))))
    rows.append(("notes", *(f"{value:,.0f}" for value in np.percentile(notes, [0, 50, 100]))))
    sizes = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
    picture = ""
    if np.ptp(found.seconds) >= 1:
        picture = _histogram("Lengths", found.seconds, sizes, "time (m:ss)", clock)
    return page.table(("", "shortest", "median", "longest"), rows, numbers=(1, 2, 3)) + _charts(picture)


def _styles(corpus: Corpus, found: Survey, held_out: set[int]) -> str:
    """The sub-folders: how much of each there is."""
    members = defaultdict(list)
    for at, piece in enumerate(corpus.pieces):
        members[piece.style].append(at)
    if set(members) == {None}:
        return _paragraph("No sub-folders with pieces, so no styles: what lies in a sub-folder gets its name as style.")
    order = sorted(members.items(), key=lambda item: (-len(item[1]), item[0] or ""))
    rows = [
        (
            _shortened(style) if style is not None else "(none)",
            f"{len(places):,}",
            f"{sum(corpus.pieces[at].n_notes for at in places):,}",
            clock(float(found.seconds[places].sum())),
            f"{len(held_out.intersection(places)):,}",
        )
        for style, places in order[:STYLES]
    ]
    headings = ("style", "pieces", "notes", "time", "held out")
    numbers = range(1, 5)
    return page.table(headings, rows, numbers) + _cut(len(order), STYLES, "styles")


def _skipped(report: Report, room: _Room) -> str:
    """Every file that is no piece, by reason; duplicates have a section of their own."""
    groups: dict[str, list[FileRecord]] = defaultdict(list)
    for file in report.skipped:
        if not (file.reason or "").startswith(_DUPLICATE):
            groups[_VARYING.sub("…", file.reason or "")].append(file)
    if not groups:
        return _paragraph("Every file could be read and holds notes.")
    lists = []
    order = sorted(groups.values(), key=len, reverse=True)
    for files in order[:GROUPS]:
        reasons = [file.reason or "" for file in files]
        items = [
            _name(file.path) + ("" if len(set(reasons)) == 1 else f": {page.text(file.reason or '')}") for file in files
        ]
        lists.append(room.folded(f"{counted(len(files), 'file')}: {page.text(_common(reasons))}", items))
    rest = [file for files in order[GROUPS:] for file in files]
    if rest:
        items = [f"{_name(file.path)}: {page.text(file.reason or '')}" for file in rest]
        lists.append(room.folded(f"{counted(len(rest), 'file')} for other reasons", items))
    return "".join(lists)


def _duplicates(report: Report, room: _Room) -> str:
    """Files with the same notes, length and metres as one before them, with the one that was kept."""
    copies: dict[str, list[str]] = defaultdict(list)
    for file in report.skipped:
        if (file.reason or "").startswith(_DUPLICATE):
            copies[(file.reason or "").removeprefix(_DUPLICATE)].append(file.path)
    if not copies:
        return _paragraph("No two files hold the same notes, length and metres.")
    n = sum(map(len, copies.values()))
    elsewhere = sum(_folder(kept) != _folder(path) for kept, paths in copies.items() for path in paths)
    other = f"; {elsewhere:,} of them in another sub-folder than the one that is kept" if elsewhere else ""
    items = [f"{_name(kept)} is kept; the same: {', '.join(map(_name, paths))}" for kept, paths in copies.items()]
    explained = _paragraph(
        "A duplicate has the same notes, length and metres as a file before it, whatever its tempo; the first by path "
        "is kept, so that none counts twice or is learned and judged by."
    )
    return explained + room.folded(f"{counted(n, 'duplicate')} of {counted(len(copies), 'piece')}{other}", items)


def _held_out(corpus: Corpus) -> set[int]:
    """The pieces that `train` would be judged by, unless told otherwise; none where it would refuse."""
    from melodygru.corpus import split

    if len(corpus) < 2:
        return set()
    held_out = {piece.path for piece in split(corpus)[1].pieces}
    return {at for at, piece in enumerate(corpus.pieces) if piece.path in held_out}


def _held_out_list(corpus: Corpus, held_out: set[int], room: _Room) -> str:
    if not held_out:
        return _paragraph("melodygru train needs two pieces at least: one to learn, one to be judged by.")
    explained = _paragraph(
        f"melodygru train learns {len(corpus) - len(held_out):,} of the pieces and is judged by "
        f"{counted(len(held_out), 'piece')} that it never learns, a tenth of each style as far as that can be. These "
        "are the ones with its seed 0; another --seed draws others, and --validation takes those of another folder."
    )
    items = [_name(corpus.pieces[at].path) for at in sorted(held_out)]
    return explained + room.folded(f"{counted(len(items), 'piece')} held out", items)


def _pieces(corpus: Corpus, found: Survey, held_out: set[int], room: _Room) -> str:
    """A table of the pieces, folded."""
    metrical = corpus.grid.is_metrical
    rows = []
    for at, piece in enumerate(corpus.pieces[:PIECES]):
        key = int(found.signatures[at])
        beat = ("{}/{}".format(*piece.metre), f"{piece.qpm:.0f}", f"{found.bars[at]:,}") if metrical else ()
        rows.append(
            (
                _shortened(piece.path),
                f"{MAJOR[key]}/{MINOR[key].lower()}" if key >= 0 else "–",
                *beat,
                clock(round(found.seconds[at])),
                f"{piece.n_notes:,}",
                "held out" if at in held_out else "",
            )
        )
    shown = room.take([page.text(row[0]) for row in rows])
    time = ("metre", "tempo", "bars") if metrical else ()
    headings = ("file", "key", *time, "length", "notes", "")
    table = page.table(headings, rows[: len(shown)], numbers=range(3, len(headings) - 1) if metrical else (2, 3))
    cut = _cut(len(corpus), len(shown), "pieces")
    return f"<details><summary>{counted(len(corpus), 'piece')}</summary>{table}{cut}</details>"


# ---- helpers ---------------------------------------------------------------------------------------------------


def _shortened(path: str) -> str:
    """A name for a cell of a table."""
    return path if len(path) <= NAME // 2 else f"{path[: NAME // 4]}…{path[-NAME // 4 :]}"


def _cut(n: int, shown: int, noun: str) -> str:
    return _paragraph(f"The first {shown:,} of {n:,} {noun}.") if n > shown else ""


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _common(reasons: Sequence[str]) -> str:
    """Reasons that differ in numbers and bytes as one, with … where they differ."""
    tokens = {tuple(_VARYING.split(reason)) for reason in reasons}
    return "".join(same[0] if len(set(same)) == 1 else "…" for same in zip(*tokens, strict=True))


def _percentiles(counts: np.ndarray) -> np.ndarray:
    """Least, 5%, median, 95% and greatest of the indices of an array of counts, each of them one that occurs."""
    total = np.cumsum(counts)
    return np.searchsorted(total, np.array([1, *np.ceil(np.array([0.05, 0.5, 0.95]) * total[-1]), total[-1]]))


def _ranked(title: str, counts: Sequence[tuple[str, int]], x_axis: str) -> str:
    """Bars by name, most first; what there is no room for is added up."""
    bars: list[tuple[str, float]] = [*counts]
    if len(bars) > BARS:
        bars = [*bars[: BARS - 1], (f"{len(bars) - BARS + 1:,} others", sum(n for _, n in bars[BARS - 1 :]))]
    return charts.rows(title, bars, x_axis, f"{title}: {_most(counts, x_axis)}")


def _histogram(
    title: str, values: np.ndarray, sizes: Sequence[float], x_axis: str, label: Callable[[float], str]
) -> str:
    """Pieces by a value, in at most 24 classes of one of some round sizes; the last takes in what lies far out."""
    low, high = float(values.min()), float(np.percentile(values, 98))
    size = next((size for size in sizes if high - low <= 20 * size), None) or 2.0 ** np.ceil(np.log2((high - low) / 20))
    start = np.floor(low / size) * size
    n = int((high - start) // size) + 1
    beyond = int((values >= start + n * size).sum())
    counts = np.bincount(np.minimum((values - start) // size, n).astype(np.int64), minlength=n + 1)
    labels = [label(start + at * size) for at in range(n)] + (["more"] if beyond else [])
    told = [(f"from {name}" if name != "more" else "more", count) for name, count in zip(labels, counts, strict=False)]
    alt = f"{title}, in {x_axis}, classes of {label(size)}: {_most(told, 'pieces')}"
    axis = f"{x_axis}, from each to the next"
    return charts.columns(title, labels, [("", counts[: len(labels)].tolist())], axis, "pieces", alt, sampled=True)
