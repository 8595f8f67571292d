"""Turnover of whole months, summed as it is sealed: a balance does not read all of history."""

from ledger.db import scripts

revision = "0022_folds"
down_revision = "0013_requests"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
