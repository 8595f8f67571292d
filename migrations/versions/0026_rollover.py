"""What rolls over from month to month: each run keeps what it took, and what it leaves."""

from ledger.db import scripts

revision = "0026_rollover"
down_revision = "0025_books"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
