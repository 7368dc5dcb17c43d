"""The studio's server: on this machine alone, one thread a request, until Ctrl-C."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from melodygru.errors import SettingError
from melodygru.studio.app import create_app
from melodygru.studio.project import Held, Project, new_token
from melodygru.studio.studio import Studio

HOST = "127.0.0.1"
logger = logging.getLogger("melodygru")


class _Handler(WSGIRequestHandler):
    """A connection serves one request after another; requests are not logged, for their addresses hold the token."""

    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a connection may stay silent

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


class Server:
    """A studio and the socket that it listens on.

    Parameters
    ----------
    folder : of the project
    port : 0: the one that the project had last if it is free, else any
    model, soundfont : see `Studio`

    Attributes
    ----------
    address : the page's, with its token
    studio : Studio

    Raises
    ------
    SettingError
        The port is taken, or the folder can't be made.
    """

    def __init__(
        self, project: Project, *, port: int = 0, model: Path | None = None, soundfont: Path | None = None
    ) -> None:
        before = project.address()
        token = new_token() if before is None else before["token"]
        self.studio = Studio(project, model, soundfont)
        self._app: Any = None

        def answer(environ: dict[str, Any], start_response: Any) -> Any:
            return self._app(environ, start_response)

        self._server: BaseWSGIServer = _listening(port, None if before is None else before["port"], answer)
        self.port = self._server.port
        self._app = create_app(self.studio, self.port, token)
        self.address = address(self.port, token)
        project.keep_address(self.port, token)

    def serve(self) -> None:
        """Answer until `close` is called, or Ctrl-C."""
        try:
            self._server.serve_forever(poll_interval=0.1)
        finally:
            self.studio.close()
            self._server.server_close()

    def start(self) -> threading.Thread:
        """Answer in a thread of its own."""
        thread = threading.Thread(target=self.serve, name="studio", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """End `serve`."""
        self._server.shutdown()


def address(port: int, token: str) -> str:
    """The page's address."""
    return f"http://{HOST}:{port}/?token={token}"


def _listening(port: int, wished: int | None, answer: Callable[..., Any]) -> BaseWSGIServer:
    """A server that listens on a port; without one asked for, on the one wished or any."""
    import socket

    tried = [port] if port else [*([wished] if wished is not None else []), 0]
    for one in tried:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, one))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if one == tried[-1]:
                raise SettingError(
                    f"--port {one}: {error.strerror or error}; leave it out, or choose another"
                ) from error
            continue
        listener.set_inheritable(False)
        server = make_server(
            HOST, listener.getsockname()[1], answer, threaded=True, request_handler=_Handler, fd=listener.fileno()
        )
        listener.close()  # the server has its own
        server.daemon_threads = True  # type: ignore[attr-defined]
        return server
    raise AssertionError


__all__ = ["Held", "Server", "address"]
