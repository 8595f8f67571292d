"""Stored answers of requests, and webhooks with their deliveries."""

from ledger.db import scripts

revision = "0013_requests"
down_revision = "0012_structure"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
