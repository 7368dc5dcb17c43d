"""`melodygru explain`: what a model's recurrent layers do with a piece, as a page and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from melodygru.cli import options, screen
from melodygru.cli.reading import read
from melodygru.util.wording import counted

if TYPE_CHECKING:
    from melodygru.analysis.explain import Account, Surprise, Trace, Unit
    from melodygru.model.checkpoint import Checkpoint
    from melodygru.music.notes import Grid, NoteSequence

MAX_NOTES = 20_000  # heard; later pieces are left out
DRAWN_BEATS, DRAWN_S = 160, 80  # of the first piece, in pictures
DRAWN_UNITS = 12
SURPRISES = 12  # notes in the table
NAMED_UNITS = 5  # of each aspect
PAGE = "explain.html"


@dataclass(frozen=True)
class Told:
    """All that there is to tell.

    Attributes
    ----------
    model : the checkpoint's name
    names : of the pieces, the drawn one first
    left_out : pieces beyond MAX_NOTES
    gates : names of the cell's gates, the one that keeps first
    heard : the pieces
    account : what was found
    surprises : the most surprising notes of the first piece
    drawn : the part of the first piece that is drawn
    drawn_part : how many bars or seconds that is, in words
    knows : what the model is told of the place in time
    fields : those that the model has
    program_of_class : the vocabulary's
    """

    model: str
    names: list[str]
    left_out: int
    gates: tuple[str, ...]
    heard: list[Trace]
    account: Account
    surprises: list[Surprise]
    drawn: NoteSequence
    drawn_part: str
    knows: str
    fields: tuple[str, ...]
    program_of_class: Any

    @property
    def grid(self) -> Grid:
        return self.heard[0].sequence.grid

    @property
    def time(self) -> str:
        return "beats" if self.grid.is_metrical else "seconds"

    @property
    def shown_units(self) -> list[Unit]:
        """The units that matter most, ordered by layer and half-life."""
        units = self.account.units[:DRAWN_UNITS]
        return sorted(units, key=lambda unit: (unit.layer, self.account.half_life[unit.layer, unit.unit]))


@click.command(
    epilog="Style and metre are unknown to the model, as in evaluate. A unit's name is its layer and its number in it, "
    "both from 0. A unit is said to follow something that explains 0.05 of its variance or more, and more than 95% of "
    "shuffles reach with their best unit; a folder shows more of that than one piece. How to read the page: "
    "docs/explain.md."
)
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="FILE...")
@options.model
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(path_type=Path),
    default=Path("explained"),
    show_default=True,
    metavar="DIR",
    help="Where the page and its pictures go; those of an earlier run there are replaced, no other file is.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The shuffled control follows from it."
)
@options.as_json
def explain(files: tuple[Path, ...], model: Path | None, output_dir: Path, seed: int, as_json: bool) -> None:
    """Show what a model does with FILE: its gates, its memory, what its units follow, what surprises it.

    FILE is a MIDI file or a folder. Statistics are of all pieces given, notes and gates are drawn of the first.

    \b
    melodygru explain song.mid -o explained
    melodygru explain song.mid midi_dir/ --model checkpoints/mine.keras -o explained
    """
    from melodygru.cli.explain_page import claim, write
    from melodygru.model import checkpoint

    path = checkpoint.find(model)
    screen.say(f"model {screen.name(path)}")
    claim(output_dir)
    told = _tell(checkpoint.read(path), screen.name(path), files, seed)
    with screen.ProgressLine() as line:
        written = write(output_dir, told, line.count("drawing"))
    if as_json:
        screen.result_json({**figures(told), "written": [str(path) for path in written]})
        return
    for label, text in _lines(told):
        screen.result(f"{label:<15}{text}")
    screen.result(f"{'page':<15}{screen.name(output_dir / PAGE)}")


def _tell(contents: Checkpoint, model: str, files: tuple[Path, ...], seed: int) -> Told:
    """Hear the pieces and find out about the model."""
    from melodygru.analysis.explain import Tracer, most_surprising
    from melodygru.analysis.explain import explain as find_out
    from melodygru.model.numpy_model import NumpyModel

    tracer, v = Tracer(NumpyModel(contents)), contents.vocabulary
    pieces: dict[Path, tuple[Path, NoteSequence]] = {}  # a file that is given twice counts once
    for file in files:
        corpus = read(file, v.grid)
        for at, piece in enumerate(corpus.pieces):
            path = file / piece.path if file.is_dir() else file
            pieces.setdefault(path.resolve(), (path, corpus[at]))
    names: list[str] = []
    heard: list[Trace] = []
    notes = 0
    total = sum(len(sequence.notes) for _, sequence in pieces.values())
    with screen.ProgressLine() as line:
        progress = line.count("hearing notes")
        for name, sequence in pieces.values():
            if heard and notes + len(sequence) > MAX_NOTES:
                continue
            heard.append(tracer.trace(sequence))
            names.append(screen.name(name))
            notes += len(sequence)
            progress(notes, min(total, MAX_NOTES))
        line.show("trying units")
        account = find_out(tracer, heard, seed)
    if len(heard) < len(pieces):
        screen.warn(f"{len(heard):,} of the {len(pieces):,} pieces heard: {MAX_NOTES:,} notes are enough")
    drawn, part = _drawn(heard[0].sequence)
    return Told(
        model, names, len(pieces) - len(heard), tracer.gates, heard, account, most_surprising(heard[0], SURPRISES),
        drawn, part, _knows(v), v.fields, v.program_of_class,
    )  # fmt: skip


def _drawn(sequence: NoteSequence) -> tuple[NoteSequence, str]:
    """The part of a piece that is drawn, whole bars or seconds, and what it is in words."""
    if sequence.grid.is_metrical:
        bars = sequence.bar_starts()
        last = int(np.searchsorted(bars, DRAWN_BEATS * float(sequence.grid.steps_per_beat or 1), side="right")) - 1
        last = max(1, min(last, len(bars) - 1))
        if bars[last] >= sequence.length:
            return sequence, "the whole piece"
        return sequence.crop(0, int(bars[last])), f"the first {counted(last, 'bar')} of {len(bars) - 1:,}"
    end = round(DRAWN_S * float(sequence.grid.steps_per_second or 1))
    if end >= sequence.length:
        return sequence, "the whole piece"
    return sequence.crop(0, end), f"the first {DRAWN_S} seconds of {sequence.seconds:,.0f}"


def _knows(vocabulary: Any) -> str:
    """What a model is told of the place in time while it hears, the metre unknown."""
    if not vocabulary.grid.is_metrical:
        return "neither beats nor bars; this music has none"
    if len(vocabulary.metres) == 1:
        return "the place in the beat, the bar and the phrase"
    return "the place in the quarter note; not the metre, nor the place in the bar or the phrase"


# ---- in words --------------------------------------------------------------------------------------------------


def _lines(told: Told) -> Iterator[tuple[str, str]]:
    """The result for the screen."""
    account = told.account
    yield "heard", f"{counted(len(told.heard), 'piece')}, {counted(account.notes, 'note')}; drawn: {told.names[0]}"
    yield "nats per note", f"{sum(nats for _, nats in by_field(told)):.4f}"
    for layer, row in enumerate(account.half_life):
        low, middle, high = np.percentile(row, (5, 50, 95))
        yield (
            "half-life",
            f"layer {layer}: {length(middle)} {told.time} in the median (5% to 95%: {length(low)} to {length(high)})",
        )
    forgetting = account.forgetting
    yield (
        "memory",
        f"of the last note alone: {forgetting[0]:+.3f} nats per note; {len(forgetting)}: {forgetting[-1]:+.3f}",
    )
    yield "matter most", ", ".join(f"{unit.name} ({unit.nats_per_note:+.3f})" for unit in account.units[:NAMED_UNITS])
    for aspect, (found, best) in followers(told).items():
        text = f"{int(found.beyond.sum()):,} of {found.scores.size:,} units (score above {found.needed:.3f})"
        if best:
            text += "; best " + ", ".join(f"{name} ({score:.2f})" for name, score in best[:3])
        yield aspect, text


def length(value: float) -> str:
    """A length of time to three digits."""
    return f"{value:.3g}" if np.isfinite(value) and value < 1000 else f"{value:,.0f}"


def by_field(told: Told) -> list[tuple[str, float]]:
    """Nats per note of each field, of all pieces, ends included."""
    from melodygru.events import FIELDS

    nats = sum(heard.nats.sum(0) for heard in told.heard) / max(1, told.account.notes)
    return [(field, float(nats[FIELDS.index(field)])) for field in told.fields]


def followers(told: Told) -> dict[str, tuple[Any, list[tuple[str, float]]]]:
    """For each aspect what was found, and (name, score) of the best units beyond the control."""
    found = {}
    for aspect, one in told.account.following.items():
        best = np.argsort(-one.scores, axis=None, kind="stable")[:NAMED_UNITS]
        places = [divmod(int(at), one.scores.shape[1]) for at in best]
        found[aspect] = (one, [(f"{i}/{j}", float(one.scores[i, j])) for i, j in places if one.beyond[i, j]])
    return found


def follows(told: Told, unit: Unit) -> list[tuple[str, float]]:
    """What a unit follows, with its scores."""
    return [
        (aspect, float(one.scores[unit.layer, unit.unit]))
        for aspect, one in told.account.following.items()
        if one.beyond[unit.layer, unit.unit]
    ]


def mean_gates(told: Told, unit: Unit) -> list[float]:
    """Mean of each of a unit's gates over all notes."""
    return [
        float(np.concatenate([heard.gates[gate][1:, unit.layer, unit.unit] for heard in told.heard]).mean())
        for gate in told.gates
    ]


def half_paid(told: Told) -> int | None:
    """How many notes of memory make up for half of what one note alone costs; None: it costs nothing, or more do."""
    forgetting = told.account.forgetting
    enough = np.flatnonzero(forgetting <= forgetting[0] / 2)
    return int(enough[0]) + 1 if len(enough) and forgetting[0] > 0 else None


def where(told: Told, note: int) -> str:
    """Where a note of the first piece stands: bar and beat, or seconds."""
    from melodygru.analysis.explain.following import positions

    sequence = told.heard[0].sequence
    if note == len(sequence):
        return "the end"
    if not sequence.grid.is_metrical:
        return f"{float(sequence.step2second(int(sequence.notes['onset'][note]))):.2f} s"
    at = positions(sequence)
    beat = 1 + at.position[note] // at.beat[note] + at.step[note] / at.beat[note]
    return f"bar {at.bar_number[note] + 1}, beat {beat:.3g}"


def named(told: Told, field: str, value: int) -> str:
    """A class of a field as people say it."""
    from melodygru.events import END, TIMES, VELOCITY_WIDTH
    from melodygru.music.names import pitch_name, program_name

    if field == "pitch":
        return pitch_name(value)
    if field == "program":
        return "the end" if value == END else program_name(told.program_of_class(value))
    if field == "velocity":
        return f"{value * VELOCITY_WIDTH} to {(value + 1) * VELOCITY_WIDTH - 1}"
    if field == "shift" and value == 0:
        return "with the note before"
    rate = told.grid.rate
    low, wide = int(TIMES.low[value]), int(TIMES.width[value])
    text = f"{low / rate:.6g}" if wide == 1 else f"{low / rate:.6g} to {(low + wide - 1) / rate:.6g}"
    unit = "s" if not told.grid.is_metrical else "beat" if text == "1" else "beats"
    return f"{text} {unit}" + (" on" if field == "shift" else "")


def came(told: Told, note: int) -> str:
    """A note of the first piece in words."""
    from melodygru.music.names import pitch_name, program_name

    sequence = told.heard[0].sequence
    if note == len(sequence):
        return "end of the piece"
    row = sequence.notes[note]
    rate = told.grid.rate
    text = f"{pitch_name(int(row['pitch']))} for {row['duration'] / rate:.6g}"
    text += " s" if not told.grid.is_metrical else " beat" if row["duration"] == rate else " beats"
    return text + (f", {program_name(int(row['program']))}" if len(sequence.programs) > 1 else "")


def share(probability: float) -> str:
    """A probability in per cent, small ones with more digits."""
    if probability < 1e-4:
        return "under 0.01%"
    return f"{probability:.0%}" if probability >= 0.1 else f"{100 * probability:.2g}%"


def figures(told: Told) -> dict[str, Any]:
    """All figures, ready for JSON."""
    from melodygru.analysis.explain import PERCENTILES

    account = told.account

    def plain(values: np.ndarray) -> list[float | None]:
        return [float(value) if np.isfinite(value) else None for value in values]

    return {
        "model": told.model,
        "files": told.names,
        "notes": account.notes,
        "nats": float(sum(heard.nats.sum() for heard in told.heard)),
        "nats_per_note": dict(by_field(told)),
        "half_life": {
            "unit": told.time,
            "percentiles": list(PERCENTILES),
            "layers": [plain(np.percentile(row, PERCENTILES)) for row in account.half_life],
            "layers_in_notes": [plain(np.percentile(row, PERCENTILES)) for row in account.half_life_notes],
        },
        "forgetting": plain(account.forgetting),
        "tried_on": account.tried_on,
        "units": [
            {
                "unit": unit.name,
                "nats_per_note": unit.nats_per_note,
                "half_life": plain(account.half_life[unit.layer, unit.unit, None])[0],
                **{f"{gate}_gate": mean for gate, mean in zip(told.gates, mean_gates(told, unit), strict=True)},
                "follows": dict(follows(told, unit)),
            }
            for unit in account.units
        ],
        "following": {
            aspect: {
                "control": found.control,
                "needed": found.needed,
                "units_that_follow": found.beyond.sum(1).tolist(),
                "units_per_layer": found.scores.shape[1],
                "best": [{"unit": name, "score": score} for name, score in best],
            }
            for aspect, (found, best) in followers(told).items()
        },
        "surprises": [
            {
                "note": surprise.note,
                "where": where(told, surprise.note),
                "came": came(told, surprise.note),
                "nats": surprise.nats,
                "field": surprise.field,
                "field_nats": surprise.field_nats,
                "was": {"value": named(told, surprise.field, surprise.came), "probability": surprise.probability},
                "expected": [
                    {"value": named(told, surprise.field, value), "probability": probability}
                    for value, probability in surprise.alternatives
                ],
            }
            for surprise in told.surprises
        ],
    }
