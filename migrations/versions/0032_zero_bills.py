"""Charges that cancel with their VAT and not without it are billed by a document of nothing."""

from ledger.db import scripts

revision = "0032_zero_bills"
down_revision = "0031_file_days"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them, unless there is a document that cannot be without them."""
    scripts.run(revision, "check_down.sql", "down.sql")
