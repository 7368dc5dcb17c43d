"""Trainings: detached processes, each with a folder in the project, by which they are found again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from melodygru.corpus.report import Report
from melodygru.errors import TrainingError
from melodygru.midi import in_words
from melodygru.studio.refusals import Missing, Refused
from melodygru.studio.settings import from_page
from melodygru.studio.training_process import MODEL, PROGRESS, RUN, RUNNING
from melodygru.training.settings import TrainSettings
from melodygru.util.atomic import atomic_write
from melodygru.util.locks import Held, held
from melodygru.util.wording import clock, counted, name

_ID = re.compile(r"\d{4,}", re.ASCII)
POLL_S = 0.5
STARTING_S = 20.0  # a process that was started has so long to say that it runs
NOT_TO_CHOOSE = ("output", "resume", "force", "log_dir", "validation", "start_from", "scheduler")
SHOWN = 20  # files that are left out, in the report of a folder


class Trainings:
    """The trainings of a project. Any thread may use it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._started: dict[str, tuple[subprocess.Popen[bytes], float]] = {}

    def all(self) -> list[dict[str, Any]]:
        """Every training as plain JSON values, the latest first."""
        paths = [path for path in self._folder.iterdir() if _ID.fullmatch(path.name) and (path / RUN).is_file()]
        return [self.state(path.name) for path in sorted(paths, reverse=True)]

    def start(self, folder: Any, options: Any) -> dict[str, Any]:
        """Begin to learn a folder of MIDI files.

        Raises
        ------
        Refused, SettingError
            It is no folder, or an option can't be given.
        """
        path = folder_of(folder)
        if not isinstance(options, dict):
            raise Refused("The options came in no form that the studio reads: reload the page.")
        chosen = {name: value for name, value in options.items() if value is not None}
        for option in chosen:
            if option in NOT_TO_CHOOSE:
                raise Refused(f"{option} is no option of a training in the studio.")
        settings = from_page(TrainSettings, chosen)  # refuses what is out of range
        values = {option: getattr(settings, option) for option in chosen}
        with self._lock:
            numbers = [int(one.name) for one in self._folder.iterdir() if _ID.fullmatch(one.name)]
            run = self._folder / f"{1 + max(numbers, default=0):04d}"
            run.mkdir()
            _write(run / RUN, {"folder": str(path), "options": values, "begun": time.time()})
            self._run(run)
        return self.state(run.name)

    def state(self, id: str) -> dict[str, Any]:
        """A training as plain JSON values."""
        run = self._of(id)
        about, progress = _read(run / RUN), _read(run / PROGRESS)
        state = self._state(run, progress)
        model = run / MODEL
        return {
            "id": id,
            "folder": name(about.get("folder", "")),
            "options": about.get("options", {}),
            "state": state,
            "words": progress.get("words", "starting"),
            "share": progress.get("share"),
            "epoch": progress.get("epoch", 0),
            "epochs": progress.get("epochs"),
            "curve": progress.get("curve", []),
            "seconds_left": progress.get("seconds_left") if state == "running" else None,
            "model": name(model) if model.exists() else None,
        }

    def pause(self, id: str, stopped: bool = False) -> dict[str, Any]:
        """Save and end the process; a stopped one isn't meant to go on."""
        run = self._of(id)
        with self._lock:
            if stopped:
                _write(run / RUN, {**_read(run / RUN), "stopped": True})
            process = _process(run)
            if process is None and self._is_starting(run):
                process = self._started[id][0].pid
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGTERM)
        for _ in range(int(10 / POLL_S)):
            if _process(run) is None:
                break
            time.sleep(POLL_S)
        return self.state(id)

    def resume(self, id: str) -> dict[str, Any]:
        """Go on with a training that was paused, stopped or cut off."""
        run = self._of(id)
        with self._lock:
            state = self._state(run, _read(run / PROGRESS))
            if state == "done":
                raise Refused("This training is finished: start another one.")
            if state != "running":
                _write(run / RUN, {**_read(run / RUN), "stopped": False})
                self._run(run)
        return self.state(id)

    def events(self, id: str) -> Iterator[tuple[str, dict[str, Any]] | None]:
        """Its states as they change, until it ends; None where nothing happened for a while."""
        last, silent_s = None, 0.0
        while True:
            state = self.state(id)
            if state != last:
                last, silent_s = state, 0.0
                yield "progress", state
            elif (silent_s := silent_s + POLL_S) >= 10:
                silent_s = 0.0
                yield None
            if state["state"] == "failed":
                yield "failed", {**state, "error": f"The training ended: {state['words']}"}
                return
            if state["state"] != "running":
                yield "done", state
                return
            time.sleep(POLL_S)

    # -- processes

    def _of(self, id: str) -> Path:
        if not _ID.fullmatch(id) or not (self._folder / id / RUN).is_file():
            raise Missing("This training is no longer there.")
        return self._folder / id

    def _run(self, run: Path) -> None:
        """Start the process of a run."""
        with open(run / "log.txt", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "melodygru.studio.training_process", str(run)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the studio's terminal isn't meant for it
            )
        self._started[run.name] = process, time.monotonic()

    def _is_starting(self, run: Path) -> bool:
        """Whether its process has begun, and hasn't said yet that it runs."""
        process, begun = self._started.get(run.name, (None, 0.0))
        return process is not None and process.poll() is None and time.monotonic() - begun < STARTING_S

    def _state(self, run: Path, progress: dict[str, Any]) -> str:
        """running, paused, stopped, done or failed."""
        if run.name in self._started:
            self._started[run.name][0].poll()  # so that the system forgets one that has ended
        if _process(run) is not None or self._is_starting(run):
            return "running"
        said = str(progress.get("state", "failed"))
        if said in ("done", "failed"):
            return said
        return "stopped" if _read(run / RUN).get("stopped") else "paused"


def folder_of(given: Any) -> Path:
    """The folder of MIDI files that the page names. Raises Refused if there is none."""
    if not isinstance(given, str) or not given.strip() or "\0" in given:
        raise Refused("Name a folder of MIDI files.")
    path = Path(given.strip()).expanduser()
    if not path.is_dir():
        raise Refused(f"{given.strip()[:200]}: there is no such folder; name one that holds MIDI files.")
    return path.absolute()


def intake(folder: Any, timeout_s: float = 600.0) -> dict[str, Any]:
    """What a folder holds, in sentences; read in a process of its own, whose memory is then free again.

    Raises
    ------
    Refused
        Nothing can be learned from it.
    """
    path = folder_of(folder)
    command = [sys.executable, "-m", "melodygru", "inspect", str(path), "--json"]
    try:
        run = subprocess.run(command, capture_output=True, timeout=timeout_s, stdin=subprocess.DEVNULL, check=False)
        values = json.loads(run.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise Refused(f"{name(path)}: the folder could not be read; look at it with melodygru inspect.") from error
    if "error" in values:
        raise Refused(f"{values['error']['message']}.")
    report = Report.from_dict({key: value for key, value in values.items() if key != "kind"})
    return {
        "lines": _sentences(report),
        "pieces": report.kept,
        "notes": report.notes,
        "styles": [style for style in report.styles if style],
    }


def _sentences(report: Report) -> list[str]:
    """A report for people who have read no manual."""
    skipped, styles = report.skipped, {style: n for style, n in report.styles.items() if style}
    lines = [
        f"{counted(report.kept, 'piece')} of {counted(len(report.files), 'file')} can be learned from: "
        f"{counted(report.notes, 'note')}, {clock(report.seconds)} of music."
    ]
    if styles:
        of = ", ".join(f"{style} ({n:,})" for style, n in sorted(styles.items(), key=lambda item: -item[1])[:SHOWN])
        lines.append(f"Its sub-folders become styles: {of}.")
    lines += [f"Of the pieces, {text}." for text in report.beat_rows()]
    if report.relatives:
        lines.append(f"{report.relatives_row()}.")
    if report.lost:
        lines.append(f"{counted(report.lost, 'note')} could not be kept as the files have them.")
    if report.oddities:
        lines.append(f"Odd things in the files: {in_words(report.oddities)}.")
    lines += [f"Left out: {name(file.path)}, {file.reason}." for file in skipped[:SHOWN]]
    if len(skipped) > SHOWN:
        lines.append(f"And {counted(len(skipped) - SHOWN, 'file')} more are left out.")
    return lines


def _process(run: Path) -> int | None:
    """The process that runs a training now; None if there is none."""
    try:
        with held(run / RUNNING):
            return None
    except Held as holder:
        return int(holder.process) if holder.process.isdecimal() else None
    except OSError:
        return None


def _read(path: Path) -> dict[str, Any]:
    """A JSON object that was written; empty if it isn't there."""
    with contextlib.suppress(OSError, ValueError):
        values = json.loads(path.read_text("utf-8"))
        return values if isinstance(values, dict) else {}
    return {}


def _write(path: Path, values: dict[str, Any]) -> None:
    with atomic_write(path, TrainingError) as aside:
        aside.write_text(json.dumps(values))


__all__ = ["Trainings", "folder_of", "intake"]
