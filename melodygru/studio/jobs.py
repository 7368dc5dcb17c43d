"""Jobs: work that takes longer than an answer may, followed by any number of readers."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from melodygru.errors import MelodyGruError
from melodygru.studio.refusals import OF_ITS_OWN, Missing
from melodygru.util.wording import escaped, one_line

logger = logging.getLogger("melodygru")

AT_ONCE = 2  # jobs that work; the others wait
KEPT = 50  # finished jobs that are remembered, the latest
HEARTBEAT_S = 10.0  # without news a reader is sent an empty line, so that one who has gone is found out
EVERY_S = 0.05  # a reader is sent news at most so often


class Cancelled(Exception):
    """A job was told to stop."""


class Job:
    """Work in a thread of its own.

    Attributes
    ----------
    id : unlike any other's, also of an earlier studio
    kept : what it leaves for later requests: candidates' files
    """

    def __init__(self, id: str) -> None:
        self.id = id
        self.kept: dict[str, Any] = {}
        self._changed = threading.Condition()
        self._share: float | None = 0.0
        self._version = 0
        self._notes: list[list[int]] = []
        self._piece: tuple[int, dict[str, Any]] | None = None  # since which version, and what
        self._end: tuple[str, dict[str, Any]] | None = None
        self._cancelled = False

    # -- from the worker

    def progress(self, share: float | None, notes: list[list[int]] | None = None, piece: dict | None = None) -> None:
        """Tell the readers how far it is; raises Cancelled if it is to stop.

        Parameters
        ----------
        share : 0..1, None unknown
        notes : those that are certain since the last time
        piece : what the page needs to show them, where it has changed
        """
        with self._changed:
            if self._cancelled:
                raise Cancelled
            self._version += 1
            self._share = share
            self._notes += notes or []
            if piece is not None:
                self._piece = self._version, piece
            self._changed.notify_all()

    def end(self, name: str, values: dict[str, Any]) -> None:
        """The last event: `done` or `failed`."""
        with self._changed:
            self._end = name, values
            self._changed.notify_all()

    # -- from requests

    @property
    def is_over(self) -> bool:
        return self._end is not None

    def cancel(self) -> None:
        """Stop it as soon as it says how far it is."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def events(self) -> Iterator[tuple[str, dict[str, Any]] | None]:
        """Its events from now on, the present state first: name and values; None where nothing happened for a while."""
        seen, sent = -1, 0
        while True:
            with self._changed:
                if self._version == seen and self._end is None:
                    self._changed.wait(HEARTBEAT_S)
                version, end = self._version, self._end
                values: dict[str, Any] = {"share": self._share, "count": len(self._notes), "notes": self._notes[sent:]}
                if self._piece is not None and self._piece[0] > seen:
                    values["piece"] = self._piece[1]
            if version > seen:
                seen, sent = version, sent + len(values["notes"])
                yield "progress", values
            elif end is None:
                yield None
            if end is not None:
                yield end
                return
            time.sleep(EVERY_S)


class Jobs:
    """The jobs of a studio."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._free = threading.Semaphore(AT_ONCE)

    def __getitem__(self, id: str) -> Job:
        with self._lock:
            if id in self._jobs:
                return self._jobs[id]
        raise Missing("This job is no longer there: the studio was started again. Start it anew.")

    def start(self, work: Callable[[Job], dict[str, Any]]) -> Job:
        """Begin work that returns what `done` says; what it raises of ours becomes a sentence."""
        with self._lock:
            job = Job(secrets.token_hex(6))
            self._jobs[job.id] = job
            over = [id for id, one in self._jobs.items() if one.is_over]
            for id in over[: max(0, len(over) - KEPT)]:
                del self._jobs[id]
        threading.Thread(target=self._run, args=(job, work), name=f"job {job.id}", daemon=True).start()
        return job

    def _run(self, job: Job, work: Callable[[Job], dict[str, Any]]) -> None:
        with self._free:
            try:
                job.end("done", work(job))
            except Cancelled:
                job.end("failed", {"error": "", "cancelled": True})
            except MelodyGruError as error:
                job.end("failed", {"error": one_line(error)})
            except Exception as error:
                logger.error("a job failed: %s: %s", type(error).__name__, escaped(one_line(error)))
                logger.debug("", exc_info=error)
                job.end("failed", {"error": OF_ITS_OWN.format(type(error).__name__)})

    def cancel_all(self) -> None:
        """Tell every job to stop."""
        with self._lock:
            for job in self._jobs.values():
                job.cancel()


__all__ = ["Cancelled", "Job", "Jobs"]
