"""`melodygru inspect`: what a MIDI file, a folder or a checkpoint holds."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from melodygru.cli import options, screen
from melodygru.cli.reading import read
from melodygru.corpus.grid import parse_grid
from melodygru.errors import SettingError
from melodygru.music.grid import Grid
from melodygru.music.harmony import NO_CHORD
from melodygru.music.notes import NoteSequence
from melodygru.training.settings import TrainSettings
from melodygru.util.wording import clock, counted

Asked = tuple[Grid | None, tuple[int, int] | None]  # grid and metre; None: as found

MOST_BARS_NAMED = 20  # of those in which a score had to round
MOST_SECTIONS, MOST_CHORD_BARS = 8, 16  # whose chords are shown, and how many bars of each


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--score",
    "score_file",
    type=options.Written(*options.SCORES),
    metavar="OUT.svg",
    help="Write a MIDI file's sheet music: .svg (needs the extra melodygru[score]) or .musicxml.",
)
@click.option(
    "--html",
    type=options.PAGE,
    metavar="FILE.html",
    help="Write a page about a folder with pictures and all that was skipped; it needs no network.",
)
@options.declared(TrainSettings, "grid", "metre")
@options.as_json
def inspect(
    path: Path, score_file: Path | None, html: Path | None, grid: str, metre: tuple[int, int] | None, as_json: bool
) -> None:
    """Show what a MIDI file, a folder of them, or a checkpoint holds.

    \b
    melodygru inspect song.mid
    melodygru inspect song.mid --score song.svg
    melodygru inspect midi_dir/ --html midi_dir.html
    melodygru inspect midi_dir/ --grid 4 --metre 3/4
    melodygru inspect checkpoints/mine.keras
    """  # fmt: skip
    is_checkpoint = path.suffix == ".keras" or (path.is_file() and zipfile.is_zipfile(path))
    if score_file is not None and (path.is_dir() or is_checkpoint):
        kind = "folder" if path.is_dir() else "checkpoint"
        raise SettingError(f"--score {screen.name(score_file)}: {screen.name(path)} is a {kind}; expected a MIDI file")
    if html is not None and is_checkpoint:
        raise SettingError(
            f"--html {screen.name(html)}: {screen.name(path)} is a checkpoint; expected a folder of MIDI files"
        )
    asked = parse_grid(grid), metre
    if is_checkpoint and asked != (None, None):
        raise SettingError(f"{screen.name(path)} is a checkpoint: --grid and --metre go with MIDI files")
    if path.is_dir():
        report = _folder(path, asked, html)
        if as_json:
            screen.result_json({"kind": "folder", **report.as_dict()})
        else:
            for line in report.table().split("\n"):
                screen.result(line)
            if html is not None:
                screen.result(f"{'page':<12}{screen.name(html)}")
        return
    about = _checkpoint(path) if is_checkpoint else _midi(path, asked, score_file)
    if html is not None:
        _folder(path, asked, html)
    if as_json:
        screen.result_json(about)
    else:
        for label, value in (_checkpoint_rows if about["kind"] == "checkpoint" else _midi_rows)(about):
            screen.result(f"{label:<14}{value}")
        if html is not None:
            screen.result(f"{'page':<14}{screen.name(html)}")


def _folder(path: Path, asked: Asked, html: Path | None = None) -> Any:
    """The intake report of a folder or file; its page is written where a file for it is given."""
    grid, metre = asked
    corpus = read(path, grid, metre=metre, deduplicate=True, warnings=0)  # the table says which files were skipped
    if html is not None:
        from melodygru.render.pages.corpus import write

        with screen.ProgressLine() as line:
            write(html, corpus, line.count("measuring"))
    return corpus.report


# -- a MIDI file


def _midi(path: Path, asked: Asked, score_file: Path | None) -> dict[str, Any]:
    """What a MIDI file holds, ready for JSON; its score is written where a file for it is given."""
    from melodygru import midi
    from melodygru.corpus import choose_grid
    from melodygru.corpus.beats import align
    from melodygru.midi.chunks import parse_chunks
    from melodygru.midi.reading import load
    from melodygru.music.names import part_labels
    from melodygru.music.quantize import quantize
    from melodygru.music.tuplets import for_score
    from melodygru.render import score

    with options.naming(path):
        data = load(path)
        header = parse_chunks(data)
        reading = midi.read(data)
    piece = reading.sequence
    given, metre = asked
    aligned, beats = align(piece, stated=reading.has_metre, metre=metre)
    grid, evidence = choose_grid([aligned])
    if given is not None:
        grid, evidence = given, {"decided_by": "given"}
    rounded: list[int] = []
    if score_file is not None:
        if grid.is_metrical and aligned.grid.is_metrical:
            written, rounded = for_score(aligned, grid)
        else:
            written = quantize(piece, grid)[0]
        score.write(written, score_file, title=path.stem)
    if grid.is_metrical and aligned != piece:
        evidence["beats"] = {
            "offset_beats": beats.pulse.offset if beats.moved else 0.0,
            "metre": "{}/{}".format(*aligned.metre),
            "metres": len(aligned.metres),
            "metre_from": beats.metre_from,
            "confidence": beats.confidence,
        }
    pitches = piece.notes["pitch"]
    return {
        "kind": "midi",
        "path": str(path),
        "type": header.kind,
        "tracks": len(header.spans),
        "division": piece.grid.describe().replace("step", "tick"),  # as read, a step is a tick
        "notes": len(piece),
        "seconds": piece.seconds,
        "music_seconds": float(piece.step2second(piece.music_end)),
        "beats": piece.beats,
        "qpm": piece.qpm,
        "tempos": len(piece.tempos),
        "metre": "{}/{}".format(*piece.metre),
        "metres": len(piece.metres),
        **_found(piece, aligned.trimmed() if grid.is_metrical else None),
        "parts": [
            {"name": label, "program": program, "notes": int((piece.notes["part"] == part).sum())}
            for part, (program, label) in enumerate(zip(piece.part_programs.tolist(), part_labels(piece), strict=True))
        ],
        "pitch_low": int(pitches.min()) if len(piece) else None,
        "pitch_high": int(pitches.max()) if len(piece) else None,
        "oddities": reading.oddities.as_dict(),
        "lost": reading.lost,
        "left_out": midi.left_out(data),
        "grid": str(grid) if len(piece) else None,
        "grid_evidence": evidence,
        "score": None if score_file is None else str(score_file),
        "rounded_bars": rounded,
    }


def _found(piece: NoteSequence, with_bars: NoteSequence | None) -> dict[str, Any]:
    """The key, form and chords that are found in a piece; the last two where it has bars."""
    from melodygru.music.chords import chord_name, half_bar_chords
    from melodygru.music.form import bar_returns, form_name
    from melodygru.music.keys import KeySignature, estimate_key, key_name
    from melodygru.music.notes import DRUMS

    in_file = [key_name(KeySignature(int(key["fifths"]), bool(key["minor"]))) for key in piece.keys]
    pitched = bool((piece.notes["program"] != DRUMS).any())
    estimated = estimate_key(piece.notes) if pitched else None
    about: dict[str, Any] = {
        "key": in_file[0] if in_file else None,
        "keys": len(in_file),
        "key_found": None if estimated is None else key_name(estimated),
    }
    if with_bars is None or not with_bars.grid.is_metrical or not len(piece):
        return {**about, "form": None, "returns": [], "chords": []}
    returns = bar_returns(with_bars)
    fifths = estimated.fifths if estimated else 0
    chords = [chord_name(code, fifths) for code in half_bar_chords(with_bars).tolist()]
    return {**about, "form": form_name(returns), "returns": returns.tolist(), "chords": chords}


def _plan_rows(about: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The key and form of a piece, and the chords of each section where its letter comes first."""
    from melodygru.music.form import sections

    if about["key"] or about["key_found"]:
        changes = _changes(max(about["keys"], 1))
        by_notes = f"{about['key_found']} by the notes" if about["key_found"] else ""
        same = about["key"] == about["key_found"]
        named = f"{about['key']}{changes}" if about["key"] else ""
        yield "key", "; ".join(text for text in (named, "" if same else by_notes) if text)
    if about["form"] is None:
        return
    yield "form", f"{about['form']} (letters are sections, numbers their bars)"
    chords, told = about["chords"], set[str]()
    for section in sections(np.array(about["returns"])):
        if section.letter in told or len(told) == MOST_SECTIONS:
            continue
        told.add(section.letter)
        shown = range(section.start, section.start + min(section.n_bars, MOST_CHORD_BARS))
        bars = [" ".join(dict.fromkeys(chords[2 * bar : 2 * bar + 2])) for bar in shown]
        more = " ..." if section.n_bars > MOST_CHORD_BARS else ""
        if any(bar != NO_CHORD[0] for bar in bars):
            yield f"chords of {section.letter}", " | ".join(bars) + more


def _midi_rows(about: dict[str, Any]) -> Iterator[tuple[str, str]]:
    from melodygru.midi import oddity_words
    from melodygru.music.grid import Grid
    from melodygru.music.names import pitch_name, program_name

    tracks = counted(about["tracks"], "track")
    yield "MIDI file", f"{screen.name(about['path'])}, type {about['type']}, {tracks}, {about['division']}"
    yield "notes", f"{about['notes']:,}"
    silent = about["notes"] and about["seconds"] - about["music_seconds"] >= screen.LONG_SILENCE_S
    after = f"; its last note ends at {clock(about['music_seconds'])}" if silent else ""
    yield "length", f"{clock(about['seconds'])}, {about['beats']:,.1f} beats{after}"
    yield "tempo", f"{about['qpm']:.1f} quarter notes per minute{_changes(about['tempos'])}"
    yield "metre", about["metre"] + _changes(about["metres"])
    yield from _plan_rows(about)
    for item in about["parts"]:
        name, program = item["name"], program_name(item["program"])
        played = f"{item['program']} {program}"
        played = played if name == program else f"{name}, {played}"
        yield "part", f"{played}: {counted(item['notes'], 'note')}"
    if about["notes"]:
        low, high = about["pitch_low"], about["pitch_high"]
        yield "pitches", f"{low}..{high} ({pitch_name(low)}..{pitch_name(high)})"
        grid, evidence = Grid.parse(about["grid"]), about["grid_evidence"]
        given = evidence["decided_by"] == "given"
        yield "grid", grid.describe() if given else f"train would choose {grid.describe()} for this piece alone"
        yield from _beat_rows(evidence.get("beats"))
    if about["left_out"]:
        yield "unmodelled", ", ".join(f"{name} ({count:,})" for name, count in about["left_out"].items())
    for name, count in about["oddities"].items():
        yield "oddity", f"{oddity_words(name)}: {count:,}"
    if about["lost"]:
        yield "notes lost", f"{about['lost']:,} dropped, merged or cut in reading"
    if about["score"]:
        bars = about["rounded_bars"]
        named = ", ".join(map(str, bars[:MOST_BARS_NAMED])) + (" ..." if len(bars) > MOST_BARS_NAMED else "")
        note = f"; onsets had to be rounded in {counted(len(bars), 'bar')}: {named}" if bars else ""
        yield "score", screen.name(about["score"]) + note


def _beat_rows(found: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    """What training would do about a file's beat and bars."""
    if found is None:
        return
    if found["offset_beats"]:
        yield "beat", f"notes stand {found['offset_beats']:+.3f} beats beside the file's; train would move them"
    if found["metre_from"] != "file":
        sure = f" (from the notes, {found['confidence']:.0%} sure)" if found["metre_from"] == "notes" else " (as asked)"
        yield "bars", f"train would take {found['metre']}{_changes(found['metres'])}{sure}"


def _changes(marks: int) -> str:
    return "" if marks == 1 else f", {counted(marks - 1, 'change')} later"


# -- a checkpoint


def _checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, ready for JSON."""
    from melodygru.model import checkpoint

    held = checkpoint.read(path)
    v = held.vocabulary
    return {
        "kind": "checkpoint",
        "path": str(path),
        "architecture": dataclasses.asdict(held.architecture),
        "parameters": held.n_parameters,
        "vocabulary": v.as_dict(),
        "fields": list(v.fields),
        "unmodelled": v.unmodelled,
        "card": held.card,
    }


def _checkpoint_rows(about: dict[str, Any]) -> Iterator[tuple[str, str]]:
    from melodygru.music.grid import Grid
    from melodygru.music.names import program_name

    size, v, card = about["architecture"], about["vocabulary"], about["card"]
    yield "checkpoint", screen.name(about["path"])
    layers = counted(size["layers"], f"{size['cell'].upper()} layer")
    yield "model", f"{layers} of {size['units']} units, {about['parameters']:,} parameters"
    yield "grid", Grid.parse(v["grid"]).describe()
    yield "programs", ", ".join(f"{program} {program_name(program)}" for program in v["programs"])
    yield "styles", ", ".join(v["styles"]) or "none"
    yield "metres", ", ".join(f"{n}/{d}" for n, d in v["metres"])
    yield "tempo", f"{v['qpm']:.1f} quarter notes per minute"
    yield "fields", ", ".join(about["fields"])
    yield "unmodelled", ", ".join(about["unmodelled"]) or "nothing"
    if corpus := card.get("corpus"):
        held = f"{counted(corpus['pieces'], 'piece')}, {counted(corpus['notes'], 'note')}"
        yield "trained on", f"{corpus['name']}: {held}"
        yield "fingerprint", corpus["fingerprint"]
    if validation := card.get("validation"):
        n, judged = validation["pieces"], validation.get("judged", validation["pieces"])
        sample = "" if judged == n else f"{judged:,} of "
        yield "judged by", f"{sample}{counted(n, 'piece')} ({validation['from']})"
    if history := card.get("history"):
        best = min(history, key=lambda row: row["validation_nats_per_note"])
        yield (
            "held out",
            (
                f"{best['validation_nats_per_note']:.4f} nats per note, at step {best['step']:,.0f}, "
                f"after {best['minutes']:.1f} minutes"
            ),
        )
    if card.get("from"):
        yield "started from", card["from"]
    if "seed" in card:
        yield "seed", str(card["seed"])
    if card.get("recorded"):
        yield "recorded", card["recorded"]
    if versions := card.get("versions"):
        yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())
