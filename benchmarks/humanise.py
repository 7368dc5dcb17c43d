"""Humanise on held-out performances: made flat, played again, and compared with what the player did.

    python benchmarks/humanise.py DATA/maestro/valid --model checkpoints/piano.keras

A performance is put on a grid of 50 ms with one velocity, and humanised. Nats a note are the model's own. Correlations
are those of velocities with the player's, note by note, a piece's on its own; beside them stand two controls: what is
drawn at random among the player's, and a rule that plays the highest note of each chord louder. Times are CPU seconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

FLAT_S, FLAT_VELOCITY = 0.05, 64
MELODY, BESIDE = 80, 56  # velocities of the rule


def flat(piece: Any) -> Any:
    """A performance on a grid of FLAT_S, every note equally loud; the player's notes, and the piece."""
    from melodygru.music.notes import NoteSequence, canonical

    step = round(FLAT_S * piece.grid.rate)
    notes = piece.notes.copy()
    end = (notes["onset"] + notes["duration"] + step // 2) // step * step
    notes["onset"] = (notes["onset"] + step // 2) // step * step
    notes["duration"] = np.maximum(step, end - notes["onset"])
    notes, _ = canonical(notes)  # its velocities are the player's still
    played = notes["velocity"].copy()
    notes["velocity"] = FLAT_VELOCITY
    length = max(piece.length, int((notes["onset"] + notes["duration"]).max()))
    return NoteSequence(notes, piece.grid, length), played


def melody(notes: np.ndarray) -> np.ndarray:
    """The velocities of the rule: the highest note of each onset is louder."""
    _, chord = np.unique(notes["onset"], return_inverse=True)
    highest = np.zeros(chord.max() + 1, np.int64)
    np.maximum.at(highest, chord, notes["pitch"])
    return np.where(notes["pitch"] == highest[chord], MELODY, BESIDE)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's; 0 where one of them is constant."""
    return float(np.corrcoef(one, other)[0, 1]) if np.ptp(one) and np.ptp(other) else 0.0


def measure(composer: Any, piece: Any, seed: int, **values: Any) -> dict[str, float]:
    """The figures of one performance."""
    from melodygru.compose.expression import Player
    from melodygru.compose.humanise_settings import HumaniseSettings
    from melodygru.compose.original import Original
    from melodygru.compose.primer import Source
    from melodygru.model.trace import Tracer

    score, velocities = flat(piece)
    settings = HumaniseSettings(seed=seed, **values)
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])  # as `Composer.humanise` has it
    started = time.process_time()
    player = Player(composer.model, Original.of(Source("flat", score), composer.vocabulary))
    (played,) = player.play(
        [rng], keep_tempo=settings.keep_tempo, temperature=settings.temperature, particles=settings.particles
    )
    cpu_s = time.process_time() - started
    before, after = player.nats_as_it_was() / len(player.score), played.nats / len(player.score)
    louder, lag = played.velocity[player.score.of_note], played.onset - player.score.onset
    rng = np.random.default_rng(seed)
    return {
        "notes": len(score),
        "minutes": piece.seconds / 60,
        "nats a note, the player": float(Tracer(composer.model).trace(piece).nats.sum()) / len(piece),
        "nats a note, flat": before,
        "nats a note, humanised": after,
        "flat less humanised": before - after,
        "correlation of velocities, humanised": correlation(velocities, louder),
        "correlation of velocities, loud melody": correlation(velocities, melody(score.notes)),
        "correlation of velocities, constant": correlation(velocities, score.notes["velocity"]),
        "correlation of velocities, the player's shuffled": correlation(velocities, rng.permutation(velocities)),
        "deviation of velocities, humanised over the player's": float(louder.std() / max(1e-9, velocities.std())),
        "deviation of onsets from the score, ms": 1000 * float(np.std(lag)) / piece.grid.rate,
        "CPU seconds for a minute": cpu_s / (piece.seconds / 60),
    }


@click.command(help=__doc__)
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", required=True, type=click.Path(exists=True, path_type=Path), help="Checkpoint, on 10 ms.")
@click.option("--pieces", default=12, show_default=True, help="How many of them, evenly spread over their names.")
@click.option("--seconds", default=60.0, show_default=True, help="Of each, from its first note on.")
@click.option("--temperature", type=float, help="[default: that of humanise]")
@click.option("--particles", type=int, help="[default: that of humanise]")
@click.option("--keep-tempo", is_flag=True)
def main(data: Path, model: Path, pieces: int, seconds: float, **values: Any) -> None:
    from parts.files import midi_files

    from melodygru import midi
    from melodygru.compose.composer import Composer
    from melodygru.music.quantize import quantize

    composer = Composer.load(model)
    grid = composer.vocabulary.grid
    files = midi_files(data)
    given = {name: value for name, value in values.items() if value is not None}
    rows = []
    for number in np.linspace(0, len(files) - 1, min(pieces, len(files))).astype(int).tolist():
        piece, _, _ = quantize(midi.read(files[number]).sequence, grid)
        first = int(piece.notes["onset"][0])
        rows.append(measure(composer, piece.crop(first, first + round(seconds * grid.rate)), number, **given))
        click.echo(f"{len(rows)} of {pieces}: {rows[-1]['flat less humanised']:.3f}", err=True)
    weights = np.array([row["notes"] for row in rows])
    for name in rows[0]:
        values_of = np.array([row[name] for row in rows])
        if name in ("notes", "minutes"):
            click.echo(f"{name}: {values_of.sum():,.1f}")
        elif name.startswith(("nats", "flat")):
            click.echo(f"{name}: {np.average(values_of, weights=weights):.3f}")
        else:
            click.echo(f"{name}: {values_of.mean():.3f}")


if __name__ == "__main__":
    main()
