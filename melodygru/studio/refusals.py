"""What the studio refuses, each with the status of its answer and one sentence for the page."""

from __future__ import annotations

from typing import Any

from melodygru.errors import MelodyGruError

OF_ITS_OWN = "This failed for a reason of the studio's own ({}): try again, or report it with what the terminal says."


class Refused(MelodyGruError):
    """A request that can't be followed; the message says what to do."""

    status = 400


class Forbidden(Refused):
    """Somebody else's request."""

    status = 403


class Missing(Refused):
    """What is asked for isn't there."""

    status = 404


class Conflict(Refused):
    """Another tab was faster.

    Attributes
    ----------
    beside : what the answer says beside the sentence: the present state
    """

    status = 409

    def __init__(self, message: str, **beside: Any) -> None:
        super().__init__(message)
        self.beside = beside


class TooLarge(Refused):
    """More than the studio takes."""

    status = 413


__all__ = ["Conflict", "Forbidden", "Missing", "OF_ITS_OWN", "Refused", "TooLarge"]
