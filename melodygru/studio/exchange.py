"""What comes in a request, and answers that go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from melodygru.studio.refusals import Refused

MAX_BODY_BYTES = 1 << 24


def body() -> dict[str, Any]:
    """The JSON object of a request; Refused if it is none."""
    if request.content_length is not None and request.content_length > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    try:
        given = json.loads(request.get_data(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise Refused("The request came in no form that the studio reads: reload the page.")
    return given


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def sent(data: bytes, content_type: str, name: str | None = None) -> Response:
    """Bytes, or the range of them that is asked for; with a name they are a download."""
    response = Response(data, content_type=content_type)
    if name is not None:
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.add_etag()
    response.make_conditional(request, accept_ranges=True, complete_length=len(data))
    return response


def event_stream(events: Iterator[tuple[str, dict[str, Any]] | None]) -> Response:
    """Server-sent events (the HTML standard, section 9.2)."""

    def lines() -> Iterator[str]:
        yield "retry: 1000\n\n"
        for event in events:
            if event is None:
                yield ":\n\n"
                continue
            name, values = event
            yield f"event: {name}\ndata: {json.dumps(values, separators=(',', ':'))}\n\n"

    return Response(lines(), mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})


__all__ = ["MAX_BODY_BYTES", "body", "event_stream", "sent"]
