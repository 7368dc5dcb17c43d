"""Workers of a dask scheduler, on this machine or others, as an executor for `intake`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, InvalidStateError
from concurrent.futures import wait as wait_for
from typing import Any

from melodygru.errors import SettingError
from melodygru.util.wording import counted

CONNECT_S = 10  # until a scheduler that does not answer is given up
PATIENCE_S = 30  # until one is that has lost all its workers, or its connection
CHECKED_EVERY_S = 1.0


class DaskExecutor(Executor):
    """Runs functions on the workers of a dask scheduler; connects when first used. Use as a context manager.

    A worker that dies is no loss: dask gives its tasks to others. When none is left, or the scheduler itself is gone,
    for `patience_s`, everything still waiting fails with `BrokenExecutor`.

    Parameters
    ----------
    address : str
        Of the scheduler, such as `tcp://192.168.0.7:8786`. Its workers need melodygru, and no part of our file system.
    connect_s, patience_s : float
        Seconds.
    """

    def __init__(self, address: str, connect_s: float = CONNECT_S, patience_s: float = PATIENCE_S) -> None:
        self.address = address
        self._connect_s, self._patience_s = connect_s, patience_s
        self._client: Any = None
        self._pending: set[Future[Any]] = set()
        self._closing = threading.Event()
        self._broken = ""

    @property
    def n_workers(self) -> int:
        """Threads of all workers together, at least 1.

        Raises
        ------
        SettingError
            dask is not installed, the scheduler can't be reached, or has no worker.
        """
        self._connect()
        return max(1, sum(self._client.nthreads().values()))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As any executor's; what it may raise beside is that of `n_workers`."""
        self._connect()
        if self._broken:
            raise BrokenExecutor(self._broken)
        future: Future[Any] = Future()  # ours: dask's own one can't be given up
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        # A worker that goes away amid a task may fail it with an error of its own: another one tries again.
        theirs = self._client.submit(fn, *args, pure=False, retries=2, **kwargs)
        self._client.loop.add_callback(_hand_over, theirs, future)
        future.add_done_callback(lambda done: done.cancelled() and theirs.cancel())
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the scheduler; its workers stay."""
        if wait and not cancel_futures:
            wait_for(list(self._pending))  # ours, which end where there is no worker, too; dask's own may never
        self._closing.set()
        if self._client is None:
            return
        client, self._client = self._client, None
        with contextlib.suppress(OSError, TimeoutError):
            client.close(timeout=2)

    def _connect(self) -> None:
        if self._client is not None:
            return
        try:
            import distributed
        except ImportError as error:
            raise SettingError("a scheduler needs dask: pip install 'melodygru[dask]'") from error
        _hush()
        try:
            _knock(self.address, self._connect_s)
            client = distributed.Client(self.address, timeout=self._connect_s, set_as_default=False)
        except (OSError, ValueError, TypeError, ImportError, RuntimeError) as error:
            raise SettingError(
                f"scheduler {self.address}: cannot connect ({_first_line(error)}); expected the address that "
                "`dask scheduler` prints, such as tcp://192.168.0.7:8786"
            ) from error
        try:
            client.wait_for_workers(1, timeout=self._connect_s)
        except (OSError, TimeoutError) as error:
            client.close(timeout=2)
            raise SettingError(
                f"scheduler {self.address} has no workers: start some with `dask worker {self.address}`, "
                "where melodygru is installed"
            ) from error
        self._client = client
        threading.Thread(target=self._watch, args=(client,), daemon=True).start()

    def _watch(self, client: Any) -> None:
        """Break what waits when there has been no worker for too long: dask itself would wait for ever."""
        alive = time.monotonic()
        while not self._closing.wait(min(CHECKED_EVERY_S, self._patience_s / 2)):
            try:
                workers = client.nthreads() if client.status == "running" else {}
            except (OSError, RuntimeError, TimeoutError):  # a lost connection has no worker either
                workers = {}
            if workers:
                alive = time.monotonic()
            elif time.monotonic() - alive > self._patience_s:
                waited = counted(round(self._patience_s), "second")
                self._broken = f"scheduler {self.address} has had no worker for {waited}"
                for future in list(self._pending):
                    with contextlib.suppress(InvalidStateError):
                        future.set_exception(BrokenExecutor(self._broken))
                return


async def _hand_over(theirs: Any, ours: Future[Any]) -> None:
    """Let `ours` end as dask's `theirs` does, unless it was given up.

    Not dask's own executor: that asks a task for its state after its result, and takes for an error the result of a
    task whose worker went away in between.
    """
    with contextlib.suppress(InvalidStateError):
        try:
            result = await theirs
        except (CancelledError, asyncio.CancelledError):
            ours.set_exception(BrokenExecutor("the scheduler has cancelled the task, or is gone"))
        except BaseException as error:  # noqa: BLE001 - whatever the task ended with
            ours.set_exception(error)
        else:
            ours.set_result(result)


def _knock(address: str, timeout_s: float) -> None:
    """Raise OSError or ValueError at once where nobody listens: dask tries in vain until its time is up."""
    from distributed.comm.addressing import parse_address, parse_host_port

    scheme, host = parse_address(address)
    if scheme in ("tcp", "tls", "ws", "wss"):
        socket.create_connection(parse_host_port(host), timeout_s).close()


def _hush() -> None:
    """Silence dask's loggers: a lost connection is reported once, by us."""
    import logging

    for name in list(logging.Logger.manager.loggerDict):
        if name == "distributed" or name.startswith(("distributed.", "tornado")):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
