"""The files that composing commands write: free names, sound, pictures and scores, and what is said of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from melodygru.cli import options, screen
from melodygru.cli.show import terminal
from melodygru.errors import AudioError, MidiError, SettingError
from melodygru.util.atomic import atomic_write
from melodygru.util.files import holds
from melodygru.util.wording import clock, counted

if TYPE_CHECKING:
    from melodygru.compose.composition import Composition

Command = TypeVar("Command", bound=Callable[..., Any])

MISSING = 1  # exit code where a file that was asked for could not be written

# What can be written beside the MIDI file: the suffix, which is an option, and its help.
KINDS = {
    "wav": "Also write the sound of each piece.",
    "flac": "Likewise, compressed without loss.",
    "png": "Also draw each piece as a piano roll.",
    "svg": "Likewise, a picture that can be enlarged.",
}


def kinds(command: Command) -> Command:
    """An option of each of KINDS."""
    for kind, about in reversed(KINDS.items()):
        command = click.option(f"--{kind}", is_flag=True, help=about)(command)
    return command


def folder(default: str) -> Callable[[Command], Command]:
    """The option of the folder for the files."""
    return click.option(
        "-o",
        "--output-dir",
        type=options.Target(),
        default=Path(default),
        show_default=True,
        metavar="DIR",
        help="Where the files go; none that is there is replaced.",
    )


def asked(values: dict[str, Any], score_file: Path | None, show_it: bool, as_json: bool) -> list[str]:
    """The kinds that are asked for, whose options are taken out of `values`; what can't be is refused at once."""
    if show_it and as_json:
        raise click.UsageError("--show and --json: expected one of the two.")
    found = [kind for kind in KINDS if values.pop(kind)]
    if score_file is not None:
        from melodygru.render import score

        score.check_path(score_file)
    return found


def end(described: Sequence[dict[str, Any]], kinds: Sequence[str], score_file: Path | None) -> None:
    """End the command with MISSING where a file that was asked for could not be written."""
    wanted = [*kinds, *(["score"] if score_file is not None else [])]
    if any(about[kind] is None for about in described for kind in wanted):
        click.get_current_context().exit(MISSING)


def make_folder(folder: Path) -> None:
    """Make the folder for the files, or refuse it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"--output-dir {screen.name(folder)}: {error.strerror or error}; expected a folder, or a name for a new one"
        ) from error


def write_midi(pieces: Sequence[Composition], folder: Path, stem: str) -> list[Path]:
    """Write the MIDI files under names that are free, or that hold the very same music already."""

    def paths(take: str) -> list[Path]:
        return [folder / f"{stem}{take}-{index + 1}.mid" for index in range(len(pieces))]

    return write_new([piece.midi() for piece in pieces], paths)


def write_new(contents: Sequence[bytes], paths: Callable[[str], Sequence[Path]]) -> list[Path]:
    """Write files that belong together; none that holds anything else is replaced, whatever others write meanwhile.

    `paths` gives their names for "", "-take2", "-take3" ...: the first that are free, or hold the same already.
    """
    take = 1
    while True:
        names = list(paths("" if take == 1 else f"-take{take}"))
        made: list[Path] = []
        for path, data in zip(names, contents, strict=True):
            try:
                if not os.path.lexists(path):
                    with atomic_write(path, MidiError, replace=False) as aside:
                        aside.write_bytes(data)
                    made.append(path)
                    continue
            except FileExistsError:  # another process was faster
                pass
            except BaseException:
                _remove(made)
                raise
            if not holds(path, data):
                _remove(made)
                break
        else:
            return names
        take += 1


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def score_paths(file: Path | None, n: int) -> list[Path | None]:
    """A name for each piece's score: the file's own, or numbered ones for several pieces."""
    if file is None or n == 1:
        return [file] * n
    return [file.with_name(f"{file.stem}-{number + 1}{file.suffix}") for number in range(n)]


def described(piece: Composition, path: Path) -> dict[str, Any]:
    """A piece's JSON: its files and its size."""
    bars = len(piece.bar_starts()) - 1 if piece.grid.is_metrical else None
    return {
        "midi": str(path),
        **dict.fromkeys((*KINDS, "score", "originality")),
        "notes": len(piece),
        "bars": bars,
        "seconds": round(piece.seconds, 3),
        "qpm": round(piece.qpm, 3),
        "metre": "{}/{}".format(*piece.metre),
    }


def write_others(
    pieces: Sequence[Composition],
    paths: Sequence[Path],
    made: list[dict[str, Any]],
    *,
    kinds: Sequence[str],
    scores: Sequence[Path | None],
    soundfont: Path | None,
    show_it: bool,
    as_json: bool,
) -> list[str]:
    """Write sound, picture and score of every piece; gives back what was not possible, in a line each.

    Parameters
    ----------
    pieces, paths : what was composed, and its MIDI files
    made : of each piece its JSON, where the names of the files go
    kinds : which of KINDS
    scores : where each piece's sheet music goes, or None
    soundfont : instruments
    show_it : whether each piece is shown in the terminal
    as_json : whether nothing is printed here
    """
    from melodygru.render import formats

    problems: list[str] = []

    def note(option: str, file: Path, error: AudioError | SettingError) -> None:
        refused = getattr(error.__cause__, "filename", None) == str(file)
        problem = screen.one_line(f"{option}: {error}" if refused else error)
        if problems[-1:] != [problem]:  # what keeps one kind of sound from being made keeps the other
            problems.append(problem)
            screen.say(f"melodygru: {problem}")

    with screen.ProgressLine() as line:
        progress = line.count("writing sound and pictures")
        for index, (piece, path, sheet, about) in enumerate(zip(pieces, paths, scores, made, strict=True)):
            progress(index, len(pieces))
            output = formats.Output(piece, title=path.stem, soundfont=soundfont)
            for kind in kinds:
                file = path.with_suffix(f".{kind}")
                try:
                    output.save(file)
                    about[kind] = str(file)
                except (AudioError, SettingError) as error:
                    note(f"--{kind}", file, error)
            if sheet is not None:
                from melodygru.render import score

                try:
                    score.write(piece, sheet, title=path.stem)
                    about["score"] = str(sheet)
                except SettingError as error:  # a pitch that no score has, or a path that can't be written to
                    note("--score", sheet, error)
            if not as_json:
                _print(about)
                if show_it:
                    screen.result("")
                    terminal(piece, path.stem)
                    screen.result("")
    return problems


def _print(about: dict[str, Any]) -> None:
    bars = "" if about["bars"] is None else f"{counted(about['bars'], 'bar')}, "
    screen.result(f"{screen.name(about['midi'])}  {counted(about['notes'], 'note')}, {bars}{clock(about['seconds'])}")
    if about.get("choice") is not None:
        screen.result(f"  {about['choice']['summary']}")
    if about["originality"] is not None:
        screen.result(f"  {about['originality']['summary']}")
    for kind in (*KINDS, "score"):
        if about[kind] is not None:
            screen.result(screen.name(about[kind]))
