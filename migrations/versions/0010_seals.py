"""Seals: signed chained blocks over the batches, anchors and known positions."""

from ledger.db import scripts

revision = "0010_seals"
down_revision = "0009_periods"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
