"""Posting in bulk and one by one: faster functions for the same guarantees."""

from ledger.db import scripts

revision = "0008_posting"
down_revision = "0007_late_usage"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them: what 0001_ledger made is made again by its own scripts."""
    scripts.run(revision, "down.sql")
    scripts.run("0001_ledger", "05_stage.sql", "06_checks.sql", "07_posting.sql", "08_commit.sql")
    scripts.run(revision, "down_grants.sql")
