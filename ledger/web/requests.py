"""What every request gets: an id, one line in the access log, a count, and strict headers."""

from __future__ import annotations

import re
import secrets
import time
import uuid

import structlog
from flask import Flask, Response, g, request
from prometheus_client import Counter, Histogram
from werkzeug.middleware.proxy_fix import ProxyFix

from ledger.web.bodies import require_whole_body

REQUESTS = Counter(
    "hovedbok_http_requests", "Requests by route and status.", ["method", "route", "status"]
)
SECONDS = Histogram("hovedbok_http_request_seconds", "Time to answer by route.", ["route"])

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
_log = structlog.get_logger("hovedbok.access")

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


def install(app: Flask) -> None:
    """Hook the first and the last step of every request."""
    app.before_request(_begin)
    app.after_request(_finish)
    app.add_template_global(csp_nonce)


def believe_proxies(app: Flask, count: int) -> None:
    """Take from so many proxies where a request comes from; what stood before is no proof."""
    if count:
        proxied = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=0)
        app.wsgi_app = proxied  # type: ignore[method-assign]


def csp_nonce() -> str:
    """Give this response's nonce for an inline script."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    nonce: str = g.csp_nonce
    return nonce


def request_id() -> str:
    """Give this request's id: the caller's own where it is well formed, else a new one."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    known: str = g.request_id
    return known


def _begin() -> None:
    g.began_at = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id())
    require_whole_body()


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id()
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", _policy(response))
    # Figures and personal data must not outlive the session in a cache; assets say otherwise.
    response.headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    _record(response)
    return response


def _policy(response: Response) -> str:
    """Allow what the desk's own pages need and nothing else."""
    if response.mimetype == "application/pdf":
        # Chromium shows a PDF through a plugin page that object-src 'none' would block.
        return "frame-ancestors 'none'"
    scripts = f"'self' 'nonce-{g.csp_nonce}'" if "csp_nonce" in g else "'self'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


def _record(response: Response) -> None:
    """Log and count by route, not by path: a path or a query may name a customer."""
    route = request.url_rule.rule if request.url_rule else "(none)"
    seconds = time.perf_counter() - g.get("began_at", time.perf_counter())
    method = request.method if request.method in _METHODS else "OTHER"
    REQUESTS.labels(method, route, response.status_code).inc()
    SECONDS.labels(route).observe(seconds)
    actor = g.get("actor")
    _log.info(
        "request",
        method=method,
        route=route,
        status=response.status_code,
        milliseconds=round(seconds * 1000),
        actor=f"{actor.kind}:{actor.number}" if actor else None,
    )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
