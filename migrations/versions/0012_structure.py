"""Dimension rules, exchange rates, balance assertions, evidence of a close."""

from ledger.db import scripts

revision = "0012_structure"
down_revision = "0011_drafts"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them; partitions are made as 0001_ledger made them."""
    scripts.restore("0001_ledger", "04_periods.sql", "ledger_make_partition")
    scripts.run(revision, "down.sql")
