"""The server's answers: one route a thing that the page can ask; see `api` for those of pieces."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from melodygru.errors import MelodyGruError
from melodygru.studio import api, composing, security
from melodygru.studio.exchange import MAX_BODY_BYTES, body, event_stream
from melodygru.studio.refusals import OF_ITS_OWN, Conflict, Missing, Refused
from melodygru.studio.studio import UPLOAD_BYTES, Studio
from melodygru.studio.trainings import intake
from melodygru.util.wording import escaped, one_line

logger = logging.getLogger("melodygru")
STATIC = Path(__file__).parent / "static"
MAX_PARTS = 64  # of a form


def create_app(studio: Studio, port: int, token: str) -> Flask:
    """The application that answers for a studio on a port to those who know the token."""
    app = Flask("melodygru.studio", static_folder=None, template_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=UPLOAD_BYTES, MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES, MAX_FORM_PARTS=MAX_PARTS)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.compact = True  # type: ignore[attr-defined]

    @app.before_request
    def check() -> None:
        security.check(request, port, token)

    app.after_request(security.protect)
    app.register_error_handler(Exception, _refusal)

    @app.get("/")
    def page() -> Response:
        return _file("index.html")

    @app.get("/static/<path:name>")
    def static(name: str) -> Response:
        return _file(name)

    @app.get("/api/status")
    def status() -> Response:
        return jsonify(studio.status())

    @app.get("/api/models")
    def models() -> Response:
        return jsonify(studio.models())

    @app.post("/api/model")
    def model() -> Response:
        path = body().get("path")
        if not isinstance(path, str) or not path:
            raise Refused("Choose a model from the list.")
        studio.choose(Path(path))
        return jsonify(studio.status())

    @app.get("/api/settings")
    def settings() -> Response:
        return jsonify(studio.project.settings())

    @app.post("/api/settings")
    def keep_settings() -> Response:
        given = body()
        values = given.get("settings")
        if not isinstance(values, dict):
            raise Refused("The settings came in no form that the studio reads: reload the page.")
        return jsonify(studio.project.keep_settings(given.get("revision"), values))

    @app.post("/api/compose")
    def compose() -> Response:
        work = composing.composing(studio.composer, studio.project, body().get("settings", {}))
        return jsonify({"job": studio.jobs.start(work).id})

    @app.get("/api/jobs/<id>/events")
    def job_events(id: str) -> Response:
        return event_stream(studio.jobs[id].events())

    @app.post("/api/jobs/<id>/cancel")
    def cancel(id: str) -> Response:
        studio.jobs[id].cancel()
        return jsonify({})

    @app.get("/api/intake")
    def report() -> Response:
        return jsonify(intake(request.args.get("folder")))

    @app.get("/api/trainings")
    def trainings() -> Response:
        return jsonify(studio.trainings.all())

    @app.post("/api/trainings")
    def train() -> Response:
        given = body()
        return jsonify(studio.trainings.start(given.get("folder"), given.get("options", {})))

    @app.get("/api/trainings/<id>/events")
    def training_events(id: str) -> Response:
        studio.trainings.state(id)  # one that isn't there is refused before anything is sent
        return event_stream(studio.trainings.events(id))

    @app.post("/api/trainings/<id>/<action>")
    def act(id: str, action: str) -> Response:
        if action == "resume":
            return jsonify(studio.trainings.resume(id))
        if action not in ("pause", "stop"):
            raise Missing(f"A training can't {action[:20]}: it can pause, resume and stop.")
        return jsonify(studio.trainings.pause(id, stopped=action == "stop"))

    api.add_routes(app, studio)
    return app


_NAME = re.compile(r"[A-Za-z0-9_-][\w.-]*(/[A-Za-z0-9_-][\w.-]*)*", re.ASCII)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}


def _file(name: str) -> Response:
    """A file of the page, below its folder: no part of the name begins with a dot."""
    path = STATIC.joinpath(*name.split("/"))
    if not _NAME.fullmatch(name) or path.suffix not in _TYPES or not path.is_file():
        raise Missing("There is no such file: reload the page.")
    response = Response(path.read_bytes(), content_type=_TYPES[path.suffix])
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


def _refusal(error: Exception) -> tuple[Response, int]:
    """The answer of an error: one sentence, and its status."""
    beside: dict[str, Any] = {}
    if isinstance(error, RequestEntityTooLarge):
        status, text = 413, "This is larger than the studio takes: expected MIDI files of at most 4 MiB."
    elif isinstance(error, HTTPException):
        status, text = error.code or 500, f"{request.method} {request.path}: {error.name}. Reload the page."
    elif isinstance(error, MelodyGruError):
        status, text = getattr(error, "status", 400), one_line(error)
        beside = error.beside if isinstance(error, Conflict) else {}
    elif isinstance(error, OSError):
        status, text = 500, f"{error.filename or 'A file'}: {error.strerror or error}. Free some space, or allow it."
    else:
        logger.error("%s %s: %s: %s", request.method, request.path, type(error).__name__, escaped(one_line(error)))
        logger.debug("", exc_info=error)
        status, text = 500, OF_ITS_OWN.format(type(error).__name__)
    return jsonify({"error": text, **beside}), status


__all__ = ["create_app"]
