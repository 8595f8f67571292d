"""Drafts, their approvals and attachments."""

from ledger.db import scripts

revision = "0011_drafts"
down_revision = "0010_seals"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
