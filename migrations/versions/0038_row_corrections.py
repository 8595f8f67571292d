"""Suspended rows of orders are corrected by facts beside them, and end as applied or as known."""

from ledger.db import scripts

revision = "0038_row_corrections"
down_revision = "0037_dimensions"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them; refused while a row ended as a copy."""
    scripts.run(revision, "down.sql")
