"""Tariff versions with approval, and what rating keeps to explain itself."""

from ledger.db import scripts

revision = "0014_tariffs"
down_revision = "0013_requests"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
