"""The books over REST, one module per kind of resource."""

from ledger.api import (
    approval_rules,
    balances,
    batches,
    clients,
    closing,
    drafts,
    entries,
    events,
    items,
    journal,
    periods,
    registers,
    revaluations,
    seals,
    structure,
    years,
)
from ledger.web import Api

_RESOURCES = (
    approval_rules,
    balances,
    batches,
    clients,
    closing,
    drafts,
    entries,
    events,
    items,
    journal,
    periods,
    registers,
    revaluations,
    seals,
    structure,
    years,
)


def register(api: Api) -> None:
    """Add the ledger's resources to the API."""
    for resource in _RESOURCES:
        api.register_blueprint(resource.blueprint)
