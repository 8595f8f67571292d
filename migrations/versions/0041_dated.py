"""The database dates and numbers what the service records itself."""

from ledger.db import scripts

revision = "0041_dated"
down_revision = "0038_row_corrections"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
