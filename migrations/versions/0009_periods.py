"""Period locks with exceptions, and reversals that mirror what they reverse."""

from ledger.db import scripts

revision = "0009_periods"
down_revision = "0008_posting"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
