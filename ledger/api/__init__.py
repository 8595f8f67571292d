"""The books over REST, one module per kind of resource."""

from ledger.api import (
    batches,
    drafts,
    entries,
)
from ledger.web import Api

_RESOURCES = (
    batches,
    drafts,
    entries,
)


def register(api: Api) -> None:
    """Add the ledger's resources to the API."""
    for resource in _RESOURCES:
        api.register_blueprint(resource.blueprint)
