"""How fast music becomes a sound file, as a multiple of real time, and what the file is like.

    python benchmarks/rendering.py [--minutes 10] [--soundfont FILE.sf2] [--flac] [--repeats 3]

Composed music (piece after piece, the shipped model) is rendered, normalised and written. The wall time is what counts;
the time of this process alone is given beside it, since other programs slow the first one down.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from melodygru import Composer, GenerateSettings
from melodygru.music.grid import Grid
from melodygru.music.notes import NoteSequence, canonical, note_array
from melodygru.render import audio


def composed(model: Path | None, seconds: float, seed: int) -> NoteSequence:
    """So many seconds of music on a grid of milliseconds."""
    rows = []
    for note in Composer.load(model).stream(GenerateSettings(top_p=0.9, seed=seed)):
        if note.onset_s + note.duration_s > seconds:
            break
        duration = max(1, round(note.duration_s * 1000))
        rows.append((round(note.onset_s * 1000), duration, note.program, note.pitch, note.velocity))
    notes, _ = canonical(note_array(rows))
    return NoteSequence(notes, Grid.seconds(1000), round(seconds * 1000))


@click.command(help=__doc__)
@click.option("--minutes", default=10.0, show_default=True, help="Of music.")
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="Checkpoint; default: play's own choice.")
@click.option("--soundfont", type=click.Path(exists=True, path_type=Path), help="Default: pretty_midi's.")
@click.option("--flac", is_flag=True, help="Write FLAC instead of WAV.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(minutes: float, model: Path | None, soundfont: Path | None, flac: bool, repeats: int, seed: int) -> None:
    piece = composed(model, 60 * minutes, seed)
    wall, own = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats):
            started, started_own = time.perf_counter(), time.process_time()
            samples = audio.render(piece, soundfont=soundfont)
            if flac:
                audio.write_flac(samples, Path(folder) / "a.flac")
            else:
                audio.write_wav(samples, Path(folder) / "a.wav")
            wall.append(time.perf_counter() - started)
            own.append(time.process_time() - started_own)
    peaks = np.abs(samples).max(axis=1)
    second = audio.SAMPLE_RATE
    seconds = [float(peaks[at : at + second].max()) for at in range(0, len(peaks), second)]
    end = int(piece.notes["onset"].max()) * second // 1000
    figures = {
        "renderer": audio.renderer_name(soundfont),
        "notes": len(piece),
        "music_s": round(piece.seconds, 1),
        "file_s": round(len(samples) / second, 1),
        "wall_s": round(statistics.median(wall), 2),
        "times_real_time": round(piece.seconds / statistics.median(wall), 1),
        "times_real_time_own_cpu": round(piece.seconds / statistics.median(own), 1),
        "peak_dbfs": round(20 * float(np.log10(peaks.max())), 2),
        "samples_at_full_scale": int((peaks >= 1.0).sum()),
        "samples_within_1e-4_of_the_peak": int((peaks >= peaks.max() * (1 - 1e-4)).sum()),
        "silent_seconds": sum(peak < 1e-4 for peak in seconds),
        "tail_s_after_last_onset": round((len(peaks) - end) / second, 2),
        "last_sample": float(peaks[-1]),
        "load": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
    }
    click.echo(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
