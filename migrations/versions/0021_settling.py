"""Allocations stay within a party, and within what was outstanding on every day."""

from ledger.db import scripts

revision = "0021_settling"
down_revision = "0018_catalogue"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
