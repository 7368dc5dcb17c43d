"""Golden figures: all that a checkout of melodygru composes, measures and draws, recorded, and two records compared.

    python benchmarks/golden.py record FOLDER [--code CHECKOUT] [--only PART ...] [--data DATA]
    python benchmarks/golden.py compare OLD NEW [--only PART ...]

A refactoring has changed nothing if the record of the code before it and that of the code after it compare equal. Both
must be made on one machine, with the same libraries. melodygru runs only as `python -m melodygru`, on one thread, in a
folder that holds nothing but copies of the checkout's models and of a few pieces, so that paths are the same anywhere.

Compared strictly: MIDI files byte by byte; exit codes; JSON and CSV, numbers to 1e-6; text, SVG and MusicXML; WAV by
its samples, FLAC by its bytes, a trained model by its weights' values. Reported, but no difference: what melodygru
says on the screen, PNG and HTML, which are kept to be looked at. `compare` prints a line for each difference and exits
with 1 if there is one.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import itertools
import json
import math
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import wave
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mido
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
STARTER = ROOT / "data" / "starter"
STYLES = ("airs", "chorales", "hornpipes", "jigs", "reels")

# What was renamed on purpose: keys of JSON and columns of CSV in OLD; words in its JSON strings and its texts.
RENAMED: dict[str, str] = {
    "stamp": "provenance",
    "unlike": "mismatches",
    "yardstick": "baseline",
    # fields of the vocabulary
    "echo": "lookback_steps",
    "echo_bars": "lookback_bars",
    "echo_runs": "lookback_runs",
    "recall": "ngram_orders",
    "slots": "n_sounding",
    "variety": "diversity",
}
RENAMED_WORDS: dict[str, str] = {"the same few figures": "the same few trigrams"}

TOLERANCE = 1e-6  # relative; absolute as well where the figures are nats: in CSV files, and in the answers of explain
CLOCKS = {"minutes"}  # keys and columns that a clock fills
LOOKED_AT = {"screen.txt", ".png", ".html"}  # names and suffixes that are not held to be equal
SHOWN = 8  # differences of one file that are printed

GENERATE = {
    "plain": "",
    "bars": "--bars 8",
    "seconds": "--seconds 12",
    "notes": "--notes 40",
    **{style: f"--style {style} --bars 8" for style in STYLES},
    "metre-3-4": "--metre 3/4 --bars 8",
    "metre-9-8": "--metre 9/8 --bars 6 --style jigs",
    "cool": "--temperature 0.7 --bars 8",
    "hot": "--temperature 1.4 --top-p 1 --bars 8",
    "greedy": "--temperature 0 --bars 24",
    "rhythm-temperature": "--rhythm-temperature 0.4 --bars 8",
    "pitch-temperature": "--pitch-temperature 1.6 --bars 8",
    "top-k": "--top-k 3 --top-p 1 --bars 8",
    "top-p": "--top-p 0.6 --bars 8",
    "min-p": "--min-p 0.1 --top-p 1 --bars 8",
    "all-filters": "--top-k 8 --top-p 0.9 --min-p 0.02 --temperature 1.2 --bars 8",
    "primer": "--primer reel.mid --bars 8",
    "primer-bars": "--primer reel.mid --primer-bars 3:6 --bars 8",
    "primer-open": "--primer chorale.mid --primer-bars :2 --seconds 15",
    "no-primer": "--primer chorale.mid --primer-bars 2: --no-primer --bars 4",
    "primer-broken": "--primer broken.mid --bars 4",
    "primer-guided": "--primer jig.mid --primer-bars 1:4 --key D:dorian --max-polyphony 1 --notes 60 -n 2",
    "key": "--key D:dorian --bars 8",
    "scale": '--scale "C D E G A" --bars 8',
    "range": "--range C4:C5 --bars 8 --style reels",
    "programs": "--style chorales --programs violin,42 --bars 6",
    "polyphony": "--style chorales --max-polyphony 2 --bars 6",
    "sparse": "--density 0.8 --bars 8",
    "dense": "--style chorales --density 6 --bars 6",
    "chords": '--chords "C | Am | F G | C" --bars 8',
    "chord-bias": '--chords "Dm7 | G7 | C | N.C." --chord-bias 8 --bars 8 --style chorales',
    "chords-only": '--chords "D | A | % | D" --chords-only --bars 8',
    "guard": "--temperature 0.15 --bars 48 --style chorales",
    "guard-seconds": "--temperature 0.3 --seconds 90 --style airs -n 2",
    "no-guard": "--temperature 0.15 --bars 48 --style chorales --no-guard",
    "max-copy": "--max-copy 8 --bars 24 --style hornpipes",
    "qpm": "--qpm 90 --seconds 10",
    "several": "-n 4 --bars 6",
    "several-styles": "-n 3 --seconds 10 --style chorales --temperature 0.9",
    "steered": '--style chorales --metre 4/4 --chords "C | G | Am | F" --key C:maj --range 40:80 --density 3 --qpm 100'
    " --max-polyphony 3 --max-copy 9 --temperature 0.9 --bars 8 -n 2",
    "jsb16": "--model jsb16.keras --bars 6 -n 2",
    "jsb_quarter": "--model jsb_quarter.keras --bars 8 --primer chorale.mid --primer-bars 1:2",
    "wrong-key": "--key H:maj",
    "wrong-style": "--style nobody",
    "wrong-together": "--bars 2 --notes 4",
    "wrong-range": "--range C9:C1",
    "wrong-scale": '--scale "C X"',
}


class Recorder:
    """Runs melodygru from `code` in a folder of its own, and keeps under `folder` what came of each run."""

    def __init__(self, code: Path, folder: Path, data: Path | None, work: Path) -> None:
        self.code, self.folder, self.data, self.work = code, folder, data, work
        threads = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MELODYGRU")},
            **threads,
            "PYTHONPATH": str(code),
            "MELODYGRU_CACHE": str(work.parent / "cache"),
            "CUDA_VISIBLE_DEVICES": "",
            "COLUMNS": "100",
            "NO_COLOR": "1",
        }
        found = self._python("-c", "import melodygru; print(melodygru.__file__)").stdout.strip()
        if not Path(found).resolve().is_relative_to(code):
            sys.exit(f"golden.py: {found} is what `import melodygru` finds; expected a file of {code}")
        self.failures: list[str] = []

    def run(self, case: str, command: str, *, answer: bool = True, screen: bool = False) -> None:
        """Keep the exit code, the JSON (without `answer`: the text) and the files of a command that writes to `out`.

        `screen` runs it once more without --json, for what people see.
        """
        into, out = self.folder / case, self.work / "out"
        into.mkdir(parents=True)
        arguments = shlex.split(command) + (["--json"] if answer else [])
        (name,) = arguments[:1]
        if name in ("generate", "replay") and "--model" not in arguments:
            arguments += ["--model", "starter.keras"]
        if name in ("generate", "replay", "explain"):
            arguments += ["-o", "out"]
        out.mkdir()
        done = self._python("-m", "melodygru", *arguments)
        said, printed = self._neutral(done.stderr), self._neutral(done.stdout)
        kept: dict[str, Any] = {"command": " ".join(arguments), "exit": done.returncode}
        if answer:
            try:
                kept["json"] = json.loads(printed or "null")
            except json.JSONDecodeError:
                kept["json"] = printed  # which compares as another value
        elif printed:
            (into / "text.txt").write_text(printed, encoding="utf-8")
        if done.returncode:
            self.failures.append(f"{case}: exit code {done.returncode}: {said.splitlines()[-1:]}")
        self._keep(out, into)
        if screen:
            out.mkdir()
            done = self._python("-m", "melodygru", *(word for word in arguments if word != "--json"))
            said += self._neutral(done.stderr + done.stdout)
            shutil.rmtree(out)
        (into / "answer.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")
        steady = [line for line in said.splitlines(keepends=True) if not re.search(r" left\b", line)]  # no progress
        (into / "screen.txt").write_text("".join(steady), encoding="utf-8")

    def gather(self, name: str, files: list[Path], base: Path | None = None) -> None:
        """Copy pieces into the folder `name`, flat or as they lie under `base`."""
        for file in files:
            target = self.work / name / (file.relative_to(base) if base else file.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)

    def corpus(self, name: str, count: int) -> list[Path]:
        """`count` pieces of DATA's corpus `name`; without it, of the starter corpus's chorales."""
        if self.data is None:
            return _pieces(STARTER / "chorales", count)
        return _pieces(self.data / name / "valid", count)

    def _keep(self, out: Path, into: Path) -> None:
        """Move what a command wrote; of sound and of models, which later commands may use, only a digest is kept."""
        for file in sorted(path for path in out.rglob("*") if path.is_file()):
            target = into / file.relative_to(out)
            target.parent.mkdir(parents=True, exist_ok=True)
            if (digest := DIGESTS.get(file.suffix)) is None:
                shutil.move(file, target)
                continue
            target.with_name(f"{target.name}.json").write_text(json.dumps(digest(file), indent=1), encoding="utf-8")
            if file.suffix == ".keras":
                shutil.move(file, self.work / file.name)
        shutil.rmtree(out)

    def _python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.work, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, encoding="utf-8",
        )  # fmt: skip

    def _neutral(self, text: str) -> str:
        """`text` without the paths of this checkout and of this run."""
        return text.replace(f"{self.work}/", "").replace(str(self.code), "CODE")


def _pieces(folder: Path, count: int, skip: int = 0) -> list[Path]:
    """`count` files of a folder, spread over it."""
    found = sorted(file for file in folder.rglob("*") if file.suffix in (".mid", ".midi"))
    return found[skip :: max(1, len(found) // count)][:count]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _samples(sound: Path) -> list[Any]:
    with wave.open(str(sound)) as opened:
        return [*opened.getparams(), _sha256(opened.readframes(opened.getnframes()))]


def _weights(checkpoint: Path) -> list[str]:
    """Shape, dtype and digest of every array, sorted: their names and their order in the file may change."""
    import h5py  # it comes with Keras

    found: list[str] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(f"{item.shape} {item.dtype} {_sha256(item[()].tobytes())}")

    with zipfile.ZipFile(checkpoint) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
        weights.visititems(visit)
    return sorted(found)


DIGESTS: dict[str, Callable[[Path], Any]] = {
    ".wav": _samples, ".flac": lambda file: _sha256(file.read_bytes()), ".keras": _weights,
}  # fmt: skip


def _perform(source: Path, target: Path, rng: np.random.Generator) -> None:
    """Play `source` unevenly, with velocities and a drum on each beat: what the starter corpus has none of."""
    piece = mido.MidiFile(source)
    for track in piece.tracks:
        for message in track:
            if message.type == "note_on" and message.velocity:
                message.velocity = int(rng.integers(40, 110))
            if message.type in ("note_on", "note_off") and message.time:
                message.time += int(rng.integers(0, 40))
    beats = range(int(piece.length))
    drums = ((36 if beat % 2 else 38, on) for beat in beats for on in (True, False))
    piece.tracks.append(mido.MidiTrack(
        mido.Message("note_on" if on else "note_off", channel=9, note=note, time=piece.ticks_per_beat // 2)
        for note, on in drums
    ))  # fmt: skip
    piece.save(target)


def generate(record: Recorder) -> None:
    for case, options in GENERATE.items():
        record.run(f"generate/{case}", f"generate --seed 11 {options}", screen=True)


def piece(record: Recorder) -> None:
    """Pieces redone; and replays of these and of other pieces, byte for byte."""
    melody = mido.MidiFile(record.work / "chorale.mid")
    melody.tracks = melody.tracks[:2]
    melody.save(record.work / "melody.mid")
    particles = "--particles 8 --seed 11"
    cases = {
        "keep": f"redo reel.mid --keep 0.7 {particles}",
        "keep-little": f"redo jig.mid --keep 0.2 {particles} -n 2",
        "keep-jsb16": f"redo chorale.mid --keep 0.5 {particles} --temperature 0.8 --model jsb16.keras",
        "keep-nothing": "redo reel.mid --keep 0 --particles 3 --seed 12 --style reels",
        "bars": f"redo chorale.mid --bars 3:4 --parts 2 {particles} -n 2",
        "add": f"redo melody.mid --add 41,42,43 --style chorales {particles}",
        "add-filtered": f"redo melody.mid --add 41,42 --style chorales {particles} --top-k 4 --rhythm-temperature 0.6",
        "plain": "generate --style jigs --bars 6 --seed 12 -n 3",
        "primer": "generate --primer reel.mid --primer-bars 1:4 --bars 6 --seed 12",
        "steered": 'generate --chords "C | F | G | C" --key C:maj --density 2 --max-copy 9 --bars 6 --seed 12'
        " --temperature 0.8",
    }
    for case, options in cases.items():
        record.run(f"piece/{case}", options)
        inputs = " ".join(re.findall(r"--(?:primer|model) \S+", options) + re.findall(r"^redo (\S+)", options))
        inputs = (
            inputs.replace(options.split()[1], f"--piece {options.split()[1]}")
            if options.startswith("redo")
            else inputs
        )
        for last in sorted((record.folder / "piece" / case).glob("*.mid"))[-1:]:
            shutil.copyfile(last, record.work / last.name)
            record.run(f"piece/{case}-replayed", f"replay {last.name} {inputs}", screen=case == "plain")


def _nats(record: Recorder, case: str, folder: str, model: str) -> None:
    """`evaluate` with every field of every note, and the sum of each piece."""
    record.run(case, f"evaluate {folder} --model {model} --per-note out/notes.csv")
    if not (notes := record.folder / case / "notes.csv").exists():
        return
    pieces: dict[str, float] = defaultdict(float)
    for row in csv.DictReader(notes.read_text(encoding="utf-8").splitlines()):
        pieces[row["file"]] += float(row["nats"])
    (record.folder / case / "pieces.json").write_text(json.dumps(pieces, indent=1), encoding="utf-8")


def nats(record: Recorder) -> None:
    for style in STYLES:
        record.gather("twenty", _pieces(STARTER / style, 4))
    _nats(record, "nats/starter", "twenty", "starter.keras")
    for corpus in ("jsb16", "jsb_quarter"):
        record.gather(corpus, record.corpus(corpus, 20))
        _nats(record, f"nats/{corpus}", corpus, f"{corpus}.keras")


def answers(record: Recorder) -> None:
    """The JSON of what reads music: folders with styles, duplicates and damage, files, models."""
    for style in STYLES[:4]:
        record.gather("some", _pieces(STARTER / style, 3), STARTER)
        record.gather("others", _pieces(STARTER / style, 4, skip=1), STARTER)
    record.gather("third", _pieces(STARTER / "jigs", 6, skip=2))
    for source, name in (("jig", "jigs/one"), ("jig", "jigs/same"), ("broken", "broken")):
        shutil.copyfile(record.work / f"{source}.mid", record.work / "some" / f"{name}.mid")
    (record.work / "some" / "empty.mid").write_bytes(b"")
    (record.work / "some" / "text.mid").write_bytes(b"no music")
    for file in ("jig", "chorale", "broken"):
        record.run(f"json/inspect-{file}", f"inspect {file}.mid", screen=True)
    for model in ("starter", "jsb16", "jsb_quarter"):
        record.run(f"json/inspect-{model}", f"inspect {model}.keras", screen=True)
    record.run("json/inspect-folder", "inspect some", screen=True)
    for corpus in ("bands", "maestro", "pop909") if record.data else ():
        record.gather(corpus, record.corpus(corpus, 10), record.data)
        record.run(f"json/inspect-{corpus}", f"inspect {corpus}")
    record.run("json/judge", "judge some --against others", screen=True)
    record.run("json/judge-reference", "judge third --against others --reference some --seed 3")
    record.run("json/originality-file", "originality reel.mid --model starter.keras", screen=True)
    record.run("json/originality-folder", "originality some --model starter.keras")
    record.run("json/originality-against", "originality some --against others", screen=True)
    record.run("json/originality-jsb16", "originality others/chorales --model jsb16.keras")
    record.run("json/explain-file", "explain chorale.mid --model starter.keras")
    record.run("json/explain-folder", "explain others/jigs others/airs --model starter.keras --seed 2")
    record.run("json/explain-jsb16", "explain others/chorales --model jsb16.keras", screen=True)


def train(record: Recorder) -> None:
    """Tiny models after one epoch: their history, their weights, and what they then measure and compose."""
    for style in ("chorales", "jigs", "reels"):
        record.gather("styles", _pieces(STARTER / style, 10), STARTER)
    (record.work / "performed").mkdir()
    rng = np.random.default_rng(0)
    for file in _pieces(STARTER / "chorales", 12):
        _perform(file, record.work / "performed" / file.name, rng)
    cases = {
        "gru": ("styles", "", "--style jigs --bars 8"),
        "lstm": ("styles", "--cell lstm --transpose 2 --patience 0", "--bars 8"),
        "performed": ("performed", "--grid 10ms", "--seconds 10 --density 4"),
    }
    for case, (folder, options, composing) in cases.items():
        once = "--preset tiny --epochs 1 --seed 0 --threads 1"
        record.run(f"train/{case}", f"train {folder} {once} {options} --output out/{case}.keras")
        _nats(record, f"train/{case}-nats", folder, f"{case}.keras")
        record.run(f"train/{case}-composes", f"generate --model {case}.keras --seed 11 {composing}")
        for file in (record.folder / "train" / f"{case}-composes").glob("*.mid"):
            # the provenance holds the checkpoint's hash, and the checkpoint the time of its training
            file.write_bytes(re.sub(rb'"model": "[0-9a-f]{64}', b'"model": "' + b"0" * 64, file.read_bytes()))


def files(record: Recorder) -> None:
    """Sound, sheet music and pictures of a tune, of voices and of a piece with drums; pages."""
    every = "--wav --flac --png --svg --score out/score.musicxml"
    record.run("files/reel", f"generate --seed 11 --style reels --bars 8 {every}")
    record.run("files/chorale", f"generate --seed 11 --style chorales --bars 6 -n 2 {every}")
    record.run("files/engraved", "generate --seed 11 --style chorales --bars 6 --score out/score.svg")
    record.run("files/shown", "generate --seed 11 --style jigs --bars 6 --show", answer=False)
    _perform(record.work / "chorale.mid", record.work / "performed.mid", np.random.default_rng(1))
    for name in ("jig", "chorale", "performed"):
        record.run(f"files/{name}-score", f"inspect {name}.mid --score out/score.musicxml")
        record.run(f"files/{name}-roll", f"show {name}.mid", answer=False)
        record.run(f"files/{name}-svg", f"show {name}.mid --svg out/roll.svg", answer=False)
    surprise = "--surprise --model starter.keras"
    record.run("files/surprise-roll", f"show chorale.mid {surprise}", answer=False)
    record.run("files/surprise-png", f"show chorale.mid {surprise} --png out/roll.png", answer=False)
    record.run("files/surprise-svg", f"show jig.mid {surprise} --svg out/roll.svg", answer=False)
    record.gather("few", [file for style in STYLES for file in _pieces(STARTER / style, 3)])
    record.gather("fewer", _pieces(STARTER / "jigs", 6, skip=2))
    record.run("files/inspect-page", "inspect few --html out/page.html")
    record.run("files/judge-page", "judge fewer --against few --html out/page.html")


PARTS: dict[str, Callable[[Recorder], None]] = {
    "generate": generate, "piece": piece, "nats": nats, "json": answers, "train": train, "files": files,
}  # fmt: skip


def record(code: Path, folder: Path, data: Path | None, parts: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        if (folder / part).exists():
            sys.exit(f"golden.py: {folder / part} exists; give a new folder, or --only for other parts")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary).resolve() / "work"
        work.mkdir()
        recorder = Recorder(code, folder, data, work)
        for model in ("checkpoints/starter", "benchmarks/models/jsb16", "benchmarks/models/jsb_quarter"):
            if not (code / f"{model}.keras").exists():
                sys.exit(f"golden.py: {code / model}.keras is missing; benchmarks/likelihood.py makes it")
            shutil.copy(code / f"{model}.keras", work)
        for name in ("reel", "jig", "chorale"):
            shutil.copyfile(_pieces(STARTER / f"{name}s", 20)[7], work / f"{name}.mid")
        (work / "broken.mid").write_bytes((work / "reel.mid").read_bytes()[:500])
        for part in parts:
            began = time.perf_counter()
            PARTS[part](recorder)
            cases = sum(1 for _ in (folder / part).iterdir())
            print(f"{part}: {cases} cases, {time.perf_counter() - began:.0f} s", flush=True)
    made = {"data": data is not None, "python": platform.python_version(), "numpy": np.__version__}
    (folder / "record.json").write_text(json.dumps(made, indent=1), encoding="utf-8")
    print(*recorder.failures, sep="\n")


def compare(old: Path, new: Path, parts: list[str]) -> int:
    """Print a line for each difference, and which files to look at; the number of differences."""
    wanted = {*parts, "record.json"}
    for side, part in itertools.product((old, new), wanted):
        if not (side / part).exists():
            sys.exit(f"golden.py: {side / part} is missing; record it, or name other parts with --only")
    names = sorted({file.relative_to(side) for side in (old, new) for file in side.rglob("*") if file.is_file()})
    names = [name for name in names if name.parts[0] in wanted]
    count, look = 0, []
    for name in names:
        if missing := [str(side) for side in (old, new) if not (side / name).is_file()]:
            found = [f"not in {missing[0]}"]
        elif (old / name).read_bytes() == (new / name).read_bytes():
            continue
        elif {name.name, name.suffix} & LOOKED_AT:
            look.append(name)
            continue
        else:
            differ = COMPARED.get(name.suffix, _texts)
            found = list(differ(old / name, new / name))
        count += len(found)
        for line in found[:SHOWN]:
            print(f"{name}: {line}")
        if len(found) > SHOWN:
            print(f"{name}: and {len(found) - SHOWN} more")
    for name in look:
        print(f"(to be looked at) {name}")
    print(f"{len(names)} files, {count} differences, {len(look)} to be looked at")
    return count


def _values(old: Any, new: Any, path: str = "", absolute: float = 1e-9) -> Iterator[str]:
    """How two JSON values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        old = {RENAMED.get(key, key): value for key, value in old.items()}
        for key in sorted((old.keys() | new.keys()) - CLOCKS):
            if key in old and key in new:
                yield from _values(old[key], new[key], f"{path}.{key}", absolute)
            else:
                yield f"{path}.{key}: only in the {'old' if key in old else 'new'} one"
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield f"{path}: {len(old)} values, {len(new)} in the new one"
        for at, pair in enumerate(zip(old, new, strict=False)):
            yield from _values(*pair, f"{path}[{at}]", absolute)
    elif {type(old), type(new)} <= {int, float}:
        if not (math.isclose(old, new, rel_tol=TOLERANCE, abs_tol=absolute) or (math.isnan(old) and math.isnan(new))):
            yield f"{path}: {old!r}, now {new!r}"
    else:
        old = _renamed(old) if isinstance(old, str) else old
        if type(old) is not type(new) or old != new:
            yield f"{path}: {_change(old, new)}"


def _renamed(text: str) -> str:
    for word, later in RENAMED_WORDS.items():
        text = text.replace(word, later)
    return text


def _change(old: Any, new: Any) -> str:
    """Both values; of long ones, what surrounds the first difference."""
    old, new = repr(old), repr(new)
    start = max(0, len(os.path.commonprefix([old, new])) - 40)
    return f"{old[start:][:100]}, now {new[start:][:100]}"


def _json(old: Path, new: Path) -> Iterator[str]:
    absolute = TOLERANCE if old.parent.name.startswith("explain") else 0.0  # small differences of large sums of nats
    yield from _values(*(json.loads(file.read_text(encoding="utf-8")) for file in (old, new)), absolute=absolute)


def _csv(old: Path, new: Path) -> Iterator[str]:
    tables = []
    for file in (old, new):
        with open(file, encoding="utf-8", newline="") as opened:
            tables.append([{key: _number(text) for key, text in row.items()} for row in csv.DictReader(opened)])
    yield from _values(*tables, absolute=TOLERANCE)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _texts(old: Path, new: Path) -> Iterator[str]:
    """The first line that differs."""
    before, after = _renamed(old.read_text(encoding="utf-8")), new.read_text(encoding="utf-8")
    for number, lines in enumerate(itertools.zip_longest(before.splitlines(), after.splitlines()), 1):
        if lines[0] != lines[1]:
            yield f"line {number}: {_change(*lines)}"
            return


def _midi(old: Path, new: Path) -> Iterator[str]:
    """Where two files whose bytes differ have other messages."""
    tracks = [[list(map(repr, track)) for track in mido.MidiFile(file).tracks] for file in (old, new)]
    found = list(_values(*tracks, "track"))
    more = f", and {len(found) - 1} other messages" if found[1:] else ""
    yield found[0] + more if found else "other bytes, the same messages"


COMPARED = {".json": _json, ".csv": _csv, ".mid": _midi}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording, comparing = commands.add_parser("record"), commands.add_parser("compare")
    recording.add_argument("folder", type=Path)
    recording.add_argument("--code", type=Path, default=ROOT, help="checkout to record (default: this one)")
    recording.add_argument("--data", type=Path, help="folder with jsb16, jsb_quarter, bands, maestro and pop909")
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    for one in (recording, comparing):
        one.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    given = parser.parse_args()
    if given.command == "record":
        data = given.data and given.data.resolve()
        record(given.code.resolve(), given.folder.resolve(), data, given.only)
    elif compare(given.old, given.new, given.only):
        sys.exit(1)


if __name__ == "__main__":
    main()
