"""The routes of pieces: read, edit, undo, compose again, bring and take."""

from __future__ import annotations

import numpy as np
from flask import Flask, Response, jsonify, request

from melodygru import midi
from melodygru.errors import MelodyGruError, MidiError
from melodygru.midi.editing import Editor
from melodygru.music.names import clean_name
from melodygru.studio import composing, edits, exports, recordings, trust
from melodygru.studio.exchange import body, sent
from melodygru.studio.pieces import Piece
from melodygru.studio.refusals import Refused
from melodygru.studio.studio import Studio


def add_routes(app: Flask, studio: Studio) -> None:
    """Let an application answer for the pieces of a studio."""
    project = studio.project

    def shown(piece: Piece) -> Response:
        return jsonify(piece.as_dict())

    @app.get("/api/pieces/<id>")
    def piece(id: str) -> Response:
        return shown(project[id])

    @app.delete("/api/pieces/<id>")
    def delete(id: str) -> Response:
        project.delete(id)
        return jsonify({})

    @app.post("/api/undelete")
    def undelete() -> Response:
        return jsonify(project.undelete().summary())

    @app.post("/api/pieces/<id>/rename")
    def rename(id: str) -> Response:
        name = body().get("name")
        if not isinstance(name, str) or not clean_name(name):
            raise Refused("Give the piece a name.")
        project[id].rename(clean_name(name))
        return jsonify(project[id].summary())

    @app.post("/api/pieces/<id>/copy")
    def copy(id: str) -> Response:
        return jsonify(project.copy(id).summary())

    @app.post("/api/pieces/<id>/edit")
    def edit(id: str) -> Response:
        found, given = project[id], body()
        with found.lock:
            found.check(given.get("revision"))
            found.change(given["revision"], edits.edited(found.view, given))
            return shown(found)

    @app.post("/api/pieces/<id>/history")
    def history(id: str) -> Response:
        given, found = body(), project[id]
        if given.get("step") not in (-1, 1):
            raise Refused("Expected a step of -1 or 1: reload the page.")
        with found.lock:
            found.move(given.get("revision"), given["step"])
            return shown(found)

    @app.post("/api/pieces/<id>/part")
    def part(id: str) -> Response:
        found, given = project[id], body()
        with found.lock:
            found.check(given.get("revision"))
            found.change(given["revision"], *edits.with_part(found.view, given.get("part"), given))
            return shown(found)

    @app.post("/api/pieces/<id>/parts")
    def part_more(id: str) -> Response:
        found, given = project[id], body()
        with found.lock:
            found.check(given.get("revision"))
            found.change(given["revision"], found.view.data, edits.with_part_more(found.view, given.get("program")))
            return shown(found)

    @app.post("/api/pieces/<id>/redo")
    def redo(id: str) -> Response:
        given = body()
        work = composing.redoing(studio.composer, project[id], given.get("revision"), given.get("settings", {}))
        return jsonify({"job": studio.jobs.start(work).id})

    @app.post("/api/pieces/<id>/continue")
    def go_on(id: str) -> Response:
        given = body()
        bars = given.get("bars")
        if type(bars) is not int or bars < 1:
            raise Refused("Say by how many bars the piece is to go on.")
        work = composing.redoing(studio.composer, project[id], given.get("revision"), given.get("settings", {}), bars)
        return jsonify({"job": studio.jobs.start(work).id})

    @app.post("/api/pieces/<id>/keep")
    def keep(id: str) -> Response:
        found, given = project[id], body()
        with found.lock:
            composing.keep(found, given.get("revision"), studio.jobs[str(given.get("job"))], given.get("number"))
            return shown(found)

    @app.post("/api/pieces")
    def upload() -> Response:
        files = request.files.getlist("file")
        if not files:
            raise Refused(f"Bring a MIDI file: expected a name that ends in {', '.join(midi.READERS)}.")
        brought = [project.add(*_read(file.filename or "", file.read())).summary() for file in files]
        return jsonify(brought[0] if len(brought) == 1 else {"pieces": brought})

    @app.get("/api/pieces/<id>/export")
    def export(id: str) -> Response:
        found, kind = project[id], request.args.get("format", "mid")
        parts, bars = request.args.get("parts"), request.args.get("bars")
        data = exports.exported(found.view, kind, found.name, parts, bars, studio.soundfont)
        return sent(data, exports.TYPES[kind], exports.file_name(found.name, kind, parts, bars))

    @app.get("/api/pieces/<id>/score.svg")
    def score(id: str) -> Response:
        found = project[id]
        return sent(exports.score(found.view, found.name), exports.TYPES["svg"])

    @app.get("/api/pieces/<id>/sound")
    def sound(id: str) -> Response:
        data = exports.sound(project[id].view, request.args.get("parts"), studio.soundfont)
        return sent(data, exports.TYPES["wav"])

    @app.get("/api/pieces/<id>/surprise")
    def surprise(id: str) -> Response:
        found = project[id]
        return jsonify({"revision": found.revision, "nats": trust.surprise(studio.composer, found)})

    @app.get("/api/pieces/<id>/originality")
    def originality(id: str) -> Response:
        found = project[id]
        return jsonify({"revision": found.revision, **trust.originality(studio.composer, found.view)})

    @app.get("/api/pieces/<id>/source")
    def source(id: str) -> Response:
        number = request.args.get("match", type=int)
        return jsonify(trust.passage(studio.composer, project[id].view, -1 if number is None else number))

    @app.post("/api/pieces/<id>/replay")
    def replay(id: str) -> Response:
        return jsonify({"job": studio.jobs.start(trust.replaying(project[id])).id})

    @app.post("/api/recordings")
    def recording() -> Response:
        given = body()
        data, name = recordings.recorded(given)
        return jsonify(project.add(data, name or project.next_name("Recording"), "recorded").summary())


def _read(filename: str, data: bytes) -> tuple[bytes, str, str]:
    """The bytes that a piece keeps of a file that was brought, its name, and where it comes from."""
    name = filename.replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    suffix = (dot + suffix).lower()
    if suffix not in midi.READERS or not stem:
        shown = clean_name(name) or "This file"
        raise Refused(
            f"{shown} is no file that the studio reads: expected a name that ends in {', '.join(midi.READERS)}."
        )
    try:
        reading = midi.read(data, suffix)
        if not len(reading.sequence):
            raise MidiError("it holds no note")
        try:
            if not reading.sequence.grid.is_metrical:
                raise MidiError("its times are in seconds")
            editor = Editor(data)
            if not data.startswith(b"MThd"):  # inside something else, a RIFF file for instance
                data = editor.exchange(np.ones(len(reading.sequence), bool), reading.sequence.notes[:0])
        except MidiError:  # a file of type 2, of another format, or of SMPTE time: its notes are written anew
            data = midi.to_bytes(reading.sequence)
    except MelodyGruError as error:
        raise Refused(f"{clean_name(name)}: {error}.") from error
    return data, clean_name(stem), "brought"


__all__ = ["add_routes"]
