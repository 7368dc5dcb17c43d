#!/usr/bin/env python3
"""Does melodygru train on this GPU through cuDNN, as on the CPU, and how fast? Run it in the repository's root.

    PYTHONPATH=. python benchmarks/gpu.py [--only devices,gru,step,parity,speed,pipeline,torch,curves,train]

Each section prints what it saw and how long it took; one that fails does not stop the next. What it found goes into
`gpu.json` in the folder that `--out` names. Without a GPU the CPU goes through all of it; `--small` is for that.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any
from unittest import mock

HERE = Path.cwd() / "benchmarks"
STARTED = time.time()
SECTIONS = ("devices", "gru", "step", "parity", "speed", "pipeline", "torch", "curves", "train")
PARITY = 1e-4  # nats a note, at most
AT = (0, 1, 5, 10, 20, 40, 80)  # updates of the curves that are printed
SKIPPED = 15  # updates not timed: tracing, the first allocations, cuDNN's choice


def say(*words: object) -> None:
    """A line with the seconds since the start."""
    print(f"[{time.time() - STARTED:6.1f} s]", *words, flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--steps", type=int, default=80, help="updates timed for each preset")
    p.add_argument("--curve", type=int, default=60, help="updates of the loss curves")
    p.add_argument("--minutes", type=float, default=2.0, help="of the training that is judged on held-out music")
    p.add_argument("--presets", default="small,base,large")
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--data", type=Path, default=Path("data/starter"))
    p.add_argument("--model", type=Path, default=Path("checkpoints/starter.keras"))
    p.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or tempfile.mkdtemp()))
    p.add_argument("--only", default=",".join(SECTIONS))
    p.add_argument("--small", action="store_true", help="few updates, the smallest preset: whether all of it runs")
    p.add_argument("--cpu-child", default="", help=argparse.SUPPRESS)
    found = p.parse_args()
    if found.small:
        found.steps = found.curve = 3
        found.minutes, found.presets, found.batch = 0.2, "tiny", 4
    return found


def devices(a: argparse.Namespace, found: dict[str, Any]) -> None:
    """Versions, GPUs, what melodygru says of them, and whether a product is right."""
    import keras
    import numpy as np
    import tensorflow as tf

    from melodygru.training import set_up_device

    versions = {"python": sys.version.split()[0], "tensorflow": tf.__version__, "keras": keras.__version__}
    gpus = tf.config.list_physical_devices("GPU")
    found["versions"] = versions
    found["gpus"] = [str(tf.config.experimental.get_device_details(gpu)) for gpu in gpus]
    found["line"] = set_up_device(None)
    built = {name: value for name, value in tf.sysconfig.get_build_info().items() if "cu" in name}
    say(versions, "numpy", np.__version__, "GPUs:", found["gpus"] or "none", built)
    say("melodygru says:", found["line"])
    keras.mixed_precision.set_dtype_policy("float32")
    with tf.device("/GPU:0" if gpus else "/CPU:0"):
        x = tf.random.normal([512, 512])
        product = tf.matmul(x, x)
    with tf.device("/CPU:0"):
        error = float(tf.norm(product - tf.matmul(x, x)) / tf.norm(product))
    say(f"512 x 512 product: {product.device}, relative difference from the CPU {error:.2e}")
    found["product_error"] = error


def gru(a: argparse.Namespace, found: dict[str, Any]) -> None:
    """The layer with the project's settings: cuDNN's operation in the graph, values and gradients against float64."""
    import numpy as np
    import tensorflow as tf

    from melodygru.model.cells.keras_layers import GRU

    operations = _placement().operations
    rng = np.random.default_rng(0)
    batch, steps, units = (4, 8, 16) if a.small else (64, 128, 512)
    for policy, tf32 in (("float32", False), ("float32", True), ("mixed_float16", True)):
        if not _has_gpu() and policy != "float32":
            continue
        with _precision(policy, tf32):
            layer = GRU(units, return_sequences=True, return_state=True)
            layer.build((None, None, units))
            x = tf.constant(rng.normal(size=(batch, steps, units)), layer.compute_dtype)
            h0 = tf.constant(rng.normal(size=(batch, units)) * 0.1, layer.compute_dtype)

            @tf.function
            def both(x, h0, layer=layer):
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    y, _ = layer(x, initial_state=[h0])
                    loss = tf.reduce_mean(tf.cast(y, tf.float32) ** 2)
                return y, loss, tape.gradient(loss, [x, *layer.trainable_variables])

            cudnn = sorted(op for op in operations(both.get_concrete_function(x, h0)) if "Cudnn" in op)
            y, _, gradients = both(x, h0)
            ms = []
            for _ in range(3 if a.small else 20):
                started = time.perf_counter()
                float(both(x, h0)[1])
                ms.append(1000 * (time.perf_counter() - started))
            kernel, recurrent, bias = (np.asarray(w, np.float64) for w in layer.trainable_variables)
            h, out = np.asarray(h0, np.float64), []
            for t in range(steps):
                gates, inner = np.asarray(x[:, t], np.float64) @ kernel + bias[0], h @ recurrent + bias[1]
                z, r = (1 / (1 + np.exp(-(gates[:, i : i + units] + inner[:, i : i + units]))) for i in (0, units))
                h = z * h + (1 - z) * np.tanh(gates[:, 2 * units :] + r * inner[:, 2 * units :])
                out.append(h)
            reference = np.stack(out, 1)
            error = np.linalg.norm(np.asarray(y, np.float64) - reference) / np.linalg.norm(reference)
            finite = all(bool(tf.reduce_all(tf.math.is_finite(g))) for g in gradients)
        name = f"{policy}, TF32 {'on' if tf32 else 'off'}"
        say(
            f"GRU {batch} x {steps} x {units}, {name}: {cudnn or 'no cuDNN'}; forward and backward {np.median(ms):.2f} "
            f"ms; relative error against float64 {error:.1e}; gradients finite: {finite}"
        )
        found[f"gru {name}"] = {"cudnn": cudnn, "ms": float(np.median(ms)), "error": float(error), "finite": finite}


def step(a: argparse.Namespace, found: dict[str, Any]) -> None:
    """The traced update of each precision: cuDNN in it, and nothing that a GPU would wait for."""
    placement = _placement()
    for mixed in (False, True) if _has_gpu() else (False,):
        with tempfile.TemporaryDirectory() as folder:
            trainer = _trainer(a, _corpora(a), a.presets.split(",")[0], 1, mixed, Path(folder))
            concrete = trainer._step.get_concrete_function()
        operations, waits = placement.operations(concrete), placement.host_waits(concrete)
        cudnn = sorted(op for op in operations if "Cudnn" in op)
        name = "mixed" if mixed else "float32"
        say(
            f"update, {name}: {len(concrete.graph.get_operations()):,} operations, {cudnn or 'no cuDNN'}; "
            f"{len(waits)} would keep a GPU waiting for the host",
            *waits[:5],
        )
        found[f"step {name}"] = {"cudnn": cudnn, "waits": waits}


def parity(a: argparse.Namespace, found: dict[str, Any]) -> None:
    """Log-likelihoods of pieces by the shipped model: this device against the CPU, in another process."""
    import numpy as np

    from melodygru.corpus import intake
    from melodygru.events import encode
    from melodygru.model.keras_model import load_model
    from melodygru.training import log_likelihoods

    model = load_model(a.model)
    folder = a.out / "parity-data"
    folder.mkdir(parents=True, exist_ok=True)
    for style in sorted(path for path in a.data.iterdir() if path.is_dir()):
        for path in sorted(style.glob("*.mid"))[: 1 if a.small else 3]:
            (folder / path.name).write_bytes(path.read_bytes())
    corpus = intake(folder, grid=model.vocabulary.grid, workers=1)
    pieces = [encode(corpus[i], model.vocabulary, metre_known=False) for i in range(len(corpus))]
    lengths = [len(piece) - 1 for piece in pieces]

    def figures() -> np.ndarray:
        if hasattr(model, "_evaluation_step"):  # traced for another precision
            object.__delattr__(model, "_evaluation_step")
        rows = {i: log_p for i, _, log_p in log_likelihoods(model, lengths, pieces.__getitem__)}
        return np.concatenate([rows[i] for i in range(len(pieces))]).astype(np.float64)

    if a.cpu_child:
        np.save(a.cpu_child, figures())
        return
    reference = np.load(_on_cpu(a, "parity", a.out / "parity-cpu.npy"))
    for tf32 in (False, True):
        with _precision("float32", tf32):
            got = figures()
        worst, mean = np.abs(got - reference).max(), abs(got.sum() - reference.sum()) / sum(lengths)
        say(
            f"parity, {len(pieces)} pieces, {sum(lengths):,} notes, TF32 {'on' if tf32 else 'off'}: largest difference "
            f"of a field {worst:.1e} nats; of the mean {mean:.1e} nats a note (of "
            f"{-reference.sum() / sum(lengths):.4f}; {'within' if mean <= PARITY else 'MORE THAN'} {PARITY:g})"
        )
        found[f"parity tf32={tf32}"] = {"max": float(worst), "per_note": float(mean)}


def speed(a: argparse.Namespace, found: dict[str, Any]) -> None:
    """Notes a second of whole training, encoding included, and how busy the GPU is; each preset and precision."""
    corpora = _corpora(a)
    say(f"{len(corpora[0]):,} pieces to learn, batch {a.batch}")
    for preset in a.presets.split(","):
        for mixed in (False, True) if _has_gpu() else (False,):
            with tempfile.TemporaryDirectory() as folder:
                started = time.time()
                trainer = _trainer(a, corpora, preset, a.steps + SKIPPED, mixed, Path(folder))
                with Utilisation() as use:
                    rows = _run(trainer)
            timed = rows[min(SKIPPED, len(rows) // 3) :]
            span, notes = timed[-1][0] - timed[0][0], sum(n for _, n in timed[1:])
            name = f"{preset}{' mixed' if mixed else ''}"
            say(
                f"{name}: {notes / span:,.0f} notes/s, {1000 * span / (len(timed) - 1):.1f} ms an update of "
                f"{notes / (len(timed) - 1):.0f} notes; {trainer.model.count_params():,} parameters; {use}; whole "
                f"{time.time() - started:.1f} s"
            )
            found[f"speed {name}"] = {"notes_per_s": notes / span, "updates": len(timed) - 1, "use": str(use)}


def pipeline(a: argparse.Namespace, found: dict[str, Any]) -> None:
    """The input pipeline alone, as `bench.py pipeline` measures it."""
    from melodygru.util.processes import cores

    _placement()
    from parts.pipeline import measure
    from parts.row import Setting

    with mock.patch("parts.pipeline.BATCHES", 2) if a.small else contextlib.nullcontext():
        rows = measure(Setting(threads=1 if a.small else cores()))
    for row in rows:
        say(f"{row.what}: {row.ours:,.0f} notes/s ({row.against}: {row.theirs:,.0f})")
        found[f"pipeline {row.what}"] = row.ours


def torch(a: argparse.Namespace, found: dict[str, Any]) -> None:
    """An update over one and the same batch, encoding left out: ours, and the same network with PyTorch's nn.GRU."""
    import importlib.util
    import statistics

    import numpy as np
    import tensorflow as tf

    _placement()
    if a.small:
        say("left out with --small")
        return
    if importlib.util.find_spec("torch") is None:
        say("PyTorch is not installed: left out")
        return
    from parts.steps import Corpus
    from parts.training import peer_inputs

    from melodygru.training import new_model

    corpus = Corpus(a.data)
    for mixed in (False, True) if _has_gpu() else (False,):
        with _precision("mixed_float16" if mixed else "float32", True), tempfile.TemporaryDirectory() as folder:
            ours = corpus.step(new_model)
            seconds = statistics.median(ours.seconds() for _ in range(5))
            if not (batch := Path(folder) / "batch.npz").exists():
                np.savez(batch, **peer_inputs(ours, corpus))
            where = ("cuda-half" if mixed else "cuda") if _has_gpu() else "cpu"
            command = [sys.executable, str(HERE / "peers" / "training.py"), str(batch), str(os.cpu_count()), where]
            theirs = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        name = f"base{' mixed' if mixed else ''}"
        say(
            f"{name}, one batch of {ours.notes:,} notes: {ours.notes / seconds:,.0f} notes/s; PyTorch ({where}) "
            f"{ours.notes / theirs['seconds']:,.0f}; {len(tf.config.list_logical_devices('GPU'))} GPUs"
        )
        found[f"torch {name}"] = {"ours": ours.notes / seconds, "theirs": ours.notes / theirs["seconds"]}


def curves(a: argparse.Namespace, found: dict[str, Any]) -> None:
    """The first updates of one run on the CPU, in another process, on this device, and in mixed precision."""
    import numpy as np

    corpora, preset = _corpora(a), a.presets.split(",")[0]

    def curve(mixed: bool) -> list[float]:
        with tempfile.TemporaryDirectory() as folder:
            trainer = _trainer(a, corpora, preset, a.curve, mixed, Path(folder))
            said, step = [], trainer._step

            def watched(*arguments):
                result = step(*arguments)
                said.append(result[0])
                return result

            trainer._step = watched
            rows = _run(trainer)
        return [float(nats) / max(1, notes) for nats, (_, notes) in zip(said, rows, strict=True)]

    if a.cpu_child:
        Path(a.cpu_child).write_text(json.dumps(curve(False)))
        return
    reference = np.array(json.loads(_on_cpu(a, "curves", a.out / "curve-cpu.json").read_text()))
    ways = {"float32, TF32 off": (False, False), "float32, TF32 on": (False, True), "mixed": (True, True)}
    at = [i for i in AT if i < len(reference)]
    found["curve cpu"] = reference.tolist()
    say("nats a note at updates", at, "CPU:", [round(float(reference[i]), 4) for i in at])
    for name, (mixed, tf32) in ways.items():
        if mixed and not _has_gpu():
            continue
        with _precision("float32", tf32):
            got = np.array(curve(mixed))
        found[f"curve {name}"] = got.tolist()
        worst = np.abs(got - reference).max()
        say(f"{name}: {[round(float(got[i]), 4) for i in at]}; largest difference from the CPU {worst:.4f}")


def train(a: argparse.Namespace, found: dict[str, Any]) -> None:
    """A training with the device's own defaults for a few minutes, judged on held-out music."""
    import melodygru

    with tempfile.TemporaryDirectory() as folder, Utilisation() as use:
        values = {"preset": a.presets.split(",")[0]} if a.small else {"preset": "base"}
        started = time.time()
        result = melodygru.train(
            a.data, minutes=a.minutes, output=Path(folder) / "m.keras", on_message=say, seed=1, **values
        )
    nats = result.held_out.nats_per_note
    say(
        f"{a.minutes:g} minutes of {a.data.name} ({time.time() - started:.0f} s): {nats:.4f} nats a note held out, "
        f"{result.history[-1]['step']:,.0f} updates, batch {result.settings.batch} x {result.settings.window}; {use}"
    )
    found["train"] = {"nats_per_note": nats, "history": result.history, "use": str(use)}


class Utilisation:
    """nvidia-smi's utilisation, memory and power, sampled while a block runs."""

    QUERY = "utilization.gpu,memory.used,power.draw"

    def __enter__(self) -> Utilisation:
        self.rows: list[str] = []
        command = ["nvidia-smi", f"--query-gpu={self.QUERY}", "--format=csv,noheader,nounits", "-lms", "250"]
        self.process = None
        with contextlib.suppress(OSError):
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            threading.Thread(target=lambda: self.rows.extend(self.process.stdout), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def __str__(self) -> str:
        rows = [row for row in self.rows if row.count(",") == 2 and "N/A" not in row]
        if not rows:
            return "utilisation unknown"
        last = [[float(x) for x in row.split(",")] for row in rows[len(rows) // 3 :]]
        busy, mib, watts = (sum(column) / len(last) for column in zip(*last, strict=True))
        return f"GPU {busy:.0f} % busy, {mib:.0f} MiB, {watts:.0f} W (mean of the last two thirds)"


def _has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_logical_devices("GPU"))


def _placement() -> Any:
    """The module `parts.placement`; from then on `parts` can be imported."""
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    from parts import placement

    return placement


@contextlib.contextmanager
def _precision(policy: str, tf32: bool):
    """Within, models are made in this precision."""
    import keras
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(True)
        keras.mixed_precision.set_dtype_policy("float32")


def _corpora(a: argparse.Namespace) -> Any:
    from melodygru.corpus import intake, split

    return split(intake(a.data, workers=1 if a.small else None), 0.1, 1)


def _trainer(a: argparse.Namespace, corpora: Any, preset: str, steps: int, mixed: bool, folder: Path) -> Any:
    """A run of so many updates, never judged."""
    import keras

    from melodygru.training import Settings, Trainer, fit, new_model

    learned, held_out = corpora
    keras.utils.set_random_seed(1)
    keras.mixed_precision.set_dtype_policy("mixed_float16" if mixed else "float32")
    model = new_model(*fit(learned, preset), 1, learned)
    settings = Settings(epochs=1, batch=a.batch, seed=1, mixed_precision=mixed)
    styles = [piece.style for piece in learned.pieces]
    trainer = Trainer(model, (learned, styles), held_out, settings, folder / "m.keras", {})
    keras.mixed_precision.set_dtype_policy("float32")
    trainer.position.steps = steps
    trainer._plan_ahead, trainer._validate = lambda timer: False, lambda *_: False
    return trainer


def _run(trainer: Any) -> list[tuple[float, int]]:
    """Run; returns when each update was over, as far as the host knows, and its notes."""
    from melodygru.training import trainer as module

    rows: list[tuple[float, int]] = []

    class Recorded(module.Timer):
        def add(self, now: float, notes: int) -> None:
            super().add(now, notes)
            rows.append((now, notes))

    with mock.patch.object(module, "Timer", Recorded):
        trainer.run()
    return rows


def _on_cpu(a: argparse.Namespace, section: str, file: Path) -> Path:
    """What a section writes to a file when a process without a GPU runs it."""
    command = [sys.executable, os.path.abspath(__file__), "--only", section, "--cpu-child", str(file)]
    same = ("out", "data", "model", "curve", "presets", "batch")
    command += [word for name in same for word in (f"--{name}", str(getattr(a, name)))]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run([*command, *(["--small"] if a.small else [])], env=environment, check=True)
    return file


def main() -> None:
    a = arguments()
    sys.path.insert(0, os.getcwd())
    a.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    failed = []
    for name in a.only.split(","):
        started = time.time()
        try:
            globals()[name](a, found)
        except Exception:  # noqa: BLE001  whatever it is, the next section goes on
            failed.append(name)
            traceback.print_exc()
        if not a.cpu_child:
            say(f"-- {name}: {'FAILED, ' if name in failed else ''}{time.time() - started:.1f} s")
            (a.out / "gpu.json").write_text(json.dumps(found, indent=1))
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":  # the processes that read files and encode import this file
    main()
