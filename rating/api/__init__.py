"""Tariffs over REST: versions and their approval, quotes, and the catalogue in TM Forum's shape."""

from ledger.web import Api
from rating.api import catalogue, quotes, tariffs


def register(api: Api) -> None:
    """Add the rating room's resources to the API."""
    for resource in (tariffs, quotes, catalogue):
        api.register_blueprint(resource.blueprint)
