"""Styles and scripts from wheels: nothing is fetched from elsewhere, nothing is copied here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from flask import Flask, Response, request, send_from_directory

from ledger.errors import NotFound
from ledger.web.gate import public

_YEAR_S = 365 * 24 * 3600
_LIBRARIES: dict[str, Path] = {}

# Only these files are served; a wheel holds much that no page needs.
_SERVED: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "bootstrap": (
        "flask_bootstrap", "static/bootstrap5",
        ("css/bootstrap.min.css", "js/bootstrap.bundle.min.js"),
    ),
    "htmx": ("js_lib_htmx", "static/htmx", ("htmx.min.js",)),
    "swagger": (
        "swagger_ui_bundle", "vendor/swagger-ui-5.31.0",
        ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"),
    ),
}  # fmt: skip


def install(app: Flask) -> None:
    """Serve the assets and let templates name them."""
    app.add_url_rule("/assets/<library>/<path:name>", "asset", _asset)
    app.add_template_global(asset_url)


def add_library(name: str, folder: Path) -> None:
    """Serve a room's own folder of styles and scripts as `name`."""
    _LIBRARIES[name] = folder
    asset_url.cache_clear()


@lru_cache(maxsize=64)
def asset_url(library: str, name: str) -> str:
    """Give the address of an asset; it changes with the content, so caches may keep it."""
    version = sha256((_folder(library) / name).read_bytes()).hexdigest()[:12]
    return f"/assets/{library}/{name}?v={version}"


@public
def _asset(library: str, name: str) -> Response:
    if library in _SERVED and name not in _SERVED[library][2]:
        raise NotFound("No such asset is served.")
    response = send_from_directory(_folder(library), name)
    kept = f"public, max-age={_YEAR_S}, immutable" if request.args.get("v") else "no-cache"
    response.headers["Cache-Control"] = kept
    return response


def _folder(library: str) -> Path:
    if library in _LIBRARIES:
        return _LIBRARIES[library]
    if library not in _SERVED:
        raise NotFound("No such asset is served.")
    package, inner, _ = _SERVED[library]
    return Path(str(files(package).joinpath(inner)))
