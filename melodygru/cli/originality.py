"""`melodygru originality`: how much of a piece stands in a corpus, and where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodygru.cli import options, screen
from melodygru.cli.reading import read
from melodygru.errors import CheckpointError, SettingError
from melodygru.util.wording import counted

if TYPE_CHECKING:
    from melodygru.analysis.originality import Index, Match, Originality, Part
    from melodygru.corpus import Corpus

SHOWN = 5  # files of the corpus that are skipped


@click.command(
    epilog="A match is a run of notes with the intervals and the rhythm of a run in the corpus, transposed or not; "
    "tempo, velocity and instrument don't count. It is looked for in each program's notes and over all voices, and the "
    "greater value counts. Matches of fewer than 8 notes are not counted: music of one style shares them by chance."
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="MIDI_DIR",
    help="The music to look in.  [default: what the model was trained on]",
)
@options.model
@options.as_json
def originality(file: Path, against: Path | None, model: Path | None, as_json: bool) -> None:
    """Show how much of FILE, a MIDI file or a folder, stands in the training music, and where.

    \b
    melodygru originality generated/mine-7-1.mid
    melodygru originality generated/ --against midi_dir/
    """  # fmt: skip
    if against is not None and model is not None:
        raise SettingError("--against and --model: expected one of them, for each says what music to look in")
    index = _of_model(model) if against is None else _of_folder(against)
    corpus = read(file, index.grid)
    found = _examine(index, corpus)
    if as_json:
        screen.result_json(_as_dict(index, found))
        return
    for text in _table(index, found, one_file=not file.is_dir()):
        screen.result(text)


def _of_model(model: Path | None) -> Index:
    """The index that travels with a checkpoint."""
    from melodygru.analysis.originality import read as read_index
    from melodygru.model import checkpoint

    path = checkpoint.find(model)
    screen.say(f"model {screen.name(path)}")
    index = read_index(path)
    if index is None:
        raise CheckpointError(
            f"{path} holds no index of the music it was trained on; name that music with --against MIDI_DIR, "
            "or train again"
        )
    return index


def _of_folder(folder: Path) -> Index:
    """An index of a folder, made now."""
    return index_of(read(folder, deduplicate=True, warnings=SHOWN))


def index_of(corpus: Corpus) -> Index:
    """The index of a corpus, with a line that says how far it is."""
    from melodygru.analysis.originality import Index

    with screen.ProgressLine() as line:
        progress = line.count_notes("indexing notes", corpus)

        def pieces() -> Iterator[tuple[str, Any]]:
            for at, (piece, sequence) in enumerate(zip(corpus.pieces, corpus, strict=True)):
                yield piece.path, sequence
                progress(at, sequence)

        return Index.build(pieces(), corpus.grid)


def _examine(index: Index, corpus: Corpus) -> list[tuple[str, Originality]]:
    """Every piece's name and what was found."""
    found = []
    with screen.ProgressLine() as line:
        progress = line.count_notes("looking up notes", corpus)
        for at, (piece, sequence) in enumerate(zip(corpus.pieces, corpus, strict=True)):
            found.append((piece.path, index.examine(sequence)))
            progress(at, sequence)
    return found


def _as_dict(index: Index, found: list[tuple[str, Originality]]) -> dict[str, Any]:
    """All values, ready for JSON."""
    from melodygru.analysis.originality import N_GRAM, spread

    return {
        "corpus": {"pieces": len(index.files), "notes": index.n_notes, "grid": str(index.grid)},
        "shortest_match": N_GRAM,
        "files": [{"file": name, **one.as_dict()} for name, one in found],
        "summary": spread([one for _, one in found]),
        "baseline": index.baseline,
    }


def _table(index: Index, found: list[tuple[str, Originality]], one_file: bool) -> Iterator[str]:
    """The result for the screen."""
    from melodygru.analysis.originality import N_GRAM, spread

    if one_file:
        one = found[0][1]
        rows = [
            ("notes", f"{one.notes:,}"),
            ("longest match", where(one.longest)),
            ("covered", f"{one.share:.1%} of the notes, by matches of {N_GRAM} notes and more"),
            ("all voices", _part(one.voices, one.notes)),
            ("program lines", _part(one.lines, one.notes)),
        ]
    else:
        rows = [(screen.name(name), f"{one.share:>6.1%} covered; longest: {where(one.longest)}") for name, one in found]
        rows.append((counted(len(found), "piece"), described(spread([one for _, one in found]))))
    if index.baseline is not None:
        rows.append(("held-out music", described(index.baseline)))
    rows.append(("looked in", f"{counted(len(index.files), 'piece')}, {counted(index.n_notes, 'note')}"))
    rows.append(("grid", index.grid.describe()))
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        yield f"{label:<{width}}  {text}"


def where(match: Match | None) -> str:
    """A match in words: how long it is, and where it stands."""
    from melodygru.analysis.originality import N_GRAM

    if match is None:
        return f"none of {N_GRAM} notes or more"
    line = "all voices" if match.program is None else f"program {match.program}"
    return (
        f"{match.notes:,} notes of {line} from {match.unit} {match.output_start:,} on, as in {screen.name(match.file)} "
        f"from {match.unit} {match.start:,} on"
    )


def in_short(one: Originality, baseline: dict[str, Any] | None) -> str:
    """What was found of a composed piece, in a line."""
    from melodygru.analysis.originality import N_GRAM

    if one.longest is None:
        text = f"new: no {N_GRAM} notes in a row as in the training music"
    else:
        text = f"{one.share:.0%} as in the training music; longest: {where(one.longest)}"
    if baseline is None:
        return text
    longest, share = baseline["longest"], baseline["share"]
    return f"{text} (held-out music: {share['median']:.0%} and {longest['median']:g} notes, in the median)"


def _part(part: Part, notes: int) -> str:
    longest = "no match" if part.longest is None else f"longest {part.longest.notes:,} notes"
    return f"{longest}, {part.covered / max(1, notes):.1%} covered"


def described(found: dict[str, Any]) -> str:
    """A spread in words: medians, quartiles, maxima."""
    longest, share = found["longest"], found["share"]
    return (
        f"longest match {longest['median']:g} notes in the median "
        f"({longest['lower_quartile']:g} to {longest['upper_quartile']:g}, at most {longest['max']:g}); "
        f"covered {share['median']:.1%} ({share['lower_quartile']:.1%} to {share['upper_quartile']:.1%}, "
        f"at most {share['max']:.1%})"
    )
