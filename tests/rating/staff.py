"""Two people for tests: one who writes tariffs, one who approves them."""

from __future__ import annotations

from datetime import UTC, datetime

from ledger.db import transaction
from ledger.service.access import add_staff

MAKER, JUDGE = "maja", "jens"


def hire() -> None:
    """Add them to the staff of the database of this test."""
    with transaction() as session:
        for name, role in ((MAKER, "product"), (JUDGE, "approver")):
            add_staff(
                session, name, [role], "calm and quiet desk", actor="test", now=datetime.now(UTC)
            )
