"""Dimension rules, exchange rates, balance assertions, evidence of a close."""

from ledger.db import scripts

revision = "0012_structure"
down_revision = "0011_drafts"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
