"""Who may ask the studio anything: its own page alone.

A page of another origin can send requests to 127.0.0.1, and a name that points there makes it one of the same origin
(DNS rebinding). So every answer but the page's files needs the token, which only the page's address holds; the Host and
the Origin that the browser states must be the studio's; no answer may be read or framed from elsewhere.
"""

from __future__ import annotations

import hmac

from flask import Request, Response

from melodygru.studio.refusals import Forbidden

TOKEN_HEADER = "X-Melodygru-Token"
CSP = "; ".join(
    [
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "midi=(self), camera=(), microphone=(), geolocation=()",
}
_ELSEWHERE = "This address belongs to the studio's own page: open the address that melodygru studio printed."


def check(request: Request, port: int, token: str) -> None:
    """Raise Forbidden unless a request comes from the studio's own page, or from its user."""
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
    if port == 80:
        hosts |= {"127.0.0.1", "localhost"}
    host = request.headers.get("Host", "")
    origin = request.headers.get("Origin")
    if host not in hosts or (origin is not None and origin != f"http://{host}"):
        raise Forbidden(_ELSEWHERE)
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        raise Forbidden(_ELSEWHERE)
    if request.path.startswith("/static/"):  # no secret: they are in every installation
        return
    given = request.headers.get(TOKEN_HEADER) or request.args.get("token", "")
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise Forbidden(_ELSEWHERE)


def protect(response: Response) -> Response:
    """An answer that no page of another origin can read, frame or be mistaken for."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    return response


__all__ = ["TOKEN_HEADER", "check", "protect"]
