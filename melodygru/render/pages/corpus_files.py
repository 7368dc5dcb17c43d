"""What the page of a folder says of its files: styles, what was skipped, duplicates, what is held out, pieces."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from melodygru.corpus import split
from melodygru.render.pages import html
from melodygru.render.pages.sections import Folded, Section, Table
from melodygru.util.wording import clock, counted

if TYPE_CHECKING:
    from markupsafe import Markup

    from melodygru.analysis.style import Survey
    from melodygru.corpus import Corpus, FileRecord, Report

PIECES = 500  # rows of the table of pieces
STYLES = 60  # rows of the table of styles
GROUPS = 40  # reasons of skipping that have a list each
UNFOLDED = 5  # a list as short as this is not folded
NAME = 160  # characters of a file name
# by semitones above C
MAJOR = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR = ("A", "Bb", "B", "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#")
DUPLICATE = "duplicate of "  # how the intake says so
_VARYING = re.compile(r"(b'(?:[^'\\]|\\.)*'|b\"(?:[^\"\\]|\\.)*\"|\d[\d,]*)")  # in reasons: bytes and numbers


class Names:
    """How many characters of file names the page still takes."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def take(self, items: Sequence[Markup]) -> Sequence[Markup]:
        """The first of some pieces of HTML: as many as the page takes."""
        for at, item in enumerate(items):
            self._left -= len(item)
            if self._left < 0:
                return items[:at]
        return items

    def folded(self, summary: str, items: Sequence[Markup]) -> Folded:
        """A list of pieces of HTML."""
        shown = self.take(items)
        return Folded(summary, shown, len(items) - len(shown), len(items) <= UNFOLDED)


def _name(path: str) -> Markup:
    """A file's name as HTML, shortened in its middle; its direction of writing is its own."""
    return html.markup("<bdi>{}</bdi>", path if len(path) <= NAME else f"{path[: NAME // 2]}…{path[-NAME // 2 :]}")


def styles(corpus: Corpus, found: Survey, held_out: set[int]) -> Section:
    """The sub-folders: how much of each there is."""
    section = Section()
    members = defaultdict(list)
    for at, piece in enumerate(corpus.pieces):
        members[piece.style].append(at)
    if set(members) == {None}:
        section.say("No sub-folders with pieces, so no styles: what lies in a sub-folder gets its name as style.")
        return section
    order = sorted(members.items(), key=lambda item: (-len(item[1]), item[0] or ""))
    rows = [
        (
            _shortened(style) if style is not None else "(none)",
            f"{len(pieces):,}",
            f"{sum(corpus.pieces[at].n_notes for at in pieces):,}",
            clock(float(found.seconds[pieces].sum())),
            f"{len(held_out.intersection(pieces)):,}",
        )
        for style, pieces in order[:STYLES]
    ]
    headings = ("style", "pieces", "notes", "time", "held out")
    section.tables.append(Table(headings, rows, range(1, 5), _cut(len(order), STYLES, "styles")))
    return section


def skipped(report: Report, names: Names) -> Section:
    """Every file that is no piece, by reason; duplicates have a section of their own."""
    section = Section()
    groups: dict[str, list[FileRecord]] = defaultdict(list)
    for file in report.skipped:
        if not (file.reason or "").startswith(DUPLICATE):
            groups[_VARYING.sub("…", file.reason or "")].append(file)
    if not groups:
        section.say("Every file could be read and holds notes.")
    order = sorted(groups.values(), key=len, reverse=True)
    for files in order[:GROUPS]:
        is_same = len({file.reason for file in files}) == 1
        items = [_name(file.path) if is_same else _with_reason(file) for file in files]
        reason = _common([file.reason or "" for file in files])
        section.lists.append(names.folded(f"{counted(len(files), 'file')}: {reason}", items))
    rest = [_with_reason(file) for files in order[GROUPS:] for file in files]
    if rest:
        section.lists.append(names.folded(f"{counted(len(rest), 'file')} for other reasons", rest))
    return section


def duplicates(report: Report, names: Names) -> Section:
    """Files with the same notes, length and metres as one before them, with the one that was kept."""
    section = Section()
    copies: dict[str, list[str]] = defaultdict(list)
    for file in report.skipped:
        if (file.reason or "").startswith(DUPLICATE):
            copies[(file.reason or "").removeprefix(DUPLICATE)].append(file.path)
    if not copies:
        section.say("No two files hold the same notes, length and metres.")
        return section
    n = sum(map(len, copies.values()))
    elsewhere = sum(_folder(kept) != _folder(path) for kept, paths in copies.items() for path in paths)
    other = f"; {elsewhere:,} of them in another sub-folder than the one that is kept" if elsewhere else ""
    comma = html.markup(", ")
    items = [
        _name(kept) + html.markup(" is kept; the same: ") + comma.join(map(_name, paths))
        for kept, paths in copies.items()
    ]
    section.say(
        "A duplicate has the same notes, length and metres as a file before it, whatever its tempo; the first by path "
        "is kept, so that none counts twice or is learned and judged by."
    )
    section.lists.append(names.folded(f"{counted(n, 'duplicate')} of {counted(len(copies), 'piece')}{other}", items))
    return section


def held_out_pieces(corpus: Corpus) -> set[int]:
    """The pieces that `train` would be judged by, unless asked otherwise; none where it would refuse."""
    if len(corpus) < 2:
        return set()
    held_out = {piece.path for piece in split(corpus)[1].pieces}
    return {at for at, piece in enumerate(corpus.pieces) if piece.path in held_out}


def held_out_list(corpus: Corpus, held_out: set[int], names: Names) -> Section:
    """The pieces that training holds out."""
    section = Section()
    if not held_out:
        section.say("melodygru train needs two pieces at least: one to learn, one to be judged by.")
        return section
    section.say(
        f"melodygru train learns {len(corpus) - len(held_out):,} of the pieces and is judged by "
        f"{counted(len(held_out), 'piece')} that it never learns, a tenth of each style as far as that can be. These "
        "are the ones with its seed 0; another --seed draws others, and --validation takes those of another folder."
    )
    items = [_name(corpus.pieces[at].path) for at in sorted(held_out)]
    section.lists.append(names.folded(f"{counted(len(items), 'piece')} held out", items))
    return section


def pieces(corpus: Corpus, found: Survey, held_out: set[int], names: Names) -> Section:
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
    shown = names.take([html.markup("{}", row[0]) for row in rows])
    time = ("metre", "tempo", "bars") if metrical else ()
    headings = ("file", "key", *time, "length", "notes", "")
    numbers = range(3, len(headings) - 1) if metrical else (2, 3)
    cut = _cut(len(corpus), len(shown), "pieces")
    table = Table(headings, rows[: len(shown)], numbers, cut, folded=counted(len(corpus), "piece"))
    return Section(tables=[table])


def _with_reason(file: FileRecord) -> Markup:
    return _name(file.path) + html.markup(": {}", file.reason or "")


def _shortened(path: str) -> str:
    """A name for a cell of a table."""
    return path if len(path) <= NAME // 2 else f"{path[: NAME // 4]}…{path[-NAME // 4 :]}"


def _cut(n: int, shown: int, noun: str) -> str:
    return f"The first {shown:,} of {n:,} {noun}." if n > shown else ""


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _common(reasons: Sequence[str]) -> str:
    """Reasons that differ in numbers and bytes as one, with … where they differ."""
    tokens = {tuple(_VARYING.split(reason)) for reason in reasons}
    return "".join(same[0] if len(set(same)) == 1 else "…" for same in zip(*tokens, strict=True))
