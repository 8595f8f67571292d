"""Runs that rate a month again: what they correct, who asked and why, and the counters of a run."""

from ledger.db import scripts

revision = "0019_rerating"
down_revision = "0023_columns"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
