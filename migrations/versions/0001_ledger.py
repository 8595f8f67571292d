"""The ledger: books, facts, their guards, and the functions that alone may write them."""

from ledger.db import scripts

revision = "0001_ledger"
down_revision = "0000_jobs"


def upgrade() -> None:
    """Build the ledger, topic by topic."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Remove the ledger with everything in it."""
    scripts.run(revision, "down.sql")
