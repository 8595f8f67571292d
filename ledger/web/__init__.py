"""The plumbing of the web: who asks, what may be asked, and how refusals and requests are told.

`install(app)` gives the REST API that each room's `api.register(api)` adds its resources to. A
route names its scope with `scope`, or says `public`; a route that says neither is refused.
"""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader

from ledger.web import answers, assets, gate, openapi, probes, problems, requests
from ledger.web.fields import AsOfSchema, Money
from ledger.web.gate import current_actor, now, public, scope
from ledger.web.openapi import Api, Blueprint
from ledger.web.problems import ProblemEntry, problem_catalogue
from ledger.web.requests import believe_proxies

__all__ = [
    "Api",
    "AsOfSchema",
    "Blueprint",
    "Money",
    "ProblemEntry",
    "believe_proxies",
    "current_actor",
    "install",
    "now",
    "problem_catalogue",
    "public",
    "scope",
]


def install(app: Flask) -> Api:
    """Install the plumbing in the order in which a request meets it; gives the REST API."""
    own: list[BaseLoader] = [FileSystemLoader(Path(__file__).parent / "templates")]
    app.jinja_loader = ChoiceLoader(own + ([app.jinja_loader] if app.jinja_loader else []))
    answers.install(app)
    requests.install(app)
    problems.install(app)
    gate.install(app)
    assets.install(app)
    probes.install(app)
    return openapi.install(app)
