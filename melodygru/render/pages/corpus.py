"""The page of `melodygru inspect --html`: what a folder of MIDI files holds, and what was skipped and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melodygru.midi import in_words
from melodygru.music.grid import Grid
from melodygru.music.names import DRUM_NAMES, pitch_name, program_name
from melodygru.music.notes import DRUMS
from melodygru.render.pages import corpus_files as files
from melodygru.render.pages import html
from melodygru.render.pages.sections import Section, Table
from melodygru.render.pictures.corpus import columns_figure, rows_figure, spans_figure
from melodygru.util.wording import clock, counted

if TYPE_CHECKING:
    from melodygru.analysis.style import Survey
    from melodygru.corpus import Corpus, Report

MOST_NAMES = 1_500_000  # characters of file names in all lists together
BARS = 24  # in a picture
FIFTHS = tuple(7 * sharps % 12 for sharps in range(-5, 7))  # keys by their sharps, most flats first


def write(path: Path, corpus: Corpus, progress: Callable[[int, int], None]) -> None:
    """Write the page; it appears whole or not at all.

    Parameters
    ----------
    path : Path
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

    html.write(path, document(corpus, survey(pieces())))


def document(corpus: Corpus, found: Survey) -> str:
    """The page's HTML."""
    report = corpus.report
    names = files.Names(MOST_NAMES)
    held_out = files.held_out_pieces(corpus)
    sections = {
        "Grid": _grid(report),
        "Keys, metres, tempos": _keys_and_times(corpus, found),
        "Programs": _programs(found),
        "Texture and rhythm": _texture(report, found),
        "Lengths": _lengths(corpus, found),
        "Styles": files.styles(corpus, found, held_out),
        "Skipped": files.skipped(report, names),
        "Duplicates": files.duplicates(report, names),
        "Held out": files.held_out_list(corpus, held_out, names),
        "Pieces": files.pieces(corpus, found, held_out, names),
    }
    for title, section in sections.items():
        section.title, section.id = title, re.sub(r"\W+", "-", title.lower())
    title = f"What {Path(report.folder).resolve().name or report.folder} holds"
    return html.render("corpus.html", title=title, facts=_facts(corpus, found), sections=list(sections.values()))


def _facts(corpus: Corpus, found: Survey) -> Iterator[tuple[str, str]]:
    """What stands at the top: label and text."""
    report = corpus.report
    skipped = report.skipped
    copies = sum((file.reason or "").startswith(files.DUPLICATE) for file in skipped)
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
        yield "oddities", in_words(report.oddities)


def _grid(report: Report) -> Section:
    """The grid that was found, and what it costs."""
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
    section = Section()
    beats = [f"{text[0].upper()}{text[1:]}." for text in report.beat_rows()]
    section.say(why, *beats, f"{fit}.", loss)
    shown = {int(n): (share, evidence["ends"].get(n, 0.0)) for n, share in evidence.get("onsets", {}).items()}
    if shown:
        alt = ", ".join(f"{n} steps: {_share(max(0, on), 1)} of onsets" for n, (on, _) in shown.items())
        series = [
            (name, [100 * max(0.0, share) for share in shares])
            for name, shares in zip(("onsets", "ends"), zip(*shown.values(), strict=True), strict=True)
        ]
        figure = columns_figure(
            [str(n) for n in shown], series, "steps per beat", "% of notes, beyond chance", reach=100
        )
        section.draw("Which grids the notes lie on", figure, f"Onsets and ends on grids by steps per beat: {alt}")
    return section


def _keys_and_times(corpus: Corpus, found: Survey) -> Section:
    """Key signatures, by the notes; metres and tempos, where there is a beat."""
    section = Section()
    _keys(section, corpus, found)
    _times(section, corpus, found)
    return section


def _keys(section: Section, corpus: Corpus, found: Survey) -> None:
    with_key = found.signatures >= 0
    n = int(with_key.sum())
    if n == 0:
        section.say("There are drums only: no keys.")
        return
    counts = np.bincount(found.signatures[with_key], minlength=12)
    inside = f"{100 * float(np.nanmean(found.in_key)):.0f}%"
    top = int(counts.argmax())
    one = len(corpus) == 1
    text = "By its notes the piece is in" if one else "The commonest key, by the notes, is that of"
    text += f" {files.MAJOR[top]} major or {files.MINOR[top]} minor"
    text += "" if one else f": {_share(counts[top], n)} of the pieces"
    text += f". A major key and its relative minor share a signature. {inside} of a piece's time lies in its key"
    text += "." if one else ", in the mean."
    section.say(text, counted(len(corpus) - n, "piece") + " without pitches: no key." if n < len(corpus) else "")
    if one:
        return
    named = [(files.MAJOR[key], int(counts[key])) for key in FIFTHS]
    figure = columns_figure(
        [label for label, _ in named], [("", [count for _, count in named])],
        "named by the major key, from flats to sharps", "pieces",
    )  # fmt: skip
    section.draw("Key signatures", figure, f"Key signatures: {_most(named, 'pieces', 12)}")


def _times(section: Section, corpus: Corpus, found: Survey) -> None:
    if not corpus.grid.is_metrical:
        section.say(
            "Without a steady beat there are no bars: metres and tempos that the files name are not used, and times "
            "are those of the performance."
        )
        return
    metres = sorted(corpus.report.metres.items(), key=lambda item: (-item[1], item[0]))
    qpm = np.array([piece.qpm for piece in corpus.pieces])
    changes = [
        f"{counted(n, 'piece')} {'changes' if n == 1 else 'change'} {what} later."
        for n, what in ((found.metre_changes, "metre"), (found.tempo_changes, "tempo"))
        if n
    ]
    said = []
    if len(metres) == 1:
        said.append(f"{'The piece is' if len(corpus) == 1 else 'All pieces are'} in {metres[0][0]}.")
    else:
        _draw_ranked(section, "Metres", metres, "pieces, by the first metre")
    if np.ptp(qpm) < 0.05:
        said.append(f"The tempo is {qpm[0]:.1f} quarter notes per minute{'' if len(qpm) == 1 else ' in all'}.")
    else:
        slow, middle, fast = np.percentile(qpm, [0, 50, 100])
        said.append(f"Tempos go from {slow:.1f} to {fast:.1f} quarter notes per minute, {middle:.1f} in the median.")
        _draw_histogram(section, "Tempos", qpm, (1, 2, 5, 10, 20, 50), "quarter notes per minute", "{:g}".format)
    assumed = "A file that names none counts as 4/4 at 120."
    section.say(*said, *changes, assumed)


def _programs(found: Survey) -> Section:
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
        pitches = _percentiles(counts)
        names = [pitch_name(pitch) for pitch in pitches]
        rows.append([*cells, *names])
        said = f"{cells[0]}: {names[0]} to {names[4]}, 90% of notes {names[1]} to {names[3]}, median {names[2]}"
        ranges.append((cells[0], pitches.tolist(), said))
    section = Section()
    text = (
        "The bar holds 90% of its notes, the mark is their median, the thin line goes from the lowest to the highest."
    )
    section.say("Programs are the instruments of General MIDI.", text if ranges else "")
    if ranges:
        pitched = found.pitches[:DRUMS].sum(0)
        octaves = [(pitch, pitch_name(pitch)) for pitch in range(0, 128, 12)]
        low, high = np.flatnonzero(pitched)[[0, -1]].tolist()
        low, high = low // 12 * 12, -(-high // 12) * 12  # whole octaves
        alt = "; ".join(said for _, _, said in ranges[:6])
        more = f", the {BARS} with most notes" if len(ranges) > BARS else ""
        figure = spans_figure(ranges[:BARS], (low, high), octaves, "pitch; octaves begin at C")
        section.draw(f"Ranges{more}", figure, alt)
        used = [(pitch_name(pitch), int(pitched[pitch]) if pitch < 128 else 0) for pitch in range(low, high + 1)]
        labels = [label if pitch % 12 == 0 else "" for pitch, (label, _) in enumerate(used, low)]
        figure = columns_figure(
            labels, [("", [n for _, n in used])], "pitch; octaves begin at C", "notes", sampled=True,
            titles=[label for label, _ in used],
        )  # fmt: skip
        section.draw("Pitches", figure, f"Notes by pitch; most: {_most(used, 'notes')}")
    drums = found.pitches[DRUMS]
    if drums.any():
        keys = np.argsort(-drums, kind="stable")[: np.count_nonzero(drums)].tolist()
        struck = [(DRUM_NAMES.get(key, f"key {key}"), int(drums[key])) for key in keys]
        _draw_ranked(section, "Drums", struck, "notes")
    headings = ("program", "number", "pieces", "notes", "lowest", "5%", "median", "95%", "highest")
    section.tables.append(Table(headings, rows, range(1, 9)))
    return section


def _texture(report: Report, found: Survey) -> Section:
    """How many notes sound at once, how long they are."""
    section = Section()
    steps = found.polyphony
    levels = [(str(n), float(steps[n])) for n in range(min(len(steps), 17))]
    if len(steps) > 17:
        levels[-1] = ("16+", float(steps[16:].sum()))
    total = steps.sum()
    text = (
        f"No note sounds for {_share(steps[0], total)} of the time, one alone for {_share(steps[1:2].sum(), total)}, "
        f"two or more for {_share(steps[2:].sum(), total)}."
    )
    section.say(text, "" if found.lengths.any() else "Drums have no meaningful length.")
    figure = columns_figure(
        [label for label, _ in levels], [("", [100 * n / total for _, n in levels])],
        "notes that sound at once", "% of the time",
    )  # fmt: skip
    alt = "Share of time by notes that sound at once: " + ", ".join(f"{n}: {_share(v, total)}" for n, v in levels)
    section.draw("Polyphony", figure, alt)
    if found.lengths.any():
        shares = 100 * found.lengths / found.lengths.sum()
        in_seconds = found.length_names[0].endswith("s")
        figure = columns_figure(
            [name.replace(" s", "") for name in found.length_names], [("", shares.tolist())],
            "seconds, the nearest of these" if in_seconds else "note values, the nearest of these; t: triplet",
            "% of notes without drums" if found.pieces_of[DRUMS] else "% of notes",
        )  # fmt: skip
        alt = ", ".join(f"{n}: {_share(v, 100)}" for n, v in zip(found.length_names, shares, strict=True) if v)
        section.draw("Note lengths", figure, f"Note lengths: {alt}")
    return section


def _lengths(corpus: Corpus, found: Survey) -> Section:
    """How long the pieces are."""
    section = Section()
    notes = np.array([piece.n_notes for piece in corpus.pieces])
    if len(corpus) == 1:
        bars = f", {counted(int(found.bars[0]), 'bar')}" if corpus.grid.is_metrical else ""
        section.say(f"The piece lasts {clock(found.seconds[0])}{bars}, {counted(int(notes[0]), 'note')}.")
        return section
    rows = [("time", *(clock(round(value)) for value in np.percentile(found.seconds, [0, 50, 100])))]
    if corpus.grid.is_metrical:
        rows.append(("bars", *(f"{value:,.0f}" for value in np.percentile(found.bars, [0, 50, 100]))))
    rows.append(("notes", *(f"{value:,.0f}" for value in np.percentile(notes, [0, 50, 100]))))
    sizes = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
    if np.ptp(found.seconds) >= 1:
        _draw_histogram(section, "Lengths", found.seconds, sizes, "time (m:ss)", clock)
    section.tables.append(Table(("", "shortest", "median", "longest"), rows, (1, 2, 3)))
    return section


def _share(part: float, whole: float) -> str:
    """A part in per cent; what is not nothing is not called 0%, and what is not all not 100%."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "less than 0.1%"
    if 99.9 < percent < 100:
        return "more than 99.9%"
    return f"{percent:.1f}%".replace(".0%", "%")


def _most(counts: Iterable[tuple[str, float]], unit: str, at_most: int = 6) -> str:
    """What a picture shows, in words: `4/4 229, 3/4 12 pieces`."""
    order = sorted((item for item in counts if item[1]), key=lambda item: -item[1])
    text = ", ".join(f"{label} {value:,.0f}" for label, value in order[:at_most])
    return f"{text} {unit}" + (f", and {len(order) - at_most:,} more" if len(order) > at_most else "")


def _percentiles(counts: np.ndarray) -> np.ndarray:
    """Least, 5%, median, 95% and greatest of the indices of an array of counts, each of them one that occurs."""
    total = np.cumsum(counts)
    return np.searchsorted(total, np.array([1, *np.ceil(np.array([0.05, 0.5, 0.95]) * total[-1]), total[-1]]))


def _draw_ranked(section: Section, title: str, counts: Sequence[tuple[str, int]], x_axis: str) -> None:
    """Bars by name, most first; what is beyond BARS is added up."""
    bars: list[tuple[str, float]] = [*counts]
    if len(bars) > BARS:
        bars = [*bars[: BARS - 1], (f"{len(bars) - BARS + 1:,} others", sum(n for _, n in bars[BARS - 1 :]))]
    section.draw(title, rows_figure(bars, x_axis), f"{title}: {_most(counts, x_axis)}")


def _draw_histogram(
    section: Section, title: str, values: np.ndarray, sizes: Sequence[float], x_axis: str, label: Callable[[float], str]
) -> None:
    """Pieces by a value, in at most 24 classes of one of some round sizes; the last takes in what lies far out."""
    low, high = float(values.min()), float(np.percentile(values, 98))
    size = next((size for size in sizes if high - low <= 20 * size), None) or 2.0 ** np.ceil(np.log2((high - low) / 20))
    start = np.floor(low / size) * size
    n = int((high - start) // size) + 1
    beyond = int((values >= start + n * size).sum())
    counts = np.bincount(np.minimum((values - start) // size, n).astype(np.int64), minlength=n + 1)
    labels = [label(start + at * size) for at in range(n)] + (["more"] if beyond else [])
    named = [(f"from {name}" if name != "more" else "more", count) for name, count in zip(labels, counts, strict=False)]
    alt = f"{title}, in {x_axis}, classes of {label(size)}: {_most(named, 'pieces')}"
    series = [("", counts[: len(labels)].tolist())]
    section.draw(title, columns_figure(labels, series, f"{x_axis}, from each to the next", "pieces", sampled=True), alt)
