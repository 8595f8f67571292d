"""Kept answers are the text that was sent, not what it means."""

from ledger.db import scripts

revision = "0035_answers"
down_revision = "0034_vat_ends"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
