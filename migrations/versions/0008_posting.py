"""Posting in bulk and one by one: faster functions for the same guarantees."""

from ledger.db import scripts

revision = "0008_posting"
down_revision = "0007_late_usage"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
