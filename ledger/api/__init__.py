"""The books over REST, one module per kind of resource."""

from ledger.api import (
    balances,
    batches,
    drafts,
    entries,
    events,
    items,
    journal,
    registers,
    seals,
    structure,
)
from ledger.web import Api

_RESOURCES = (
    balances,
    batches,
    drafts,
    entries,
    events,
    items,
    journal,
    registers,
    seals,
    structure,
)


def register(api: Api) -> None:
    """Add the ledger's resources to the API."""
    for resource in _RESOURCES:
        api.register_blueprint(resource.blueprint)
